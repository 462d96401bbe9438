"""The way from strokes to the 28x28 pixels that a model sees, step by step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from mnist_lessons.photos.filtering import resize
from mnist_lessons.photos.recognition import SIZE, steps_of
from mnist_lessons.plots.picture import BLUE, Picture, in_one_style

PEN = 1 / 14  # as a part of the pad: MNIST's 2.5 pixels if the digit fills seven tenths
SIDE, FINER = 112, 4  # the drawing's pixels a side; drawn larger first, for soft edges


class Step(NamedTuple):
    """One small picture of the way to the 28x28 pixels, as grey values (h, w)."""

    caption: str
    alt: str
    image: Tensor


class Answer(NamedTuple):
    """What one model says about a drawing.

    Attributes:
        name: the model's.
        probabilities: (classes,), on the CPU; `None` where there is none, see `error`.
        error: what went wrong.
    """

    name: str
    probabilities: Tensor | None
    error: str = ""


def as_grey(strokes: Sequence[Sequence[float]]) -> Tensor:
    """Draw strokes in white on black: float32, (112, 112), from 0 to 1."""
    side = SIDE * FINER
    radius = PEN * side / 2
    image = Image.new("L", (side, side))
    pencil = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [
            (x * side, y * side) for x, y in zip(stroke[::2], stroke[1::2], strict=True)
        ]
        pencil.line(points, fill=255, width=round(2 * radius))
        for x, y in points:  # round ends, and round corners
            pencil.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return torch.tensor(np.array(image.reduce(FINER))) / 255


def prepared(grey: Tensor) -> list[Step]:
    """Return the steps from a picture (height, width) to a digit as MNIST was made.

    Raises:
        BlankImageError: no digit is found.
    """
    seen = steps_of(grey)
    return [
        Step("as it is", "The picture as it is.", seen.grey),
        Step("cropped to its ink", "Its ink alone.", seen.cropped),
        Step("scaled to fit 20x20", "The same in 20x20 pixels.", seen.boxed),
        Step(
            "centred by its mass in 28x28",
            "The same in the middle of 28x28 pixels: what the models see.",
            seen.image[0, 0],
        ),
    ]


def unprepared(grey: Tensor) -> list[Step]:
    """Return the steps when a picture (height, width) is only made smaller."""
    return [
        Step("as it is", "The picture as it is.", grey),
        Step(
            "all of it scaled down to 28x28, nothing else",
            "All of it in 28x28 pixels: what the models see.",
            resize(grey, torch.Size((SIZE, SIZE))),
        ),
    ]


@in_one_style
def still(steps: list[Step], answers: list[Answer], classes: list[str]) -> Picture:
    """Draw the steps in one row, and below them the probabilities of each model."""
    said = [answer for answer in answers if answer.probabilities is not None]
    figure = Figure(figsize=(8.4, 4.2 if said else 2.1))
    parts = figure.subfigures(2 if said else 1, 1, squeeze=False).flatten()
    for axis, step in zip(parts[0].subplots(1, len(steps)), steps, strict=True):
        axis.imshow(step.image.numpy(), vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.set_title(_in_lines(step.caption), fontsize=9)
    if said:
        row = parts[1].subplots(1, len(said), sharey=True, squeeze=False)[0]
        for axis, answer in zip(row, said, strict=True):
            probabilities = torch.as_tensor(answer.probabilities)
            _draw_bars(axis, probabilities, classes)
            said_so = f"{answer.name} answers {classes[probabilities.argmax()]}"
            axis.set_title(said_so, fontsize=9 if len(said) > 2 else 11)
        row[0].set_ylabel("probability (%)")
    listed = "; ".join(in_words(answer, classes) for answer in answers)
    return Picture(
        figure,
        "A drawn 7 and what preprocessing makes of it, with the probabilities that "
        f"{', '.join(answer.name for answer in answers)} give. "
        f"From left to right: {'; '.join(step.caption for step in steps)}. "
        f"The answers: {listed}.",
    )


def _draw_bars(axis: Axes, probabilities: Tensor, classes: list[str]) -> None:
    shares = [100 * share for share in probabilities.tolist()]
    top = max(range(len(shares)), key=shares.__getitem__)
    axis.bar(range(len(shares)), shares, color=BLUE)
    axis.text(top, shares[top] + 2, percent(shares[top] / 100), ha="center")
    long = any(len(name) > 2 for name in classes) or len(classes) > 10
    axis.set_xticks(
        range(len(classes)), classes, rotation=90 if long else 0, fontsize=9
    )
    axis.set(ylim=(0, 115), yticks=[0, 50, 100])


def _in_lines(caption: str, width: int = 18) -> str:
    lines = [""]
    for word in caption.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def in_words(answer: Answer, classes: list[str]) -> str:
    """Return "MLP: 7 (93 %)"."""
    if answer.probabilities is None:
        return f"{answer.name}: no answer"
    top = int(answer.probabilities.argmax())
    return f"{answer.name}: {classes[top]} ({percent(answer.probabilities[top])})"


def percent(share: float | Tensor) -> str:
    """Return 93 %; neither 0 nor 100 %, because no softmax ever says that."""
    whole = round(100 * float(share))
    return "<1 %" if whole < 1 else ">99 %" if whole > 99 else f"{whole} %"
