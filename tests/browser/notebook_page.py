"""One notebook, open in JupyterLab in a browser: what a test may do with it."""

import contextlib
import re
import time
import urllib.parse

import nbformat

NOTEBOOK = "window.jupyterapp.shell.currentWidget"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
# the only picture that a lesson may ask another host for; it has an alt text
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
# what JupyterLab writes where a widget should be
BAD_TEXTS = re.compile(
    r"Error (?:display|creat)ing widget|Failed to (?:load model class|create view)|"
    r"Loading widget\.\.\.|Nothing reacts here\?|This piece has lost its kernel|"
    r"Widget not found|Javascript Error|\[anywidget\]"
)

CELLS = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  return {
    kernel: panel.sessionContext.session?.kernel?.status,
    cells: panel.content.widgets.filter(w => w.model.type === 'code').map(w => {
      const saved = w.model.toJSON();
      const areas = [...w.node.querySelectorAll('.jp-OutputArea-child')];
      return {
        source: w.model.sharedModel.getSource(),
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

OPEN_WIDGETS = """import ipywidgets
print(*ipywidgets.Widget.get_manager_state()["state"])"""

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

    `page`, `keyboard` and `panel` (the notebook's part of the page) are Playwright's;
    `trouble` has a line for each thing that went wrong in the browser so far.
    """

    def __init__(self, browser, url, path):
        self.context = browser.new_context(viewport={"width": 1300, "height": 1000})
        self.page = self.context.new_page()
        self.keyboard = self.page.keyboard
        self.trouble = []
        self.page.route("**/*", self._only_this_machine)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda e: self.trouble.append(f"JavaScript: {e}"))
        self.page.goto(f"{url}/lab/tree/{urllib.parse.quote(path)}?reset")
        self.page.wait_for_function("window.jupyterapp?.restored", timeout=120_000)
        self.page.wait_for_selector(f"{PANEL} .jp-Cell", timeout=120_000)
        self.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        self.panel = self.page.locator(PANEL)
        self.wait_until_idle()

    def _note_console(self, message):
        if message.type == "error":
            url = message.location.get("url")
            self.trouble.append(f"console: {message.text} ({url})")

    def _only_this_machine(self, route):
        host = urllib.parse.urlparse(route.request.url).hostname
        if host in ("127.0.0.1", None):
            route.continue_()
        elif route.request.url == BADGE:
            image = '<svg xmlns="http://www.w3.org/2000/svg"/>'
            route.fulfill(content_type="image/svg+xml", body=image)
        else:
            self.trouble.append(f"request to another host: {route.request.url}")
            route.abort()

    def close(self):
        """Shut the kernel down and close the tab."""
        with contextlib.suppress(Exception):  # the kernel or the page may have died
            self.page.evaluate(f"{NOTEBOOK}.sessionContext.shutdown()")
        self.context.close()

    def cell(self, text):
        """Return the one cell whose source contains the text."""
        source = "w => w.model.sharedModel.getSource()"
        sources = self.page.evaluate(f"{NOTEBOOK}.content.widgets.map({source})")
        (number,) = [i for i, source in enumerate(sources) if text in source]
        return self.panel.locator(".jp-Cell").nth(number)

    def pieces(self):
        """Return the interactive pieces, as a locator of all of them."""
        return self.panel.locator(".mnist-lessons:not(.mnist-lessons *)")

    def piece(self, selector):
        """Return the one piece that is, or contains, what the CSS selector says."""
        inner = self.page.locator(selector)
        return self.pieces().and_(inner).or_(self.pieces().filter(has=inner))

    def run_all(self, seconds=600):
        """Choose Run > Run All Cells in the menu, and wait until all is done."""
        for kind, text in (("MenuBar-item", "Run"), ("Menu-item", "Run All Cells")):
            exactly = re.compile(f"^{text}$")
            self.page.locator(f".lm-{kind}", has_text=exactly).click()
        self.wait_until_idle(seconds)

    def run_by_keys(self, seconds=300):
        """Run all cells, from the selected first one on, without the mouse."""
        for _ in range(self.panel.locator(".jp-Notebook-cell").count() - 1):
            self.keyboard.press("Shift+Enter")
        self.keyboard.press("Control+Enter")  # the last one: no new cell below it
        self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds=120):
        """Wait until no cell waits, no cell runs and the widgets have appeared."""
        end, calm = time.monotonic() + seconds, 0
        while calm < 4:  # between two cells the kernel may look idle
            state = self.state()
            waiting = any(cell["waiting"] for cell in state["cells"])
            calm = calm + 1 if state["kernel"] == "idle" and not waiting else 0
            assert time.monotonic() < end, f"not idle within {seconds} s: {state}"
            dialog = self.page.locator(".jp-Dialog")
            assert not dialog.count(), f"dialog: {dialog.first.inner_text()}"
            self.page.wait_for_timeout(200)

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
        canvases = "[...e.querySelectorAll('canvas')].map(c => c.toDataURL())"
        look = f"e => e.outerHTML + {canvases}"
        before = locator.evaluate(look)
        yield
        end = time.monotonic() + seconds
        while locator.evaluate(look) == before:
            assert time.monotonic() < end, f"nothing changed within {seconds} s"
            self.page.wait_for_timeout(100)

    def draw(self, locator, *strokes):
        """Draw with the mouse; a stroke is points (x, y) from (0, 0) to (1, 1)."""
        locator.scroll_into_view_if_needed()
        box = locator.bounding_box()
        mouse = self.page.mouse
        for stroke in strokes:
            for i, (x, y) in enumerate(stroke):
                x, y = box["x"] + x * box["width"], box["y"] + y * box["height"]
                mouse.move(x, y, steps=8)
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
        context = f"{NOTEBOOK}.context"
        save = f"{context}.save().then(() => JSON.stringify({context}.model.toJSON()))"
        return nbformat.reads(self.page.evaluate(save), as_version=4)

    def use_theme(self, name):
        """Switch to "JupyterLab Light" or "JupyterLab Dark"."""
        run = "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })"
        self.page.evaluate(run, name)
        light = str("Light" in name).lower()
        body = f"body[data-jp-theme-light='{light}']"
        self.page.wait_for_selector(body, state="attached")
        # a second change while this screen goes is an error of JupyterLab's own
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def scroll(self):
        """Show one page of the notebook after the other, from the top to the end."""
        view = self.panel.locator(".jp-WindowedPanel-outer")
        view.evaluate("e => { e.scrollTop = 0 }")
        while True:
            self.page.wait_for_timeout(300)
            yield
            before = view.evaluate("e => e.scrollTop")
            view.evaluate("e => { e.scrollTop += e.clientHeight - 60 }")
            if view.evaluate("e => e.scrollTop") <= before + 1:
                return

    def state(self):
        """Return the kernel's status and what each code cell holds."""
        return self.page.evaluate(CELLS)

    def errors(self):
        """Return what a reader would call broken anywhere in it, one line each."""
        cells = self.state()["cells"]
        # a progress bar that is done is closed, and nothing is left of it
        still_open = self.run_code(OPEN_WIDGETS).split()
        errors = []
        for cell in (cell for cell in cells if cell["source"].strip()):
            first = cell["source"].strip().splitlines()[0]
            if cell["count"] is None:
                errors.append(f"not run: {first}")
            for output in cell["outputs"]:
                if output["error"]:
                    errors.append(f"{output['error']} in: {first}")
                shown = output["live"] and output["height"] > 4
                if output["widget"] in still_open and not shown:
                    errors.append(f"no live widget below: {first}")
        for _ in self.scroll():
            bad_texts = BAD_TEXTS.findall(self.panel.inner_text())
            errors += [f"the page says {text!r}" for text in bad_texts]
        dialogs = self.page.locator(".jp-Dialog").all_inner_texts()
        errors += ["dialog: " + " ".join(text.split()) for text in dialogs]
        return list(dict.fromkeys(errors + self.trouble))


def low_contrasts(locator, least=4.5):
    """Return the texts in an element that are hard to read, each with its contrast."""
    found = locator.evaluate(CONTRASTS)
    return {text: round(ratio, 2) for text, ratio in found.items() if ratio < least}


def nameless_controls(locator):
    """Return the controls and images that a screen reader has no name for."""
    kinds = "button|slider|spinbutton|textbox|combobox|checkbox|radio|listbox|img|tab"
    snapshot = locator.aria_snapshot()
    return re.findall(rf"^\s*- (?:{kinds})(?=:|$| \[).*", snapshot, re.MULTILINE)
