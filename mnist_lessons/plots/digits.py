"""Pictures of digits, of weights, and of what a layer sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mnist_lessons.plots.picture import (
    BLACK,
    BLUE,
    ORANGE,
    Picture,
    are_long,
    as_grids,
    fitting_size,
    grid,
    in_one_style,
    ink_on,
)

# positions in the validation digits of 25 hard ones, on which the lessons compare their
# models; chosen by other models than those, with benchmarks/hard_digits.py
HARD_DIGITS = (
    *(417, 446, 560, 584, 632, 819, 1346, 1740, 2173, 2279, 2802, 2892, 3312),
    *(3578, 3623, 3999, 4932, 6397, 6914, 7628, 7683, 8050, 9289, 9653, 9915),
)


def _names(labels: Tensor | Sequence, classes: Sequence[str] | None) -> list[str]:
    return [classes[int(i)] if classes else str(int(i)) for i in labels]


@in_one_style
def digits(
    images: Tensor,
    labels: Tensor | Sequence[int] | None = None,
    answers: Tensor | Sequence[int] | None = None,
    *,
    columns: int = 10,
    classes: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> Picture:
    """Draw digits in a grid.

    Args:
        images: (n, 1, 28, 28), (n, 28, 28) or (n, 784), in any range of values.
        labels: the true classes, written above each digit.
        answers: a model's answers; wrong ones are written "5, not 3" and framed.
        columns: digits in a row.
        classes: names for the class numbers.
        titles: what to write above each digit instead; a line of at most ten letters.
    """
    images = as_grids(images)
    truth = _names(labels, classes) if labels is not None else [""] * len(images)
    said = _names(answers, classes) if answers is not None else truth
    if titles is None:
        between = ",\nnot " if are_long(classes or []) else ", not "
        pairs = zip(said, truth, strict=True)
        titles = [t if a == t else f"{a}{between}{t}" for a, t in pairs]
    width = 2.0 if len(images) == 1 else 0.95 if answers is None else 1.1
    lines = max(title.count("\n") + bool(title) for title in titles)
    size = fitting_size(titles, width)
    figure, axes = grid(len(images), columns, width, width + 0.3 * lines)
    for axis, image, title, a, t in zip(axes, images, titles, said, truth, strict=True):
        axis.imshow(image.numpy())
        axis.set_xticks([])
        axis.set_yticks([])
        shade = BLACK if a == t else ORANGE
        axis.set_title(title, color=shade, size=size, pad=4)
        axis.spines[:].set_visible(a != t)
        axis.spines[:].set(color=ORANGE, linewidth=2)
    told = [title.replace(",\n", ", ").replace("\n", ", ") for title in titles]
    listed = f": {', '.join(told)}" if any(titles) else ""
    kind = "image of a digit" if len(images) == 1 else "images of digits"
    look = "Bright strokes on a dark ground."
    if answers is not None:
        look += " Wrong answers are framed."
    return Picture(figure, f"{len(images)} {kind}{listed}. {look}")


@in_one_style
def pixels(image: Tensor) -> Picture:
    """Draw one digit large, with the value of each pixel written into it.

    Args:
        image: (28, 28) or (1, 28, 28), whole numbers from 0 to 255.
    """
    image = as_grids(image)[0]
    figure = Figure(figsize=(8.4, 8.4))
    axis = figure.subplots()
    axis.imshow(image.numpy(), vmin=0, vmax=255)
    for row in range(28):
        for column in range(28):
            value = int(image[row, column])
            shade = ink_on(str(value / 255)) if value else "#8C8C8C"
            axis.text(
                column, row, str(value), color=shade, size=6.5, ha="center", va="center"
            )
    axis.set(xlabel="column", ylabel="row", xticks=range(0, 28, 3))
    axis.set_yticks(range(0, 28, 3))
    return Picture(
        figure,
        "A digit as 28 by 28 pixels with the value of each written into it. "
        f"{int((image == 0).sum())} pixels are 0, the background; the brightest has "
        f"{int(image.max())}.",
    )


@in_one_style
def value_ranges(images: Mapping[str, Tensor]) -> Picture:
    """Draw the same digit in several scalings: how it looks, and the values it has."""
    figure = Figure(figsize=(2.6 * len(images), 4.2))
    axes = figure.subplots(2, len(images), height_ratios=[1.3, 1], squeeze=False)
    told = []
    for number, (name, image) in enumerate(images.items()):
        image = as_grids(image)[0].float()
        axes[0, number].imshow(image.numpy())
        axes[0, number].axis("off")
        axes[0, number].set_title(name)
        axes[1, number].hist(image.flatten().numpy(), bins=30, color=BLUE)
        axes[1, number].set(yscale="log", ylim=(0.8, 1000), xlabel="pixel value")
        axes[1, number].locator_params(axis="x", nbins=4)
        told.append(f"{name} from {image.min():.3g} to {image.max():.3g}")
    axes[1, 0].set_ylabel("pixels")
    return Picture(
        figure,
        f"The same digit {len(images)} times, looking alike, with a histogram of its "
        f"pixel values below each. The values: {'; '.join(told)}.",
    )


@in_one_style
def templates(
    weights: Tensor, titles: Sequence[str] | None = None, *, columns: int = 5
) -> Picture:
    """Draw weights as images: where they are evidence for a class, where against.

    Args:
        weights: (n, 784), such as `model.linear.weight`; all share one colour scale.
        titles: what to write above each; the numbers from 0 where nothing is given.
        columns: templates in a row.
    """
    weights = as_grids(weights)
    names = list(titles or map(str, range(len(weights))))
    figure, axes = grid(len(weights), columns, 1.45, 1.75)
    limit = float(weights.abs().max())
    for axis, weight, name in zip(axes, weights, names, strict=True):
        shown = axis.imshow(weight.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit)
        axis.set_title(name, pad=4)
        axis.axis("off")
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, aspect=12, pad=0.01)
    bar.set_ticks([-limit, 0, limit], labels=["against", "0", "for"])
    return Picture(
        figure,
        f"{len(weights)} templates as images: {', '.join(names)}. Orange pixels are "
        f"evidence for a class, purple ones against it; the largest weight is "
        f"{limit:.2g}.",
    )


@in_one_style
def maps(
    maps: Tensor,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 8,
    signed: bool = False,
) -> Picture:
    """Draw feature maps, or filters, as images.

    Args:
        maps: (n, height, width), of any size.
        titles: what to write above each; nothing where nothing is given.
        columns: maps in a row.
        signed: values below 0 matter: 0 is white, positive orange, negative purple, on
            one scale for all. Otherwise each map goes from black to white by itself.
    """
    maps = torch.as_tensor(maps).detach().cpu()
    names = list(titles or [""] * len(maps))
    width = 1.25 if columns > 4 else 1.9
    figure, axes = grid(len(maps), columns, width, width + 0.3 * any(names))
    limit = float(maps.abs().max())
    scale: dict[str, Any] = {}
    if signed:
        scale = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit}
    for axis, values, name in zip(axes, maps, names, strict=True):
        axis.imshow(values.numpy(), **scale)
        axis.set_title(name, pad=4)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set(visible=signed, color="#B0B0B0")
    size = " by ".join(map(str, maps.shape[1:]))
    listed = f": {', '.join(names)}" if any(names) else ""
    look = "orange above 0, purple below" if signed else "bright where large"
    return Picture(
        figure,
        f"{len(maps)} maps of {size} values{listed}. Drawn {look}, from "
        f"{float(maps.min()):.2g} to {float(maps.max()):.2g}.",
    )


@in_one_style
def answer_sheet(
    images: Tensor, labels: Tensor, answers: Mapping[str, Tensor]
) -> Picture:
    """Draw some digits in one row and the answers of each model in a row below.

    A right answer stands in blue, a wrong one in an orange box.
    """
    images, count = as_grids(images), len(labels)
    figure = Figure(figsize=(0.42 * count + 1.8, 0.45 + 0.42 * (len(answers) + 1)))
    axis = figure.subplots()
    for column, (image, label) in enumerate(zip(images, labels, strict=True)):
        axis.imshow(image.numpy(), extent=(column - 0.48, column + 0.48, 0.48, -0.48))
        axis.text(column, -0.75, str(int(label)), ha="center", va="center")
    told = []
    for row, (name, said) in enumerate(answers.items(), start=1):
        right = said.cpu() == labels.cpu()
        for column in range(count):
            good = bool(right[column])
            axis.text(
                column,
                row,
                str(int(said[column])),
                color=BLUE if good else "white",
                ha="center",
                va="center",
                bbox=None if good else {"facecolor": ORANGE, "edgecolor": "none"},
            )
        axis.text(count - 0.3, row, f"{int(right.sum())} right", va="center")
        told.append(f"{name} has {int(right.sum())} right")
    axis.set(xlim=(-0.6, count + 1.2), ylim=(len(answers) + 0.5, -1.05), xticks=[])
    axis.set_yticks([-0.75, *range(1, len(answers) + 1)], ["label", *answers])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_aspect("auto")
    return Picture(
        figure,
        f"{count} digits with the answers of {', '.join(answers)}. {'; '.join(told)}.",
    )
