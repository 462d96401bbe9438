"""`python -m mnist_lessons projector`: large type, one document, and sliders move."""

import nbformat
import pytest

from browser.server import Lab
from mnist_lessons.teaching.lab import projector_options

SLIDER = """\
from ipywidgets import IntSlider, Label, VBox

slider, label = IntSlider(description="rate"), Label("not moved")

def show(change):
    label.value = f"moved to {change['new']}"

slider.observe(show, "value")
VBox([slider, label])
"""


@pytest.fixture
def projector(browser, tmp_path):
    """A notebook with a slider, as the command opens a lesson at 1280 x 720."""
    (tmp_path / "own").mkdir()
    options = projector_options(tmp_path / "demo.ipynb", tmp_path / "own")
    server = Lab(tmp_path, *options)
    cells = [
        nbformat.v4.new_markdown_cell("Some prose."),
        nbformat.v4.new_code_cell(SLIDER),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, server.root / "demo.ipynb")
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    try:
        server.wait()
        page = context.new_page()
        page.goto(server.url)  # which leads to the default address
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
        page.wait_for_function("window.jupyterapp?.restored", timeout=120_000)
        yield page
    finally:
        context.close()
        server.stop()


def test_a_lesson_fills_the_projector_and_its_slider_moves(projector):
    assert "/doc/tree/demo.ipynb" in projector.url
    for part in (".jp-SideBar", "#jp-left-stack", "#jp-main-statusbar"):
        for found in projector.locator(part).all():
            assert not found.is_visible(), part
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    assert projector.locator(".jp-RenderedMarkdown p").first.evaluate(size) >= 20
    assert projector.locator(".cm-content").last.evaluate(size) >= 20
    assert projector.locator(".jp-Notebook").bounding_box()["width"] > 1200
    projector.locator(".jp-CodeCell .cm-content").click()
    projector.keyboard.press("Shift+Enter")
    slider = projector.get_by_role("slider")
    slider.wait_for(timeout=60_000)
    slider.focus()
    projector.keyboard.press("ArrowRight")
    projector.get_by_text("moved to 1").wait_for()
