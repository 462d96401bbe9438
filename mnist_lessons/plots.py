"""Every still picture of the lessons.

Each function returns a `Picture`: the last line of a cell shows it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from torch import Tensor

from mnist_lessons.history import History, Score
from mnist_lessons.picture import (
    BLACK,
    BLUE,
    COLOURS,
    DASHES,
    MARKERS,
    ORANGE,
    Picture,
    as_grids,
    grid,
    in_one_style,
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
        titles: what to write above each digit instead.
    """
    images = as_grids(images)
    truth = _names(labels, classes) if labels is not None else [""] * len(images)
    said = _names(answers, classes) if answers is not None else truth
    if titles is None:
        titles = [
            t if a == t else f"{a}, not {t}" for a, t in zip(said, truth, strict=True)
        ]
    width = 2.0 if len(images) == 1 else 0.95 if answers is None else 1.1
    figure, axes = grid(len(images), columns, width, width + 0.3 * any(titles))
    for axis, image, title, a, t in zip(axes, images, titles, said, truth, strict=True):
        axis.imshow(image.numpy())
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(title, color=BLACK if a == t else ORANGE, pad=4)
        axis.spines[:].set_visible(a != t)
        axis.spines[:].set(color=ORANGE, linewidth=2)
    listed = f": {', '.join(titles)}" if any(titles) else ""
    kind = "image of a digit" if len(images) == 1 else "images of digits"
    return Picture(figure, f"{len(images)} {kind}{listed}.")


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
            shade = "black" if value > 140 else "white" if value else "#7F7F7F"
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
def bars(
    values: Mapping[str, Tensor | Sequence[float]],
    names: Sequence[str] | None = None,
    *,
    highlight: int | None = None,
    xlabel: str = "digit",
) -> Picture:
    """Draw one bar chart for each set of values, side by side.

    Args:
        values: the title of each chart, and its values.
        names: what stands below each bar; the numbers from 0 where nothing is given.
        highlight: the bar to mark.
        xlabel: what the bars stand for.
    """
    figure = Figure(figsize=(4.2 * len(values), 2.9))
    axes = figure.subplots(1, len(values), squeeze=False)[0]
    told = []
    for axis, (title, heights) in zip(axes, values.items(), strict=True):
        heights = torch.as_tensor(heights).detach().cpu().flatten().tolist()
        below = list(names or map(str, range(len(heights))))
        colours = [ORANGE if i == highlight else BLUE for i in range(len(heights))]
        drawn = axis.bar(below, heights, color=colours)
        if highlight is not None:
            drawn[highlight].set_hatch("//")
        axis.axhline(0, color=BLACK, linewidth=1)
        axis.set(title=title, xlabel=xlabel)
        pairs = zip(below, heights, strict=True)
        told.append(f"{title}: {', '.join(f'{n} {h:.3g}' for n, h in pairs)}")
    return Picture(figure, f"Bar charts of {' and '.join(values)}. {'; '.join(told)}.")


@in_one_style
def curves(
    lines: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    percent: bool = False,
    logx: bool = False,
    ylim: tuple[float, float] | None = None,
) -> Picture:
    """Draw one or more lines over a common axis.

    Args:
        lines: the name of each line, and its heights.
        x: the common positions; 1, 2, 3, ... where nothing is given.
        xlabel: what the horizontal axis shows, with its unit.
        ylabel: what the vertical axis shows, with its unit.
        percent: the heights are fractions; show them in percent.
        logx: space the positions by their ratios.
        ylim: the lowest and the highest height to show.
    """
    figure = Figure(figsize=(7.6, 3.6))
    axis = figure.subplots()
    told = _draw_lines(axis, lines, x)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if logx:
        axis.set_xscale("log")
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(lines) > 1:
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Picture(figure, f"Line chart of {ylabel} against {xlabel}. {told}.")


@in_one_style
def history(record: History) -> Picture:
    """Draw the loss and the accuracy of a training run against the epoch.

    Raises:
        ValueError: the run ended before its first epoch did.
    """
    if not record.records:
        why = record.stopped or "It has no records."
        raise ValueError(f"No epoch was finished, so there is no curve to draw. {why}")
    figure = Figure(figsize=(9, 3.3))
    told = []
    for axis, value in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        named = {"training": f"train_{value}", "validation": f"valid_{value}"}
        lines = {
            name: record[column]
            for name, column in named.items()
            if None not in record[column]
        }
        told.append(f"{value}: {_draw_lines(axis, lines)}")
        axis.set(xlabel="epoch", ylabel=value)
        if value == "loss":
            axis.legend(loc="upper right")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    return Picture(
        figure,
        f"Two line charts, loss and accuracy against the epoch. {'; '.join(told)}.",
    )


def _draw_lines(
    axis: Axes,
    lines: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
) -> str:
    """Draw the lines, and say where each begins and ends."""
    told = []
    for number, (name, heights) in enumerate(lines.items()):
        heights = [float(height) for height in heights]
        axis.plot(
            range(1, len(heights) + 1) if x is None else [float(place) for place in x],
            heights,
            DASHES[number % len(DASHES)],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)] if len(heights) <= 30 else None,
            label=name,
        )
        told.append(f"{name} from {heights[0]:.3g} to {heights[-1]:.3g}")
    if x is None:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
    return "; ".join(told)


class Rung(NamedTuple):
    """One model on the ladder.

    Attributes:
        name: what to call it.
        score: its score on the validation digits.
        parameters: how many numbers it learned.
        seconds: how long it took to train.
    """

    name: str
    score: Score
    parameters: int
    seconds: float


@in_one_style
def ladder(rungs: Sequence[Rung]) -> Picture:
    """Draw the validation accuracy of each model against its size and training time."""
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots(1, 2, sharey=True)
    sizes = [float(max(rung.parameters, 1)) for rung in rungs]
    times = [max(rung.seconds, 0.001) for rung in rungs]
    labels = ("numbers it learned", "seconds to train")
    for axis, where, label in zip(axes, (sizes, times), labels, strict=True):
        for number, (rung, x) in enumerate(zip(rungs, where, strict=True)):
            accuracy = rung.score.accuracy
            low, high = rung.score.interval
            axis.errorbar(
                x,
                1 - accuracy,
                yerr=[[high - accuracy], [accuracy - low]],
                fmt=MARKERS[number % 7],
                color=COLOURS[number % 7],
                markersize=8,
                capsize=3,
                label=f"{rung.name}: {accuracy:.1%}, {rung.seconds:.2g} s",
            )
        axis.set(xscale="log", xlabel=label, xlim=(min(where) / 4, max(where) * 4))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(axis="y")
    # errors on a log scale, so that 98 and 99 % stand apart; good models on top
    axes[0].set_yscale("log")
    axes[0].set(ylim=(1.0, 0.004), ylabel="validation accuracy")
    ticks = [0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005]
    axes[0].set_yticks(ticks, [f"{100 - 100 * error:g} %" for error in ticks])
    axes[0].minorticks_off()
    axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    told = [
        f"{r.name}: {r.score.accuracy:.2%} with {r.parameters:,} numbers, "
        f"{r.seconds:.2g} seconds"
        for r in rungs
    ]
    return Picture(
        figure,
        f"The ladder: validation accuracy of {len(rungs)} models against their size "
        f"and training time. {'; '.join(told)}.",
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
