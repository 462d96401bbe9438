"""One notebook, open in JupyterLab in a browser: what a test may do with it."""

import contextlib
import json
import re
import time
import urllib.parse

import nbformat

PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
# the only picture that a lesson may ask another host for; it has an alt text
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
EMPTY_IMAGE = '<svg xmlns="http://www.w3.org/2000/svg"/>'
# what JupyterLab writes where a widget should be
BAD_TEXTS = (
    "Error displaying widget",
    "Error creating widget",
    "Failed to load model class",
    "Failed to create view",
    "Loading widget...",
    "Nothing reacts here?",
    "This piece has lost its kernel",
    "Widget not found",
    "Javascript Error",
    "[anywidget]",
)

CELLS = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const session = panel.sessionContext.session;
  const joined = text => Array.isArray(text) ? text.join('') : text;
  return {
    kernel: session?.kernel?.status,
    cells: panel.content.widgets.filter(w => w.model.type === 'code').map(w => {
      const saved = w.model.toJSON();
      const areas = [...w.node.querySelectorAll('.jp-OutputArea-child')];
      return {
        source: joined(saved.source),
        tags: saved.metadata.tags ?? [],
        waiting: w.promptNode.innerText.includes('*'),
        count: saved.execution_count,
        outputs: saved.outputs.map((output, i) => ({
          error: output.ename && `${output.ename}: ${output.evalue}`,
          widget: output.data?.['application/vnd.jupyter.widget-view+json']?.model_id,
          live: !!areas[i]?.querySelector(
            '.jp-OutputArea-output .lm-Widget:not(:empty)'),
          height: areas[i]?.getBoundingClientRect().height,
        })),
      };
    }),
  };
}"""

RUN = """async code => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = '', error = '';
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === 'stream') text += content.text;
    if (header.msg_type === 'error') error = `${content.ename}: ${content.evalue}`;
  };
  await future.done;
  return { text, error };
}"""

OPEN_WIDGETS = """
import ipywidgets
print(*ipywidgets.Widget.get_manager_state()["state"])
"""

# the ratio of WCAG 2 between each text and what is painted behind it
CONTRASTS = """root => {
  const parse = colour => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    [0, 1, 2].map(i => top[3] * top[i] + (1 - top[3]) * below[i]).concat(1);
  const behind = element => {
    if (!element) return [255, 255, 255, 1];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour : over(colour, behind(element.parentElement));
  };
  const light = colour => {
    const [r, g, b] = colour.slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const found = {};
  for (const element of [root, ...root.querySelectorAll('*')]) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3)
      .map(node => node.data.trim()).join(' ').trim() || element.value;
    if (!own || typeof own !== 'string' || !element.checkVisibility()) continue;
    if (element.closest('style, script, option, :disabled')) continue;
    const back = behind(element);
    const text = over(parse(getComputedStyle(element).color), back);
    const ratio = light(text) / light(back);
    found[own] = Math.min(found[own] ?? 99, Math.max(ratio, 1 / ratio));
  }
  return found;
}"""


class NotebookPage:
    """A notebook in its own browser tab.

    Attributes:
        page: Playwright's page, for what is not provided here.
        keyboard: Playwright's keyboard: `keyboard.press("Tab")`, `keyboard.type("7")`.
        trouble: what went wrong in the browser so far, one line each.
    """

    def __init__(self, browser, url, path, size=(1300, 1000)):
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.keyboard = self.page.keyboard
        self.trouble = []
        self.page.route("**/*", self._only_this_machine)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self._note(f"JavaScript: {error}"))
        self.page.goto(f"{url}/lab/tree/{urllib.parse.quote(path)}?reset")
        self.page.wait_for_function("window.jupyterapp?.restored", timeout=120_000)
        self.page.wait_for_selector(f"{PANEL} .jp-Cell", timeout=120_000)
        self.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        self._wait_for(lambda state: state["kernel"] == "idle", "a kernel", 120)

    def _note(self, line):
        if line not in self.trouble:
            self.trouble.append(line)

    def _note_console(self, message):
        if message.type == "error":
            self._note(f"console: {message.text} ({message.location.get('url')})")

    def _only_this_machine(self, route):
        host = urllib.parse.urlparse(route.request.url).hostname
        if host in ("127.0.0.1", None):
            route.continue_()
        elif route.request.url == BADGE:
            route.fulfill(content_type="image/svg+xml", body=EMPTY_IMAGE)
        else:
            self._note(f"request to another host: {route.request.url}")
            route.abort()

    def close(self):
        """Shut the kernel down and close the tab."""
        with contextlib.suppress(Exception):  # the kernel or the page may have died
            self.page.evaluate(
                "window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
            )
        self.context.close()

    # find

    @property
    def panel(self):
        """The notebook's own part of the page."""
        return self.page.locator(PANEL)

    def cell(self, text):
        """Return the one cell whose source contains the text."""
        index = self.page.evaluate(
            """text => window.jupyterapp.shell.currentWidget.content.widgets
                 .map(w => w.model.sharedModel.getSource().includes(text))
                 .reduce((found, has, i) => has ? [...found, i] : found, [])""",
            text,
        )
        assert len(index) == 1, f"{len(index)} cells contain {text!r}"
        return self.panel.locator(".jp-Cell").nth(index[0])

    def pieces(self):
        """Return the interactive pieces, as a locator of all of them."""
        return self.panel.locator(".mnist-lessons:not(.mnist-lessons *)")

    def too_wide(self):
        """Return the pieces that are cut off, or have to be scrolled sideways."""
        wide = "e => e.scrollWidth > e.clientWidth + 1"
        return [piece for piece in self.pieces().all() if piece.evaluate(wide)]

    def piece(self, selector):
        """Return the one piece that is, or contains, what the CSS selector says."""
        outer = self.pieces()
        return outer.and_(self.page.locator(selector)).or_(
            outer.filter(has=self.page.locator(selector))
        )

    # do

    def run_all(self, seconds=600):
        """Choose Run > Run All Cells in the menu, and wait until all is done."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
        item = self.page.locator(
            ".lm-Menu-item", has_text=re.compile("^Run All Cells$")
        )
        item.click()
        self.wait_until_idle(seconds)

    def run_by_keys(self, seconds=300):
        """Run all cells, from the selected first one on, without the mouse."""
        count = self.panel.locator(".jp-Notebook-cell").count()
        for _ in range(count - 1):
            self.keyboard.press("Shift+Enter")
        self.keyboard.press("Control+Enter")  # the last one: no new cell below it
        self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds=120):
        """Wait until no cell waits, no cell runs and the widgets have appeared."""
        self._wait_for(
            lambda state: (
                state["kernel"] == "idle"
                and not any(cell["waiting"] for cell in state["cells"])
            ),
            "the end of all cells",
            seconds,
        )

    def run_code(self, code):
        """Run code in the kernel, in no cell; return what it prints."""
        result = self.page.evaluate(RUN, code)
        assert not result["error"], f"{code}\n{result['error']}"
        return result["text"].strip()

    @contextlib.contextmanager
    def changes(self, locator, seconds=60):
        """Inside, do what must change an element; leaving waits until it has.

        What is looked at is the whole element: text, pictures, canvases.
        """
        before = look(locator)
        yield
        end = time.monotonic() + seconds
        while look(locator) == before:
            assert time.monotonic() < end, f"nothing changed within {seconds} s"
            self.page.wait_for_timeout(100)

    def draw(self, locator, *strokes):
        """Draw with the mouse; a stroke is points (x, y) from (0, 0) to (1, 1)."""
        locator.scroll_into_view_if_needed()
        box = locator.bounding_box()
        mouse = self.page.mouse
        for stroke in strokes:
            for i, (x, y) in enumerate(stroke):
                mouse.move(
                    box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8
                )
                if i == 0:
                    mouse.down()
            mouse.up()

    def tab_to(self, locator, steps=50):
        """Press Tab until an element, or something in it, has the focus."""
        for _ in range(steps):
            self.keyboard.press("Tab")
            if locator.evaluate("e => e.contains(document.activeElement)"):
                return
        raise AssertionError(f"not reached by pressing Tab {steps} times")

    def save(self):
        """Save the notebook; return what stands in the file, as `nbformat` reads it."""
        text = self.page.evaluate(
            """async () => {
              const { context } = window.jupyterapp.shell.currentWidget;
              await context.save();
              return JSON.stringify(context.model.toJSON());
            }"""
        )
        return nbformat.reads(text, as_version=4)

    def use_theme(self, name):
        """Switch to "JupyterLab Light" or "JupyterLab Dark"."""
        light = json.dumps("Light" in name)
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute("
            "'apputils:change-theme', { theme })",
            name,
        )
        self.page.wait_for_selector(
            f"body[data-jp-theme-light='{light}']", state="attached"
        )
        # a second change while this screen goes is an error of JupyterLab's own
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def screenshots(self, folder):
        """Write pictures of the whole notebook, page by page: 01.png, 02.png, ..."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, _ in enumerate(self.scroll(), start=1):
            self.page.screenshot(path=folder / f"{number:02d}.png")

    def scroll(self):
        """Show one page of the notebook after the other, from the top to the end."""
        view = self.panel.locator(".jp-WindowedPanel-outer")
        view.evaluate("e => { e.scrollTop = 0 }")
        while True:
            self.page.wait_for_timeout(300)
            yield
            moved = view.evaluate(
                "e => { const top = e.scrollTop; e.scrollTop += e.clientHeight - 60;"
                " return e.scrollTop > top + 1 }"
            )
            if not moved:
                return

    # judge

    def state(self):
        """Return the kernel's status and what each code cell holds."""
        return self.page.evaluate(CELLS)

    def errors(self):
        """Return what a reader would call broken, one line each: none if all is well.

        It scrolls through the whole notebook. A cell that never ran, an error in a cell
        (unless its tags allow it), a widget that is not there, a dialog, an error in
        the browser, a request to another host.
        """
        cells = self.state()["cells"]
        # a progress bar that is done is closed, and nothing is left of it
        still_open = self.run_code(OPEN_WIDGETS).split()
        found = [line for cell in cells for line in errors_in(cell, still_open)]
        for _ in self.scroll():
            text = self.panel.inner_text()
            found += [f"the page says {bad!r}" for bad in BAD_TEXTS if bad in text]
        dialogs = self.page.locator(".jp-Dialog").all_inner_texts()
        found += ["dialog: " + " ".join(text.split()) for text in dialogs]
        return list(dict.fromkeys(found + self.trouble))

    def _wait_for(self, test, what, seconds):
        end, calm = time.monotonic() + seconds, 0
        while calm < 4:  # between two cells the kernel may look idle
            state = self.state()
            calm = calm + 1 if test(state) else 0
            assert time.monotonic() < end, f"no {what} within {seconds} s: {state}"
            dialog = self.page.locator(".jp-Dialog")
            assert not dialog.count(), f"dialog: {dialog.first.inner_text()}"
            self.page.wait_for_timeout(200)


def errors_in(cell, open_widgets):
    """Return what is wrong with one code cell, as `CELLS` describes it."""
    if not cell["source"].strip():
        return []
    first = cell["source"].strip().splitlines()[0]
    found = []
    if cell["count"] is None:
        found.append(f"not run: {first}")
    for output in cell["outputs"]:
        if output["error"] and "raises-exception" not in cell["tags"]:
            found.append(f"{output['error']} in: {first}")
        shown = output["live"] and output["height"] > 4
        if output["widget"] in open_widgets and not shown:
            found.append(f"no live widget below: {first}")
    return found


def look(locator):
    """Return all that an element shows: its text, pictures and canvases."""
    return locator.evaluate(
        "e => e.outerHTML + [...e.querySelectorAll('canvas')].map(c => c.toDataURL())"
    )


def low_contrasts(locator, least=4.5):
    """Return the texts in an element that are hard to read, each with its contrast."""
    found = locator.evaluate(CONTRASTS)
    return {text: round(ratio, 2) for text, ratio in found.items() if ratio < least}


def nameless_controls(locator):
    """Return the controls and images that a screen reader has no name for."""
    kinds = "button|slider|spinbutton|textbox|combobox|checkbox|radio|listbox|img|tab"
    snapshot = locator.aria_snapshot()
    return re.findall(rf"^\s*- (?:{kinds})(?=:|$| \[).*", snapshot, re.MULTILINE)
