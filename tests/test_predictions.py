"""Predictions: asked before a run, compared after it, counted at the end."""

import pytest
import torch

from mnist_lessons import plots, widgets


@pytest.fixture
def predictions():
    return widgets.Predictions()


def is_b(predictions, name="coin"):
    return predictions.compare(name, A=False, B=True, C=False)


def test_an_answer_after_the_run_is_shown_and_does_not_count(predictions):
    prompt = predictions.ask("coin", "ABC")
    lines = [is_b(predictions), is_b(predictions)]
    prompt.buttons.value = "B"
    text = "You made no prediction. The run says B. (You said B afterwards.)"
    for line in lines:
        assert repr(line) == text
        assert f'<p role="status">{text}</p>' in line.fold.value
    is_b(predictions)  # running the cell again makes it no prediction either
    assert "You made no predictions" in repr(predictions.tally())


def test_what_came_out_is_folded_until_there_is_a_prediction(predictions):
    picture = plots.digits(torch.zeros(1, 28, 28), titles=["a 4 < 5"])
    shown = ("91 < 92", picture, predictions.tally())
    prompt = predictions.ask("coin", "AB")
    folded = predictions.compare("coin", *shown, A=True, B=False)
    still, live = folded._repr_mimebundle_()[0], folded.fold
    assert still["text/html"] == live.value
    assert live.value.startswith("<details><summary>What came out? Predict first;")
    for part in ("<pre>91 &lt; 92</pre>", '<img alt="1 image', "<p>You made no pred"):
        assert part in live.value
    texts = [shown[0], *map(repr, shown[1:]), "You made no prediction. The run says A."]
    assert repr(folded) == still["text/plain"] == "\n".join(texts)
    prompt.buttons.value = "B"
    assert live.value.startswith("<details open><summary>What came out</summary><pre>9")
    for holds in (True, False):  # decided or not
        opened = predictions.compare("coin", "91", A=holds, B=False)
        assert opened.fold.value.startswith("<details open>")


def test_running_the_question_again_keeps_the_answer(predictions):
    predictions.ask("coin", "ABC").buttons.value = "A"
    assert predictions.ask("coin", "ABC").buttons.value == "A"
    assert "✗ You predicted A" in repr(is_b(predictions))
    predictions.ask("coin", "ABC").buttons.value = "B"  # too late to count
    assert "✗ You predicted A" in repr(is_b(predictions))
    assert predictions.ask("coin", "CBA").buttons.value is None  # a new question
    assert "You made no prediction" in repr(is_b(predictions))


def test_an_answer_can_be_given_without_buttons(predictions):
    prompt = predictions.ask('the "best" rate', "ba")
    assert repr(prompt).startswith('Your prediction, the "best" rate: b or a?')
    assert prompt.buttons.options == ("b", "a")
    eval(repr(prompt).split("Run this cell, or ")[1])
    assert predictions.ask('the "best" rate', "ba").buttons.value == "b"
    predictions.answer('the "best" rate', "A")
    line = predictions.compare('the "best" rate', a=True, b=False)
    assert repr(line) == "✓ You predicted a, and so says the run."


def test_predictions_stand_beside_their_outcomes_and_are_counted(predictions):
    for name, letter, text in [
        ("<one>", "A", "✗ You predicted A. The run says B."),
        ("two", "B", "✓ You predicted B, and so says the run."),
        ("three", "C", "✗ You predicted C. The run says B."),
        ("skipped", None, "You made no prediction. The run says B."),
    ]:
        if letter:  # a question that was not even asked still gets its outcome
            predictions.ask(name, "ABC").buttons.value = letter
        assert repr(is_b(predictions, name)) == text
    predictions.ask("not run", "ABC")
    tally = predictions.tally()
    assert repr(tally).splitlines() == [
        "1 of 3 predictions right.",
        "<one>: you A, the run B",
        "two: you B, the run B",
        "three: you C, the run B",
    ]  # and the answer to the one that was skipped stays secret
    table = tally._repr_html_()
    assert table.count("<tr>") == 4
    assert "<p>1 of 3 predictions right.</p>" in table
    assert '<th scope="row">&lt;one&gt;</th><td>A</td><td>B</td>' in table


def test_a_run_that_does_not_decide_is_not_counted(predictions):
    predictions.ask("coin", "ABC").buttons.value = "B"
    first = is_b(predictions)
    for holds, outcome in (((1, 1, 0), "A and B"), ((0, 0, 0), "none of the options")):
        line = predictions.compare("coin", **dict(zip("ABC", holds, strict=True)))
        text = f"The run says {outcome}, so it does not decide the question."
        assert repr(line) == text
        assert "You made no predictions" in repr(predictions.tally())
        shown = predictions.compare(
            "coin", "91", **dict(zip("ABC", holds, strict=True))
        )
        assert repr(shown) == f"91\n{text}"
    predictions.answer("coin", "C")  # too late, and the first line stays as it was
    assert repr(first) == "✓ You predicted B, and so says the run."
    is_b(predictions)
    assert "coin: you B, the run B" in repr(predictions.tally())


def test_what_makes_no_sense_is_refused(predictions):
    for options in ("A", "AAB", 5):
        with pytest.raises(ValueError, match="options=.*give one letter for each"):
            predictions.ask("coin", options)
    with pytest.raises(ValueError, match="no question 'dice'.*none yet"):
        predictions.answer("dice", "A")
    predictions.ask("coin", "AB")
    for letter in ("C", "AB", ""):
        with pytest.raises(ValueError, match=f"coin='{letter}' is not known.*A, B"):
            predictions.answer("coin", letter)
    with pytest.raises(ValueError, match="'coin' has the options A, B, not A, B, C"):
        is_b(predictions)
