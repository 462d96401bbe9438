"""Pictures of what a network does inside: units, boundaries, slopes on their way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.colors import ListedColormap
from torch import Tensor

from mnist_lessons.plots import picture
from mnist_lessons.plots.picture import BLACK, BLUE, GREY, ORANGE, Picture, grid

TINTS = ListedColormap(["#D6E6F2", "#F7E3D3"])  # of the two sides, behind the points


@picture.in_one_style
def units(weights: Tensor, images: Tensor, values: Tensor, *, most: int = 8) -> Picture:
    """Draw the weights of hidden units, and beside each the digits with its top values.

    The weights are (units, 784), the images (n, 1, 28, 28), the units' values for them
    (n, units); `most` digits a unit, the one with the largest value first.
    """
    shown, images = picture.as_grids(weights), picture.as_grids(images)
    best = values.detach().cpu().topk(most, dim=0).indices.T  # (units, most)
    columns = 2 * min(2, len(shown))
    ratios = [1, most] * (columns // 2)
    options: dict[str, Any] = {"columns": columns, "width_ratios": ratios}
    figure, axes = grid(2 * len(shown), 0.125 * (2 * most + 3), 0.54, **options)
    if layout := figure.get_layout_engine():
        layout.set(h_pad=0.02, w_pad=0.02, hspace=0, wspace=0)  # type: ignore[call-arg]
    limit = float(shown.abs().quantile(0.998))  # a few outliers would make all pale
    for unit, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        picture.draw_signed(left, shown[unit], limit)
        right.imshow(torch.cat(list(images[best[unit]]), dim=1).numpy())
        left.axis("off")
        right.axis("off")
    return Picture(
        figure,
        f"{len(shown)} hidden units, each with its weights as an image and the {most} "
        "digits for which its value is largest. Orange pixels raise the value, purple "
        "ones lower it.",
    )


@picture.in_one_style
def boundary(
    points: Mapping[str, Tensor],
    logits: Callable[[Tensor], Tensor],
    labels: Sequence[str],
    title: str,
) -> Picture:
    """Draw two classes of points (n, 2), by name, and what a model makes of the plane.

    `logits` turns points into numbers, above 0 for the second class; a line is drawn
    where they are 0. `labels` are the names of the two axes.
    """
    figure, (axis,) = grid(1, 6.2, 4.2)
    together = torch.cat(list(points.values()))
    low, high = together.amin(dim=0), together.amax(dim=0)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    across, up = (
        torch.linspace(float(a), float(b), 160) for a, b in zip(low, high, strict=True)
    )
    places = torch.cartesian_prod(across, up)
    heights = logits(places).reshape(160, 160).T
    x, y, z = across.numpy(), up.numpy(), heights.numpy()
    axis.pcolormesh(x, y, z > 0, cmap=TINTS, vmin=0, vmax=1, shading="nearest")
    if float(heights.min()) < 0 < float(heights.max()):
        axis.contour(x, y, z, levels=[0], colors=BLACK, linewidths=2)
    sides = []
    looks = ((BLUE, "o"), (ORANGE, "^"))
    for sign, (name, group), (colour, marker) in zip(
        (-1, 1), points.items(), looks, strict=True
    ):
        axis.plot(*group.T.numpy(), marker, color=colour, label=name, markersize=5)
        right = int((sign * logits(group) > 0).sum())
        sides.append(f"{right} of {len(group)} points of class {name}")
    axis.set(xlabel=labels[0], ylabel=labels[1], title=title)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Picture(
        figure,
        f"Digits as points, and the boundary that a network draws between "
        f"{' and '.join(points)}. {title}. On the side of their class lie "
        f"{' and '.join(sides)}.",
    )


@picture.in_one_style
def backward(x: float, w: float, v: float, target: float) -> Picture:
    """Draw a network of two weights and a loss: every value, and every slope.

    z = w x, h = ReLU(z), y = v h, loss = (y - target)^2 / 2. Values stand in the boxes,
    below each box, and below each weight, the slope of the loss for it.
    """
    z = w * x
    h = max(0.0, z)
    y = v * h
    error = y - target
    of_z = error * v * (z > 0)
    slopes = {"y": error, "v": error * h, "h": error * v, "z": of_z, "w": of_z * x}
    boxes = [
        ("x", x, None),
        ("z = w x", z, slopes["z"]),
        ("h = max(0, z)", h, slopes["h"]),
        ("y = v h", y, slopes["y"]),
        (f"loss = (y \N{MINUS SIGN} {target:g})² / 2", error**2 / 2, 1.0),
    ]
    figure, (axis,) = grid(1, 7.4, 2.0)
    axis.set(xlim=(-0.45, 4.6), ylim=(-1.0, 1.15))
    axis.axis("off")
    frame: dict[str, Any] = {"boxstyle": "round,pad=0.45", "facecolor": "white"}
    for place, (name, value, slope) in enumerate(boxes):
        picture.centred(axis, place, 0.52, name, size=10)
        edge = frame | {"edgecolor": BLACK}
        picture.centred(axis, place, 0, _number(value), color=BLUE, bbox=edge)
        if slope is not None:
            picture.centred(axis, place, -0.5, _number(slope), color=ORANGE)
        if place:
            line = {"arrowstyle": "->", "color": GREY}
            axis.annotate("", (place - 0.27, 0), (place - 0.73, 0), arrowprops=line)
    for name, middle, value in (("w", 0.5, w), ("v", 2.5, v)):
        text, below = f"{name} = {_number(value)}", _number(slopes[name])
        picture.centred(axis, middle, 0.25, text, color=BLUE, size=10)
        picture.centred(axis, middle, -0.25, below, color=ORANGE, size=10)
    axis.text(-0.4, 1.0, "values, from left to right", color=BLUE, size=9)
    axis.text(
        -0.4, -0.98, "slopes of the loss, from right to left", color=ORANGE, size=9
    )
    listed = ", ".join(f"{name}: {_number(value)}" for name, value, _ in boxes)
    back = ", ".join(f"{name} {_number(slope)}" for name, slope in slopes.items())
    return Picture(
        figure,
        f"A network of two weights, w {w:g} and v {v:g}, with its values and its "
        f"slopes. Values: {listed}. Slopes of the loss: {back}.",
    )


def _number(value: float) -> str:
    return f"{value + 0.0:g}".replace("-", "\N{MINUS SIGN}")
