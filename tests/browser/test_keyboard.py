"""A lesson worked through with the keyboard alone: its cells, and what is in them."""

import nbformat

from browser.server import LESSONS
from browser.test_pieces import BLOCK


def work_through(notebook):
    """Run all cells, from the selected first one on, as a reader does."""
    count = notebook.panel.locator(".jp-Notebook-cell").count()
    for _ in range(count - 1):
        notebook.keyboard.press("Shift+Enter")
    notebook.keyboard.press("Control+Enter")  # the last one: no new cell below it
    notebook.wait_until_idle(300)


def go_to(notebook, piece):
    """From a cell, or from a piece in it, go up to the cell of a piece and into it."""
    active = notebook.panel.locator(".jp-Notebook-cell.jp-mod-active")
    for _ in range(100):
        if active.evaluate("e => e === document.activeElement"):
            break
        notebook.keyboard.press("Shift+Tab")
    inside = piece.element_handle()
    while not active.evaluate("(cell, piece) => cell.contains(piece)", inside):
        before = active.element_handle()
        notebook.keyboard.press("k")
        assert active.evaluate("(e, before) => e !== before", before), "at the top"
    notebook.tab_to(piece)


def test_a_piece_is_reached_and_moved_by_keys(scratch):
    notebook = scratch("first = 1", BLOCK, "last = 3")
    work_through(notebook)
    piece = notebook.piece(".widget-slider")
    go_to(notebook, piece)
    with notebook.changes(piece.locator("img")):
        notebook.keyboard.press("ArrowRight")
    assert notebook.errors() == []


MENU = """
import ipywidgets
import torch
from mnist_lessons import plots
from mnist_lessons.widgets.base import Interactive

menu = ipywidgets.Dropdown(options=["one", "two"], description="menu")
Interactive(menu, picture=plots.digits(torch.zeros(1, 28, 28)))
"""
ASK = """
from mnist_lessons.widgets import Predictions

predictions = Predictions()
predictions.ask("the outcome", "ABC")
"""


def test_keys_in_a_piece_do_not_change_cells(scratch):
    notebook = scratch(MENU, "last = 2")
    work_through(notebook)
    go_to(notebook, notebook.pieces())
    for key in ("ArrowDown", "x"):  # JupyterLab would go to the next cell, and cut it
        notebook.keyboard.press(key)
    assert notebook.run_code("print(menu.value)") == "two"
    assert len(notebook.state()["cells"]) == 2


def test_a_prediction_is_chosen_by_keys(scratch):
    notebook = scratch(ASK, "last = 2")
    work_through(notebook)
    go_to(notebook, notebook.pieces())
    notebook.keyboard.press("ArrowDown")
    notebook.page.wait_for_timeout(500)
    assert notebook.pieces().get_by_role("radio", name="B").is_checked()


def test_lesson_1_is_worked_through_by_keys(scratch):
    notebook = scratch(nbformat.read(LESSONS / "01_data.ipynb", as_version=4))
    work_through(notebook)
    assert notebook.errors() == []
    controls = notebook.page.locator("button, input, select, [tabindex]")
    pieces = notebook.pieces().filter(has=controls).all()
    assert len(pieces) >= 3
    for piece in reversed(pieces):  # each is reached, and can be left again
        go_to(notebook, piece)
    notebook.tab_to(pieces[0].get_by_role("button", name="Next"))
    with notebook.changes(pieces[0].locator("canvas")):
        notebook.keyboard.press("Space")
