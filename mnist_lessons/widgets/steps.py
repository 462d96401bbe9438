"""The way from strokes to the 28x28 pixels that a model sees, step by step."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from mnist_lessons.photos.filtering import resize
from mnist_lessons.photos.recognition import SIZE, steps_of
from mnist_lessons.plots.picture import BLUE, Picture, are_long, in_one_style
from mnist_lessons.widgets.base import as_png

PEN = 1 / 14  # as a part of the pad: MNIST's 2.5 pixels if the digit fills seven tenths
SIDE, FINER = 112, 4  # the drawing's pixels a side; drawn larger first, for soft edges


class Step(NamedTuple):
    """One small picture of the way to the 28x28 pixels, as grey values (h, w)."""

    caption: str
    alt: str
    image: Tensor

    def message(self) -> dict[str, Any]:
        """Return what the browser gets."""
        height, width = self.image.shape
        return {
            "caption": self.caption,
            "alt": self.alt,
            "data": as_png(resize(self.image, SIDE)),
            "boxed": [width, height] if max(width, height) <= SIZE else None,
        }


class Answer(NamedTuple):
    """What one model says about a drawing; the probabilities, or the error."""

    name: str
    probabilities: Tensor | None  # (classes,), on the CPU
    error: str = ""

    def in_words(self, classes: Sequence[str]) -> str:
        """Return "MLP: 7 (93 %)"."""
        if self.probabilities is None:
            return f"{self.name}: no answer"
        top = int(self.probabilities.argmax())
        return f"{self.name}: {classes[top]} ({percent(self.probabilities[top])})"

    def message(self) -> dict[str, Any]:
        """Return what the browser gets."""
        if self.probabilities is None:
            return {"name": self.name, "error": self.error}
        shares = self.probabilities.tolist()
        return {
            "name": self.name,
            "top": int(self.probabilities.argmax()),
            "shares": [round(share, 3) for share in shares],
            "texts": [percent(share) for share in shares],
        }


def percent(share: float | Tensor) -> str:
    """Return 93 %; neither 0 nor 100 %, because no softmax ever says that."""
    whole = round(100 * float(share))
    return "<1 %" if whole < 1 else ">99 %" if whole > 99 else f"{whole} %"


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


def steps_to(grey: Tensor, prepare: bool = True) -> list[Step]:
    """Return the steps from a picture (height, width) to 28x28 pixels.

    It becomes a digit as MNIST was made (`BlankImageError`: none is found), or is only
    made smaller.
    """
    first = Step("as it is", "The picture as it is.", grey)
    if not prepare:
        small = resize(grey, torch.Size((SIZE, SIZE)))
        caption = "all of it scaled down to 28x28, nothing else"
        alt = "All of it in 28x28 pixels: what the models see."
        return [first, Step(caption, alt, small)]
    steps = steps_of(grey)
    return [
        first._replace(image=steps.grey),
        Step("cropped to its ink", "Its ink alone.", steps.cropped),
        Step("scaled to fit 20x20", "The same in 20x20 pixels.", steps.boxed),
        Step(
            "centred by its mass in 28x28",
            "The same in the middle of 28x28 pixels: what the models see.",
            steps.image[0, 0],
        ),
    ]


@in_one_style
def still(steps: list[Step], answers: list[Answer], classes: list[str]) -> Picture:
    """Draw the steps in one row, and below them the probabilities of each model."""
    bars = {a.name: a.probabilities for a in answers if a.probabilities is not None}
    figure = Figure(figsize=(8.4, 4.2 if bars else 2.1))
    parts = figure.subfigures(2 if bars else 1, 1, squeeze=False).flatten()
    for axis, step in zip(parts[0].subplots(1, len(steps)), steps, strict=True):
        axis.imshow(step.image.numpy(), vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.set_title(textwrap.fill(step.caption, 19), fontsize=9)
    if bars:
        row = parts[1].subplots(1, len(bars), sharey=True, squeeze=False)[0]
        for axis, (name, probabilities) in zip(row, bars.items(), strict=True):
            _draw_bars(axis, probabilities, classes)
            title = f"{name} answers {classes[probabilities.argmax()]}"
            axis.set_title(title, fontsize=9 if len(bars) > 2 else 11)
        row[0].set_ylabel("probability (%)")
    return Picture(
        figure,
        "A drawn 7 and what preprocessing makes of it, with the probabilities that "
        f"{', '.join(answer.name for answer in answers)} give. "
        f"From left to right: {'; '.join(step.caption for step in steps)}. "
        f"The answers: {'; '.join(answer.in_words(classes) for answer in answers)}.",
    )


def _draw_bars(axis: Axes, probabilities: Tensor, classes: list[str]) -> None:
    shares = (100 * probabilities).tolist()
    places = range(len(classes))
    axis.bar(places, shares, color=BLUE)
    top = int(probabilities.argmax())
    axis.text(top, shares[top] + 2, percent(shares[top] / 100), ha="center")
    turned = 90 if are_long(classes) or len(classes) > 10 else 0
    axis.set_xticks(places, classes, rotation=turned, fontsize=9)
    axis.set(ylim=(0, 115), yticks=[0, 50, 100])
