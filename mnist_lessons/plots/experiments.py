"""Pictures of single experiments: the interactive pieces redraw them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from mnist_lessons.plots.picture import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Picture,
    are_long,
    as_grids,
    in_one_style,
    ink_on,
)


@in_one_style
def batch(images: Tensor, name: str, *, most: int = 128) -> Picture:
    """Draw the digits of one batch on a fixed scale, and how often each value occurs.

    The same value has the same shade whatever the scaling, so digits that a network
    sees dimly look dim: black is -1 or less, white 3 or more.

    Args:
        images: (batch, 1, 28, 28), as the network gets them.
        name: how they were scaled.
        most: how many of the digits to draw.
    """
    shown = as_grids(images[:most])
    # side by side as one image, since an axes for each digit would take a second
    columns = max(1, round((2 * len(shown)) ** 0.5))  # about twice as wide as high
    sheet = _side_by_side(shown, columns, filler=float("nan"))
    figure = Figure(figsize=(9, 3.3))
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    left.imshow(sheet.numpy(), vmin=-1, vmax=3, aspect="equal")
    left.axis("off")
    left.set_title(f"{len(shown)} of {len(images)} digits, {name}")
    values = images.flatten().cpu()
    right.hist(values.numpy(), bins=40, color=BLUE)
    right.axvline(float(values.mean()), color=ORANGE, linestyle="--")
    right.set(yscale="log", xlabel="pixel value", ylabel="pixels")
    right.set_title(f"mean (dashed) {values.mean():.2f}\ndeviation {values.std():.2f}")
    return Picture(
        figure,
        f"A batch of {len(images)} digits, {name}, as the network gets it. Pixel "
        f"values from {values.min():.3g} to {values.max():.3g}, mean "
        f"{values.mean():.2f}, standard deviation {values.std():.2f}.",
    )


@in_one_style
def learning(
    losses: Mapping[str, Sequence[tuple[int, float]]],
    weights: Tensor,
    classes: Sequence[str] = tuple("0123456789"),
) -> Picture:
    """Draw loss against batch, and the templates that the last of the runs learned.

    The loss axis is logarithmic and always the same, so runs can be compared.

    Args:
        losses: the name of each run, and pairs (batch, loss); the last run stands out.
        weights: (classes, 784), those of the last run.
        classes: their names.
    """
    figure = Figure(figsize=(9.6, 3.3))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.35])
    told = []
    for name, points in losses.items():
        is_last = name == list(losses)[-1]
        color, style = (BLUE, "-") if is_last else (GREY, "--")
        batches = [batch for batch, _ in points]
        heights = [height for _, height in points]
        left.plot(batches, heights, style, color=color, label=name)
        ends = f"from {heights[0]:.3g} to {heights[-1]:.3g}" if points else "no loss"
        told.append(f"{name}: {ends}")
    guessing = math.log(len(classes))
    left.axhline(guessing, color=BLACK, linewidth=1, linestyle=":")
    beside = left.get_yaxis_transform()
    left.text(0.03, 1.06 * guessing, "blind guessing", size=9, transform=beside)
    left.set(xlabel="batch", ylabel="training loss", yscale="log", ylim=(0.2, 100))
    left.set_xlim(left=0)
    left.set_yticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    left.minorticks_off()
    left.grid(axis="y")
    left.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    columns = max(5, round((2.5 * len(classes)) ** 0.5))  # 5 for ten classes
    sheet = _side_by_side(as_grids(weights).nan_to_num(), columns)
    limit = max(float(sheet.abs().max()), 1e-6)
    drawn = right.imshow(sheet.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for place, name in enumerate(classes):
        down, across = divmod(place, columns)
        x, y, size = 28 * across + 1, 28 * down + 4, max(6, 45 / columns)
        right.text(x, y, name, size=size, bbox=box)
    right.axis("off")
    which = "" if are_long(classes) else f" {classes[0]} to {classes[-1]}"
    right.set_title(f"templates{which}, weights up to {limit:.2g}")
    bar = figure.colorbar(drawn, ax=right, shrink=0.7, aspect=14, pad=0.01)
    bar.set_ticks([-limit, 0, limit], labels=["against", "0", "for"])
    return Picture(
        figure,
        f"Training loss against the batch, and {len(classes)} templates afterwards. "
        f"{'; '.join(told)}. The largest weight is {limit:.2g}.",
    )


@in_one_style
def fitting(curves: Mapping[str, Mapping[str, Any]], seen: Sequence[float]) -> Picture:
    """Draw loss and accuracy on training and validation digits; earlier runs in grey.

    Args:
        curves: the name of each run and its curves: `train_loss`, `valid_loss`,
            `train_accuracy` and `valid_accuracy`. The last run stands out. A run that
            broke off has fewer points than the others, or none.
        seen: how many digits the network had seen at each point.
    """
    figure = Figure(figsize=(10.4, 3.5))
    axes: list[Axes] = figure.subplots(1, 2).tolist()
    told = []
    for name, run in curves.items():
        is_last = name == list(curves)[-1]
        for axis, value in zip(axes, ("loss", "accuracy"), strict=True):
            train, valid = run[f"train_{value}"], run[f"valid_{value}"]
            if not train:  # the run broke off in its first round
                told.append(f"{name}: no {value}")
                continue
            ends = f"{value} {train[-1]:.3g} on training, {valid[-1]:.3g} on validation"
            told.append(f"{name}: at the end {ends}")
            at = seen[: len(train)]
            if is_last:
                axis.plot(at, train, "o-", color=BLUE, label="training")
                axis.plot(at, valid, "s--", color=ORANGE, label="validation")
            else:
                axis.plot(at, train, "-", color=GREY, linewidth=1)
                label = "the run before"
                axis.plot(at, valid, "--", color=GREY, linewidth=1, label=label)
    # the same scales for most runs, wider ones for a run that would leave them
    losses = _values(curves, "train_loss") + _values(curves, "valid_loss")
    lowest = min(_values(curves, "valid_accuracy"), default=1.0)
    axes[0].set(ylabel="loss", ylim=(0, max(1.0, 1.05 * max(losses, default=0.0))))
    axes[1].set(ylabel="accuracy", ylim=(min(0.6, lowest - 0.05), 1.01))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    for axis in axes:
        axis.set(xlabel="digits seen")
        axis.grid(axis="y")
    if axes[1].lines:
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(list(curves)[-1], size=11)
    return Picture(
        figure,
        "Loss and accuracy on training and on validation digits, against the digits "
        f"seen. {'; '.join(told)}.",
    )


@in_one_style
def filtering(image: Tensor, kernel: Tensor, bias: float = 0.0) -> Picture:
    """Draw a digit, a kernel, and what the one makes of the other.

    Args:
        image: (28, 28) or (1, 28, 28), 0 where there is no ink.
        kernel: (height, width), 3x3 or 5x5. It is moved a pixel at a time, only to
            where all of it lies on the digit.
        bias: what is added to each value of the map.
    """
    image = as_grids(image).float()[0]
    kernel = kernel.detach().cpu().float()
    found = F.conv2d(image[None, None], kernel[None, None])[0, 0] + bias
    figure = Figure(figsize=(9.6, 2.7))
    axes = figure.subplots(1, 4)
    axes[0].imshow(image.numpy())
    shades = _draw_signed(axes[1], kernel)
    for row, values in enumerate(kernel.tolist()):
        for column, value in enumerate(values):
            size = 12 if len(kernel) == 3 else 8
            color = ink_on(shades.to_rgba(value))
            text = f"{value:.2g}"
            axes[1].text(
                column, row, text, size=size, color=color, ha="center", va="center"
            )
    _draw_signed(axes[2], found)
    axes[3].imshow(found.clamp(min=0).numpy())
    low, high = f"{found.min():.2g}", f"{found.max():.2g}"
    titles = ["the digit", "the kernel", f"the map: {low} to {high}"]
    titles.append(f"after ReLU: 0 to {max(0.0, float(high)):.2g}")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color="#B0B0B0")
    shape = " by ".join(map(str, kernel.shape))
    return Picture(
        figure,
        f"A digit, a kernel of {shape} weights, the map it makes, and the map after "
        f"ReLU. The map goes from {low} to {high}; "
        f"{(found > 0).float().mean():.0%} of it is above 0.",
    )


def _side_by_side(grids: Tensor, columns: int, filler: float = 0.0) -> Tensor:
    """Make one image, row by row, of (count, 28, 28)."""
    rows = -(-len(grids) // columns)
    sheet = torch.full((rows * columns, 28, 28), filler)
    sheet[: len(grids)] = grids
    return sheet.reshape(rows, columns, 28, 28).transpose(1, 2).flatten(2).flatten(0, 1)


def _values(curves: Mapping[str, Mapping[str, Any]], name: str) -> list[float]:
    finite = (value for run in curves.values() for value in run[name])
    return [value for value in finite if math.isfinite(value)]


def _draw_signed(axis: Axes, values: Tensor) -> AxesImage:
    limit = max(float(values.abs().max()), 1e-6)
    return axis.imshow(values.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit)
