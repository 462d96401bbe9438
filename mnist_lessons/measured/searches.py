"""The searches of lesson 5: their settings, and what many repetitions of them gave.

`benchmarks/searches.py` measured them.
"""

import csv
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

FOLDER = Path(__file__).resolve().parent
# what the cheap trials share: an MLP, one epoch of 10,000 digits
CHEAP: dict[str, Any] = {"optimizer": "adamw", "batch_size": 128, "epochs": 1}
# a careful grid for them: the ranges of `draw`, cut into equal pieces, and the middles
GRID: dict[str, Any] = {
    "lr": (0.00024, 0.0013, 0.0075, 0.042),
    "weight_decay": (0.01,),
    "dropout": (0.125, 0.375),
    "width": (64, 256),
}
# the recipe of lesson 4 for its CNN
LESSON_4: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.0, "lr": 0.01}
LESSON_4 |= {"schedule": "one-cycle", "batch_size": 256, "dropout": 0.0}


def draw(dice: Random) -> dict[str, Any]:
    """Draw settings of a cheap trial at random."""
    return {
        "lr": 10 ** dice.uniform(-4, -1),
        "weight_decay": 10 ** dice.uniform(-4, 0),
        "dropout": dice.uniform(0, 0.5),
        "width": round(2 ** dice.uniform(5, 9)),
    }


def cheap_space(trial: Any) -> dict[str, Any]:
    """Choose settings of a cheap trial, from the ranges of `draw`."""
    return {
        "lr": trial.suggest_float("lr", 0.0001, 0.1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 0.0001, 1, log=True),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
        "width": trial.suggest_int("width", 32, 512, log=True),
    }


def space(trial: Any) -> dict[str, Any]:
    """Choose settings of a trial for lesson 4's CNN."""
    return LESSON_4 | {
        "lr": trial.suggest_float("lr", 0.003, 0.1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 1, log=True),
        "dropout": trial.suggest_float("dropout", 0, 0.4),
        "label_smoothing": trial.suggest_float("label_smoothing", 0, 0.2),
    }


def halves(count: int) -> tuple[Tensor, Tensor]:
    """Divide so many digits at random: numbers that choose, numbers that score."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[: count // 2], order[count // 2 :]


def cheap_trials() -> dict[str, Tensor]:
    """Return accuracies of cheap trials: drawn, (trials,), and the grid's, (seeds, 16).

    By the words "random" and "grid"; the columns of the grid go through its settings as
    `itertools.product` does.
    """
    found: dict[str, list[float]] = {"random": [], "grid": []}
    for line in read("draws"):
        found[line["search"]].append(int(line["right"]) / 10_000)
    grid = torch.tensor(found["grid"]).reshape(-1, 16)
    return {"random": torch.tensor(found["random"]), "grid": grid}


def best_so_far(count: int, searches: int = 1_000) -> Tensor:
    """Return the best accuracy after 1, 2, ... trials of random searches.

    Each of the searches takes other ones of the measured trials, in an order of its
    own: (searches, count).
    """
    pool, dice = cheap_trials()["random"], torch.Generator().manual_seed(0)
    orders = torch.rand(searches, len(pool), generator=dice).argsort(dim=1)
    return pool[orders[:, :count]].cummax(dim=1).values


def thirty() -> dict[str, tuple[Tensor, Tensor]]:
    """Return the best accuracies of 20 searches, and those of their winners again.

    By the name of the sampler; a winner runs again with five fresh seeds, of which the
    mean counts.
    """
    lines = read("thirty")
    found = {}
    for name in ("random", "tpe"):
        own = [line for line in lines if line["sampler"] == name]
        best = torch.tensor([int(line["best"]) / 10_000 for line in own])
        found[name] = (best, torch.tensor([int(x["again"]) / 50_000 for x in own]))
    return found


def sides() -> dict[str, Tensor]:
    """Return accuracies, (seeds,), of each setting that the lesson compares."""
    found: dict[str, list[float]] = {}
    for line in read("sides"):
        found.setdefault(line["side"], []).append(int(line["right"]) / 10_000)
    return {name: torch.tensor(values) for name, values in found.items()}


def optimizers() -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Return rates, and accuracies (seeds, rates), by the name of the optimizer."""
    found: dict[str, dict[float, list[float]]] = {}
    for line in read("optimizers"):
        rates = found.setdefault(line["optimizer"], {})
        rates.setdefault(float(line["lr"]), []).append(int(line["right"]) / 10_000)
    accuracies = {name: torch.tensor(list(r.values())).T for name, r in found.items()}
    return {name: list(rates) for name, rates in found.items()}, accuracies


def case() -> dict[str, Tensor]:
    """Return accuracies at full size on the 5,000 digits that chose no winner.

    By name, (runs,): the recipe of lesson 4 and the winner of the lesson's search, a
    run a seed, and the winners of 19 other searches, each the mean of two seeds. No two
    runs share a seed.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for line in read("case"):
        runs = found.setdefault((line["recipe"], int(line["search"])), [])
        runs.append(int(line["scores"]) / 5_000)
    means = [sum(runs) / len(runs) for (_, search), runs in found.items() if search]
    return {
        "lesson 4": torch.tensor(found["lesson 4", 0]),
        "winner": torch.tensor(found["winner", 0]),
        f"{len(means)} other winners": torch.tensor(means),
    }


def read(name: str) -> list[dict[str, str]]:
    """Return the lines of a table."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
