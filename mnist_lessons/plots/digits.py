"""Pictures of digits, of weights, and of what a layer makes of a digit."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lessons.plots import picture
from mnist_lessons.plots.picture import BLACK, BLUE, GREY, ORANGE, Picture, grid

# positions in the validation digits of 25 hard ones, on which the lessons compare their
# models; chosen by other models than those, with benchmarks/hard_digits.py
HARD_DIGITS = (
    *(417, 446, 560, 584, 632, 819, 1346, 1740, 2173, 2279, 2802, 2892, 3312),
    *(3578, 3623, 3999, 4932, 6397, 6914, 7628, 7683, 8050, 9289, 9653, 9915),
)


def _names(labels: Tensor | Sequence, classes: Sequence[str] | None) -> list[str]:
    return [classes[int(i)] if classes else str(int(i)) for i in labels]


@picture.in_one_style
def digits(
    images: Tensor,
    labels: Tensor | Sequence[int] | None = None,
    answers: Tensor | Sequence[int] | None = None,
    *,
    columns: int = 10,
    classes: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> Picture:
    """Draw digits, (n, 1, 28, 28), (n, 28, 28) or (n, 784), in a grid.

    Above each stands its label, or where there is an answer of a model that differs,
    "3 read as 5" in a frame: by their numbers, or by their names among the `classes`.
    `titles` stand there instead, best in lines of at most ten letters.
    """
    images = picture.as_grids(images)
    truths = _names(labels, classes) if labels is not None else [""] * len(images)
    names = _names(answers, classes) if answers is not None else truths
    if titles is None:
        between = "\nread as " if picture.are_long(classes or []) else " read as "
        pairs = zip(names, truths, strict=True)
        titles = [t if a == t else f"{t}{between}{a}" for a, t in pairs]
    width = 2.0 if len(images) == 1 else 0.95 if answers is None else 1.1
    lines = max(title.count("\n") + bool(title) for title in titles)
    size = picture.fitting_size(titles, width)
    figure, axes = grid(len(images), width, width + 0.3 * lines, columns)
    for axis, image, title, a, t in zip(
        axes, images, titles, names, truths, strict=True
    ):
        axis.imshow(image.numpy())
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, color=BLACK if a == t else ORANGE, size=size, pad=4)
        axis.spines[:].set(visible=a != t, color=ORANGE, linewidth=2)
    in_one_line = ", ".join(titles).replace("\n", " ")
    listed = f": {in_one_line}" if any(titles) else ""
    kind = "image of a digit" if len(images) == 1 else "images of digits"
    note = "" if answers is None else " Wrong answers are framed."
    look = f"Bright strokes on a dark ground.{note}"
    return Picture(figure, f"{len(images)} {kind}{listed}. {look}")


@picture.in_one_style
def pixels(image: Tensor) -> Picture:
    """Draw one digit, (28, 28), with the value of each pixel, 0 to 255, written in."""
    image = picture.as_grids(image)[0]
    figure, (axis,) = grid(1, 8.4, 8.4)
    axis.imshow(image.numpy(), vmin=0, vmax=255)
    for (row, column), value in np.ndenumerate(image.int().numpy()):
        shade = picture.ink_on(str(value / 255)) if value else "#8C8C8C"
        picture.centred(axis, column, row, str(value), color=shade, size=6.5)
    every_third = range(0, 28, 3)
    axis.set(xlabel="column", ylabel="row", xticks=every_third, yticks=every_third)
    return Picture(
        figure,
        "A digit as 28 by 28 pixels with the value of each written into it. "
        f"{int((image == 0).sum())} pixels are 0, the background; the brightest has "
        f"{int(image.max())}.",
    )


@picture.in_one_style
def value_ranges(images: Mapping[str, Tensor]) -> Picture:
    """Draw the same digit in several scalings: how it looks, and the values it has."""
    count, heights = len(images), {"height_ratios": [1.3, 1]}
    figure, axes = grid(2 * count, 2.6, 2.1, columns=count, **heights)
    ranges = []
    for above, below, name in zip(axes[:count], axes[count:], images, strict=True):
        image = picture.as_grids(images[name])[0].float()
        above.imshow(image.numpy())
        above.axis("off")
        above.set_title(name)
        below.hist(image.flatten().numpy(), bins=30, color=BLUE)
        below.set(yscale="log", ylim=(0.8, 1000), xlabel="pixel value")
        below.locator_params(axis="x", nbins=4)
        ranges.append(f"{name} from {image.min():.3g} to {image.max():.3g}")
    axes[count].set_ylabel("pixels")
    return Picture(
        figure,
        f"The same digit {count} times, looking alike, with a histogram of its "
        f"pixel values below each. The values: {'; '.join(ranges)}.",
    )


@picture.in_one_style
def templates(
    weights: Tensor, titles: Sequence[str] | None = None, *, columns: int = 5
) -> Picture:
    """Draw weights as images: where they are evidence for a class, where against.

    They are (n, 784), as `model.linear.weight` is, and share one colour scale. `titles`
    stand above, the numbers from 0 where nothing is given; `columns` of them in a row.
    """
    weights = picture.as_grids(weights)
    names = list(titles or map(str, range(len(weights))))
    figure, axes = grid(len(weights), 1.45, 1.75, columns)
    limit = float(weights.abs().max())
    for axis, weight, name in zip(axes, weights, names, strict=True):
        shown = picture.draw_signed(axis, weight, limit)
        axis.set_title(name, pad=4)
        axis.axis("off")
    picture.evidence_bar(shown, axes, shrink=0.8, aspect=12)
    return Picture(
        figure,
        f"{len(weights)} templates as images: {', '.join(names)}. Orange pixels are "
        f"evidence for a class, purple ones against it; the largest weight is "
        f"{limit:.2g}.",
    )


@picture.in_one_style
def maps(
    maps: Tensor,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 8,
    signed: bool = False,
) -> Picture:
    """Draw feature maps, or filters, (n, height, width), as images.

    With `signed`, values below 0 matter: 0 is white, positive orange, negative purple,
    on one scale for all. Otherwise each map goes from black to white by itself.
    """
    maps = torch.as_tensor(maps).detach().cpu()
    names = list(titles or [""] * len(maps))
    width = 1.25 if columns > 4 else 1.9
    figure, axes = grid(len(maps), width, width + 0.3 * any(names), columns)
    limit = float(maps.abs().max())
    for axis, values, name in zip(axes, maps, names, strict=True):
        if signed:
            picture.draw_signed(axis, values, limit)
        else:
            axis.imshow(values.numpy())
        axis.set_title(name, pad=4)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=signed, color="#B0B0B0")
    size = " by ".join(map(str, maps.shape[1:]))
    listed = f": {', '.join(names)}" if any(names) else ""
    look = "orange above 0, purple below" if signed else "bright where large"
    return Picture(
        figure,
        f"{len(maps)} maps of {size} values{listed}. Drawn {look}, from "
        f"{float(maps.min()):.2g} to {float(maps.max()):.2g}.",
    )


@picture.in_one_style
def answer_sheet(
    images: Tensor, labels: Tensor, answers: Mapping[str, Tensor]
) -> Picture:
    """Draw some digits in one row and the answers of each model in a row below.

    A right answer stands in blue, a wrong one in an orange box.
    """
    images, count = picture.as_grids(images), len(labels)
    height = 0.45 + 0.42 * (len(answers) + 1)
    figure, (axis,) = grid(1, 0.42 * count + 1.8, height)
    for column, (image, label) in enumerate(zip(images, labels, strict=True)):
        axis.imshow(image.numpy(), extent=(column - 0.48, column + 0.48, 0.48, -0.48))
        picture.centred(axis, column, -0.75, str(int(label)))
    box = {"facecolor": ORANGE, "edgecolor": "none"}
    scores = []
    for row, (name, row_of_answers) in enumerate(answers.items(), start=1):
        is_right = (row_of_answers.cpu() == labels.cpu()).tolist()
        for column, right in enumerate(is_right):
            look = {"color": BLUE} if right else {"color": "white", "bbox": box}
            picture.centred(axis, column, row, str(int(row_of_answers[column])), **look)
        axis.text(count - 0.3, row, f"{sum(is_right)} right", va="center")
        scores.append(f"{name} has {sum(is_right)} right")
    axis.set(xlim=(-0.6, count + 1.2), ylim=(len(answers) + 0.5, -1.05), xticks=[])
    axis.set_yticks([-0.75, *range(1, len(answers) + 1)], ["label", *answers])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_aspect("auto")
    return Picture(
        figure,
        f"{count} digits with the answers of {', '.join(answers)}. "
        f"{'; '.join(scores)}.",
    )


@picture.in_one_style
def batch(images: Tensor, name: str, *, most: int = 128) -> Picture:
    """Draw the digits of one batch on a fixed scale, and how often each value occurs.

    The same value has the same shade whatever the scaling, so digits that a network
    sees dimly look dim: black is -1 or less, white 3 or more. `name` says how the
    images, (batch, 1, 28, 28), were scaled; the first ones are drawn, `most` of them.
    """
    shown = picture.as_grids(images[:most])
    # side by side as one image, since an axes for each digit would take a second
    columns = max(1, round((2 * len(shown)) ** 0.5))  # about twice as wide as high
    sheet = _side_by_side(shown, columns, filler=float("nan"))
    figure, (left, right) = grid(2, 4.5, 3.3, width_ratios=[1.5, 1])
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


@picture.in_one_style
def learning(
    losses: Mapping[str, Sequence[tuple[int, float]]],
    weights: Tensor,
    classes: Sequence[str] = tuple("0123456789"),
) -> Picture:
    """Draw loss against batch, and the templates that the last of the runs learned.

    The loss axis is logarithmic and always the same, so runs can be compared. `losses`
    are pairs (batch, loss) by the name of the run; the weights are (classes, 784).
    """
    figure, (left, right) = grid(2, 4.8, 3.3, width_ratios=[1, 1.35])
    ends = []
    for name, points in losses.items():
        is_last = name == list(losses)[-1]
        color, style = (BLUE, "-") if is_last else (GREY, "--")
        batches = [batch for batch, _ in points]
        heights = [loss for _, loss in points]
        left.plot(batches, heights, style, color=color, label=name)
        end = f"from {heights[0]:.3g} to {heights[-1]:.3g}" if points else "no loss"
        ends.append(f"{name}: {end}")
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
    shown = picture.draw_signed(
        right, _side_by_side(picture.as_grids(weights).nan_to_num(), columns)
    )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for place, name in enumerate(classes):
        down, across = divmod(place, columns)
        x, y, size = 28 * across + 1, 28 * down + 4, max(6, 45 / columns)
        right.text(x, y, name, size=size, bbox=box)
    right.axis("off")
    which = "" if picture.are_long(classes) else f" {classes[0]} to {classes[-1]}"
    limit = shown.get_clim()[1]
    right.set_title(f"templates{which}, weights up to {limit:.2g}")
    picture.evidence_bar(shown, [right], shrink=0.7, aspect=14)
    return Picture(
        figure,
        f"Training loss against the batch, and {len(classes)} templates afterwards. "
        f"{'; '.join(ends)}. The largest weight is {limit:.2g}.",
    )


@picture.in_one_style
def filtering(image: Tensor, kernel: Tensor, bias: float = 0.0) -> Picture:
    """Draw a digit, a kernel, and what the one makes of the other.

    The image is (28, 28), the kernel 3x3 or 5x5. It is moved a pixel at a time, only to
    where all of it lies on the digit; the bias is added to each value of the map.
    """
    image = picture.as_grids(image).float()[0]
    kernel = kernel.detach().cpu().float()
    responses = F.conv2d(image[None, None], kernel[None, None])[0, 0] + bias
    figure, axes = grid(4, 2.4, 2.7)
    axes[0].imshow(image.numpy())
    shades, size = picture.draw_signed(axes[1], kernel), 12 if len(kernel) == 3 else 8
    for (row, column), weight in np.ndenumerate(kernel.numpy()):
        color = picture.ink_on(shades.to_rgba(weight))
        picture.centred(axes[1], column, row, f"{weight:.2g}", size=size, color=color)
    picture.draw_signed(axes[2], responses)
    axes[3].imshow(responses.clamp(min=0).numpy())
    low, high = f"{responses.min():.2g}", f"{responses.max():.2g}"
    titles = ["the digit", "the kernel", f"the map: {low} to {high}"]
    titles.append(f"after ReLU: 0 to {max(0.0, float(high)):.2g}")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color="#B0B0B0")
    return Picture(
        figure,
        f"A digit, a kernel of {' by '.join(map(str, kernel.shape))} weights, the map "
        f"it makes, and the map after ReLU. The map goes from {low} to {high}; "
        f"{(responses > 0).float().mean():.0%} of it is above 0.",
    )


@picture.in_one_style
def places(image: Tensor, looks_at: Tensor, *, every: int = 3) -> Picture:
    """Draw where the pixels of a new image look in an old one, and the new image.

    The old image is (28, 28); `looks_at`, (28, 28, 2), has for each new pixel its place
    (x, y) in the old one, from -1 to 1, as `affine_grid` returns it. Every third pixel
    is drawn as a dot, those of the first row as squares.
    """
    image, looks_at = picture.as_grids(image).float()[0], looks_at.detach().cpu()
    old = (image - image.min())[None, None]  # what lies outside counts as 0
    new = F.grid_sample(old, looks_at[None], align_corners=False)[0, 0]
    steps = torch.arange(1, 28, every)
    there = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=2)
    from_where = (looks_at[1::every, 1::every] + 1) * 14 - 0.5  # in pixels
    panels = {
        "the old image, and where they look": (image, from_where),
        "the new image, and its pixels": (new, there),
    }
    figure, axes = grid(2, 3.6, 3.8)
    for axis, (title, (shown, dots)) in zip(axes, panels.items(), strict=True):
        axis.imshow(shown.numpy())
        for marker, some in (("s", dots[0]), (".", dots[1:].flatten(0, 1))):
            axis.plot(*some.T.numpy(), marker, color=ORANGE, markersize=5)
        axis.set(xlim=(-6, 33), ylim=(33, -6), xticks=[], yticks=[])
        axis.set_title(title, size=10)
        axis.spines[:].set(visible=True, color="#B0B0B0")
    ends = [f"({x:.0f}, {y:.0f})" for x, y in from_where[0, [0, -1]].tolist()]
    return Picture(
        figure,
        "Places in an old image at which the pixels of a new one look, and the new "
        f"image. Its first row of dots looks from {' to '.join(ends)} in the old one.",
    )


def _side_by_side(grids: Tensor, columns: int, filler: float = 0.0) -> Tensor:
    """Make one image, row by row, of (count, 28, 28)."""
    rows = -(-len(grids) // columns)
    sheet = torch.full((rows * columns, 28, 28), filler)
    sheet[: len(grids)] = grids
    return sheet.reshape(rows, columns, 28, 28).transpose(1, 2).flatten(2).flatten(0, 1)
