// One digit as a grid of 28x28 pixels that says what each pixel holds.

const SIDE = 28;
const NAMES = ["pixels", "title", "note", "numbers"];
const KEYS = { n: "next", p: "previous", r: "random" };
const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function element(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  return made;
}

function clamp(value) {
  return Math.max(0, Math.min(SIDE - 1, value));
}

function render({ model, el }) {
  const title = element("div", "lessons-browser-title", { role: "status" });
  const canvas = element("canvas", "lessons-browser-canvas", {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "grid of pixels",
    // otherwise JupyterLab takes n, p, r and the arrows for its own commands
    "data-lm-suppress-shortcuts": "true",
  });
  const value = element("div", "lessons-browser-value");
  const note = element("div", "lessons-browser-note", { role: "status" });
  const help = element("div", "lessons-browser-help");
  help.textContent =
    "Point at a pixel for its value, or click the picture and use the arrow keys. " +
    "There, n is next, p previous, r random.";
  el.classList.add("lessons-browser");
  el.append(title, canvas, value, note, help);
  let chosen = null;

  function draw() {
    const pixels = model.get("pixels");
    const numbers = model.get("numbers");
    // whole pixels of the screen, so that all squares are equally large
    const ratio = window.devicePixelRatio || 1;
    const wanted = numbers ? 24 * SIDE : 12 * SIDE;
    const room = el.clientWidth ? Math.min(el.clientWidth - 4, wanted) : wanted;
    const cell = Math.max(1, Math.floor((room * ratio) / SIDE));
    canvas.width = canvas.height = cell * SIDE;
    canvas.style.width = canvas.style.height = `${(cell * SIDE) / ratio}px`;
    const pen = canvas.getContext("2d");
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = `${Math.round(cell * 0.55)}px sans-serif`;
    pixels.forEach((level, i) => {
      const x = (i % SIDE) * cell;
      const y = Math.floor(i / SIDE) * cell;
      pen.fillStyle = `rgb(${level}, ${level}, ${level})`;
      pen.fillRect(x, y, cell, cell);
      if (numbers) {
        pen.fillStyle = level > 120 ? "#000" : level ? "#fff" : "#8c8c8c";
        pen.fillText(level, x + cell / 2, y + cell / 2);
      }
    });
    if (chosen) {
      // white inside orange: seen on black and on white pixels
      const [row, column] = chosen;
      const line = Math.max(1, Math.round(cell / 8));
      for (const [colour, out] of [["#d55e00", line], ["#fff", 0]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = line;
        pen.strokeRect(
          column * cell - out + line / 2,
          row * cell - out + line / 2,
          cell + 2 * out - line,
          cell + 2 * out - line,
        );
      }
    }
  }

  function tellDigit() {
    title.textContent = model.get("title");
    note.textContent = model.get("note");
    canvas.setAttribute(
      "aria-label",
      `${model.get("title")}, 28 by 28 pixels. Arrow keys read them; n is next, ` +
        "p previous, r random.",
    );
  }

  function tellPixel() {
    value.textContent = "No pixel is chosen.";
    if (chosen) {
      const [row, column] = chosen;
      const level = model.get("pixels")[row * SIDE + column];
      value.textContent = `row ${row}, column ${column}: ${level}`;
    }
  }

  function update() {
    draw();
    tellDigit();
    tellPixel();
  }

  function choose(row, column) {
    const next = [clamp(row), clamp(column)];
    if (chosen && chosen[0] === next[0] && chosen[1] === next[1]) {
      return;
    }
    chosen = next;
    draw();
    tellPixel();
  }

  function point(event) {
    // a screen reader shall not read out all that the mouse passes
    value.setAttribute("aria-live", "off");
    const box = canvas.getBoundingClientRect();
    choose(
      Math.floor(((event.clientY - box.top) / box.height) * SIDE),
      Math.floor(((event.clientX - box.left) / box.width) * SIDE),
    );
  }

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const arrow = ARROWS[event.key];
    const go = KEYS[event.key.toLowerCase()];
    if (!arrow && !go) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (go) {
      model.send({ go });
    } else {
      value.setAttribute("aria-live", "polite");
      const [row, column] = chosen || [SIDE / 2, SIDE / 2];
      chosen ? choose(row + arrow[0], column + arrow[1]) : choose(row, column);
    }
  }

  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("keydown", press);
  for (const name of NAMES) {
    model.on(`change:${name}`, update);
  }
  let width = el.clientWidth;
  const watcher = new ResizeObserver(() => {
    if (el.clientWidth !== width) {
      width = el.clientWidth;
      draw();
    }
  });
  watcher.observe(el);
  update();
  return () => {
    watcher.disconnect();
    for (const name of NAMES) {
      model.off(`change:${name}`, update);
    }
  };
}

export default { render };
