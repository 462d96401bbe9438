"""`python -m mnist_lessons projector`: large type, one document, and sliders move."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from browser.server import Lab
from mnist_lessons.teaching.lab import projector_options

KERNEL = "window.jupyterapp.shell.currentWidget?.sessionContext.session?.kernel"

SLIDER = """\
from ipywidgets import IntSlider, Label, VBox

slider, label = IntSlider(description="rate"), Label("not moved")

def show(change):
    label.value = f"moved to {change['new']}"

slider.observe(show, "value")
VBox([slider, label])
"""


def test_a_lesson_fills_the_projector_and_its_slider_moves(browser, tmp_path):
    (tmp_path / "own").mkdir()
    server = Lab(
        tmp_path, *projector_options(tmp_path / "demo.ipynb", tmp_path / "own")
    )
    notebook = new_notebook(cells=[new_markdown_cell("Prose."), new_code_cell(SLIDER)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, server.root / "demo.ipynb")
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    try:
        server.wait()
        page = context.new_page()
        page.goto(server.url)  # which leads to the default address
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
        page.wait_for_function("window.jupyterapp?.restored", timeout=120_000)
        # JupyterLab forgets a cell that is run before its kernel has answered
        page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=120_000)
        assert "/doc/tree/demo.ipynb" in page.url
        for part in (".jp-SideBar", "#jp-left-stack", "#jp-main-statusbar"):
            for found in page.locator(part).all():
                assert not found.is_visible(), part
        size = "e => parseFloat(getComputedStyle(e).fontSize)"
        assert page.locator(".jp-RenderedMarkdown p").first.evaluate(size) >= 20
        assert page.locator(".cm-content").last.evaluate(size) >= 20
        assert page.locator(".jp-Notebook").bounding_box()["width"] > 1200
        page.locator(".jp-CodeCell .cm-content").click()
        page.keyboard.press("Shift+Enter")
        slider = page.get_by_role("slider")
        slider.wait_for(timeout=60_000)
        slider.focus()
        page.keyboard.press("ArrowRight")
        page.get_by_text("moved to 1").wait_for()
    finally:
        context.close()
        server.stop()
