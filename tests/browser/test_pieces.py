"""What every interactive piece promises, in notebooks made for the purpose."""

import copy

import pytest
from nbconvert import HTMLExporter

from browser.notebook_page import low_contrasts, nameless_controls

BLOCK = """
import ipywidgets
import torch
from mnist_lessons import plots
from mnist_lessons.widgets.base import Redrawn

class Block(Redrawn):
    about = "the height of a block"

    def __init__(self):
        self.slider = ipywidgets.IntSlider(3, 1, 9, description="height")
        super().__init__(self.slider)
        self.slider.observe(self.reacting(self.redraw), "value")

    def draw(self):
        if self.slider.value == 9:
            raise ValueError("9 is too high; choose at most 8")
        return plots.digits(torch.ones(1, 28, 28).triu(self.slider.value))

Block()
"""
ASK = [
    "from mnist_lessons.widgets import Predictions\npredictions = Predictions()",
    'predictions.ask("the coin", "AB")',
]
FOLD = ['predictions.ask("dice", "AB")', 'predictions.compare("dice", "42", A=1, B=0)']
STILL = "Nothing reacts here? Then this piece has no kernel"
LOST = "✗ This piece has lost its kernel"


@pytest.fixture(scope="module")
def block(open_notebook):
    """A small piece of the usual make: a slider, a picture, and a value that fails."""
    notebook = open_notebook(BLOCK, *ASK, *FOLD)
    notebook.run_all()
    yield notebook
    notebook.close()


def set_slider(notebook, key):
    notebook.piece(".widget-slider").get_by_role("slider").focus()
    notebook.keyboard.press(key)


def test_a_piece_is_shown_live_and_follows_the_keyboard(block):
    assert block.errors() == []
    piece = block.piece(".widget-slider")
    assert nameless_controls(piece) == []
    assert piece.get_by_role("slider", name="height", exact=True).count() == 1
    image = piece.get_by_role("img")
    assert image.get_attribute("alt").startswith("1 image of a digit. ")
    assert not block.cell("Block()").get_by_text(STILL).is_visible()
    with block.changes(image):
        set_slider(block, "ArrowRight")
    # an error is shown until the next change
    alert = piece.get_by_role("alert")
    set_slider(block, "End")
    alert.wait_for()
    assert alert.inner_text() == "✗ ValueError: 9 is too high; choose at most 8"
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        block.use_theme(theme)
        assert low_contrasts(piece) == {}, theme
    set_slider(block, "Home")
    alert.wait_for(state="detached")


def test_a_prediction_before_the_run_is_compared_and_counted(block):
    block.cell(ASK[1]).get_by_role("radio", name="B").check()
    block.page.wait_for_timeout(500)
    block.keyboard.press("Shift+Enter")  # which runs the question again
    block.wait_until_idle()
    asked = block.cell(ASK[1])
    asked.get_by_role("radio", name="B", checked=True).wait_for()
    printed = block.run_code('print(predictions.compare("the coin", A=True, B=False))')
    assert printed == "✗ You predicted B. The run says A."


def test_what_came_out_is_folded_until_there_is_a_prediction(block):
    outcome = block.cell(FOLD[1]).locator(".mnist-lessons")
    folded = outcome.get_by_text("What came out? Predict first")
    folded.wait_for()
    assert not outcome.get_by_text("42", exact=True).is_visible()
    assert low_contrasts(outcome) == {}
    block.cell(FOLD[0]).get_by_role("radio", name="B").check()
    outcome.get_by_text("You said B afterwards").wait_for()
    assert outcome.get_by_text("42", exact=True).is_visible()
    assert folded.count() == 0


def test_a_piece_that_another_kernel_made_stands_still_and_says_so(block, scratch):
    saved = block.save()
    changed = copy.deepcopy(saved)
    changed.cells[0].source += "# so that JupyterLab does not trust it"
    for stored in (saved, changed):
        reopened = scratch(stored)
        cell = reopened.cell("Block()")
        cell.get_by_text(STILL).wait_for()
        image = cell.locator(".jp-OutputArea img")
        assert image.evaluate("e => e.complete && e.naturalWidth > 50")
        prompt = reopened.cell(ASK[1])
        prompt.get_by_text("No buttons? Run this cell").wait_for()
        outcome = reopened.cell("predictions.compare")
        outcome.get_by_text("What came out? Predict first").wait_for()
        answer = outcome.get_by_text("42", exact=True)
        assert not answer.is_visible()
        outcome.get_by_text("What came out?").click()
        answer.wait_for()
    page, _ = HTMLExporter().from_notebook_node(saved)  # as a page it does so, too
    assert '<img alt="' in page
    assert STILL in page
    assert "widget-view" not in page
    assert "<details><summary>What came out? Predict first" in page


def test_low_contrasts_finds_grey_on_grey(block):
    block.page.evaluate(
        """() => document.body.insertAdjacentHTML('beforeend',
          '<div id="probe" style="background: #777"><p style="color: #999">grey</p>' +
          '<p style="color: #fff8">half</p><p style="color: #fff">white</p></div>')"""
    )
    contrasts = low_contrasts(block.page.locator("#probe"), 21)
    assert contrasts == {"grey": 1.57, "half": 2.45, "white": 4.48}


def test_a_piece_whose_kernel_is_restarted_or_gone_says_so(block, scratch):
    session = "window.jupyterapp.shell.currentWidget.sessionContext"
    notebook = scratch(BLOCK)
    notebook.run_all()
    notebook.page.evaluate(f"{session}.session.kernel.restart()")
    notebook.piece(".widget-slider").get_by_text(LOST).wait_for()
    block.page.evaluate(f"{session}.shutdown()")
    set_slider(block, "ArrowRight")  # nothing shows that until somebody tries
    block.piece(".widget-slider").get_by_text(LOST).wait_for()
