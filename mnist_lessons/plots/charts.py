"""Charts: of training runs, of comparisons, of what a model confuses."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from torch import Tensor

from mnist_lessons.history import History, Score
from mnist_lessons.plots.picture import (
    BLACK,
    BLUE,
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    ORANGE,
    Picture,
    accuracy_axis,
    are_long,
    error_of,
    fitting_size,
    grid,
    in_one_style,
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
        if are_long(below) and len(below) > 4:
            axis.set_xticks(range(len(below)), below, rotation=90)
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
    marks: Mapping[str, float] | None = None,
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
        marks: positions to point out, by the letter to write above each.
    """
    figure = Figure(figsize=(7.6, 3.6))
    axis = figure.subplots()
    told = _draw_lines(axis, lines, x)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if logx:
        axis.set_xscale("log")
        if x is not None and len(x) <= 10:
            axis.set_xticks(list(x), [f"{place:g}" for place in x])
            axis.minorticks_off()
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(lines) > 1:
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    above = axis.get_xaxis_transform()  # x in the chart's units, y from 0 to 1
    for letter, place in (marks or {}).items():
        axis.axvline(place, color=BLACK, linewidth=1, linestyle=":")
        axis.text(place, 1.02, letter, transform=above, ha="center", weight="bold")
        told += f"; {letter} marks {place:g}"
    return Picture(figure, f"Line chart of {ylabel} against {xlabel}. {told}.")


@in_one_style
def scatter(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: Sequence[str],
    ylabel: str,
    logx: Sequence[bool] | None = None,
) -> Picture:
    """Draw accuracies as dots, one chart for each group; the best dot is a square.

    Charts with the same label below have the same range.

    Args:
        groups: the title of each chart, and the positions and accuracies of its dots.
        xlabel: what the horizontal axis of each chart shows, with its unit.
        ylabel: what the common vertical axis shows.
        logx: for each chart, whether to space its positions by their ratios.
    """
    figure = Figure(figsize=(3.2 * len(groups), 3.4))
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    told = []
    for number, (title, (x, y)) in enumerate(groups.items()):
        axis, best = axes[number], max(range(len(y)), key=lambda dot: y[dot])
        errors = [error_of(accuracy) for accuracy in y]
        axis.plot(x, errors, "o", color=BLUE, alpha=0.8, markersize=7)
        axis.plot(x[best], errors[best], "s", color=ORANGE, markersize=9)
        axis.set(title=title, xlabel=xlabel[number])
        axis.set_xscale("log" if logx and logx[number] else "linear")
        axis.grid(axis="y")
        told.append(
            f"{title}: {len(y)} dots, the best, {y[best]:.3g}, at {x[best]:.3g}"
        )
    for label in set(xlabel):
        alike = [a for a, name in zip(axes, xlabel, strict=True) if name == label]
        ends = [end for axis in alike for end in axis.get_xlim()]
        for axis in alike:
            axis.set_xlim(min(ends), max(ends))
    axes[0].set_ylabel(ylabel)
    accuracy_axis(axes[0], [a for _, y in groups.values() for a in y])
    return Picture(
        figure,
        f"Dots of {ylabel} in {len(groups)} charts: {', '.join(groups)}. "
        f"{'; '.join(told)}.",
    )


@in_one_style
def history(record: History) -> Picture:
    """Draw the loss and the accuracy of a training run against the epoch.

    Raises:
        ValueError: the run ended before its first epoch did.
    """
    if not record:
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


@in_one_style
def runs(records: Mapping[str, History]) -> Picture:
    """Draw training and validation loss of several runs, one chart each."""
    figure, axes = grid(len(records), 4, 2.6, 2.9)
    told = []
    top = max(max(r["train_loss"] + r["valid_loss"]) for r in records.values())
    for axis, (name, record) in zip(axes, records.items(), strict=True):
        lines = {"training": record["train_loss"], "validation": record["valid_loss"]}
        told.append(f"{name}: {_draw_lines(axis, lines)}")
        axis.set(title=name, xlabel="epoch", ylim=(0, 1.05 * top))
        axis.label_outer()
    axes[0].set_ylabel("loss")
    named = axes[0].get_legend_handles_labels()
    figure.legend(*named, loc="outside upper center", ncols=2)
    return Picture(
        figure,
        f"Line charts of the loss in {len(records)} runs: {', '.join(records)}. "
        f"{'; '.join(told)}.",
    )


@in_one_style
def spread(scores: Mapping[str, Sequence[Score]]) -> Picture:
    """Draw the accuracy and the loss of several runs a recipe: a dot each, and means.

    Args:
        scores: the name of each recipe, and the score of each of its runs.
    """
    figure = Figure(figsize=(9, 0.8 + 0.42 * len(scores)))
    axes = figure.subplots(1, 2, sharey=True)
    told = []
    for row, (name, runs) in enumerate(scores.items()):
        words = []
        for axis, value in zip(axes, ("accuracy", "loss"), strict=True):
            found = [score[value] for score in runs]
            mean = sum(found) / len(found)
            axis.plot(found, [row] * len(found), "o", color=BLUE, alpha=0.8)
            axis.plot(mean, row, "|", color=ORANGE, markersize=22, markeredgewidth=3)
            words.append(f"{value} {min(found):.3g} to {max(found):.3g}")
        told.append(f"{name}: {', '.join(words)}")
    for axis, value in zip(axes, ("accuracy", "loss"), strict=True):
        axis.set(xlabel=f"validation {value}", ylim=(len(scores) - 0.5, -0.5))
        axis.grid(axis="x")
    axes[0].set_yticks(range(len(scores)), scores)
    accuracies = [score.accuracy for runs in scores.values() for score in runs]
    decimals = 2 if max(accuracies) - min(accuracies) < 0.005 else 1
    axes[0].xaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))
    for axis in axes:
        axis.locator_params(axis="x", nbins=5)
    return Picture(
        figure,
        f"Validation accuracy and loss of {', '.join(scores)}, one dot a run and a bar "
        f"at the mean. {'; '.join(told)}.",
    )


@in_one_style
def confusion(
    labels: Tensor, answers: Tensor, classes: Sequence[str] | None = None
) -> Picture:
    """Draw how often each class got each answer. Mistakes are shaded, not the diagonal.

    Args:
        labels: the true classes, (count,).
        answers: a model's answers, (count,).
        classes: names for the class numbers; 0 to 9 where nothing is given.
    """
    names = list(classes or map(str, range(10)))
    pairs = labels.cpu() * len(names) + answers.cpu()
    counts = pairs.bincount(minlength=len(names) ** 2).reshape(len(names), -1)
    mistakes = counts - counts.diag().diag()
    cell = max(0.3, 0.46 - 0.004 * len(names))  # inches
    side = max(5.4, cell * len(names) + 1.8 * are_long(names))
    size = fitting_size([str(int(counts.max()))], 0.8 * cell)
    figure = Figure(figsize=(side + 0.8, side))
    axis = figure.subplots()
    axis.imshow(mistakes.numpy(), cmap="Blues", vmax=max(1, 1.5 * int(mistakes.max())))
    for row in range(len(names)):
        for column in range(len(names)):
            if count := int(counts[row, column]):
                shade = GREY if row == column else BLACK
                axis.text(
                    column,
                    row,
                    str(count),
                    color=shade,
                    size=size,
                    ha="center",
                    va="center",
                )
    axis.set(xlabel="answer", ylabel="label")
    upright = 90 if are_long(names) else 0
    axis.set_xticks(range(len(names)), names, rotation=upright)
    axis.set_yticks(range(len(names)), names)
    axis.spines[:].set_visible(True)
    most = [divmod(int(i), len(names)) for i in mistakes.flatten().topk(3).indices]
    told = [f"{names[t]} read as {names[a]}, {mistakes[t, a]} times" for t, a in most]
    return Picture(
        figure,
        f"Confusion matrix of {len(labels):,} digits. {int(mistakes.sum())} lie off "
        f"the diagonal. The most frequent mistakes: {'; '.join(told)}.",
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
            linestyle=DASHES[number % len(DASHES)],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)] if len(heights) <= 30 else None,
            label=name,
        )
        told.append(f"{name} from {heights[0]:.3g} to {heights[-1]:.3g}")
    if x is None or all(float(place).is_integer() for place in x):
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
    lowest = min(1 - rung.score.interval[1] for rung in rungs)
    top = max(min(0.004, 0.8 * lowest), 1e-4)
    axes[0].set(ylim=(1.0, top), ylabel="validation accuracy")
    ticks = [0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
    ticks = [tick for tick in ticks if tick >= top]
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
