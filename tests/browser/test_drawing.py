"""A digit drawn in the browser is recognised by a model that was trained there."""

import time

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


def wait_for_a_seven(notebook, pad, seconds=20):
    """It answers while one draws: only the answer to the whole drawing counts."""
    pad.get_by_text("answers 7").wait_for()
    end = time.monotonic() + seconds
    while (answer := notebook.run_code(ANSWER)) != "{'linear': 7}":
        assert time.monotonic() < end, answer


def is_clear(notebook, pad):
    pad.locator("table").wait_for(state="detached")
    assert notebook.run_code(ANSWER) == "{}"


def test_a_seven_drawn_with_the_mouse_or_the_keyboard_is_recognised(scratch):
    notebook = scratch(PAD)
    notebook.run_all()
    assert notebook.errors() == []
    pad = notebook.piece("canvas")
    notebook.run_code("pad.clear()")
    is_clear(notebook, pad)
    notebook.draw(pad.locator("canvas"), SEVEN)
    wait_for_a_seven(notebook, pad)
    # not from Python: the pad sends the end of a stroke up to 0.1 s later, so a program
    # that has cleared it before finds that end on the pad
    pad.get_by_role("button", name="Clear").click()
    is_clear(notebook, pad)
    pad.locator("canvas").focus()
    far = ["Shift+ArrowUp"] * 3 + ["Shift+ArrowLeft"] * 2
    down = ["Shift+ArrowDown"] + ["ArrowLeft"] * 2
    for key in [*far, "Space", *["Shift+ArrowRight"] * 4, *down * 6, "Space"]:
        notebook.keyboard.press(key)
    wait_for_a_seven(notebook, pad)
