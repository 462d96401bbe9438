"""Pictures of a search for good settings."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mnist_lessons.plots.picture import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Picture,
    accuracy_axis,
    error_of,
    in_one_style,
)
from mnist_lessons.tuning import studies

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@in_one_style
def trials(study: "Study") -> Picture:
    """Draw the accuracy of each trial, and the best so far.

    A pruned trial stands at the accuracy that it had when it was cut short.

    Raises:
        ValueError: fewer than two trials were finished.
    """
    finished = studies.finished_trials(study, 2)
    pruned = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name == "PRUNED" and trial.intermediate_values
    ]
    figure = Figure(figsize=(8.4, 3.8))
    axis = figure.subplots()
    best, so_far = 0.0, []
    for trial in finished:
        best = max(best, _accuracy(trial))
        so_far.append(error_of(best))
    numbers = [trial.number for trial in finished]
    axis.step(
        [*numbers, max(t.number for t in finished + pruned)],
        [*so_far, so_far[-1]],
        where="post",
        color=ORANGE,
        label="best so far",
    )
    looks: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("finished", finished, {"marker": "o", "color": BLUE}),
        ("pruned", pruned, {"marker": "x", "color": GREY, "markeredgewidth": 2}),
    ]
    for label, some, look in looks:
        if not some:
            continue
        heights = [error_of(_accuracy(trial)) for trial in some]
        places = [trial.number for trial in some]
        axis.plot(places, heights, linestyle="", markersize=7, label=label, **look)
    accuracy_axis(axis, [_accuracy(trial) for trial in finished + pruned])
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
    """Draw how much of the difference between trials goes with each setting.

    Raises:
        ValueError: fewer than two trials were finished, or none chose anything.
    """
    shares = studies.importances(study)
    figure = Figure(figsize=(7.2, 1.0 + 0.36 * len(shares)))
    axis = figure.subplots()
    names = [name.replace("_", " ") for name in shares]
    drawn = axis.barh(names, list(shares.values()), color=BLUE)
    axis.bar_label(drawn, [f"{share:.0%}" for share in shares.values()], padding=4)
    axis.invert_yaxis()
    axis.set(xlabel="share of the importance", xlim=(0, 1.12 * max(shares.values())))
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    told = [f"{n} {s:.0%}" for n, s in zip(names, shares.values(), strict=True)]
    return Picture(
        figure,
        "Bar chart of how much each setting mattered in a search. From "
        f"{len(studies.finished_trials(study))} finished trials: {', '.join(told)}.",
    )


@in_one_style
def parallel(study: "Study") -> Picture:
    """Draw each finished trial as a line across its settings, up to its accuracy.

    The best fifth of the trials is drawn dark, the best one thick.

    Raises:
        ValueError: fewer than two trials were finished, or none chose anything.
    """
    finished = sorted(studies.finished_trials(study, 2), key=_accuracy)
    names = list(dict.fromkeys(name for trial in finished for name in trial.params))
    if not names:
        raise ValueError("The trials chose nothing, so there is nothing to draw.")
    figure = Figure(figsize=(max(6.0, 1.25 * (len(names) + 1)), 4.2))
    axis = figure.subplots()
    scales = [
        _Scale(
            [trial.params[name] for trial in finished if name in trial.params],
            log=any(
                getattr(trial.distributions.get(name), "log", False)
                for trial in finished
            ),
        )
        for name in names
    ]
    # the worst quarter shares the lowest place: one that failed would squash the rest
    floor = _goodness(finished[len(finished) // 4])
    span = _goodness(finished[-1]) - floor
    top = max(1, len(finished) // 5)
    for place, trial in enumerate(finished, 1):
        heights = [
            scale.place(trial.params[name]) if name in trial.params else math.nan
            for name, scale in zip(names, scales, strict=True)
        ]
        heights.append(max(0.0, _goodness(trial) - floor) / span if span else 1.0)
        look: dict[str, Any] = {"color": GREY, "linewidth": 1.2}
        if place > len(finished) - top:
            look = {"color": BLUE, "linewidth": 2}
        if place == len(finished):
            look = {"color": ORANGE, "linewidth": 4, "marker": "o", "markersize": 8}
        axis.plot(heights, **look)
    for number, scale in enumerate(scales):
        _draw_scale(axis, number, scale.ticks())
    ends = [f"{_accuracy(finished[n]):.2%}" for n in (len(finished) // 4, -1)]
    ends[0] = f"{ends[0]}\nor less" if len(finished) >= 4 else ends[0]
    _draw_scale(axis, len(names), [(0.0, ends[0]), (1.0, ends[1])])
    labels = [name.replace("_", "\n") for name in names] + ["validation\naccuracy"]
    axis.set_xticks(range(len(labels)), labels)
    axis.set(xlim=(-0.2, len(names) + 0.75), ylim=(-0.06, 1.06), yticks=[])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    lines = {"best": ORANGE, "next best": BLUE, "others": GREY}
    if top == 1:
        del lines["next best"]
    handles = [
        Line2D([], [], color=colour, label=name, linewidth=3)
        for name, colour in lines.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    best = ", ".join(f"{n} {_say(v)}" for n, v in finished[-1].params.items())
    return Picture(
        figure,
        "Each finished trial of a search as a line across its settings. "
        f"{len(finished)} trials; the best one, with {_accuracy(finished[-1]):.2%} "
        f"right, has {best}.",
    )


class _Scale:
    """Where the values of a setting stand on its axis, from 0 (bottom) to 1 (top).

    Numbers are spaced as they were drawn, by their ratios if `log`; words, and sizes
    of which there are at most four, evenly.
    """

    def __init__(self, values: Sequence[Any], log: bool) -> None:
        words = any(isinstance(value, str | bool) or value is None for value in values)
        kinds = sorted(set(values), key=str if words else None)
        self.kinds = kinds if words or len(kinds) <= 4 else []
        if not words:
            self.low, self.high = min(values), max(values)
            self.log = log
            self.whole = all(isinstance(value, int) for value in values)

    def place(self, value: Any) -> float:
        """Return the height of a value."""
        if self.kinds:
            return (self.kinds.index(value) + 0.5) / len(self.kinds)
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return heights, and what stands there."""
        if self.kinds:
            return [(self.place(kind), _say(kind)) for kind in self.kinds]
        low, high = self.low, self.high
        middle = math.sqrt(low * high) if self.log else (low + high) / 2
        middle = round(middle) if self.whole else middle
        return [(self.place(value), _say(value)) for value in (low, middle, high)]


def _draw_scale(axis: Axes, x: int, ticks: list[tuple[float, str]]) -> None:
    axis.plot([x, x], [0, 1], color=BLACK, linewidth=1, zorder=0)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for y, text in ticks:
        axis.text(x + 0.06, y, text, va="center", fontsize=10, bbox=box, zorder=5)


def _accuracy(trial: "FrozenTrial") -> float:
    if trial.values:
        return trial.values[0]
    return trial.intermediate_values[max(trial.intermediate_values)]


def _goodness(trial: "FrozenTrial") -> float:
    """Return 2 for 1 % of errors, 3 for 0.1 %: as far apart as they feel."""
    return -math.log10(error_of(_accuracy(trial)))


def _say(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
