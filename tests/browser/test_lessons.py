"""Each lesson, run in a real JupyterLab, and the interactive pieces in it.

The copies are quick (see quick.py): nbval holds the numbers, the browser the behaviour.
A lesson runs once; what one test moves stays moved for the next. Trouble in the browser
fails the test that made it. `NotebookPage` has all that a test can do with a lesson.
"""

import re

import pytest

from browser.notebook_page import low_contrasts, nameless_controls
from browser.server import LESSONS
from browser.test_drawing import SEVEN

NAMES = sorted(path.stem for path in LESSONS.glob("[0-9][0-9]_*.ipynb"))


def in_lessons(*names):
    return pytest.mark.parametrize("lesson", names, indirect=True)


def push_slider(lesson, piece, **named):
    """Move a slider one step, which must change the picture."""
    with lesson.changes(piece.locator("img")):
        piece.get_by_role("slider", **named).focus()
        lesson.keyboard.press("ArrowRight")


@in_lessons(*NAMES)
def test_a_lesson_runs_without_errors_and_shows_every_widget(lesson):
    assert lesson.errors() == []


@in_lessons(*NAMES)
def test_pieces_of_a_lesson_are_readable_named_and_narrow_enough(lesson):
    pieces = lesson.pieces().all()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lesson.use_theme(theme)
        assert [low_contrasts(piece) for piece in pieces] == [{}] * len(pieces), theme
    assert [nameless_controls(piece) for piece in pieces] == [[]] * len(pieces)
    lesson.page.set_viewport_size({"width": 600, "height": 900})
    lesson.page.wait_for_timeout(500)
    cut_off = "e => e.scrollWidth > e.clientWidth + 1"  # or scrolled sideways
    too_wide = [p.inner_text()[:80] for p in pieces if p.evaluate(cut_off)]
    lesson.page.set_viewport_size({"width": 1300, "height": 1000})
    assert too_wide == []


@in_lessons("01_data")
def test_the_digit_browser_shows_other_digits_and_the_explorer_batches(lesson):
    piece = lesson.piece(".lessons-browser-title")
    piece.get_by_role("combobox").select_option("any")
    piece.get_by_role("button", name="Most unusual").click()
    piece.get_by_text("Number 1 of the unusual ones").wait_for()
    with lesson.changes(piece.locator(".lessons-browser-value")):
        piece.locator("canvas").hover(position={"x": 150, "y": 150})
    # and the batch explorer scales and serves the batch
    piece = lesson.piece(".widget-slider")
    assert "391 batches an epoch" in piece.inner_text()
    push_slider(lesson, piece)
    piece.get_by_text("98 batches an epoch").wait_for()
    with lesson.changes(piece.locator("img")):
        piece.get_by_role("combobox").select_option("0 to 255")
    with lesson.changes(piece.locator("img")):
        piece.get_by_role("button", name="Next batch").click()


@in_lessons("01_data")
def test_an_answer_after_the_run_is_shown_beside_the_outcome(lesson):
    prompt = lesson.cell('predictions.ask("nearest mean"')
    outcome = lesson.piece("summary").first
    assert outcome.inner_text().startswith("What came out? Predict first")
    assert not outcome.locator("img").is_visible()
    prompt.get_by_role("radio", name="B").check()
    outcome.get_by_text("You said B afterwards").wait_for()
    assert outcome.locator("img").is_visible()


@in_lessons("02_linear_model")
def test_the_learning_rate_sliders_redraw_and_retrain(lesson):
    descent = lesson.piece(".widget-slider").first
    push_slider(lesson, descent)
    descent.get_by_text("Each step multiplies the weight by").wait_for()
    piece = lesson.piece(".widget-slider").last
    push_slider(lesson, piece)
    piece.get_by_text("Learning rate 0.1: ").wait_for()
    assert piece.get_by_role("alert").count() == 0


@in_lessons("02_linear_model", "06_report")
def test_every_model_answers_a_seven_drawn_with_the_mouse(lesson):
    pad = lesson.piece("canvas")
    pad.get_by_role("button", name="Clear").click()
    pad.locator("table").wait_for(state="detached")
    lesson.draw(pad.locator("canvas").first, SEVEN)
    # which digit they say is for test_drawing.py: these here have learned too little
    answers = pad.get_by_role("columnheader", name=re.compile(r" answers \d"))
    answers.first.wait_for()
    assert answers.count() >= 2


@in_lessons("03_mlp")
def test_each_slider_of_the_fitting_curves_retrains(lesson):
    dropout = lesson.page.get_by_role("slider", name="dropout")
    piece = lesson.pieces().filter(has=dropout)
    for name in ("width", "hidden layers", "dropout", "training digits"):
        push_slider(lesson, piece, name=name)
    alt = piece.locator("img").get_attribute("alt")
    assert "2 hidden layers of 128, dropout 0.1, 3,000 digits" in alt


@in_lessons("03_mlp")
def test_units_and_bend_move_the_boundary(lesson):
    units = lesson.page.get_by_role("slider", name="hidden units")
    piece = lesson.pieces().filter(has=units)
    with lesson.changes(piece.locator("img")):
        piece.get_by_role("combobox").select_option("ReLU")
    push_slider(lesson, piece, name="hidden units")
    piece.get_by_text("lie on the side of their class").wait_for()
    alt = piece.locator("img").get_attribute("alt")
    assert "2 hidden units, bend: ReLU" in alt


@in_lessons("04_cnn")
def test_a_kernel_is_edited_and_a_learned_one_chosen(lesson):
    workshop = lesson.pieces().filter(has=lesson.page.locator(".mnist-kernel"))
    with lesson.changes(workshop.locator("img")):  # it begins with a learned one
        workshop.get_by_role("combobox").select_option("outline")
    with lesson.changes(workshop.locator("img")):
        workshop.get_by_label("weight in row 2, column 2").fill("5")
    menu = workshop.get_by_role("combobox")
    chosen = menu.locator("option:checked").inner_text()
    assert chosen.replace("\N{NO-BREAK SPACE}", " ") == "your own"
    with lesson.changes(workshop.locator("img")):
        menu.select_option("learned 3")
    assert workshop.get_by_label("weight in row 2, column 2").is_disabled()


@in_lessons("04_cnn", "06_report")
def test_a_cell_of_the_confusion_matrix_shows_its_digits(lesson):
    piece = lesson.piece(".lessons-confusion-told")
    piece.get_by_role("button", name=re.compile("^3 read as 3: ")).click()
    piece.get_by_text("Label 3, answer 3: ").wait_for()
    cards = piece.locator(".lessons-confusion-card")
    assert cards.count() == 10
    assert "3" in cards.first.inner_text()


@in_lessons("06_report")
def test_training_is_drawn_while_it_goes_on(lesson):
    chart = lesson.cell("live=True, **").locator(".jp-OutputArea img")
    assert chart.count() == 1
    assert chart.evaluate("e => e.naturalWidth > 500")
