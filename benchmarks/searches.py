"""Measure the many trials over which lesson 5 lays its own few.

    python benchmarks/searches.py                about 25 minutes on one core
    python benchmarks/searches.py draws          one table only
    python benchmarks/searches.py --share 0.01   a hundredth of it, to try it out

It writes three tables to `mnist_lessons/measured/`, each line a trained network with
its right answers among validation digits; none sees a test digit.

`draws.csv`: the MLP of the lesson's cheap trials (the first 10,000 training digits, one
epoch, AdamW, batches of 128, one hidden layer), with settings drawn at random from the
lesson's space, or from its grid; each run has a seed of its own.
`optimizers.csv`: the MLP of lesson 3 after one epoch at a constant rate, by optimizer.
`case.csv`: twenty searches of twelve trials each for lesson 4's CNN, as the lesson
makes one, with the settings of each winner; and networks trained at full size: lesson
4's recipe, the winner of the lesson's own search (search 0), and one of each other
search. Right answers are counted on the half of the validation digits that chose and
on the half that did not.
"""

import argparse
import csv
import random
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from mnist_lessons import load_mnist, tune
from mnist_lessons.data import Digits, Loaders, make_loader
from mnist_lessons.measured.searches import (
    CHEAP,
    GRID,
    LESSON_4,
    draw,
    halves,
    space,
)
from mnist_lessons.tuning import best_settings
from mnist_lessons.tuning.recipes import train_recipe

OUT = Path(__file__).resolve().parent.parent / "mnist_lessons/measured"
KNOBS = ["lr", "weight_decay", "dropout", "width"]
RATES = {
    # at 1.0 the loss of SGD became nan within an epoch, with each of ten seeds
    "sgd": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "momentum": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
    "adam": (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02),
}
SEARCHED = ["lr", "weight_decay", "dropout", "label_smoothing"]


def right(model: Any, digits: Digits, chosen: Any = slice(None)) -> int:
    """Return how many of the chosen digits a model reads rightly."""
    images, labels = digits[chosen]
    return int((model.predict(images) == labels).sum())


def draws(loaders: Loaders, share: float) -> Iterator[dict[str, Any]]:
    """Yield a line for each cheap trial."""
    few = part_of(loaders.train.dataset, 10_000)
    many = max(2, round(1_200 * share))
    trials = [("random", n, draw(random.Random(n))) for n in range(many)]
    for seed in range(max(1, round(20 * share))):
        values = product(*GRID.values())
        trials += [("grid", seed, dict(zip(GRID, v, strict=True))) for v in values]
    for search, seed, knobs in trials:
        settings = {n: value for n, value in knobs.items() if n != "width"}
        settings |= CHEAP | {"hidden": [knobs["width"]]}
        model, history = train_recipe("mlp", settings, few, seed=seed)
        count = 980 if history.stopped else right(model, loaders.valid.dataset)
        line = {name: f"{knobs[name]:.6g}" for name in KNOBS}
        yield {"search": search, "seed": seed, **line, "right": count}


def optimizers(loaders: Loaders, share: float) -> Iterator[dict[str, Any]]:
    """Yield a line for each optimizer, rate and seed."""
    for seed in range(max(1, round(10 * share))):
        for optimizer, rates in RATES.items():
            for lr in rates:
                recipe = {"optimizer": optimizer, "lr": lr, "dropout": 0.0}
                data = part_of(loaders.train.dataset, 50_000 if share == 1 else 1_000)
                model, _ = train_recipe("mlp", recipe, data, seed=seed)
                count = right(model, loaders.valid.dataset)
                yield {"optimizer": optimizer, "lr": lr, "seed": seed, "right": count}


def case(loaders: Loaders, share: float) -> Iterator[dict[str, Any]]:
    """Yield a line for each network that was trained at full size."""
    train, valid = loaders.train.dataset, loaders.valid.dataset
    few = part_of(train, 10_000)
    chose, scores = halves(len(valid))
    chooser = make_loader(part_of(valid, chose), 256, shuffle=False)
    recipes: list[tuple[str, int, dict[str, Any], range]] = []
    seeds = max(2, round(30 * share))
    recipes.append(("lesson 4", 0, LESSON_4, range(1, seeds + 1)))
    for search in range(max(1, round(20 * share))):
        loader = make_loader(few, 256, shuffle=True)
        options: Any = {"n_trials": 12, "epochs": 1, "progress": False}
        study = tune(
            "cnn", space=space, loaders=(loader, chooser), seed=search, **options
        )
        found = best_settings(study)
        again = range(1, seeds + 1) if search == 0 else range(1, 3)
        recipes.append(("winner", search, found, again))
    for name, search, settings, again in recipes:
        for seed in again:
            start = time.perf_counter()
            data = train if share == 1 else few
            model, _ = train_recipe("cnn", settings, data, seed=seed, epochs=1)
            seconds = f"{time.perf_counter() - start:.2f}"
            knobs = {n: f"{settings.get(n, 0):.6g}" for n in SEARCHED}
            counts = {"chose": right(model, valid, chose)}
            counts["scores"] = right(model, valid, scores)
            start_of = {"recipe": name, "search": search, "seed": seed}
            yield {**start_of, **knobs, **counts, "seconds": seconds}


def part_of(digits: Digits, chosen: Any) -> Digits:
    """Return some of the digits: the first so many, or those of these numbers."""
    chosen = slice(chosen) if isinstance(chosen, int) else chosen
    return Digits(*digits[chosen], digits.classes, digits.mean, digits.std)


TABLES = {"draws": draws, "optimizers": optimizers, "case": case}


def main(words: list[str] | None = None) -> None:
    """Measure, and write each table when it is complete."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)} (all)")
    parser.add_argument("--share", type=float, default=1, help="of all runs (1)")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write to")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    loaders = load_mnist()
    for name in arguments.tables or TABLES:
        start = time.perf_counter()
        lines = list(TABLES[name](loaders, arguments.share))
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, lines[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        spent = time.perf_counter() - start
        print(f"{path.name}: {len(lines)} lines, {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
