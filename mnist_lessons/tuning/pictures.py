"""Pictures of a search for good settings.

Each compares trials: where fewer than two were finished, a `ValueError` says so.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mnist_lessons.plots import picture
from mnist_lessons.plots.picture import BLUE, GREY, ORANGE, Picture, in_one_style
from mnist_lessons.tuning import studies

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@in_one_style
def trials(study: "Study") -> Picture:
    """Draw the accuracy of each trial, and the best so far.

    A pruned trial stands at the accuracy that it had when it was cut short.
    """
    finished = studies.finished_trials(study, 2)
    every = study.get_trials(deepcopy=False)
    pruned = [t for t in every if t.state.name == "PRUNED" and t.intermediate_values]
    figure = Figure(figsize=(8.4, 3.8))
    axis = figure.subplots()
    numbers = [trial.number for trial in finished]
    best = list(itertools.accumulate(map(_accuracy, finished), max))
    axis.step(
        [*numbers, max(trial.number for trial in finished + pruned)],
        [picture.error_of(accuracy) for accuracy in [*best, best[-1]]],
        where="post",
        color=ORANGE,
        label="best so far",
    )
    for label, ended, mark, color in [
        ("finished", finished, "o", BLUE),
        ("pruned", pruned, "x", GREY),
    ]:
        if ended:
            errors = [picture.error_of(_accuracy(trial)) for trial in ended]
            look: dict[str, Any] = {"color": color, "markersize": 7, "mew": 2}
            axis.plot([t.number for t in ended], errors, mark, label=label, **look)
    picture.accuracy_axis(axis, [_accuracy(trial) for trial in finished + pruned])
    axis.set(xlabel="trial", ylabel="validation accuracy")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    winner = studies.best_trial(study)
    return Picture(
        figure,
        "Validation accuracy of each trial of a search. "
        f"Finished: {len(finished)}, from {min(map(_accuracy, finished)):.2%} to "
        f"{_accuracy(winner):.2%}, which trial {winner.number} reached; cut short: "
        f"{len(pruned)}.",
    )


@in_one_style
def importances(study: "Study") -> Picture:
    """Draw how much of the difference between trials goes with each setting."""
    shares = {n.replace("_", " "): s for n, s in studies.importances(study).items()}
    percent = [f"{share:.0%}" for share in shares.values()]
    figure = Figure(figsize=(7.2, 1.0 + 0.36 * len(shares)))
    axis = figure.subplots()
    bars = axis.barh(list(shares), list(shares.values()), color=BLUE)
    axis.bar_label(bars, percent, padding=4)
    axis.invert_yaxis()
    axis.set(xlabel="share of the importance", xlim=(0, 1.12 * max(shares.values())))
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    words = map(" ".join, zip(shares, percent, strict=True))
    return Picture(
        figure,
        "Bar chart of how much each setting mattered in a search. From "
        f"{len(studies.finished_trials(study))} finished trials: {', '.join(words)}.",
    )


@in_one_style
def parallel(study: "Study") -> Picture:
    """Draw each finished trial as a line across its settings, up to its accuracy.

    The best fifth of the trials is drawn dark, the best one thick.
    """
    finished = sorted(studies.finished_trials(study, 2), key=_accuracy)
    names = list(dict.fromkeys(name for trial in finished for name in trial.params))
    if not names:
        raise ValueError("The trials chose nothing, so there is nothing to draw.")
    figure = Figure(figsize=(max(6.0, 1.25 * (len(names) + 1)), 4.2))
    axis = figure.subplots()
    heights: list[list[float]] = [[] for _ in finished]  # of each trial's line
    for number, name in enumerate(names):
        having = [trial for trial in finished if name in trial.params]
        log = any(getattr(t.distributions[name], "log", False) for t in having)
        place, ticks = _scale([trial.params[name] for trial in having], log)
        _draw_scale(axis, number, [(place(value), _text(value)) for value in ticks])
        for line, trial in zip(heights, finished, strict=True):
            line.append(place(trial.params[name]) if name in trial.params else math.nan)
    # the worst quarter shares the lowest place: one that failed would squash the rest
    worst = finished[len(finished) // 4]
    low, high = _goodness(worst), _goodness(finished[-1])
    top = max(1, len(finished) // 5)
    looks: list[Any] = [{"color": GREY, "linewidth": 1.2}] * (len(finished) - top)
    looks += [{"color": BLUE, "linewidth": 2}] * (top - 1)
    looks += [{"color": ORANGE, "linewidth": 4, "marker": "o", "markersize": 8}]
    for line, trial, look in zip(heights, finished, looks, strict=True):
        rise = max(0.0, _goodness(trial) - low)
        axis.plot([*line, rise / (high - low) if high > low else 1.0], **look)
    least = f"{_accuracy(worst):.2%}" + ("\nor less" if len(finished) >= 4 else "")
    most = f"{_accuracy(finished[-1]):.2%}"
    _draw_scale(axis, len(names), [(0.0, least), (1.0, most)])
    labels = [name.replace("_", "\n") for name in names] + ["validation\naccuracy"]
    axis.set_xticks(range(len(labels)), labels)
    axis.set(xlim=(-0.2, len(names) + 0.75), ylim=(-0.06, 1.06), yticks=[])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    groups = [("best", ORANGE), ("next best", BLUE), ("others", GREY)]
    handles = [Line2D([], [], color=c, label=name, linewidth=3) for name, c in groups]
    if top == 1:
        del handles[1]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    best = ", ".join(f"{n} {_text(v)}" for n, v in finished[-1].params.items())
    return Picture(
        figure,
        "Each finished trial of a search as a line across its settings. "
        f"{len(finished)} trials; the best one, with {most} right, has {best}.",
    )


def _scale(
    values: Sequence[Any], log: bool
) -> tuple[Callable[[Any], float], Sequence[Any]]:
    """Return where a value stands from 0 (bottom) to 1 (top), and what to write there.

    Numbers are spaced as they were drawn, by their ratios if `log`; words, and sizes
    of which there are at most four, evenly.
    """
    words = any(isinstance(value, str | bool) or value is None for value in values)
    kinds = sorted(set(values), key=str if words else None)
    if words or len(kinds) <= 4:
        return lambda value: (kinds.index(value) + 0.5) / len(kinds), kinds
    bend: Callable[[Any], float] = math.log if log else float
    low, high = bend(kinds[0]), bend(kinds[-1])
    middle = math.exp((low + high) / 2) if log else (low + high) / 2
    if all(isinstance(value, int) for value in values):
        middle = round(middle)
    ticks = [kinds[0], middle, kinds[-1]]
    return lambda value: (bend(value) - low) / (high - low), ticks


def _draw_scale(axis: Axes, x: int, ticks: list[tuple[float, str]]) -> None:
    axis.plot([x, x], [0, 1], color=picture.BLACK, linewidth=1, zorder=0)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for y, text in ticks:
        axis.text(x + 0.06, y, text, va="center", fontsize=10, bbox=box, zorder=5)


def _accuracy(trial: "FrozenTrial") -> float:
    if trial.values:
        return trial.values[0]
    return trial.intermediate_values[max(trial.intermediate_values)]


def _goodness(trial: "FrozenTrial") -> float:
    """Return 2 for 1 % of errors, 3 for 0.1 %: as far apart as they feel."""
    return -math.log10(picture.error_of(_accuracy(trial)))


def _text(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
