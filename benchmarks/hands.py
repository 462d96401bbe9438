"""Measure what a network from MNIST makes of other people's digits.

    python benchmarks/hands.py                about half an hour on one core
    python benchmarks/hands.py others         one table only
    python benchmarks/hands.py --share 0.1    a tenth of it, to try it out

It writes two tables to `mnist_lessons/measured/`. The 1,797 digits of `load_optdigits`
stand in 14 blocks, each of one writer; no network of a table shares its seed.

`others.csv`: four models, trained on MNIST's training digits; right answers among the
validation digits and among the others' digits, for each step of their preparation.
`hands.csv`: CNNs of one epoch, each trained further on the first digits of one writer,
30 full-batch steps of AdamW at 0.001, alone or with 128 MNIST digits mixed into each
step. Right answers among the rest of that hand (from the 61st digit on, whatever was
learned from), among the other hands and among MNIST's validation digits.
"""

import copy
from functools import partial
from itertools import count, product

import torch
import torch.nn.functional as F
from tables import Lines, write_tables
from torch import Tensor
from torch.optim import AdamW

from mnist_lessons import (
    CNN,
    MLP,
    DigitClassifier,
    LinearModel,
    evaluate,
    fit,
    load_optdigits,
    seed_everything,
)
from mnist_lessons.augmentation import random_affine
from mnist_lessons.data import Loaders
from mnist_lessons.photos.filtering import extent, resize
from mnist_lessons.photos.optdigits import as_mnist, as_points
from mnist_lessons.photos.recognition import BOX, SIZE
from mnist_lessons.training import one_cycle

SEEDS, NETWORKS = 10, 5  # of each model in the first table, and in the second
LEARNED = (10, 30, 60)  # digits of one hand to learn from
LAST = 60  # the others of that hand are never learned from
ONE_CYCLE = {"lr": 0.01, "schedule": one_cycle()}
MODELS = {
    "linear": (LinearModel, {"epochs": 1, "lr": 0.001}),
    "MLP": (MLP, {"epochs": 3, "lr": 0.001}),
    "CNN": (CNN, {"epochs": 1, **ONE_CYCLE}),
    "CNN, moved digits": (CNN, {"epochs": 3, "augment": random_affine, **ONE_CYCLE}),
}


def enlarged(scan: Tensor) -> Tensor:
    """Scale a scan to 28x28, and do nothing else."""
    return resize(as_points(scan), SIZE, enlarge=True)


def boxed(scan: Tensor) -> Tensor:
    """Cut to the ink and scale to 20x20, in the middle of the image."""
    points = as_points(scan)
    digit = resize(points[extent(points > 0.05)], BOX, enlarge=True)
    spare = [SIZE - side for side in digit.shape]
    edges = [n // 2 for n in spare]
    image = torch.zeros(SIZE, SIZE)
    rows, columns = (
        slice(start, start + side)
        for start, side in zip(edges, digit.shape, strict=True)
    )
    image[rows, columns] = digit / digit.max()
    return image


STEPS = {"enlarged": enlarged, "boxed": boxed, "centred": as_mnist}


def right(model: DigitClassifier, images: Tensor, labels: Tensor) -> int:
    """Count the right answers."""
    return int((model.predict(images) == labels).sum())


def others(loaders: Loaders, share: float) -> Lines:
    """Yield each model, seed and step of preparation."""
    digits, seed = load_optdigits(mean=loaders.mean, std=loaders.std), count()
    scans = digits.scans.float()
    images = {
        name: (torch.stack([step(scan) for scan in scans])[:, None] - loaders.mean)
        / loaders.std
        for name, step in STEPS.items()
    }
    for name, (build, recipe) in MODELS.items():
        for _ in range(max(1, round(share * SEEDS))):
            number = next(seed)
            seed_everything(number)
            model = build()
            fit(model, loaders.train, progress=False, **recipe)
            known = evaluate(model, loaders.valid).correct
            for step, prepared in images.items():
                read = right(model, prepared, digits.labels)
                line = {"model": name, "seed": number, "step": step}
                yield line | {"mnist": known, "others": read}


def trained_further(
    model: DigitClassifier, own: tuple[Tensor, Tensor], old: tuple[Tensor, Tensor]
) -> DigitClassifier:
    """Return a copy that learned from these digits, some old ones mixed into a step."""
    model = copy.deepcopy(model).train()
    optimizer = AdamW(model.parameters(), lr=0.001)
    for _ in range(30):
        some = torch.randperm(len(old[0]))[:128]
        images, labels = (
            torch.cat([a, b[some]]) for a, b in zip(own, old, strict=True)
        )
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model


def hands(loaders: Loaders, share: float) -> Lines:
    """Yield each network, writer, number of digits and mixture."""
    digits = load_optdigits(mean=loaders.mean, std=loaders.std)
    old = loaders.train.dataset[:]
    none = old[0][:0], old[1][:0]
    for seed in range(max(1, round(share * NETWORKS))):
        seed_everything(seed)
        base = CNN()
        fit(base, loaders.train, epochs=1, progress=False, **ONE_CYCLE)
        for writer in range(int(digits.writers.max()) + 1):
            is_own = digits.writers == writer
            own, rest = digits[is_own], digits[~is_own]
            models = {(0, False): partial(copy.deepcopy, base)}
            for learned, mixed in product(LEARNED, (False, True)):
                some = own[0][:learned], own[1][:learned]
                models[learned, mixed] = partial(
                    trained_further, base, some, old if mixed else none
                )
            for (learned, mixed), make in models.items():
                model = make()
                yield {
                    "network": seed,
                    "writer": writer,
                    "learned": learned,
                    "mixed": int(mixed),
                    "own": right(model, own[0][LAST:], own[1][LAST:]),
                    "of": len(own[0]) - LAST,
                    "rest": right(model, *rest),
                    "of the rest": len(rest[0]),
                    "mnist": evaluate(model, loaders.valid).correct,
                }


TABLES = {"others": others, "hands": hands}

if __name__ == "__main__":
    write_tables(TABLES, __doc__)
