"""What every interactive piece promises, in notebooks made for the purpose."""

import nbformat
import pytest
from nbconvert import HTMLExporter

from browser.notebook_page import low_contrasts, nameless_controls

BLOCK = """
import ipywidgets
import torch
from mnist_lessons import plots
from mnist_lessons.widgets.base import Interactive, Shown

class Block(Interactive):
    about = "the height of a block"

    def __init__(self):
        self.slider = ipywidgets.IntSlider(3, 1, 9, description="height")
        self.shown = Shown(self.draw())
        self.slider.observe(self.reacting(self.redraw), "value")
        super().__init__(self.slider, self.shown, picture=self.draw())

    def draw(self):
        image = torch.zeros(1, 28, 28)
        image[0, -3 * self.slider.value:] = 1
        return plots.digits(image)

    def redraw(self):
        if self.slider.value == 9:
            raise ValueError("9 is too high; choose at most 8")
        self.shown.show(self.draw())

Block()
"""


@pytest.fixture(scope="module")
def block(open_notebook):
    """A small piece of the usual make: a slider, a picture, and a value that fails."""
    notebook = open_notebook(BLOCK)
    notebook.run_all()
    yield notebook
    notebook.close()


def set_slider(notebook, key):
    notebook.piece(".widget-slider").get_by_role("slider").focus()
    notebook.keyboard.press(key)


def test_a_piece_is_shown_live(block):
    assert block.errors() == []
    image = block.piece(".widget-slider").get_by_role("img")
    assert image.get_attribute("alt").startswith("1 image of a digit. ")


def test_a_slider_moved_with_the_keyboard_changes_the_picture(block):
    with block.changes(block.piece(".widget-slider").locator("img")):
        set_slider(block, "ArrowRight")


def test_a_slider_has_a_name_for_screen_readers(block):
    piece = block.piece(".widget-slider")
    assert nameless_controls(piece) == []
    assert piece.get_by_role("slider", name="height", exact=True).count() == 1


def test_an_error_in_a_piece_is_shown_until_the_next_change(block):
    alert = block.piece(".widget-slider").get_by_role("alert")
    set_slider(block, "End")
    alert.wait_for()
    assert alert.inner_text() == "✗ ValueError: 9 is too high; choose at most 8"
    set_slider(block, "Home")
    alert.wait_for(state="detached")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_text_of_a_piece_stands_out_in_every_theme(block, theme):
    block.use_theme(theme)
    set_slider(block, "End")
    block.piece("[role=alert]").wait_for()
    assert low_contrasts(block.piece(".widget-slider")) == {}
    set_slider(block, "Home")
    block.use_theme("JupyterLab Light")


def test_low_contrasts_finds_grey_on_grey(scratch):
    notebook = scratch("import ipywidgets")
    notebook.page.evaluate(
        """() => document.body.insertAdjacentHTML('beforeend',
          '<div id="probe" style="background: #777"><p style="color: #999">grey</p>' +
          '<p style="color: #fff8">half</p><p style="color: #fff">white</p></div>')"""
    )
    found = low_contrasts(notebook.page.locator("#probe"), 21)
    assert found == {"grey": 1.57, "half": 2.45, "white": 4.48}


def test_a_stored_piece_that_was_not_run_is_a_still_picture(block, scratch):
    stored = block.save()
    stored.cells.append(nbformat.v4.new_markdown_cell("now it is nobody's own"))
    notebook = scratch(stored)
    image = notebook.cell("Block()").locator(".jp-OutputArea img")
    image.wait_for()
    assert image.evaluate("e => e.complete && e.naturalWidth > 50")
    assert notebook.cell("Block()").get_by_text("Error displaying widget").count() == 0
    assert notebook.trouble == []


def test_an_exported_piece_is_a_still_picture(block):
    page, _ = HTMLExporter().from_notebook_node(block.save())
    assert '<img alt="' in page
    assert "widget-view" not in page


PREDICT = [
    "from mnist_lessons.widgets import Predictions\npredictions = Predictions()",
    'predictions.ask("the coin", "AB")',
]


def test_a_prediction_before_the_run_is_compared_and_counted(scratch):
    notebook = scratch(*PREDICT)
    notebook.run_all()
    notebook.pieces().get_by_role("radio", name="B").check()
    notebook.page.wait_for_timeout(500)
    notebook.keyboard.press("Shift+Enter")  # which runs the question again
    notebook.wait_until_idle()
    notebook.pieces().get_by_role("radio", name="B", checked=True).wait_for()
    told = notebook.run_code(
        'print(predictions.compare("the coin", A=True, B=False))\n'
        "print(predictions.tally())"
    )
    assert told.splitlines() == [
        "✗ You predicted B. The run says A.",
        "0 of 1 predictions right.",
        "the coin: you B, the run A",
    ]
