"""A digit drawn in the browser is recognised by a model that was trained there."""

import time

import pytest

PAD = """
import torch
from mnist_lessons import LinearModel, fit, load_mnist
from mnist_lessons.widgets import DrawingPad

train, valid, test = load_mnist(limit=10_000)
model = LinearModel()
fit(model, train, epochs=1, lr=0.1, optimizer=torch.optim.SGD, progress=False)
pad = DrawingPad({"linear": model}, train)
pad
"""
SEVEN = [(0.28, 0.2), (0.5, 0.19), (0.72, 0.2), (0.6, 0.45), (0.5, 0.65), (0.44, 0.85)]
ANSWER = "print({name: int(p.argmax()) for name, p in pad.answers.items()})"


@pytest.fixture(scope="module")
def notebook(open_notebook):
    opened = open_notebook(PAD)
    opened.run_all()
    yield opened
    opened.close()


@pytest.fixture
def pad(notebook):
    """The pad, empty."""
    piece = notebook.piece("canvas")
    notebook.run_code("pad.clear()")
    piece.locator("table").wait_for(state="detached")
    assert notebook.run_code(ANSWER) == "{}"
    return piece


def wait_for_answer(notebook, expected, seconds=20):
    """It answers while one draws: only the answer to the whole drawing counts."""
    end = time.monotonic() + seconds
    while (answer := notebook.run_code(ANSWER)) != expected:
        assert time.monotonic() < end, answer


def test_a_seven_drawn_with_the_mouse_is_recognised(notebook, pad):
    assert notebook.errors() == []
    notebook.draw(pad.locator("canvas"), SEVEN)
    pad.get_by_text("answers 7").wait_for()
    wait_for_answer(notebook, "{'linear': 7}")


def test_a_seven_drawn_with_the_keyboard_is_recognised(notebook, pad):
    press = notebook.keyboard.press
    pad.locator("canvas").focus()
    far = ["Shift+ArrowUp"] * 3 + ["Shift+ArrowLeft"] * 2
    down = ["Shift+ArrowDown"] + ["ArrowLeft"] * 2
    for key in [*far, "Space", *["Shift+ArrowRight"] * 4, *down * 6, "Space"]:
        press(key)
    pad.get_by_text("answers 7").wait_for()
    wait_for_answer(notebook, "{'linear': 7}")
