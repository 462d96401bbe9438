"""Sliders that retrain a model on the real digits and redraw what came out."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import ipywidgets
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mnist_lessons import plots
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.models import MLP, LinearModel
from mnist_lessons.plots.picture import Picture
from mnist_lessons.training import evaluate, fit
from mnist_lessons.widgets.base import Interactive, Shown, digits_of, slider

RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]
WIDTHS = [4, 8, 16, 32, 64, 128, 256]
SIZES = [100, 300, 1_000, 3_000, 10_000]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
ROUNDS, ROUND = 16, 2_000  # each network sees as many digits, however few there are


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def with_own_seed(
    run: Callable[Arguments, Result],
) -> Callable[Arguments, Result]:
    """Start each run alike, and leave the notebook's random numbers as they were."""

    @functools.wraps(run)
    def seeded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return run(*args, **kwargs)

    return seeded


class _Retraining(Interactive):
    """Sliders that train anew. Each setting is trained once and then remembered."""

    def __init__(self, *sliders: ipywidgets.SelectionSlider) -> None:
        self._runs: dict[str, dict[str, Any]] = {}
        self._last = ""
        picture = self._redraw()
        self._shown = Shown(picture)
        super().__init__(*sliders, self._shown, picture=picture)
        self.say(self._verdict)
        train_again = self.reacting_soon(self._update, busy="Training ...")
        for one in sliders:
            one.observe(train_again, names="value")

    def _update(self) -> None:
        self.picture = self._redraw()
        self._shown.show(self.picture)
        self.say(self._verdict)

    def _redraw(self) -> Picture:
        name = self._name
        if name not in self._runs:
            self._runs[name] = self._run()
        before = {self._last: self._runs[self._last]} if self._last else {}
        before.pop(name, None)
        self._last = name
        return self._draw(before | {name: self._runs[name]})

    @property
    def _name(self) -> str:
        """What the sliders say, in words."""
        raise NotImplementedError

    @property
    def _verdict(self) -> str:
        """One sentence about the run that is on show."""
        raise NotImplementedError

    def _run(self) -> dict[str, Any]:
        """Train a model as the sliders say."""
        raise NotImplementedError

    def _draw(self, runs: dict[str, dict[str, Any]]) -> Picture:
        """Draw the run before, if there is another, and the one on show, the last."""
        raise NotImplementedError


class LearningRate(_Retraining):
    """A slider that trains the linear model for an epoch with SGD and draws the run.

    Every position starts from the same weights and takes the digits in the same order;
    the run before stays as a dashed line. Built in lesson 2.

    Args:
        train: the digits to learn from, `Digits` or a loader of them.
        valid: the digits to score each model on.
        rate: where the slider starts; one of `RATES`.

    Raises:
        TypeError: `train` or `valid` is something else.
        ValueError: one of them is empty, or `rate` is not on the slider.

    Attributes:
        slider: the learning rate.
    """

    about = "a slider for the learning rate"

    def __init__(self, train: Any, valid: Any, rate: float = 0.03) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        self.slider = slider("learning rate", RATES, rate)
        super().__init__(self.slider)

    @property
    def _name(self) -> str:
        return f"rate {self.slider.value:g}"

    @property
    def _verdict(self) -> str:
        run = self._runs[self._name]
        return f"Learning {self._name}: {run['stopped'] or run['score']}."

    @with_own_seed
    def _run(self) -> dict[str, Any]:
        model = LinearModel(len(self._train.classes))
        loader = make_loader(self._train, 128, shuffle=True)
        history = fit(
            model,
            loader,
            epochs=1,
            lr=self.slider.value,
            optimizer=torch.optim.SGD,
            log_every=max(1, len(loader) // 80),
            progress=False,
        )
        return {
            "losses": history.batches,
            "weights": model.linear.weight.detach(),
            "score": evaluate(model, make_loader(self._valid, 1_000, shuffle=False)),
            "stopped": (history.stopped or "").rstrip("."),
        }

    def _draw(self, runs: dict[str, dict[str, Any]]) -> Picture:
        losses = {name: run["losses"] for name, run in runs.items()}
        weights = runs[self._name]["weights"]
        return plots.learning(losses, weights, self._train.classes)


class FittingCurves(_Retraining):
    """Sliders for an MLP and the number of its training digits, and its curves.

    Each network sees 32,000 digits in all, however few different ones there are.
    Training digits are scored as validation digits are, in evaluation mode, so that the
    two curves can be compared. The run before stays in grey. Built in lesson 3.

    Args:
        train: the digits to take training digits from, `Digits` or a loader of them.
        valid: the first 2,000 of these are the validation digits.

    Raises:
        TypeError: `train` or `valid` is something else.
        ValueError: one of them is empty.

    Attributes:
        width, depth, dropout, size: the four sliders; `size` counts training digits and
            goes up to 10,000, or to as many as there are.
    """

    about = "sliders for width, depth, dropout and training digits"

    def __init__(self, train: Any, valid: Any) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        count = len(self._train)
        sizes = [size for size in SIZES if size <= count] or [count]
        self.width = slider("width", WIDTHS, 64)
        self.depth = slider("hidden layers", [0, 1, 2, 3], 1)
        self.dropout = slider("dropout", DROPOUTS, 0.0)
        start = 1_000 if 1_000 in sizes else sizes[-1]
        self.size = slider("training digits", sizes, start)
        super().__init__(self.width, self.depth, self.dropout, self.size)

    @property
    def _name(self) -> str:
        depth = self.depth.value
        layers = f"{depth} hidden layer{'s' * (depth > 1)} of {self.width.value}"
        layers = layers if depth else "no hidden layer"
        return f"{layers}, dropout {self.dropout.value}, {self.size.value:,} digits"

    @property
    def _verdict(self) -> str:
        run = self._runs[self._name]
        if run["stopped"]:
            return str(run["stopped"])
        right = [f"{run[f'{pile}_accuracy'][-1]:.1%}" for pile in ("train", "valid")]
        return f"At the end {right[0]} right on training, {right[1]} on validation."

    @with_own_seed
    def _run(self) -> dict[str, Any]:
        train, valid = _first(self._train, self.size.value), _first(self._valid, 2_000)
        model = MLP(
            (self.width.value,) * self.depth.value,
            self.dropout.value,
            len(train.classes),
        )
        piles = {
            "train": make_loader(_first(train, 2_000), 1_000, shuffle=False),
            "valid": make_loader(valid, 1_000, shuffle=False),
        }
        found: dict[str, Any] = {
            f"{pile}_{value}": [] for pile in piles for value in ("loss", "accuracy")
        }

        def score(_: Any) -> None:
            for pile, loader in piles.items():
                result = evaluate(model, loader)
                found[f"{pile}_loss"].append(result["loss"])
                found[f"{pile}_accuracy"].append(result.accuracy)

        history = fit(
            model,
            _rounds(train),
            epochs=ROUNDS,
            lr=0.002,
            progress=False,
            on_epoch_end=score,
        )
        return found | {"stopped": history.stopped}

    def _draw(self, runs: dict[str, dict[str, Any]]) -> Picture:
        seen = [ROUND * (number + 1) for number in range(ROUNDS)]
        return plots.fitting(runs, seen)


def _first(digits: Digits, count: int) -> Digits:
    images, labels = digits[:count]
    return Digits(images, labels, digits.classes, digits.mean, digits.std)


def _rounds(digits: Digits) -> DataLoader:
    """Serve `ROUND` digits an epoch; few digits come several times, in a new order."""
    order = RandomSampler(
        digits, num_samples=ROUND, generator=torch.Generator().manual_seed(0)
    )
    batches = BatchSampler(order, 100, drop_last=False)
    return DataLoader(digits, sampler=batches, batch_size=None)
