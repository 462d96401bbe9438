"""What is in a cell is reached, used and left with the keyboard alone."""

import pytest

from browser.test_pieces import ASK, BLOCK

MENU = """
import ipywidgets
import torch
from mnist_lessons import plots
from mnist_lessons.widgets.base import Interactive

menu = ipywidgets.Dropdown(options=["one", "two"], description="menu")
Interactive(menu, picture=plots.digits(torch.zeros(1, 28, 28)))
"""


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


def test_pieces_are_used_by_keys_and_no_cell_is_changed(scratch):
    notebook = scratch(BLOCK, MENU, *ASK)
    notebook.run_by_keys()
    block, menu, question = notebook.pieces().all()
    go_to(notebook, question)
    notebook.keyboard.press("ArrowDown")
    question.get_by_role("radio", name="B", checked=True).wait_for()
    go_to(notebook, menu)
    for key in ("ArrowDown", "x"):  # JupyterLab would go to the next cell, and cut it
        notebook.keyboard.press(key)
    assert notebook.run_code("print(menu.value)") == "two"
    go_to(notebook, block)
    with notebook.changes(block.locator("img")):
        notebook.keyboard.press("ArrowRight")
    assert len(notebook.state()["cells"]) == 4
    assert notebook.errors() == []


@pytest.mark.parametrize("lesson", ["01_data"], indirect=True)
def test_each_piece_of_a_lesson_is_reached_and_left_by_keys(lesson):
    # lesson 1 was run by keys, too: see `open_lesson`
    controls = lesson.page.locator("button, input, select, [tabindex]")
    pieces = lesson.pieces().filter(has=controls).all()
    assert len(pieces) >= 3
    for piece in reversed(pieces):
        go_to(lesson, piece)
    lesson.tab_to(pieces[0].get_by_role("button", name="Next"))
    with lesson.changes(pieces[0].locator("canvas")):
        lesson.keyboard.press("Space")
