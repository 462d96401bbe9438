// A pad to draw on. The strokes go to Python while one draws; Python answers with the
// steps of the preprocessing and the probabilities of each model.

const SIDE = 560; // the canvas's own pixels, two for each on the screen
const PAUSE = 100; // ms between two messages: Python has to keep up
const NEAR = 0.008; // a point closer to the one before says nothing new
const MOVE = 0.02; // how far an arrow key moves the pen, as a part of the pad
const LARGE = 1e6; // bytes; from here on a picture is made smaller before it is sent
const LARGEST = 7e6; // bytes; Jupyter breaks the connection at 10 MB, and text is longer
const WIDEST = 1000; // pixels; Python keeps no more
const KEYS =
  "Keyboard: arrow keys move the pen (with Shift farther), Space puts it down and " +
  "lifts it, U or Ctrl+Z undoes, C or Delete clears.";
const CAUTION =
  "Each model's probabilities add up to 100 %: none can answer “this is no digit”.";

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const rounded = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;

/* Send what is on the pad, but never more often than Python answers. */
function sender(model, now) {
  let waiting = null; // the request that Python has not answered yet
  let unsent = false;
  let sending = false;
  let last = -PAUSE;
  let timer = null;

  function pump() {
    if (!unsent || waiting !== null) return;
    const early = last + PAUSE - performance.now();
    clearTimeout(timer);
    if (early > 0) {
      timer = setTimeout(pump, early);
      return;
    }
    unsent = false;
    sending = true;
    last = performance.now();
    // a number that no other view, here or in another window, uses at the same time
    waiting = Math.random();
    for (const [name, value] of Object.entries(now())) model.set(name, value);
    model.set("request", waiting);
    sending = false;
    model.save_changes();
  }

  return {
    changed() {
      unsent = true;
      pump();
    },
    answered() {
      if (model.get("answer").request !== waiting) return;
      waiting = null;
      pump();
    },
    // the changes of the model that come from this view
    get sending() {
      return sending;
    },
    stop() {
      // what was drawn last still goes out
      if (unsent && waiting === null) {
        last = -PAUSE;
        pump();
      }
      clearTimeout(timer);
    },
  };
}

/* A photo from a phone is larger than a message may be, and than Python needs. */
async function shrunk(file) {
  const bitmap = await createImageBitmap(file);
  const factor = Math.min(1, WIDEST / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas", {
    width: Math.max(1, Math.round(bitmap.width * factor)),
    height: Math.max(1, Math.round(bitmap.height * factor)),
  });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture")))),
  );
}

function asBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

function stepFigure(step, isLike) {
  const image = make("img", { src: step.data, alt: step.alt });
  if (step.boxed) {
    // three pixels for one, so that 20 pixels look smaller than 28
    image.width = 3 * step.boxed[0];
    image.height = 3 * step.boxed[1];
  }
  return make(
    "figure",
    { className: isLike ? "ml-draw-like" : "" },
    make("div", { className: "ml-draw-frame" }, image),
    make("figcaption", {}, step.caption),
  );
}

function answerTable(answer) {
  const head = make("tr", {}, make("th", { scope: "col" }, "class"));
  for (const model of answer.models) {
    const said = model.error ? "cannot answer" : `answers ${answer.classes[model.top]}`;
    head.append(make("th", { scope: "col" }, make("b", {}, model.name), ` ${said}`));
  }
  const body = make("tbody");
  answer.classes.forEach((name, index) => {
    const row = make("tr", {}, make("th", { scope: "row" }, name));
    for (const model of answer.models) {
      const cell = make("td");
      if (!model.error) {
        const isTop = index === model.top;
        cell.className = isTop ? "ml-draw-top" : "";
        const text = (isTop ? "▸ " : "") + model.texts[index];
        const bar = make("span", { className: "ml-draw-bar" });
        bar.style.width = `${Math.round(60 * model.shares[index])}px`;
        cell.append(make("span", { className: "ml-draw-share" }, text), bar);
      }
      row.append(cell);
    }
    body.append(row);
  });
  const table = make("table", {}, make("thead", {}, head), body);
  table.setAttribute("aria-label", "Probability of each class, by model");
  return table;
}

function render({ model, el }) {
  let strokes = structuredClone(model.get("strokes"));
  let backdrop = model.get("backdrop");
  let drawing = false; // a stroke is being drawn
  let pointer = null; // the pointer that draws; a second finger does not
  const pen = { x: 0.5, y: 0.5, shown: false }; // for the keyboard
  const picture = new Image();

  const canvas = make("canvas", { width: SIDE, height: SIDE, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `Pad to draw a digit on. ${KEYS}`);
  const undoButton = make("button", { type: "button", onclick: undo }, "Undo");
  const clearButton = make("button", { type: "button", onclick: clear }, "Clear");
  const file = make("input", { type: "file", accept: "image/*", onchange: open });
  const opener = make("label", { className: "ml-draw-open" }, "Open a picture", file);
  const prepare = make("input", { type: "checkbox", checked: model.get("prepare") });
  prepare.onchange = () => queue.changed();
  const prepareLabel = make(
    "label",
    { className: "ml-draw-prepare" },
    prepare,
    "Prepare the drawing as MNIST was made",
  );
  const help = make(
    "p",
    { className: "ml-draw-help" },
    "Draw with the mouse, a finger or a pen. ",
    KEYS,
  );
  // what a screen reader says about the pen, and errors before anything is sent
  const note = make("p", { className: "ml-draw-note" });
  note.setAttribute("role", "status");
  const summary = make("p", { className: "ml-draw-summary" });
  const spoken = make("p", { className: "ml-draw-spoken" });
  spoken.setAttribute("aria-live", "polite");
  const steps = make("div", { className: "ml-draw-steps" });
  const answers = make("div", { className: "ml-draw-answers" });
  const caution = make("p", { className: "ml-draw-help" }, CAUTION);
  const buttons = make("div", { className: "ml-draw-buttons" });
  buttons.append(undoButton, clearButton, opener);
  const left = make("div", { className: "ml-draw-left" });
  left.append(canvas, buttons, prepareLabel, note, help);
  const right = make("div", { className: "ml-draw-right" });
  right.append(summary, spoken, steps, answers, caution);
  const root = make("div", { className: "ml-draw" }, left, right);
  // JupyterLab would take Space, Delete, Ctrl+Z and c for its own commands
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);

  const queue = sender(model, () => ({
    strokes: structuredClone(strokes),
    backdrop,
    prepare: prepare.checked,
  }));

  function paint() {
    const context = canvas.getContext("2d");
    context.fillStyle = "black";
    context.fillRect(0, 0, SIDE, SIDE);
    if (backdrop && picture.complete && picture.naturalWidth) {
      const factor = SIDE / Math.max(picture.naturalWidth, picture.naturalHeight);
      const [wide, high] = [picture.naturalWidth * factor, picture.naturalHeight * factor];
      context.imageSmoothingEnabled = picture.naturalWidth > 100;
      context.drawImage(picture, (SIDE - wide) / 2, (SIDE - high) / 2, wide, high);
    }
    context.strokeStyle = "white";
    context.lineWidth = model.get("pen") * SIDE;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of backdrop ? [] : strokes) {
      context.beginPath();
      context.moveTo(stroke[0] * SIDE, stroke[1] * SIDE);
      for (let i = 0; i < stroke.length; i += 2) {
        context.lineTo(stroke[i] * SIDE, stroke[i + 1] * SIDE);
      }
      context.stroke();
    }
    if (pen.shown) paintPen(context);
    undoButton.disabled = clearButton.disabled = !strokes.length && !backdrop;
  }

  function paintPen(context) {
    // a ring where the pen is up, with a dot where it is down
    const [x, y] = [pen.x * SIDE, pen.y * SIDE];
    for (const [colour, width] of [["black", 12], ["#e69f00", 6]]) {
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, (model.get("pen") * SIDE) / 2 + 4, 0, 2 * Math.PI);
      context.stroke();
      if (!drawing) continue;
      context.beginPath();
      context.arc(x, y, width + 3, 0, 2 * Math.PI);
      context.fill();
    }
  }

  function start(x, y) {
    if (backdrop) [backdrop, strokes] = ["", []]; // what one sees is one drawing
    strokes.push([rounded(x), rounded(y)]);
    drawing = true;
    note.textContent = "";
    changed();
  }

  function goOn(x, y) {
    const stroke = strokes.at(-1);
    const point = [rounded(x), rounded(y)];
    if (Math.hypot(point[0] - stroke.at(-2), point[1] - stroke.at(-1)) < NEAR) return;
    stroke.push(...point);
    changed();
  }

  function lift() {
    drawing = false;
    pointer = null;
    paint();
    showSummary();
  }

  function changed() {
    paint();
    queue.changed();
  }

  function undo() {
    if (drawing) lift();
    if (backdrop) backdrop = "";
    else strokes.pop();
    note.textContent = "";
    changed();
  }

  function clear() {
    if (drawing) lift();
    [backdrop, strokes] = ["", []];
    note.textContent = "";
    changed();
  }

  async function open() {
    const [chosen] = file.files;
    file.value = ""; // so that the same file can be chosen again
    if (!chosen) return;
    note.textContent = "";
    // what the browser cannot read, Python may; else it says why not
    const sent = chosen.size < LARGE ? chosen : await shrunk(chosen).catch(() => chosen);
    if (sent.size > LARGEST) {
      const size = (chosen.size / 1e6).toFixed(1);
      note.textContent =
        `${chosen.name} has ${size} MB, and this browser cannot make it smaller. ` +
        "Save it as PNG or JPEG, with at most 7 MB, and try again.";
      return;
    }
    model.send({ name: chosen.name, data: await asBase64(sent) });
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    event.preventDefault(); // no selection, no dragging
    if (drawing) lift(); // the keyboard's pen
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    pen.shown = false;
    start(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const part of between.length ? between : [event]) goOn(...place(part));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => event.pointerId === pointer && lift());
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = event.ctrlKey || event.metaKey;
    if (pointer !== null) return;
    if (command ? key === "z" : key === "u") undo();
    else if (command || event.altKey) return;
    else if (key === "c" || key === "Delete") clear();
    else if (key === " ") {
      pen.shown = true;
      if (drawing) lift();
      else start(pen.x, pen.y);
      note.textContent = drawing ? "The pen is down." : "The pen is up.";
    } else if (moves[key]) {
      const far = event.shiftKey ? 5 * MOVE : MOVE;
      pen.shown = true;
      pen.x = rounded(pen.x + far * moves[key][0]);
      pen.y = rounded(pen.y + far * moves[key][1]);
      if (drawing) goOn(pen.x, pen.y);
      paint();
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    pen.shown = canvas.matches(":focus-visible") && pointer === null;
    paint();
  });
  canvas.addEventListener("blur", () => {
    pen.shown = false;
    note.textContent = "";
    if (drawing && pointer === null) lift();
    paint();
  });
  buttons.addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    undo();
  });

  function showSummary() {
    summary.textContent = model.get("answer").summary ?? "";
    // not while one draws: a screen reader could never finish a sentence
    if (!drawing) spoken.textContent = summary.textContent;
  }

  function showAnswer() {
    queue.answered();
    const answer = model.get("answer");
    steps.replaceChildren(
      ...(answer.steps ?? []).map((step) => stepFigure(step, false)),
      ...(answer.like ?? []).map((step) => stepFigure(step, true)),
    );
    answers.replaceChildren(...(answer.models ? [answerTable(answer)] : []));
    caution.hidden = !answer.models;
    showSummary();
  }

  function showState() {
    if (queue.sending) return;
    strokes = structuredClone(model.get("strokes"));
    backdrop = model.get("backdrop");
    prepare.checked = model.get("prepare");
    drawing = false;
    pointer = null;
    picture.src = backdrop;
    paint();
  }

  picture.onload = paint;
  const events = { "change:answer": showAnswer };
  for (const name of ["strokes", "backdrop", "prepare"]) events[`change:${name}`] = showState;
  for (const [name, react] of Object.entries(events)) model.on(name, react);
  showState();
  showAnswer();

  return () => {
    queue.stop();
    for (const [name, react] of Object.entries(events)) model.off(name, react);
  };
}

export default { render };
