"""Places on the ladder, measured: of any model, and of those of lesson 1."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.history import Score
from mnist_lessons.plots.charts import Rung

STORED, PART = 10_000, 250  # digits that are stored; that are compared at a time


def rung(
    name: str,
    answer: Callable[[Tensor], Tensor],
    loader: DataLoader,
    parameters: int,
    seconds: float,
) -> Rung:
    """Let a model answer all digits of a loader; return its place on the ladder.

    `answer` turns images, (n, 1, 28, 28), into labels, (n,), as `model.predict` does.
    """
    digits = loader.dataset
    images, labels = digits.images, digits.labels  # type: ignore[attr-defined]
    begin = time.perf_counter()
    answers = answer(images)
    wait = (time.perf_counter() - begin) / len(images)
    return Rung(name, Score.of(answers, labels), parameters, seconds, wait)


def first_rungs(train: DataLoader, valid: DataLoader) -> list[Rung]:
    """Measure the three models of lesson 1 anew: ink, nearest mean, stored digits."""
    digits = train.dataset
    x = digits.images.flatten(1)  # type: ignore[attr-defined]
    y = digits.labels  # type: ignore[attr-defined]
    classes = y.unique()
    begin = time.perf_counter()
    # as `x[y == k].mean(dim=0)` for each class, without a copy of its digits
    chosen = (y == classes[:, None]).float()
    means = chosen @ x / chosen.sum(dim=1, keepdim=True)
    seconds = time.perf_counter() - begin
    ink, some = means.mean(dim=1, keepdim=True), x[:STORED]
    return [
        rung("ink", _nearest(ink, classes), valid, len(ink), seconds),
        rung("nearest mean", _nearest(means, classes), valid, means.numel(), seconds),
        rung(f"{len(some):,} stored", _nearest(some, y), valid, some.numel(), 0.0),
    ]


def _nearest(stored: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function that answers with the label of the nearest that is stored."""
    half = torch.linalg.vector_norm(stored, dim=1).square() / 2

    def answer(images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        if stored.shape[1] == 1:
            pixels = pixels.mean(dim=1, keepdim=True)
        # |x - m|² is least where m·x - |m|²/2 is largest (lesson 2); part by part into
        # the same memory, since all products would need 400 MB
        products, best = torch.empty(PART, len(stored)), []
        for part in pixels.split(PART):
            sums = torch.addmm(-half, part, stored.T, out=products[: len(part)])
            best.append(sums.argmax(dim=1))
        return labels[torch.cat(best)]

    return answer
