"""The checks that modules share: what they take, what they refuse, and the words."""

import math

import numpy as np
import pytest
import torch

from mnist_lessons import CNN, MLP, DigitClassifier, fit, load_mnist
from mnist_lessons.arguments import (
    check_choice,
    check_device,
    check_number,
    check_whole,
)

NONSENSE = [True, np.True_, None, "3", [3], math.nan, math.inf, -math.inf, object()]


def refused(check, *arguments, **options):
    with pytest.raises(ValueError, match="=") as caught:
        check(*arguments, **options)
    return str(caught.value)


def test_whole_numbers_come_back_as_plain_ones():
    for value in (3, np.int64(3), np.uint8(3), torch.tensor(3)):
        number = check_whole("epochs", value, 3, 3)
        assert (number, type(number)) == (3, int)
    for value in (*NONSENSE, 2, 4, 3.0, np.float32(3), torch.tensor(3.0)):
        words = f"epochs={value!r} does not work: give a whole number, 3 to 3."
        assert refused(check_whole, "epochs", value, 3, 3) == words
    assert refused(check_whole, "epochs", 0).endswith("a whole number, at least 1.")


def test_numbers_come_back_as_plain_ones():
    for value in (0, 0.5, np.float32(0.5), np.int64(1), torch.tensor(0.5)):
        number = check_number("shift", value)
        assert (number, type(number)) == (float(value), float)
    for value in (*NONSENSE, -0.01, "fast"):
        words = f"shift={value!r} does not work: give a number, 0 or more."
        assert refused(check_number, "shift", value) == words


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        ({"above": 0, "such_as": 0.001}, 1e-9, 0, "above 0, such as 0.001"),
        ({"below": 1}, 0, 1, "0 or more, below 1"),
        ({"at_most": 180}, 180, 180.1, "0 or more, at most 180"),
        ({"at_least": -2, "at_most": 2}, -2, -2.1, "-2 or more, at most 2"),
        ({"above": 0, "below": 1}, 0.5, 1, "above 0, below 1"),
    ],
)
def test_limits_of_numbers(limits, inside, outside, words):
    assert check_number("x", inside, **limits) == inside
    assert refused(check_number, "x", outside, **limits).endswith(f"{words}.")


def test_a_word_is_one_of_the_choices():
    assert check_choice("optimizer", "sgd", {"sgd": 1, "adam": 2}) == "sgd"
    for value in ("SGD", "", None, 1, ["sgd"]):
        words = f"optimizer={value!r} is not known; choose sgd, adam."
        assert refused(check_choice, "optimizer", value, ["sgd", "adam"]) == words


def test_a_device_is_one_that_is_there(monkeypatch):
    for device in (None, "cpu", torch.device("cpu")):
        assert check_device(device) == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    for device in ("xpu", "gpu", 3.5, "cuda:99"):
        words = f"device='{device}' is not there; this machine has cpu."
        assert refused(check_device, device) == words


def test_public_functions_use_them(some, tiny):
    """Not Python's words, and the model and the files stay as they are."""
    model = DigitClassifier()
    train = some(64)
    folder = tiny().folder
    for message, call in {
        "lr='fast'": lambda: fit(model, train, epochs=1, lr="fast"),
        "lr=0": lambda: fit(model, train, epochs=1, lr=0),
        "epochs=True": lambda: fit(model, train, epochs=True, lr=0.1),
        "device='xpu'": lambda: fit(model, train, epochs=1, lr=0.1, device="xpu"),
        "device='tpu'": lambda: load_mnist(folder, device="tpu"),
        "batch_size=0": lambda: load_mnist(folder, 0),
        "valid_size=60": lambda: load_mnist(folder, valid_size=60),
        "limit=51": lambda: load_mnist(folder, valid_size=10, limit=51),
        "dataset='mnist'": lambda: load_mnist(folder, dataset="mnist"),
        "data_dir=64": lambda: load_mnist(64),
        "hidden=256": lambda: MLP(256),
        "a width in hidden=0": lambda: MLP((256, 0)),
        "a width in channels=True": lambda: CNN((True,)),
        "the number of channels=7": lambda: CNN((2,) * 7),
        "the number of channels=0": lambda: CNN(()),
        "hidden=2.5": lambda: CNN(hidden=2.5),
        "dropout=1": lambda: MLP(dropout=1),
        "dropout=-0.1": lambda: CNN(dropout=-0.1),
    }.items():
        assert refused(call).startswith(message)
