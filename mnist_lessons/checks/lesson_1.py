"""The checks of lesson 1."""

from typing import Any

import torch
from torch import Tensor

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require


@exercise
def centre_of_mass(function: Any) -> str:
    """Check a function: image, (28, 28), uint8 -> (row, column)."""
    generator = fresh()
    image = torch.zeros(28, 28, dtype=torch.uint8)
    # always further down than to the right, so that the two cannot be mistaken
    top = int(torch.randint(7, 11, (), generator=generator))
    left = int(torch.randint(2, 6, (), generator=generator))
    patch = torch.randint(1, 256, (12, 7), generator=generator)
    patch[:3] //= 8  # lighter on top, so that the weights matter
    patch[6:, :3] = 0  # and a corner cut out, so that the box is not the ink
    image[top : top + 12, left : left + 7] = patch.to(torch.uint8)

    def centre(weights: Tensor) -> tuple[float, float]:
        places, total = torch.arange(28.0), weights.sum()
        down, across = weights.sum(dim=1) @ places, weights.sum(dim=0) @ places
        return float(down / total), float(across / total)

    pair = "Return two numbers, the row first: return row, column."
    row, column = asking.numbers(asking.call(function, image), 2, pair)

    def is_at(place: tuple[float, ...]) -> bool:
        return abs(row - place[0]) < 1e-3 and abs(column - place[1]) < 1e-3

    true = centre(image.float())
    if is_at(true):
        return (
            "This is the point that MNIST's digits are centred on; an image that is "
            "centred otherwise looks strange to a model trained on them."
        )
    whole = (
        "The direction is right, but these are whole numbers. Divide with / and not "
        "with //, and keep the fraction: half a pixel matters."
    )
    mistakes = (
        (true[::-1], "Row and column are the wrong way round."),
        (
            centre((image > 0).float()),
            "Every pixel with ink counts alike here. Weigh each by its brightness.",
        ),
        (
            (top + 5.5, left + 3.0),
            "That is the middle of the box around the ink, not its centre of mass.",
        ),
        (
            (true[0] + 1, true[1] + 1),
            "You count rows and columns from 1. Python, and the picture, count from 0.",
        ),
        ((true[0] // 1, true[1] // 1), whole),
        ((round(true[0]), round(true[1])), whole),
    )
    asking.rule_out(is_at, mistakes)
    require(
        row >= top and column >= left,
        "That is outside the ink. Could it be that your sums are of type uint8, which "
        "starts again from 0 after 255? Those of image.float() do not.",
    )
    require(
        row <= 27 and column <= 27,
        "That is outside the image. A sum is not an average yet.",
    )
    raise asking.NotYetError(
        f"For a patch of ink in rows {top} to {top + 11} and columns {left} to "
        f"{left + 6} you say row {row:.2f}, column {column:.2f}. Which positions do "
        "you average, and how much does each one count?"
    )


divided_twice = asking.choice(
    "Check the letter of the picture that was divided by 255 twice.",
    "C",
    "Pictures are stretched to the full range of grey before you see them, so they "
    "hide this mistake. Look at the numbers before you train on them.",
    A="A runs from below 0 to nearly 3: mean subtracted, divided by the "
    "standard deviation. Dividing by 255 never makes a negative number.",
    B="B runs from 0 to 1: it was divided by 255 exactly once.",
    D="D runs from -1 to 1: that is (0.5, 0.5). Dividing by 255 never makes "
    "a negative number.",
)


@exercise
def nearest_neighbour(answer: Any) -> str:
    """Check the accuracy of a nearest-neighbour classifier: 90 % on validation."""
    instead = "the number of stored digits"
    answer = asking.accuracy(answer, "nearest_neighbour(...)", instead)
    require(
        answer < 1,
        "All of them right? Then the digits were looked up among themselves. Score "
        "on validation digits, which the classifier has not stored.",
    )
    require(
        answer >= 0.9,
        f"{answer:.2%} right: not 90 % yet. Let it store more digits.",
    )
    return (
        "No formula, no training, and better than the ten means: more data can replace "
        "a cleverer method. The price is paid at every answer, which searches them all."
    )
