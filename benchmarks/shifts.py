"""Measure what moving digits, and tearing them, costs the networks of lesson 4.

    python benchmarks/shifts.py              about ten minutes on one core
    python benchmarks/shifts.py --seeds 2    one minute

It writes `mnist_lessons/measured/shifts.csv`, over which lesson 4 lays its own run: a
line for each network, digits, seed and move, with the right answers among the 10,000
validation digits. Digits are the training digits: as they are, each moved at random by
up to four pixels in both directions ("moved"), or with all pixels, also those of the
validation digits, in one random order ("torn"). The validation digits are moved to the
left, by zero to four pixels. Torn digits, and the network that is local without
sharing, take the first ten seeds and no move.

All learn from the 50,000 training digits by one recipe, that of the lesson, and none
sees a test digit. The CNNs' images are stored with the channel last, which saves time
and changes nothing but the rounding of sums.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from mnist_lessons import CNN, MLP, DigitClassifier, fit, load_mnist, seed_everything
from mnist_lessons.augmentation import random_shift
from mnist_lessons.data import make_loader
from mnist_lessons.local import LocalLayer
from mnist_lessons.training import one_cycle

OUT = Path(__file__).resolve().parent.parent / "mnist_lessons/measured/shifts.csv"
RECIPE: dict[str, Any] = {"epochs": 1, "lr": 0.01, "schedule": one_cycle()}
MOVES = range(5)  # pixels to the left
HALF = 10  # seeds for torn digits and for the network without sharing


class Anywhere(DigitClassifier):
    """A CNN in which only the largest response of each last filter counts."""

    def __init__(self) -> None:
        super().__init__()
        self.features = CNN().features
        self.last = nn.Conv2d(32, 256, 3)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.linear = nn.Linear(256, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, 10)."""
        seen = self.pool(self.last(self.features(images))).relu()
        return self.linear(seen.flatten(1))


class Local(CNN):
    """The CNN with local layers in place of its convolutions."""

    def __init__(self) -> None:
        super().__init__(dropout=0)
        self.features[0] = LocalLayer(1, 8, 5, 28)
        self.features[3] = LocalLayer(8, 32, 3, 12)


NETWORKS: dict[str, Callable[[], DigitClassifier]] = {
    "MLP": partial(MLP, dropout=0),
    "CNN": partial(CNN, dropout=0),
    "anywhere": Anywhere,
    "local": Local,
}
ORDER = torch.randperm(784, generator=torch.Generator().manual_seed(0))


def tear(images: Tensor) -> Tensor:
    """Put the pixels of all images into the one random order."""
    return images.flatten(1)[:, ORDER].reshape(-1, 1, 28, 28)


CHANGES: dict[str, Any] = {"as they are": None, "moved": random_shift, "torn": tear}
RUNS = [  # network, training digits, whether it takes all seeds and moves
    ("MLP", "as they are", True),
    ("MLP", "moved", True),
    ("MLP", "torn", False),
    ("CNN", "as they are", True),
    ("CNN", "moved", True),
    ("CNN", "torn", False),
    ("anywhere", "as they are", True),
    ("local", "as they are", False),
    ("local", "torn", False),
]


class Line(NamedTuple):
    """A line of the table."""

    network: str
    digits: str
    seed: int
    left: int
    right: int


def shift(images: Tensor, right: int) -> Tensor:
    """Move images to the right (left if below 0); background fills the gap."""
    wide = F.pad(images, (4, 4), value=float(images.min()))
    return wide[..., 4 - right : 32 - right]


def measure(
    network: str, digits: str, seed: int, train: TensorDataset, valid: TensorDataset
) -> Iterator[Line]:
    """Train a network, and yield its lines of the table."""
    seed_everything(seed)
    model = NETWORKS[network]()
    loader = make_loader(train, 256, shuffle=True, seed=seed)
    last = network in ("CNN", "anywhere")
    change = CHANGES[digits]
    recipe = RECIPE | {"augment": change, "channels_last": last, "progress": False}
    if stopped := fit(model, loader, **recipe).stopped:
        raise SystemExit(f"{network}: {stopped}")
    images, labels = valid.tensors
    images = tear(images) if digits == "torn" else images
    all_moves = (network, digits, True) in RUNS
    for left in MOVES if all_moves else [0]:
        answers = model.predict(shift(images, -left))
        yield Line(network, digits, seed, left, int((answers == labels).sum()))


def main(words: list[str] | None = None) -> None:
    """Measure all, and write the table after each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many (20)")
    parser.add_argument("--limit", type=int, help="training and validation digits")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    loaders = load_mnist()[:2]  # the test digits stay unopened
    train, valid = (
        TensorDataset(*loader.dataset[: arguments.limit]) for loader in loaders
    )
    lines: list[Line] = []
    for seed in range(arguments.seeds):
        for network, digits, all_seeds in RUNS:
            if all_seeds or seed < HALF:
                lines += measure(network, digits, seed, train, valid)
        print(f"seed {seed}", *[x[:2] + x[4:] for x in lines if x[2:4] == (seed, 0)])
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([Line._fields, *lines])


if __name__ == "__main__":
    main()
