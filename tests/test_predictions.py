"""Predictions: asked before a run, compared after it, counted at the end."""

import pytest

from mnist_lessons import widgets
from mnist_lessons.widgets.base import VIEW


@pytest.fixture
def predictions():
    return widgets.Predictions()


def is_b(predictions, name="coin"):
    return predictions.compare(name, A=False, B=True, C=False)


def test_the_prediction_stands_beside_the_outcome(predictions):
    predictions.ask("coin", "ABC").buttons.value = "A"
    predictions.ask("dice", "ABC").buttons.value = "B"
    assert repr(is_b(predictions)) == "✗ You predicted A. The run says B."
    assert repr(is_b(predictions, "dice")) == "✓ You predicted B, and so says the run."


def test_no_button_is_pressed_at_first(predictions):
    prompt = predictions.ask("coin", "ABC")
    assert prompt.buttons.value is None
    assert prompt.buttons.options == ("A", "B", "C")
    assert repr(is_b(predictions)) == "You made no prediction. The run says B."


def test_an_answer_after_the_run_is_shown_and_does_not_count(predictions):
    prompt = predictions.ask("coin", "ABC")
    line = is_b(predictions)
    prompt.buttons.value = "B"
    assert repr(line) == (
        "You made no prediction. The run says B. (You said B afterwards.)"
    )
    assert "You said B afterwards" in line.view.value
    assert "You made no predictions" in repr(predictions.tally())
    is_b(predictions)  # running the cell again makes it no prediction either
    assert "You made no predictions" in repr(predictions.tally())


def test_changing_the_mind_after_the_run_changes_nothing(predictions):
    prompt = predictions.ask("coin", "ABC")
    prompt.buttons.value = "A"
    is_b(predictions)
    prompt.buttons.value = "B"
    assert "✗ You predicted A." in repr(is_b(predictions))


def test_running_the_question_again_keeps_the_answer(predictions):
    predictions.ask("coin", "ABC").buttons.value = "A"
    assert predictions.ask("coin", "ABC").buttons.value == "A"
    assert "✗ You predicted A" in repr(is_b(predictions))
    predictions.ask("coin", "ABC").buttons.value = "B"  # too late to count
    assert "✗ You predicted A" in repr(is_b(predictions))


def test_a_question_with_other_options_is_a_new_one(predictions):
    predictions.ask("coin", "AB").buttons.value = "A"
    assert predictions.ask("coin", "ABC").buttons.value is None
    assert "You made no prediction" in repr(is_b(predictions))


def test_an_answer_can_be_given_without_buttons(predictions):
    prompt = predictions.ask("coin", "ABC")
    assert 'predictions.answer("coin", "A")' in repr(prompt)
    assert "A, B or C?" in repr(prompt)
    predictions.answer("coin", "b")
    assert "✓ You predicted B" in repr(is_b(predictions))


def test_the_tally_counts_what_was_predicted(predictions):
    for name, letter in [("one", "A"), ("two", "B"), ("three", "C")]:
        predictions.ask(name, "ABC")
        predictions.answer(name, letter)
        is_b(predictions, name)
    predictions.ask("skipped", "ABC")
    is_b(predictions, "skipped")
    predictions.ask("not run", "ABC")
    tally = predictions.tally()
    assert repr(tally).splitlines() == [
        "1 of 3 predictions right.",
        "one: you A, the run B",
        "two: you B, the run B",
        "three: you C, the run B",
        "skipped: you -, the run B",
    ]
    assert tally._repr_html_().count("<tr>") == 5
    assert "<p>1 of 3 predictions right.</p>" in tally._repr_html_()
    assert '<th scope="col">question</th>' in tally._repr_html_()


def test_a_question_that_was_skipped_still_gets_its_outcome(predictions):
    assert repr(is_b(predictions)) == "You made no prediction. The run says B."


@pytest.mark.parametrize(
    ("holds", "found"),
    [({"A": 1, "B": 1, "C": 0}, "A and B"), ({"A": 0, "B": 0, "C": 0}, "none")],
)
def test_a_run_that_does_not_decide_is_not_counted(predictions, holds, found):
    predictions.ask("coin", "ABC").buttons.value = "A"
    line = predictions.compare("coin", **holds)
    assert f"The run says {found}" in repr(line)
    assert "does not decide" in repr(line)
    assert "You made no predictions" in repr(predictions.tally())


def test_a_run_that_does_not_decide_after_one_that_did_leaves_the_tally(predictions):
    predictions.ask("coin", "ABC").buttons.value = "B"
    first = is_b(predictions)
    predictions.compare("coin", A=True, B=True, C=False)
    assert "You made no predictions" in repr(predictions.tally())
    predictions.answer("coin", "C")  # too late, and the first line stays as it was
    assert repr(first) == "✓ You predicted B, and so says the run."
    is_b(predictions)
    assert "coin: you B, the run B" in repr(predictions.tally())


def test_every_line_of_a_question_follows_a_late_answer(predictions):
    prompt = predictions.ask("coin", "ABC")
    lines = [is_b(predictions), is_b(predictions)]
    prompt.buttons.value = "C"
    assert all("You said C afterwards" in repr(line) for line in lines)


def test_options_keep_their_case_and_order(predictions):
    assert predictions.ask("coin", "ba").buttons.options == ("b", "a")
    predictions.answer("coin", "A")
    line = predictions.compare("coin", a=True, b=False)
    assert repr(line) == "✓ You predicted a, and so says the run."


def test_a_name_with_quotes_gives_a_hint_that_can_be_pasted(predictions):
    text = repr(predictions.ask('the "best" rate', "AB"))
    eval(text.split("buttons: ")[1], {"predictions": predictions})
    predictions.compare('the "best" rate', A=True, B=False)
    assert "1 of 1" in repr(predictions.tally())


def test_a_line_is_read_out_and_its_markup_is_harmless(predictions):
    line = is_b(predictions)
    assert line.view.value.startswith('<div role="status">')
    line.value = "<script>"
    assert "&lt;script&gt;" in line.view.value


def test_what_makes_no_sense_is_refused(predictions):
    with pytest.raises(ValueError, match="options='A': give one letter for each"):
        predictions.ask("coin", "A")
    with pytest.raises(ValueError, match="options='AAB'"):
        predictions.ask("coin", "AAB")
    with pytest.raises(TypeError, match="options=5: give a text"):
        predictions.ask("coin", 5)
    with pytest.raises(ValueError, match="no question 'dice'.*none yet"):
        predictions.answer("dice", "A")
    predictions.ask("coin", "AB")
    for letter in ("C", "AB", "", 5):
        with pytest.raises(ValueError, match=f"{letter!r} is not among the options A"):
            predictions.answer("coin", letter)
    with pytest.raises(ValueError, match="'coin' has the options A, B, not A, B, C"):
        is_b(predictions)


def test_each_part_shows_itself_live_and_as_text(predictions):
    for part in (predictions.ask("coin", "ABC"), is_b(predictions)):
        bundle = part._repr_mimebundle_()
        assert bundle[VIEW]["model_id"] == part.view.model_id
        assert bundle["text/plain"] == repr(part)


def test_names_cannot_smuggle_in_markup(predictions):
    predictions.ask("<b>", "ABC")
    is_b(predictions, "<b>")
    assert "<b>" not in predictions.tally()._repr_html_()
