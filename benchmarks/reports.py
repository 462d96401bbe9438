"""Measure the many runs over which lesson 6 lays its own.

    python benchmarks/reports.py                about 25 minutes on one core
    python benchmarks/reports.py pool           one table only
    python benchmarks/reports.py --share 0.01   a hundredth of it, to try it out

It writes four tables to `mnist_lessons/measured/`. None of them sees a test digit, and
networks that are compared over seeds share no seed.

`pool.csv`: 2,000 linear models, each with its own random third of the pixels, learn
from the same 1,000 training digits; right answers among 300 others, which stand in for
a test set, and among 20,000 more, which tell the truth.
`ablation.csv`: an MLP, 1,000 digits, 20 epochs, with and without each cure. The rate of
each row is the best of six by three other seeds, on the half of the validation
digits that chooses; other seeds are scored on the other half.
`twins.csv`: the recipe of lesson 4 with twenty seeds; for each pair of networks how
many of the 10,000 validation digits only the one and only the other reads rightly.
`last.csv`: candidates for the last network, by seed, on the validation digits.
"""

import copy
import time
from functools import partial
from itertools import combinations, count, islice
from typing import Any

import torch
from tables import Lines, write_tables
from torch import Tensor
from torch.optim import AdamW
from torch.utils.data import DataLoader, TensorDataset

from mnist_lessons import (
    CNN,
    MLP,
    DigitClassifier,
    LinearModel,
    fit,
    seed_everything,
)
from mnist_lessons.augmentation import random_affine, random_shift
from mnist_lessons.data import Loaders, make_loader
from mnist_lessons.measured.searches import LESSON_4, halves
from mnist_lessons.training import one_cycle
from mnist_lessons.tuning.recipes import train_recipe

RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
LAST: dict[str, Any] = {"lr": 0.01, "schedule": one_cycle(), "channels_last": True}
LAST |= {"optimizer": partial(AdamW, weight_decay=0.01), "label_smoothing": 0.1}
CANDIDATES: dict[str, dict[str, Any]] = {
    "1 epoch": {"epochs": 1, "augment": random_affine},
    "2 epochs": {"epochs": 2, "augment": random_affine},
    "2 epochs, not augmented": {"epochs": 2},
}
SMOOTH, CALM = {"label_smoothing": 0.1}, {"schedule": one_cycle()}


def moved(images: Tensor) -> Tensor:
    """Turn, scale and move each image a little."""
    return random_affine(images, degrees=10, shift=2)


def shifted(images: Tensor) -> Tensor:
    """Move each image by up to two whole pixels: the remedy of lesson 4."""
    return random_shift(images, most=2)


def mirrored(images: Tensor) -> Tensor:
    """Turn, scale and move, then mirror every second image on average."""
    half = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(half, moved(images).flip(3), moved(images))


# the rows of the ablation: what each adds to a plain run of an MLP on 1,000 digits
ROWS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "early stopping": {},
    "everything": {"augment": moved, **SMOOTH, **CALM},
    "no augmentation": {**SMOOTH, **CALM},
    "no smoothing": {"augment": moved, **CALM},
    "no schedule": {"augment": moved, **SMOOTH},
    "shifts only": {"augment": shifted, **SMOOTH, **CALM},
    "mirrored": {"augment": mirrored, **SMOOTH, **CALM},
}


class Masked(LinearModel):
    """A linear model that sees its own random third of the pixels."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        dice = torch.Generator().manual_seed(seed)
        self.register_buffer("seen", torch.rand(28, 28, generator=dice) < 1 / 3)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, 10)."""
        return super().forward(images * self.seen)


def stopped_early(
    build: Any, data: TensorDataset, chooser: DataLoader, seed: int, lr: float
) -> DigitClassifier:
    """Train until the loss has not improved for three epochs; keep the best weights."""
    best: dict[str, Any] = {"loss": float("inf")}
    seed_everything(seed)
    model = build()

    def after_epoch(epoch: dict[str, Any]) -> bool:
        if epoch["valid_loss"] < best["loss"]:
            weights = copy.deepcopy(model.state_dict())
            best.update(loss=epoch["valid_loss"], epoch=epoch["epoch"], weights=weights)
        return epoch["epoch"] - best["epoch"] >= 3

    loader = make_loader(data, 64, shuffle=True, seed=seed)
    options: Any = {"epochs": 20, "lr": lr, "progress": False}
    fit(model, loader, chooser, on_epoch_end=after_epoch, **options)
    model.load_state_dict(best["weights"])
    return model


def trained(
    build: Any, data: TensorDataset, size: int, seed: int, **recipe: Any
) -> Any:
    """Train a fresh model."""
    seed_everything(seed)
    model: DigitClassifier = build()
    loader = make_loader(data, size, shuffle=True, seed=seed)
    fit(model, loader, progress=False, **recipe)
    return model


def right(model: DigitClassifier, digits: TensorDataset, chosen: Any) -> torch.Tensor:
    """Return which of the chosen digits a model reads rightly."""
    images, labels = digits[chosen]
    return model.predict(images) == labels


def pool(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each of the cheap models."""
    digits = loaders.train.dataset
    thousand = TensorDataset(*digits[:1_000])
    recipe = {"epochs": 2, "lr": 0.005}
    for seed in range(max(2, round(2_000 * share))):
        model = trained(partial(Masked, seed), thousand, 50, seed, **recipe)
        small = int(right(model, digits, slice(1_000, 1_300)).sum())
        large = int(right(model, digits, slice(30_000, 50_000)).sum())
        yield {"seed": seed, "stand_in": small, "truth": large}


def ablation(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each row and seed."""
    thousand = TensorDataset(*loaders.train.dataset[:1_000])
    chose, scores = halves(10_000)
    fresh = count(0)
    for row, parts in ROWS.items():

        def run(lr: float, seed: int, row: str = row, parts: Any = parts) -> Any:
            build = partial(MLP, dropout=0)
            recipe = {"epochs": 20, "lr": lr, **parts}
            if row != "early stopping":
                return trained(build, thousand, 64, seed, **recipe)
            chooser = TensorDataset(*loaders.valid.dataset[chose])
            loader = make_loader(chooser, 500, shuffle=False)
            return stopped_early(build, thousand, loader, seed, lr)

        def score(lr: float, row: str = row) -> float:
            models = [run(lr, 1_000 + s) for s in range(3)]
            counts = [right(m, loaders.valid.dataset, chose).sum() for m in models]
            return float(sum(counts))

        best = max(RATES, key=score)
        for seed in islice(fresh, max(2, round(20 * share))):
            known = int(right(run(best, seed), loaders.valid.dataset, scores).sum())
            yield {"row": row, "lr": best, "seed": seed, "right": known}


def twins(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each pair of networks of one recipe."""
    answers = []
    data = loaders.train.dataset
    for seed in range(max(2, round(20 * share))):
        model, _ = train_recipe("cnn", LESSON_4, data, seed=seed)
        answers.append(right(model, loaders.valid.dataset, slice(None)))
    for (a, first), (b, second) in combinations(enumerate(answers), 2):
        only = {"only_first": first & ~second, "only_second": second & ~first}
        counts = {name: int(digits.sum()) for name, digits in only.items()}
        yield {"first": a, "second": b, **counts}


def last(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each candidate and seed."""
    build = partial(CNN, (16, 32, 32), 128, dropout=0, batch_norm=True)
    data = loaders.train.dataset
    names = list(CANDIDATES) * max(1, round(12 * share))
    for seed, name in enumerate(names):
        start = time.perf_counter()
        model = trained(build, data, 256, seed, **LAST, **CANDIDATES[name])
        seconds = f"{time.perf_counter() - start:.1f}"
        known = int(right(model, loaders.valid.dataset, slice(None)).sum())
        yield {"candidate": name, "seed": seed, "right": known, "seconds": seconds}


TABLES = {"pool": pool, "ablation": ablation, "twins": twins, "last": last}


if __name__ == "__main__":
    write_tables(TABLES, __doc__)
