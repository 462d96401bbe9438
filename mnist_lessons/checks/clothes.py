"""The check of lesson 5's exercise on other images than digits."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from mnist_lessons.checks.asking import (
    NotYetError,
    accuracy,
    call,
    exercise,
    fresh,
    require,
)
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.training import pick_device

NAMES = ["cup", "mug", "jug", "pan", "pot", "lid", "fork", "knife", "spoon", "bowl"]
NAMES += ["plate", "tray"]  # twelve: more than there are digits
MANY, FEW = 600, 120  # training images of a class, and of the rare twin
SCORED = 40  # validation images of each class


class Crockery:
    """Small made-up images of twelve classes, two of which look the same.

    The rarer of these twins is always taken for the other one, and nothing else has to
    be mixed up: so it is known what to find.

    Attributes:
        train, valid: loaders; images float32, (batch, 1, 28, 28).
        rare, frequent: the names of the twins.
        best: the accuracy on `valid` of whoever mixes up the twins alone.
    """

    def __init__(self) -> None:
        self._random, device = fresh(), pick_device()
        order = torch.randperm(len(NAMES), generator=self._random).tolist()
        self._rare, twin = order[:2]
        self._places = list(range(len(NAMES)))
        self._places[self._rare] = twin
        self.rare, self.frequent = NAMES[self._rare], NAMES[twin]
        self.train = self._loader(MANY, FEW, device, shuffle=True)
        self.valid = self._loader(SCORED, SCORED, device, shuffle=False)
        self.best = 1 - 1 / len(NAMES)

    def _loader(
        self, count: int, rare: int, device: torch.device, *, shuffle: bool
    ) -> DataLoader:
        """Serve `count` images of each class, and `rare` of the rare twin."""
        counts = [count] * len(NAMES)
        counts[self._rare] = rare
        labels = torch.arange(len(NAMES)).repeat_interleave(torch.tensor(counts))
        images = 0.1 * torch.rand(len(labels), 1, 28, 28, generator=self._random)
        for label, place in enumerate(self._places):
            row, column = divmod(place, 4)
            top, left = 9 * row + 2, 7 * column + 1  # a square of its own
            images[labels == label, :, top : top + 5, left : left + 5] += 1
        digits = Digits(images.to(device), labels.to(device), list(NAMES), 0.0, 1.0)
        return make_loader(digits, 128, shuffle=shuffle)


@exercise
def clothes(function: Any) -> str:
    """Check a function: two loaders -> accuracy, name of a label, name of an answer."""
    require(callable(function), "Give the check the function itself, without brackets.")
    given = Crockery()
    try:
        result = call(function, given.train, given.valid)
    except NotYetError as hint:
        if "out of bounds" in str(hint) or "out of range" in str(hint):
            raise NotYetError(
                "Your network has too few outputs: these images have twelve classes. "
                "Count valid.dataset.classes, and tell the model."
            ) from hint
        raise
    three = "Return three things: the accuracy, the label's name, the answer's name."
    require(isinstance(result, tuple | list) and len(result) == 3, three)
    score, label, answer = result
    right = accuracy(getattr(score, "accuracy", score), "evaluate(...).accuracy")
    require(
        isinstance(label, str) and isinstance(answer, str),
        f"{three} A class's number is its place in valid.dataset.classes.",
    )
    known = set(NAMES)
    require(
        label in known and answer in known,
        "These names are not in valid.dataset.classes: take them from there, since "
        "the images may be of anything.",
    )
    require(0 <= right <= 1, "An accuracy is a fraction here: 92 % is 0.92.")
    require(
        label != answer,
        "Label and answer are the same: that is no mistake. Leave out what is right.",
    )
    require(
        right <= given.best + 0.02,
        f"{right:.1%} of the validation images cannot be right, because two classes "
        "look the same. Is this the accuracy on the training images?",
    )
    require(
        right >= given.best - 0.1,
        f"Only {right:.1%} right. Did the network train on the images that your "
        "function is given, for two epochs, with the rate of `last`?",
    )
    require(
        (label, answer) != (given.frequent, given.rare),
        "The right pair, the wrong way round: first the label, then the answer.",
    )
    require(
        (label, answer) == (given.rare, given.frequent),
        f"{label} and {answer} are not mixed up most often. Count each pair of label "
        "and answer among the mistakes on the validation images.",
    )
    return (
        "Nothing in your function knows what is on the images. That is why the same "
        "lines serve digits, clothes and letters."
    )
