"""Charts: of training runs, of comparisons, of what a model confuses."""

import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from torch import Tensor

from mnist_lessons.history import History, Score
from mnist_lessons.plots import picture
from mnist_lessons.plots.picture import BLACK, BLUE, GREY, ORANGE, Picture, grid

BESIDE: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}


@picture.in_one_style
def bars(
    values: Mapping[str, Tensor | Sequence[float]],
    names: Sequence[str] | None = None,
    *,
    highlight: int | None = None,
    xlabel: str = "digit",
    sharey: bool = False,
) -> Picture:
    """Draw one bar chart for each set of values, by its title, side by side.

    `names` stand below the bars, the numbers from 0 where nothing is given; `xlabel`
    says what the bars stand for; `highlight` is the number of a bar to mark; `sharey`
    draws all charts on one scale.
    """
    figure, axes = grid(len(values), 4.2, 2.9, sharey=sharey)
    listed = []
    for axis, (title, heights) in zip(axes, values.items(), strict=True):
        heights = torch.as_tensor(heights).detach().cpu().flatten().tolist()
        below = list(names or map(str, range(len(heights))))
        drawn = axis.bar(below, heights, color=BLUE)
        if picture.are_long(below) and len(below) > 4:
            axis.set_xticks(range(len(below)), below, rotation=90)
        if highlight is not None:
            drawn[highlight].set(facecolor=ORANGE, hatch="//")
        axis.axhline(0, color=BLACK, linewidth=1)
        axis.set(title=title, xlabel=xlabel)
        pairs = [f"{n} {h:.3g}" for n, h in zip(below, heights, strict=True)]
        listed.append(f"{title}: {', '.join(pairs)}")
    titles = " and ".join(values)
    return Picture(figure, f"Bar charts of {titles}. {'; '.join(listed)}.")


@picture.in_one_style
def curves(
    lines: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    percent: bool = False,
    logx: bool = False,
    logy: bool = False,
    ylim: tuple[float, float] | None = None,
    marks: Mapping[str, float] | None = None,
    bands: Mapping[str, Tensor] | None = None,
) -> Picture:
    """Draw lines, the heights of each by its name, over common positions `x`.

    Where nothing is given, these are 1, 2, 3, ...; `logx` spaces them by their ratios,
    `logy` the heights. `percent` shows fractions in percent, `ylim` only heights in
    this range. `marks` are positions to point out, by the letter to write above each.
    `bands` has other runs, (runs, positions), by the names of lines: bands from the
    least to the largest.
    """
    figure, (axis,) = grid(1, 7.6, 3.6)
    axis.set_yscale("log" if logy else "linear")
    ends = _draw_lines(axis, lines, x)
    colours = {line.get_label(): line.get_color() for line in axis.lines}
    for name, other in (bands or {}).items():
        if name not in lines:
            continue
        places = range(1, other.shape[1] + 1) if x is None else x
        low, high = other.amin(dim=0).tolist(), other.amax(dim=0).tolist()
        look: dict[str, Any] = {"color": colours[name], "alpha": 0.25, "linewidth": 0}
        axis.fill_between(places, low, high, **look)
        spread = f"at the end {low[-1]:.3g} to {high[-1]:.3g}"
        ends += f"; {name} over {len(other)} other runs {spread}"
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if logx:
        axis.set_xscale("log")
        if x is not None and len(x) <= 10:
            axis.set_xticks(list(x), [f"{place:g}" for place in x])
            axis.minorticks_off()
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(lines) > 1:
        axis.legend(**BESIDE)
    above = axis.get_xaxis_transform()  # x in the chart's units, y from 0 to 1
    for letter, place in (marks or {}).items():
        axis.axvline(place, color=BLACK, linewidth=1, linestyle=":")
        axis.text(place, 1.02, letter, transform=above, ha="center", weight="bold")
        ends += f"; {letter} marks {place:g}"
    return Picture(figure, f"Line chart of {ylabel} against {xlabel}. {ends}.")


@picture.in_one_style
def histograms(
    values: Mapping[str, Tensor],
    xlabel: str,
    *,
    height: float = 0.48,
    xlim: tuple[float, float] | None = None,
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Draw how often each value occurs, for several groups by name, below each other.

    They share both axes, so that one sees how far they overlap; a line marks the mean.
    Each is `height` inches high. `marks` are positions to point out, by the word to
    write above each.
    """
    figure, axes = grid(len(values), 6.8, height, columns=1, sharex=True, sharey=True)
    low = min(float(group.min()) for group in values.values())
    high = max(float(group.max()) for group in values.values())
    listed = []
    for axis, (name, group) in zip(axes, values.items(), strict=True):
        group = group.detach().cpu().float().flatten()
        middle = float(group.mean())
        axis.hist(group.numpy(), bins=60, range=(low, high), color=BLUE)
        axis.axvline(middle, color=ORANGE)
        axis.set_yticks([])
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        ends = group.quantile(torch.tensor([0.05, 0.95])).tolist()
        listed.append(f"{name} {ends[0]:.3g} to {ends[1]:.3g}, mean {middle:.3g}")
        for place in (marks or {}).values():
            axis.axvline(place, color=BLACK, linestyle=":")
    above = axes[0].get_xaxis_transform()  # x in the chart's units, y from 0 to 1
    for word, place in (marks or {}).items():
        axes[0].text(place, 1.04, word, transform=above, ha="center", va="bottom")
        listed.append(f"{word} marks {place:g}")
    axes[-1].set(xlabel=xlabel, xlim=xlim)
    return Picture(
        figure,
        f"Histograms of {xlabel} for {len(values)} groups. Nine tenths of each lie "
        f"between: {'; '.join(listed)}.",
    )


@picture.in_one_style
def broadcasting(column: Tensor, row: Tensor, names: Sequence[str]) -> Picture:
    """Draw a column (n, 1), a row (m,) and their differences (n, m), with all numbers.

    `names` are those of the column, the row and the result. The difference nearest to
    0 in each line stands in a frame.
    """
    column, row = column.detach().cpu().float(), row.detach().cpu().float()
    result = column - row
    shapes = [tuple(part.shape) for part in (column, row, result)]
    sides = [1, len(row), len(row)]
    height = 0.36 * len(column) + 0.9
    figure = Figure(figsize=(0.42 * sum(sides) + 1.4, height))
    axes = figure.subplots(1, 3, width_ratios=sides)
    signs = ["\N{MINUS SIGN}", "=", ""]
    tables = [column, row.expand_as(result), result]
    form = ".0f" if all(bool((t == t.round()).all()) for t in tables) else ".1f"
    for axis, name, shape, sign, table in zip(
        axes, names, shapes, signs, tables, strict=True
    ):
        high, wide = table.shape
        axis.set(xlim=(0, wide), ylim=(high, 0), xticks=[], yticks=[])
        axis.set_title(f"{name}\n{shape}", size=9)
        axis.spines[:].set_visible(False)
        for (y, x), value in np.ndenumerate(table.numpy()):
            # below the first line there is no such row: the first is used again
            shade = GREY if table is tables[1] and y > 0 else BLACK
            text = f"{value:{form}}"
            picture.centred(axis, x + 0.5, y + 0.5, text, color=shade, size=9)
        axis.text(1.01, 0.5, sign, transform=axis.transAxes, va="center", size=14)
    for y, x in enumerate(result.abs().argmin(dim=1).tolist()):
        box: dict[str, Any] = {"fill": False, "edgecolor": ORANGE, "linewidth": 2}
        axes[2].add_patch(Rectangle((x + 0.08, y + 0.08), 0.84, 0.84, **box))
    nearest = ", ".join(map(str, result.abs().argmin(dim=1).tolist()))
    return Picture(
        figure,
        f"A column of {len(column)} numbers minus a row of {len(row)}: a table of "
        f"{len(column)} by {len(row)} differences. The row is used again for each "
        f"number of the column. Nearest to 0, line by line, are positions {nearest}.",
    )


@picture.in_one_style
def descent(rate: float, start: float = -0.9, steps: int = 6) -> Picture:
    """Draw steps of gradient descent on loss = weight squared, at a learning rate."""
    weights = [start * (1 - 2 * rate) ** step for step in range(steps + 1)]
    figure, (axis,) = grid(1, 6.4, 3.4)
    wide = min(max(1.1, *(1.1 * abs(weight) for weight in weights)), 2.4)
    line = np.linspace(-wide, wide, 200)
    axis.plot(line, line**2, color=GREY, linewidth=1.5)
    axis.plot(weights, [w**2 for w in weights], "o-", color=BLUE, linewidth=1)
    for step, weight in enumerate(weights[:4]):  # later ones would stand on each other
        side, away = ("right", -6) if weight < 0 else ("left", 6)
        beside: dict[str, Any] = {
            "xytext": (away, -1),
            "textcoords": "offset points",
            "va": "top",
        }
        at = (weight, weight**2)
        axis.annotate(str(step), at, color=ORANGE, ha=side, **beside)
    axis.set(xlim=(-wide, wide), ylim=(-0.08 * wide**2, wide**2))
    axis.set(xlabel="weight", ylabel="loss")
    listed = ", ".join(f"{weight:.3g}" for weight in weights)
    return Picture(
        figure,
        f"Steps of gradient descent on a parabola at learning rate {rate:g}. The "
        f"weight goes through {listed}.",
    )


@picture.in_one_style
def scatter(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: Sequence[str],
    ylabel: str,
    logx: Sequence[bool] | None = None,
) -> Picture:
    """Draw accuracies as dots, one chart for each group, and a bar at each mean.

    A group has a title, and the positions and accuracies of its dots; those at the same
    position have a mean. `xlabel` and
    `logx` say for each chart what its positions are, and whether to space them by
    their ratios; charts with the same label have the same range.
    """
    figure, axes = grid(len(groups), 3.2, 3.4, sharey=True)
    winners = []
    for number, (title, (x, y)) in enumerate(groups.items()):
        axis, at = axes[number], dict.fromkeys(x)
        means = [
            fmean(float(b) for a, b in zip(x, y, strict=True) if a == c) for c in at
        ]
        best = max(zip(means, at, strict=True))
        if (first := list(xlabel).index(xlabel[number])) != number:
            axis.sharex(axes[first])
        errors, bars = ([picture.error_of(a) for a in some] for some in (y, means))
        axis.plot(x, errors, "o", color=BLUE, alpha=0.8, markersize=7)
        axis.plot(list(at), bars, "_", color=BLACK, markersize=18, markeredgewidth=2)
        axis.set(title=title, xlabel=xlabel[number])
        axis.set_xscale("log" if logx and logx[number] else "linear")
        axis.grid(axis="y")
        winners.append(f"{len(y)} dots, the best mean {best[0]:.3g} at {best[1]:.3g}")
    axes[0].set_ylabel(ylabel)
    picture.accuracy_axis(axes[0], [a for _, y in groups.values() for a in y])
    listed = "; ".join(map(": ".join, zip(groups, winners, strict=True)))
    return Picture(
        figure,
        f"Dots of {ylabel} in {len(groups)} charts: {', '.join(groups)}. {listed}.",
    )


@picture.in_one_style
def history(record: History) -> Picture:
    """Draw the loss and the accuracy of a training run against the epoch.

    A run that ended before its first epoch did raises a `ValueError`.
    """
    if not record:
        why = record.stopped or "It has no records."
        raise ValueError(f"No epoch was finished, so there is no curve to draw. {why}")
    figure, axes = grid(2, 4.5, 3.3)
    ends = []
    for axis, value in zip(axes, ("loss", "accuracy"), strict=True):
        lines = {"training": record[f"train_{value}"]}
        lines["validation"] = record[f"valid_{value}"]
        lines = {name: line for name, line in lines.items() if None not in line}
        ends.append(f"{value}: {_draw_lines(axis, lines)}")
        axis.set(xlabel="epoch", ylabel=value)
    axes[0].legend(loc="upper right")
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    return Picture(
        figure,
        f"Two line charts, loss and accuracy against the epoch. {'; '.join(ends)}.",
    )


@picture.in_one_style
def runs(records: Mapping[str, History]) -> Picture:
    """Draw training and validation loss of several runs, one chart each."""
    figure, axes = grid(len(records), 2.6, 2.9, columns=4)
    ends = []
    top = max(max(r["train_loss"] + r["valid_loss"]) for r in records.values())
    for axis, (name, record) in zip(axes, records.items(), strict=True):
        lines = {"training": record["train_loss"], "validation": record["valid_loss"]}
        ends.append(f"{name}: {_draw_lines(axis, lines)}")
        axis.set(title=name, xlabel="epoch", ylim=(0, 1.05 * top))
        axis.label_outer()
    axes[0].set_ylabel("loss")
    named = axes[0].get_legend_handles_labels()
    figure.legend(*named, loc="outside upper center", ncols=2)
    return Picture(
        figure,
        f"Line charts of the loss in {len(records)} runs: {', '.join(records)}. "
        f"{'; '.join(ends)}.",
    )


@picture.in_one_style
def fitting(curves: Mapping[str, Mapping[str, Any]], seen: Sequence[float]) -> Picture:
    """Draw loss and accuracy on training and validation digits; earlier runs in grey.

    Each run, by its name, has the curves `train_loss`, `valid_loss`, `train_accuracy`
    and `valid_accuracy`: a value for each number of digits that the network had
    `seen`. One that broke off has fewer, or none.
    """
    figure, axes = grid(2, 5.2, 3.5)
    ends = []
    *_, last = curves
    before: dict[str, Any] = {"color": GREY, "linewidth": 1}
    for name, run in curves.items():
        for axis, value in zip(axes, ("loss", "accuracy"), strict=True):
            train, valid = run[f"train_{value}"], run[f"valid_{value}"]
            if not train:  # the run broke off in its first round
                ends.append(f"{name}: no {value}")
                continue
            end = f"{value} {train[-1]:.3g} on training, {valid[-1]:.3g} on validation"
            ends.append(f"{name}: at the end {end}")
            at = seen[: len(train)]
            if name == last:
                _draw_lines(axis, {"training": train, "validation": valid}, at)
            else:
                axis.plot(at, train, "-", **before)
                axis.plot(at, valid, "--", label="the run before", **before)
    # the same scales for most runs, wider ones for a run that would leave them
    highest, lowest = axes[0].dataLim.y1, axes[1].dataLim.y0
    axes[0].set(ylabel="loss", ylim=(0, max(1.0, 1.05 * highest)))
    axes[1].set(ylabel="accuracy", ylim=(min(0.6, lowest - 0.05), 1.01))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    for axis in axes:
        axis.set(xlabel="digits seen")
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="y")
    if axes[1].lines:
        axes[1].legend(**BESIDE)
    figure.suptitle(last, size=11)
    return Picture(
        figure,
        "Loss and accuracy on training and on validation digits, against the digits "
        f"seen. {'; '.join(ends)}.",
    )


@picture.in_one_style
def spread(scores: Mapping[str, Sequence[Score]]) -> Picture:
    """Draw accuracy and loss of several runs a recipe, by its name: dots, and means."""
    figure, axes = grid(2, 4.5, 0.8 + 0.42 * len(scores), sharey=True)
    ranges = dict.fromkeys(scores, "")
    for axis, value in zip(axes, ("accuracy", "loss"), strict=True):
        for row, (name, runs) in enumerate(scores.items()):
            values = [score[value] for score in runs]
            mean = sum(values) / len(values)
            axis.plot(values, [row] * len(values), "o", color=BLUE, alpha=0.8)
            axis.plot(mean, row, "|", color=ORANGE, markersize=22, markeredgewidth=3)
            ranges[name] += f", {value} {min(values):.3g} to {max(values):.3g}"
        axis.set(xlabel=f"validation {value}", ylim=(len(scores) - 0.5, -0.5))
        axis.grid(axis="x")
        axis.locator_params(axis="x", nbins=5)
    axes[0].set_yticks(range(len(scores)), scores)
    accuracies = [score.accuracy for runs in scores.values() for score in runs]
    decimals = 2 if max(accuracies) - min(accuracies) < 0.005 else 1
    axes[0].xaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
    listed = "; ".join(f"{name}: {words[2:]}" for name, words in ranges.items())
    return Picture(
        figure,
        f"Validation accuracy and loss of {', '.join(scores)}, one dot a run and a bar "
        f"at the mean. {listed}.",
    )


@picture.in_one_style
def repeated(
    runs: Mapping[str, Tensor],
    live: Mapping[str, float] | None = None,
    *,
    xlabel: str,
    percent: bool = False,
) -> Picture:
    """Draw a value for each of several runs, by name: dots, and a bar at their mean.

    `live` has one more value for some names, from the run just made: a diamond.
    """
    figure, (axis,) = grid(1, 6.4, max(2.2, 0.8 + 0.38 * len(runs)))
    listed = []
    for row, (name, values) in enumerate(runs.items()):
        heights = values.detach().cpu().float().flatten()
        mean = float(heights.mean())
        axis.plot(heights, [row] * len(heights), "o", color=BLUE, alpha=0.8)
        axis.plot(mean, row, "|", color=BLACK, markersize=18, markeredgewidth=2)
        ends = f"{float(heights.min()):.3g} to {float(heights.max()):.3g}"
        words = f"{name} {ends}, mean {mean:.3g}"
        if live and name in live:
            look: dict[str, Any] = {"color": ORANGE, "markersize": 9, "zorder": 3}
            axis.plot(live[name], row, "D", markeredgecolor=BLACK, **look)
            words += f", the run just made {live[name]:.3g}"
        listed.append(words)
    axis.set(xlabel=xlabel, ylim=(len(runs) - 0.5, -0.5))
    axis.set_yticks(range(len(runs)), list(runs))
    axis.grid(axis="x")
    if percent:
        every = torch.cat([values.detach().cpu().flatten() for values in runs.values()])
        decimals = 0 if every.max() - every.min() > 0.05 else 1
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
        # with steps of 2.5 the labels, rounded, would stand at other places
        axis.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    return Picture(
        figure,
        f"Dots of {xlabel} for {', '.join(runs)}, one a run. {'; '.join(listed)}.",
    )


@picture.in_one_style
def confusion(
    labels: Tensor, answers: Tensor, classes: Sequence[str] | None = None
) -> Picture:
    """Draw how often each class (count,) got each answer (count,).

    Mistakes are shaded, not the diagonal. `classes` are names; else they are 0 to 9.
    """
    names = list(classes or map(str, range(10)))
    pairs = labels.cpu() * len(names) + answers.cpu()
    counts = pairs.bincount(minlength=len(names) ** 2).reshape(len(names), -1)
    mistakes = counts - counts.diag().diag()
    cell = max(0.3, 0.46 - 0.004 * len(names))  # inches
    side = max(5.4, cell * len(names) + 1.8 * picture.are_long(names))
    size = picture.fitting_size([str(int(counts.max()))], 0.8 * cell)
    figure, (axis,) = grid(1, side + 0.8, side)
    axis.imshow(mistakes.numpy(), cmap="Blues", vmax=max(1, 1.5 * int(mistakes.max())))
    for (row, column), count in np.ndenumerate(counts.numpy()):
        if count:
            shade = GREY if row == column else BLACK
            picture.centred(axis, column, row, str(count), color=shade, size=size)
    axis.set(xlabel="answer", ylabel="label")
    axis.set_xticks(
        range(len(names)), names, rotation=90 if picture.are_long(names) else 0
    )
    axis.set_yticks(range(len(names)), names)
    axis.spines[:].set_visible(True)
    most = [divmod(int(i), len(names)) for i in mistakes.flatten().topk(3).indices]
    listed = [f"{names[t]} read as {names[a]}, {mistakes[t, a]} times" for t, a in most]
    return Picture(
        figure,
        f"Confusion matrix of {len(labels):,} digits. {int(mistakes.sum())} lie off "
        f"the diagonal. The most frequent mistakes: {'; '.join(listed)}.",
    )


def _draw_lines(
    axis: Axes,
    lines: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
) -> str:
    """Draw the lines, and say where each begins and ends."""
    ends = []
    looks = itertools.cycle(
        zip(picture.COLOURS, picture.DASHES, picture.MARKERS, strict=True)
    )
    for (name, heights), (color, dashes, marker) in zip(
        lines.items(), looks, strict=False
    ):
        heights = [float(height) for height in heights]
        places = range(1, len(heights) + 1) if x is None else [float(at) for at in x]
        look = {"color": color, "linestyle": dashes, "label": name}
        axis.plot(places, heights, marker=marker if len(heights) <= 30 else "", **look)
        ends.append(f"{name} from {heights[0]:.3g} to {heights[-1]:.3g}")
    if x is None or all(float(place).is_integer() for place in x):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
    return "; ".join(ends)


class Rung(NamedTuple):
    """One model on the ladder."""

    name: str
    score: Score  # on the validation digits
    parameters: int  # how many numbers it learned, or stores
    seconds: float  # to train it
    wait: float | None = None  # seconds for an answer


@picture.in_one_style
def ladder(rungs: Sequence[Rung]) -> Picture:
    """Draw the validation accuracy of each model against its size and training time.

    If all rungs have it, the time for an answer is drawn, too.
    """
    panels = {
        "numbers it keeps": [float(max(rung.parameters, 1)) for rung in rungs],
        "seconds to train": [max(rung.seconds, 0.001) for rung in rungs],
    }
    waits = [rung.wait for rung in rungs if rung.wait is not None]
    if len(waits) == len(rungs):
        panels["microseconds for an answer"] = [1e6 * wait for wait in waits]
    width = 4.5 if len(panels) == 2 else 3.4
    figure, axes = grid(len(panels), width, 3.6, sharey=True)
    for axis, (label, where) in zip(axes, panels.items(), strict=True):
        for number, (rung, x) in enumerate(zip(rungs, where, strict=True)):
            accuracy = rung.score.accuracy
            low, high = rung.score.interval
            interval = [[high - accuracy], [accuracy - low]]
            # hollow, so that of two at one place both are seen
            look: dict[str, Any] = {"markersize": 8, "capsize": 3, "fillstyle": "none"}
            look["fmt"] = picture.MARKERS[number % 7]
            look["color"] = picture.COLOURS[number % 7]
            look["label"] = f"{rung.name}: {accuracy:.1%}, {rung.seconds:.2g} s"
            axis.errorbar(x, 1 - accuracy, interval, **look)
        axis.set(xscale="log", xlabel=label, xlim=(min(where) / 4, max(where) * 4))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(axis="y")
    # errors on a log scale, so that 98 and 99 % stand apart; good models on top
    lowest = min(1 - rung.score.interval[1] for rung in rungs)
    top = max(min(0.004, 0.8 * lowest), 1e-4)
    axes[0].set(yscale="log", ylim=(1.0, top), ylabel="validation accuracy")
    ticks = [0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
    picture.mark_accuracies(axes[0], [tick for tick in ticks if tick >= top])
    axes[-1].legend(**BESIDE)
    listed = [
        f"{r.name}: {r.score.accuracy:.2%} with {r.parameters:,} numbers, "
        f"{r.seconds:.2g} seconds"
        + (f", {1e6 * r.wait:.2g} microseconds an answer" if r.wait is not None else "")
        for r in rungs
    ]
    return Picture(
        figure,
        f"The ladder: validation accuracy of {len(rungs)} models against their size "
        f"and training time. {'; '.join(listed)}.",
    )
