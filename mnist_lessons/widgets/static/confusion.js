// A confusion matrix of buttons, and the digits of the cell that was chosen.

const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function element(tag, className, text, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  return made;
}

function percent(share) {
  // 99.97 % must not look like certainty
  const rounded = Math.round(share * 100);
  if (rounded === 100 && share < 1) {
    return share > 0.9999 ? "> 99.99 %" : `${(share * 100).toFixed(2)} %`;
  }
  return rounded === 0 ? "< 1 %" : `${rounded} %`;
}

function counted(count) {
  return `${count.toLocaleString("en")} digit${count === 1 ? "" : "s"}`;
}

function head(classes) {
  const row = element("tr", "", "");
  row.append(element("th", "lessons-confusion-corner", "answer →\nlabel ↓"));
  for (const name of classes) {
    const cell = element("th", "lessons-confusion-answer", "", { scope: "col" });
    cell.append(element("span", "", name));
    row.append(cell);
  }
  return row;
}

function card(digit) {
  const made = element("li", "lessons-confusion-card", "");
  const [name, share] = digit.best[0];
  made.append(
    element("img", "", "", {
      src: digit.png,
      alt: `digit ${digit.index}, read as ${name} with ${percent(share)}`,
    }),
    element("div", "lessons-confusion-index", `digit ${digit.index.toLocaleString("en")}`),
  );
  for (const [answer, value] of digit.best) {
    const row = element("div", "lessons-confusion-share", "");
    const bar = element("span", "lessons-confusion-bar", "", { "aria-hidden": "true" });
    bar.style.width = `${Math.max(1, value * 100)}%`;
    row.append(
      bar,
      element("span", "lessons-confusion-name", `${answer}: `, { title: answer }),
      element("span", "lessons-confusion-percent", percent(value)),
    );
    made.append(row);
  }
  return made;
}

function render({ model, el }) {
  const summary = element("div", "lessons-confusion-summary", "");
  const frame = element("div", "lessons-confusion-frame", "");
  const table = element("table", "", "", {
    "aria-label": "confusion matrix, a row for each label, a column for each answer",
    // otherwise JupyterLab takes the arrows and Enter for its own commands
    "data-lm-suppress-shortcuts": "true",
  });
  const heading = element("div", "lessons-confusion-told", "", { role: "status" });
  const cards = element("ul", "lessons-confusion-cards", "");
  const pages = element("div", "lessons-confusion-pages", "");
  const back = element("button", "jupyter-button", "", { type: "button" });
  const on = element("button", "jupyter-button", "", { type: "button" });
  pages.append(back, on);
  frame.append(table);
  el.classList.add("lessons-confusion");
  el.append(summary, frame, heading, cards, pages);
  let buttons = [];

  function build() {
    const classes = model.get("classes");
    const counts = model.get("counts");
    const wrong = counts.flatMap((row, i) => row.filter((_, j) => j !== i));
    const most = Math.max(1, ...wrong);
    table.classList.toggle("lessons-long", classes.some((name) => name.length > 2));
    table.replaceChildren(head(classes));
    buttons = counts.map((row, label) => {
      const line = element("tr", "", "");
      line.append(element("th", "", classes[label], { scope: "row" }));
      const made = row.map((count, answer) => {
        const cell = element("td", label === answer ? "lessons-right" : "", "");
        const button = element("button", "", count || "", {
          type: "button",
          "aria-label": `${classes[label]} read as ${classes[answer]}: ${counted(count)}`,
        });
        if (label !== answer) {
          // from Okabe and Ito's blue; text stays readable on it in either theme
          cell.style.background = `rgba(0, 114, 178, ${(0.6 * count) / most})`;
        }
        button.addEventListener("click", () => select(label, answer));
        button.addEventListener("keydown", (event) => move(event, label, answer));
        cell.append(button);
        line.append(cell);
        return button;
      });
      table.append(line);
      return made;
    });
    summary.textContent = model.get("summary");
    mark();
  }

  function mark() {
    // one stop for the Tab key in the whole table; the arrows do the rest
    const [label, answer] = model.get("selected");
    buttons.forEach((row, i) =>
      row.forEach((button, j) => {
        const chosen = i === label && j === answer;
        button.tabIndex = chosen ? 0 : -1;
        button.setAttribute("aria-pressed", chosen);
      }),
    );
  }

  function move(event, label, answer) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      event.preventDefault();
      const next = buttons[label + arrow[0]]?.[answer + arrow[1]];
      next?.focus();
    }
    if (event.key !== "Tab") {
      event.stopPropagation();
    }
  }

  function select(label, answer) {
    model.set("start", 0);
    model.set("selected", [label, answer]);
    model.save_changes();
  }

  function turn(pagesOn) {
    model.set("start", model.get("start") + pagesOn * model.get("step"));
    model.save_changes();
  }

  function show() {
    const digits = model.get("cards");
    const start = model.get("start");
    const step = model.get("step");
    const [label, answer] = model.get("selected");
    const count = model.get("counts")[label][answer];
    const more = count > digits.length && digits.length;
    const from = (start + 1).toLocaleString("en");
    const to = (start + digits.length).toLocaleString("en");
    heading.textContent =
      model.get("heading") + (more ? `, here ${from} to ${to}` : "") +
      (count > 1 ? ", the most confident first" : "");
    cards.replaceChildren(...digits.map(card));
    pages.hidden = count <= step;
    back.textContent = `Previous ${step}`;
    on.textContent = `Next ${Math.max(1, Math.min(step, count - start - step))}`;
    back.disabled = start === 0;
    on.disabled = start + step >= count;
  }

  back.addEventListener("click", () => turn(-1));
  on.addEventListener("click", () => turn(1));
  const watched = [
    ["change:counts", build],
    ["change:selected", mark],
    ["change:cards", show],
    ["change:heading", show],
  ];
  for (const [name, react] of watched) {
    model.on(name, react);
  }
  build();
  show();
  return () => {
    for (const [name, react] of watched) {
      model.off(name, react);
    }
  };
}

export default { render };
