"""Sliders that redraw a picture: of a batch, or of a model that they train anew."""

from collections.abc import Callable
from typing import Any

import ipywidgets
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mnist_lessons import plots
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.models import MLP, LinearModel
from mnist_lessons.plots.picture import Picture
from mnist_lessons.training import evaluate, fit
from mnist_lessons.widgets.base import Redrawn, digits_of, slider

STEPS = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.05]
RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]
WIDTHS = [4, 8, 16, 32, 64, 128, 256]
BATCHES = [1, 8, 32, 128, 512, 2_048]
SIZES = [100, 300, 1_000, 3_000, 10_000]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
ROUNDS, ROUND = 16, 2_000  # each network sees as many digits, however few there are


class BatchExplorer(Redrawn):
    """Sliders for the batch size and the scaling, and a batch as the network gets it.

    The button `next` serves the next one. Built in lesson 1.
    """

    about = "sliders for the batch size and the scaling"

    def __init__(self, digits: Digits | DataLoader) -> None:
        self._digits = digits_of(digits)
        generator = torch.Generator().manual_seed(0)
        self._order = torch.randperm(len(self._digits), generator=generator)
        self._start = 0
        self.size = slider("batch size", BATCHES, 128)
        self.scaling = ipywidgets.Dropdown(
            options=["standardised", "(0.5, 0.5)", "0 to 1", "0 to 255"],
            description="scaling",
            style={"description_width": "7.5em"},
        )
        self.next = ipywidgets.Button(description="Next batch")
        super().__init__(self.size, self.scaling, self.next)
        self._redraw_soon = self.reacting_soon(self.redraw)
        for control in (self.size, self.scaling):
            control.observe(self._redraw_soon, names="value")
        self.next.on_click(self._go_on)

    @property
    def batch(self) -> Tensor:
        """The images of the batch, (batch, 1, 28, 28), as the network gets them."""
        digits = self._digits
        chosen = self._order[self._start : self._start + self.size.value]
        scaled = digits.images[chosen].cpu() * digits.std + digits.mean  # 0 to 1
        return {
            "standardised": (scaled - digits.mean) / digits.std,
            "(0.5, 0.5)": (scaled - 0.5) / 0.5,
            "0 to 1": scaled,
            "0 to 255": scaled * 255,
        }[self.scaling.value]

    def _go_on(self, _: Any) -> None:
        self._start += self.size.value
        if self._start >= len(self._order):
            self._start = 0
        self._redraw_soon()

    def draw(self) -> Picture:
        """Draw the batch and what its values are."""
        return plots.batch(self.batch, self.scaling.value)

    def caption(self) -> str:
        """Return the shape, the memory, and the number of batches."""
        batch = self.batch
        steps = -(-len(self._order) // self.size.value)
        return (
            f"Shape {tuple(batch.shape)}, {batch.numel() * 4 / 1024:,.0f} KiB; "
            f"{steps:,} batches an epoch."
        )


class Descent(Redrawn):
    """A slider for the learning rate, and steps of gradient descent on a parabola.

    One weight, whose square is the loss: so the slope is twice the weight, and each
    step multiplies it by 1 - 2 * rate. Built in lesson 2.
    """

    about = "a slider for the size of a step"

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = slider("learning rate", STEPS, rate)
        super().__init__(self.rate)
        self.rate.observe(self.reacting_soon(self.redraw), names="value")

    def draw(self) -> Picture:
        """Draw the parabola and six steps on it."""
        return plots.descent(self.rate.value)

    def caption(self) -> str:
        """Return what each step does to the weight."""
        factor = 1 - 2 * self.rate.value
        return f"Each step multiplies the weight by 1 - 2 x rate = {factor:.3g}."


class _Retraining(Redrawn):
    """Sliders that train anew. Each setting is trained once and then remembered."""

    def __init__(self, *sliders: ipywidgets.SelectionSlider) -> None:
        self._runs: dict[str, dict[str, Any]] = {}
        self._on_show = ""
        super().__init__(*sliders)
        train_again = self.reacting_soon(self.redraw, busy="Training ...")
        for one in sliders:
            one.observe(train_again, names="value")

    def draw(self) -> Picture:
        """Draw the run that the sliders ask for, and the one that was on show."""
        name, before = self._name(), self._on_show
        if name not in self._runs:
            # each run starts alike, and the notebook's random numbers stay as they are
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self._runs[name] = self._run()
        self._on_show = name
        names = [before, name] if before not in ("", name) else [name]
        return self._picture_of({name: self._runs[name] for name in names})

    def caption(self) -> str:
        """Return one sentence about the run that is on show."""
        return self._runs[self._on_show]["verdict"]

    # what the sliders say, in words; the run that they ask for, with its verdict; and
    # the picture of one or two runs, the newest last
    _name: Callable[[], str]
    _run: Callable[[], dict[str, Any]]
    _picture_of: Callable[[dict[str, dict[str, Any]]], Picture]


class LearningRate(_Retraining):
    """A slider that trains the linear model for an epoch with SGD and draws the run.

    Every position starts from the same weights and takes the digits in the same order;
    the run before stays as a dashed line. `rate` is where the slider starts, one of
    `RATES`. Built in lesson 2.
    """

    about = "a slider for the learning rate"

    def __init__(
        self, train: Digits | DataLoader, valid: Digits | DataLoader, rate: float = 0.03
    ) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        self.slider = slider("learning rate", RATES, rate)
        super().__init__(self.slider)

    def _name(self) -> str:
        return f"rate {self.slider.value:g}"

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
        score = evaluate(model, make_loader(self._valid, 1_000, shuffle=False))
        outcome = (history.stopped or "").rstrip(".") or score
        return {
            "losses": history.batches,
            "weights": model.linear.weight.detach(),
            "score": score,
            "verdict": f"Learning {self._name()}: {outcome}.",
        }

    def _picture_of(self, runs: dict[str, dict[str, Any]]) -> Picture:
        losses = {name: run["losses"] for name, run in runs.items()}
        weights = runs[self._on_show]["weights"]
        return plots.learning(losses, weights, self._train.classes)


class FittingCurves(_Retraining):
    """Sliders for an MLP and the number of its training digits, and its curves.

    Each network sees 32,000 digits in all, however few different ones there are.
    Training digits are scored as validation digits are, in evaluation mode, so that the
    two curves can be compared. The run before stays in grey. Built in lesson 3.

    The four sliders are `width`, `depth`, `dropout` and `size`, the number of training
    digits: up to 10,000, or as many as there are. The first 2,000 of `valid` count.
    """

    about = "sliders for width, depth, dropout and training digits"

    def __init__(self, train: Digits | DataLoader, valid: Digits | DataLoader) -> None:
        self._train, self._valid = digits_of(train), digits_of(valid)
        count = len(self._train)
        sizes = [size for size in SIZES if size <= count] or [count]
        self.width = slider("width", WIDTHS, 64)
        self.depth = slider("hidden layers", [0, 1, 2, 3], 1)
        self.dropout = slider("dropout", DROPOUTS, 0.0)
        start = 1_000 if 1_000 in sizes else sizes[-1]
        self.size = slider("training digits", sizes, start)
        super().__init__(self.width, self.depth, self.dropout, self.size)

    def _name(self) -> str:
        depth = self.depth.value
        layers = f"{depth} hidden layer{'s' * (depth > 1)} of {self.width.value}"
        layers = layers if depth else "no hidden layer"
        return f"{layers}, dropout {self.dropout.value}, {self.size.value:,} digits"

    def _run(self) -> dict[str, Any]:
        train, valid = _first(self._train, self.size.value), _first(self._valid, 2_000)
        hidden = (self.width.value,) * self.depth.value
        model = MLP(hidden, self.dropout.value, len(train.classes))
        loaders = {
            "train": make_loader(_first(train, 2_000), 1_000, shuffle=False),
            "valid": make_loader(valid, 1_000, shuffle=False),
        }
        run: dict[str, Any] = {
            f"{part}_{value}": [] for part in loaders for value in ("loss", "accuracy")
        }

        def score(_: Any) -> None:
            for part, loader in loaders.items():
                result = evaluate(model, loader)
                run[f"{part}_loss"].append(result.loss)
                run[f"{part}_accuracy"].append(result.accuracy)

        history = fit(
            model,
            _rounds(train),
            epochs=ROUNDS,
            lr=0.002,
            progress=False,
            on_epoch_end=score,
        )
        if history.stopped:
            return run | {"verdict": history.stopped}
        right, right_valid = (run[f"{part}_accuracy"][-1] for part in loaders)
        return run | {
            "verdict": f"At the end {right:.1%} right on training, "
            f"{right_valid:.1%} on validation."
        }

    def _picture_of(self, runs: dict[str, dict[str, Any]]) -> Picture:
        return plots.fitting(runs, [ROUND * (n + 1) for n in range(ROUNDS)])


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
