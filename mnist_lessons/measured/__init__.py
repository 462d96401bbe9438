"""What was measured over many seeds: tables, and functions that read them.

The scripts that made the tables stand in `benchmarks/`. A lesson runs one repetition
and lays it over them.
"""

import csv
from pathlib import Path

import torch
from torch import Tensor

FOLDER = Path(__file__).resolve().parent


def torn() -> dict[str, Tensor]:
    """Return accuracies on whole and on torn digits, (seeds,), by network and digits.

    `benchmarks/shifts.py` measured them.
    """
    table = _shifts()
    kinds = {"whole": "as they are", "torn": "torn"}
    return {
        f"{network}, {kind}": table[network, digits][:10, 0]
        for kind, digits in kinds.items()
        for network in ("MLP", "local", "CNN")
    }


def moved() -> dict[str, Tensor]:
    """Return accuracies when moved by 0 to 4 pixels, (seeds, 5), by network and remedy.

    `benchmarks/shifts.py` measured them.
    """
    table = _shifts()
    return {
        "MLP": table["MLP", "as they are"],
        "CNN": table["CNN", "as they are"],
        "CNN, built in": table["anywhere", "as they are"],
        "MLP, in the data": table["MLP", "moved"],
        "CNN, in the data": table["CNN", "moved"],
    }


def _shifts() -> dict[tuple[str, str], Tensor]:
    """Return accuracies, (seeds, pixels), by the network and the training digits."""
    rows: dict[tuple[str, str], dict[int, list[float]]] = {}
    with (FOLDER / "shifts.csv").open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            seeds = rows.setdefault((line["network"], line["digits"]), {})
            seeds.setdefault(int(line["seed"]), []).append(int(line["right"]) / 10_000)
    return {name: torch.tensor(list(seeds.values())) for name, seeds in rows.items()}
