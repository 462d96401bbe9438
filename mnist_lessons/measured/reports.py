"""What many repetitions of lesson 6's experiments gave.

`benchmarks/reports.py` measured them.
"""

import torch
from torch import Tensor

from mnist_lessons.measured.searches import read


def pool() -> tuple[Tensor, Tensor]:
    """Return accuracies of 2,000 cheap models: on 300 digits, and on 20,000 others."""
    lines = read("pool")
    small = torch.tensor([int(line["stand_in"]) / 300 for line in lines])
    return small, torch.tensor([int(line["truth"]) / 20_000 for line in lines])


def ablation() -> dict[str, Tensor]:
    """Return accuracies on 5,000 digits, (seeds,), by the row of the table."""
    rows: dict[str, list[float]] = {}
    for line in read("ablation"):
        rows.setdefault(line["row"], []).append(int(line["right"]) / 5_000)
    return {row: torch.tensor(values) for row, values in rows.items()}


def rates() -> dict[str, float]:
    """Return the learning rate that each row of the ablation was given."""
    return {line["row"]: float(line["lr"]) for line in read("ablation")}


def twins() -> list[tuple[int, int]]:
    """Return the digits that only the one and only the other reads rightly, by pair.

    The networks of a pair come from one recipe and differ in the seed alone.
    """
    lines = read("twins")
    return [(int(line["only_first"]), int(line["only_second"])) for line in lines]


def last() -> dict[str, Tensor]:
    """Return accuracies on the validation digits, (seeds,), by candidate."""
    found: dict[str, list[float]] = {}
    for line in read("last"):
        found.setdefault(line["candidate"], []).append(int(line["right"]) / 10_000)
    return {name: torch.tensor(values) for name, values in found.items()}
