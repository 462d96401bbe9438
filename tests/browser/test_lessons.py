"""Each lesson, run in a real JupyterLab, and the interactive pieces in it.

A lesson runs once. To test a piece of it, add a test that names the lesson:

    @in_lesson("02_linear_model")
    def test_the_slider_retrains(lesson):
        piece = lesson.piece(".learning-rate")  # whose root is, or holds, this
        with lesson.changes(piece.locator("img")):
            piece.get_by_role("slider").focus()
            lesson.keyboard.press("ArrowRight")
        assert "0.1" in lesson.run_code("print(rate)")

`NotebookPage` in notebook_page.py holds all that a test can do with a lesson. What one
test moves stays moved for the next. Trouble in the browser fails the test that made it.
"""

import pytest

from browser.notebook_page import low_contrasts, nameless_controls
from browser.server import LESSONS
from browser.test_drawing import SEVEN

NAMES = sorted(path.stem for path in LESSONS.glob("[0-9][0-9]_*.ipynb"))
every_lesson = pytest.mark.parametrize("lesson", NAMES, indirect=True)


def in_lesson(name):
    return pytest.mark.parametrize("lesson", [name], indirect=True)


@every_lesson
def test_a_lesson_runs_without_errors_and_shows_every_widget(lesson):
    assert lesson.errors() == []


@every_lesson
def test_pieces_of_a_lesson_are_readable_in_every_theme(lesson):
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lesson.use_theme(theme)
        for piece in lesson.pieces().all():
            assert low_contrasts(piece) == {}, theme


@every_lesson
def test_controls_and_images_in_the_pieces_of_a_lesson_have_names(lesson):
    for piece in lesson.pieces().all():
        assert nameless_controls(piece) == []


@every_lesson
def test_pieces_of_a_lesson_fit_a_narrow_window(lesson):
    lesson.page.set_viewport_size({"width": 600, "height": 900})
    lesson.page.wait_for_timeout(500)
    try:
        assert [piece.inner_text()[:80] for piece in lesson.too_wide()] == []
    finally:
        lesson.page.set_viewport_size({"width": 1300, "height": 1000})


@in_lesson("02_linear_model")
def test_the_learning_rate_slider_retrains(lesson):
    piece = lesson.piece(".widget-slider")
    with lesson.changes(piece.locator("img")):
        piece.get_by_role("slider").focus()
        lesson.keyboard.press("ArrowRight")
    assert piece.get_by_role("alert").count() == 0


@in_lesson("02_linear_model")
def test_a_seven_drawn_with_the_mouse_is_recognised_by_a_model(lesson):
    pad = lesson.piece("canvas")
    pad.get_by_role("button", name="Clear").click()
    pad.locator("table").wait_for(state="detached")
    lesson.draw(pad.locator("canvas").first, SEVEN)
    pad.get_by_text("answers 7").first.wait_for()
