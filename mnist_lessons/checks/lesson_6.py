"""The checks of lesson 6."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.history import Score
from mnist_lessons.models import CNN
from mnist_lessons.statistics import mcnemar as exact
from mnist_lessons.training import pick_device

# digits that only the first network reads rightly, and only the second
COUNTS = [(61, 38), (7, 13), (20, 5), (9, 9), (0, 6)]
# sentences of the report in section 8; the three others, 3, 5 and 6, are faults
INNOCENT = {
    1: "Sentence 1 only says what is compared.",
    2: "Sentence 2 gives both sides the same digits and the same time. Nothing is "
    "unfair in that.",
    4: "Sentence 4 is as it should be: fresh seeds, ten of each.",
    7: "Sentence 7 names a price. A reader wants to know it.",
    8: "Sentence 8 lets others try it again.",
}
NAMES = ["cup", "mug", "jug", "pan", "pot", "lid", "fork", "knife", "spoon", "bowl"]
NAMES += ["plate", "tray"]  # twelve: more than there are digits
MANY, FEW = 600, 120  # training images of a class, and of the rare twin
SCORED = 40  # validation images of each class


def _affine(images: Tensor, x: list[Tensor], y: list[Tensor], fill: Any) -> Tensor:
    """Look up each image at its own places; `fill` is what lies outside."""
    rows = torch.stack([torch.stack(x), torch.stack(y)]).permute(2, 0, 1)
    looks_at = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images - fill, looks_at, align_corners=False) + fill


@exercise
def affine(function: Any) -> str:
    """Check a function: images, angles, shifts -> each image turned and moved."""
    random = fresh()
    images = torch.rand(3, 1, 28, 28, generator=random) - 0.4
    angles = torch.tensor([0.0, 0.5, -0.3]) + 0.1 * torch.rand(3, generator=random)
    right, down = 0.1 + 0.2 * torch.rand(2, 3, generator=random)
    result = asking.a_tensor(asking.call(function, images, angles, right, down))
    require(
        result.shape == images.shape,
        f"For images of shape {tuple(images.shape)} you return {tuple(result.shape)}.",
    )
    cosine, sine, low = angles.cos(), angles.sin(), images.min()

    def is_like(parts: tuple[list[Tensor], list[Tensor], Any]) -> bool:
        return torch.allclose(result, _affine(images, *parts), atol=1e-4)

    x, y = [cosine, -sine, right], [sine, cosine, down]
    mistakes: list[tuple[Any, str]] = [
        (
            (x, y, 0),
            "Turned and moved as wanted. But what comes in from outside is 0, a grey "
            "here: take the background off first, and add it at the end.",
        ),
        (
            ([cosine, sine, right], [-sine, cosine, down], low),
            "That turns the other way: which of the two sines has the minus?",
        ),
        (
            ([cosine, sine, right], [sine, cosine, down], low),
            "That is a mirror, or a shear: one of the two sines needs a minus.",
        ),
        (
            ([cosine, -sine, down], [sine, cosine, right], low),
            "Right and down have changed places: x goes to the right.",
        ),
        (
            ([sine, cosine, right], [cosine, -sine, down], low),
            "x and y have changed places: with an angle of 0, x should stay x.",
        ),
    ]
    asking.rule_out(is_like, mistakes)
    require(
        is_like((x, y, low)),
        "The images differ from those that are wanted. With an angle of 0, x should be "
        "1 · x + 0 · y + right, and y should be 0 · x + 1 · y + down.",
    )
    return (
        "Each image by its own amounts, in one operation for the whole batch. With "
        "random amounts this is the package's random_affine."
    )


def _tail(tosses: int, heads: int) -> float:
    """Return the chance of at least so many heads."""
    return sum(math.comb(tosses, k) for k in range(heads, tosses + 1)) / 2**tosses


def _wrong_values(first: int, second: int) -> dict[str, float]:
    """Return what usual wrong answers give, by their hints."""
    tosses, more = first + second, max(first, second)
    tail, one = _tail(tosses, more), math.comb(tosses, more) / 2**tosses
    return {
        "That is one side only. Had the other network been ahead by as much, you would "
        "have been as surprised: count both ends.": tail,
        "You count the one result that came out. Results that are even more one-sided "
        "belong to the end as well.": one,
        "You double the one result that came out. Results that are even more one-sided "
        "belong to the end as well.": 2 * one,
        "The result that came out is missing: at least as one-sided, not more "
        "one-sided.": 2 * (tail - one),
        "You add up the middle and not the ends.": 1 - 2 * tail,
        "You add up from the wrong side: which results are at least as one-sided as "
        "this one?": _tail(tosses, tosses - more),
        "You count the ways, and do not divide by all the ways that so many coins can "
        "fall: two for each coin.": min(1.0, 2 * tail) * 2**tosses,
    }


@exercise
def mcnemar(function: Any) -> str:
    """Check a function: two counts of digits -> the exact two-sided p-value."""
    found = []
    for counts in COUNTS:
        result = asking.call(function, *counts)
        single = [result] if isinstance(result, int | float) else result
        (value,) = asking.numbers(single, 1, "Return one number, the p-value.")
        found.append(f"{counts[0]} to {counts[1]}: {value:.3f}")
        true = exact(*counts)
        if math.isclose(value, true, rel_tol=1e-6):
            continue
        for hint, wrong in _wrong_values(*counts).items():
            require(not math.isclose(value, wrong, rel_tol=1e-6, abs_tol=1e-15), hint)
        require(
            value <= 1,
            "With as many heads as tails you return more than 1, since both ends hold "
            "the middle. A probability is 1 at most.",
        )
        raise asking.NotYetError(
            f"With {counts[0]} and {counts[1]} you return {value:.4g}. How many ways "
            "of tossing that many coins are at least as one-sided, of all ways?"
        )
    return (
        f"The exact values. Yours for five pairs of networks: {', '.join(found)}. They "
        "compare these trained networks, and say nothing of their recipes."
    )


@exercise
def model_card(function: Any) -> str:
    """Check a function: model, training digits, test score -> the facts of a card."""
    model = CNN((3, 5), 7, batch_norm=True)
    vars(model).update({"mean": 0.2, "std": 0.4})
    count = 1_234
    labels = torch.arange(count) % 10
    data = Digits(torch.zeros(count, 1, 28, 28), labels, list("0123456789"), 0.2, 0.4)
    result = Score.of(torch.where(torch.arange(789) < 21, 1, 0), torch.zeros(789).int())
    card = asking.call(function, model, data, result)
    require(isinstance(card, Mapping), "Return a dictionary: a fact for each name.")
    names = ["network", "parameters", "learned from", "pixels"]
    names += ["test accuracy", "interval", "limits"]
    missing = [name for name in names if name not in card]
    require(not missing, f"The card has lost {', '.join(missing)}.")
    if any(card[name] is ... for name in names):
        raise asking.NotTriedError
    weights = sum(part.numel() for part in model.parameters())
    facts: dict[str, tuple[Any, str]] = {
        "parameters": (weights, "all numbers that the model's parameters() hold"),
        "learned from": (count, "how many digits it learned from"),
        "pixels": ((0.2, 0.4), "the mean and the deviation that the model carries"),
        "test accuracy": (result.accuracy, "the accuracy in the test score"),
        "interval": (result.interval, "the two ends in the test score"),
    }
    for name, (true, what) in facts.items():
        wanted = list(true) if isinstance(true, tuple) else [true]
        given = card[name] if isinstance(true, tuple) else [card[name]]
        hint = f"{name}: give {what}, as a number or numbers."
        found = asking.numbers(given, len(wanted), hint)
        close = all(map(math.isclose, found, wanted))
        require(
            close,
            f"{name}: you give {found if len(found) > 1 else found[0]}. It should be "
            f"{what}. Take it from what the function is given, not from this lesson.",
        )
    require(
        type(model).__name__ in str(card["network"]),
        "network: which class must be built, so that the weights fit?",
    )
    words = card["limits"].split() if isinstance(card["limits"], str) else []
    require(
        len(words) >= 6,
        "limits: a sentence about what the model cannot do, or for whom it was not "
        "tried. What does it answer when it is shown a letter?",
    )
    return (
        "Every figure comes from the objects themselves, so the card cannot say "
        "anything else than they do. The limits are the part that only you can write."
    )


@exercise
def faults(answer: Any) -> str:
    """Check the numbers of the three sentences of a report that are faults."""
    listed = sorted(answer) if isinstance(answer, set | tuple | list) else answer
    three = "Give three numbers of sentences, such as [1, 2, 8]."
    chosen = [int(n) for n in asking.numbers(listed, 3, three)]
    require(len(set(chosen)) == 3 and all(1 <= n <= 8 for n in chosen), three)
    for number, hint in INNOCENT.items():
        require(number not in chosen, hint)
    return (
        "One side was tuned and the other not; the best of ten, chosen by the test "
        "digits, was reported; and an interval that holds 0 was read as a proof."
    )


@exercise
def few_digits(answer: Any) -> str:
    """Check an accuracy: at least 97.5 % from 1,000 digits."""
    right = asking.accuracy(answer, "from_thousand(...)")
    require(
        right <= 0.99,
        "No network learns that from 1,000 digits in 20 epochs. Give the check what "
        "from_thousand(...) returns.",
    )
    require(
        right >= 0.97,
        f"{right:.2%}. Have you turned on all of it: turns, moves, smoothing, a rate "
        "above 0.001? And not too much of any?",
    )
    require(
        right >= 0.975,
        f"{right:.2%}, nearly. Is the rate too timid, or do the digits still look "
        "natural to you after such turns?",
    )
    return (
        "A thousand digits that move teach as much as five thousand that stand still. "
        "Where data are expensive, this is the first thing to try."
    )


class Crockery:
    """Small made-up images of twelve classes, two of which look the same.

    The rarer of these twins is always taken for the other one, and nothing else has to
    be mixed up: so it is known what to find, and which accuracy is the best on `valid`.
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
        """Serve (batch, 1, 28, 28): `count` of each class, but `rare` of the twin."""
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
    crockery = Crockery()
    try:
        result = asking.call(function, crockery.train, crockery.valid)
    except asking.NotYetError as hint:
        if "out of bounds" in str(hint) or "out of range" in str(hint):
            raise asking.NotYetError(
                "Your network has too few outputs: these images have twelve classes. "
                "Count valid.dataset.classes, and tell the model."
            ) from hint
        raise
    three = "Return three things: the accuracy, the label's name, the answer's name."
    require(isinstance(result, tuple | list) and len(result) == 3, three)
    score, label, answer = result
    right = asking.accuracy(getattr(score, "accuracy", score), "evaluate(...).accuracy")
    require(
        isinstance(label, str) and isinstance(answer, str),
        f"{three} A class's number is its place in valid.dataset.classes.",
    )
    require(
        {label, answer} <= set(NAMES),
        "These names are not in valid.dataset.classes: take them from there, since "
        "the images may be of anything.",
    )
    require(
        label != answer,
        "Label and answer are the same: that is no mistake. Leave out what is right.",
    )
    require(
        right <= crockery.best + 0.02,
        f"{right:.1%} of the validation images cannot be right, because two classes "
        "look the same. Is this the accuracy on the training images?",
    )
    require(
        right >= crockery.best - 0.1,
        f"Only {right:.1%} right. Did the network train on the images that your "
        "function is given, for two epochs, with the rate of `last`?",
    )
    require(
        (label, answer) != (crockery.frequent, crockery.rare),
        "The right pair, the wrong way round: first the label, then the answer.",
    )
    require(
        (label, answer) == (crockery.rare, crockery.frequent),
        f"{label} and {answer} are not mixed up most often. Count each pair of label "
        "and answer among the mistakes on the validation images.",
    )
    return (
        "Nothing in your function knows what is on the images. That is why the same "
        "lines serve digits, clothes and letters."
    )
