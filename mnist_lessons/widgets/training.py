"""Sliders that retrain a model on the real digits and redraw what came out."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mnist_lessons import plots
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.models import MLP, LinearModel
from mnist_lessons.picture import Picture
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


class LearningRate(Interactive):
    """A slider that trains the linear model for an epoch with SGD and draws the run.

    Every position starts from the same weights and takes the digits in the same order;
    the run before stays as a dashed line. Built in lesson 2.

    Args:
        train: the digits to learn from, `Digits` or a loader of them.
        valid: the digits to score each model on.
        rate: where the slider starts; one of `RATES`.

    Attributes:
        slider: the learning rate.
    """

    about = "a slider for the learning rate"

    def __init__(self, train: Any, valid: Any, rate: float = 0.03) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        self._runs: dict[float, dict[str, Any]] = {}
        self._last: float | None = None
        self.slider = slider("learning rate", RATES, rate)
        picture = self._redraw()
        self._shown = Shown(picture)
        super().__init__(self.slider, self._shown, picture=picture)
        self.say(self._verdict)
        train_again = self.reacting_soon(self._update, busy="Training ...")
        self.slider.observe(train_again, names="value")

    def _update(self) -> None:
        self.picture = self._redraw()
        self._shown.show(self.picture)
        self.say(self._verdict)

    def _redraw(self) -> Picture:
        rate = self.slider.value
        if rate not in self._runs:
            self._runs[rate] = self._run(rate)
        names = [self._last, rate] if self._last not in (None, rate) else [rate]
        self._last = rate
        losses = {f"rate {name:g}": self._runs[name]["losses"] for name in names}
        return plots.learning(losses, self._runs[rate]["weights"])

    @with_own_seed
    def _run(self, rate: float) -> dict[str, Any]:
        model = LinearModel(len(self._train.classes))
        loader = make_loader(self._train, 128, shuffle=True)
        history = fit(
            model,
            loader,
            epochs=1,
            lr=rate,
            optimizer=torch.optim.SGD,
            log_every=max(1, len(loader) // 80),
            progress=False,
        )
        return {
            "losses": history.batches,
            "weights": model.linear.weight.detach(),
            "score": evaluate(model, make_loader(self._valid, 1_000, shuffle=False)),
        }

    @property
    def _verdict(self) -> str:
        rate = self.slider.value
        return f"Learning rate {rate:g}: {self._runs[rate]['score']}."


class FittingCurves(Interactive):
    """Sliders for an MLP and the number of its training digits, and its curves.

    Each network sees 32,000 digits in all, however few different ones there are.
    Training digits are scored as validation digits are, in evaluation mode, so that the
    two curves can be compared. The run before stays in grey. Built in lesson 3.

    Args:
        train: the digits to take training digits from, `Digits` or a loader of them.
        valid: the first 2,000 of these are the validation digits.

    Attributes:
        width, depth, dropout, size: the four sliders; `size` counts training digits.
    """

    about = "sliders for width, depth, dropout and training digits"

    def __init__(self, train: Any, valid: Any) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        self._runs: dict[str, dict[str, list[float]]] = {}
        self._last: str | None = None
        self.width = slider("width", WIDTHS, 64)
        self.depth = slider("hidden layers", [0, 1, 2, 3], 1)
        self.dropout = slider("dropout", DROPOUTS, 0.0)
        self.size = slider("training digits", SIZES, 1_000)
        sliders = [self.width, self.depth, self.dropout, self.size]
        picture = self._redraw()
        self._shown = Shown(picture)
        super().__init__(*sliders, self._shown, picture=picture)
        train_again = self.reacting_soon(self._update, busy="Training ...")
        for one in sliders:
            one.observe(train_again, names="value")

    def _update(self) -> None:
        self.picture = self._redraw()
        self._shown.show(self.picture)

    def _redraw(self) -> Picture:
        depth = self.depth.value
        layers = f"{depth} hidden layer{'s' * (depth > 1)} of {self.width.value}"
        layers = layers if depth else "no hidden layer"
        name = f"{layers}, dropout {self.dropout.value}, {self.size.value:,} digits"
        if name not in self._runs:
            self._runs[name] = self._run()
        names = [self._last, name] if self._last not in (None, name) else [name]
        self._last = name
        seen = [ROUND * (number + 1) for number in range(ROUNDS)]
        return plots.fitting({name: self._runs[name] for name in names}, seen)

    @with_own_seed
    def _run(self) -> dict[str, list[float]]:
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
        found: dict[str, list[float]] = {}

        def score(_: Any) -> None:
            for pile, loader in piles.items():
                result = evaluate(model, loader)
                found.setdefault(f"{pile}_loss", []).append(result["loss"])
                found.setdefault(f"{pile}_accuracy", []).append(result.accuracy)

        fit(
            model,
            _rounds(train),
            epochs=ROUNDS,
            lr=0.002,
            progress=False,
            on_epoch_end=score,
        )
        return found


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
