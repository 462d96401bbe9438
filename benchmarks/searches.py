"""Measure the many trials over which lesson 5 lays its own few.

    python benchmarks/searches.py                about 45 minutes on one core
    python benchmarks/searches.py draws          one table only
    python benchmarks/searches.py --share 0.01   a hundredth of it, to try it out

It writes five tables to `mnist_lessons/measured/`, of right answers among validation
digits; none sees a test digit. Within a table no two networks share a seed: those that
do share their first weights or the order of their digits, and an interval for
independent runs would not be true of them.

`draws.csv`: the MLP of the lesson's cheap trials (the first 10,000 training digits, one
epoch, AdamW, batches of 128, one hidden layer), with settings drawn at random from the
lesson's space, or from its grid.
`thirty.csv`: twenty searches of thirty such trials each, at random and by TPE: the best
score, and what five fresh seeds of its settings get together, of 50,000.
`sides.csv`: forty runs of each setting that the lesson compares by three or five.
`optimizers.csv`: the MLP of lesson 3 after one epoch at a constant rate, by optimizer.
`case.csv`: twenty searches of twelve trials each for lesson 4's CNN, as the lesson
makes one, with the settings of each winner; and networks trained at full size: lesson
4's recipe, the winner of the lesson's own search (search 0), and one of each other
search. Right answers are counted on the half of the validation digits that chose and
on the half that did not.
"""

import random
import time
from collections.abc import Mapping
from itertools import count, islice, product
from typing import Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from tables import Lines, write_tables

from mnist_lessons import tune
from mnist_lessons.data import Digits, Loaders, make_loader
from mnist_lessons.measured.searches import (
    CHEAP,
    GRID,
    LESSON_4,
    cheap_space,
    draw,
    halves,
    space,
)
from mnist_lessons.tuning import best_settings
from mnist_lessons.tuning.recipes import train_recipe

KNOBS = ["lr", "weight_decay", "dropout", "width"]
RATES = {
    # at 1.0 the loss of SGD became nan within an epoch, with each of ten seeds
    "sgd": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "momentum": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
    "adam": (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02),
}
CHANCE = 980  # right answers of a network that answers 0 to all
SIDES: dict[str, dict[str, Any]] = {
    f"{width} units": {"lr": 0.0034, "weight_decay": 0.0042, "dropout": 0.39}
    | {"width": width}
    for width in (256, 512, 1024)
}
SIDES |= {
    side: {"lr": 0.004, "weight_decay": 0.01, "dropout": dropout, "width": 256}
    for side, dropout in {"dropout 0.3": 0.3, "no dropout": 0.0}.items()
}
SEARCHED = ["lr", "weight_decay", "dropout", "label_smoothing"]


def right(model: Any, digits: Digits, chosen: Any = slice(None)) -> int:
    """Return how many of the chosen digits a model reads rightly."""
    images, labels = digits[chosen]
    return int((model.predict(images) == labels).sum())


class Cheap:
    """Trains the cheap network of lesson 5, each time with another seed."""

    def __init__(self, loaders: Loaders) -> None:
        self.few = part_of(loaders.train.dataset, 10_000)
        self.valid = loaders.valid.dataset
        self.seeds = count()

    def __call__(self, knobs: Mapping[str, Any]) -> dict[str, int]:
        """Return the seed, and how many of the validation digits are read rightly."""
        settings = CHEAP | {n: value for n, value in knobs.items() if n != "width"}
        settings |= {"hidden": [knobs["width"]]}
        seed = next(self.seeds)
        model, history = train_recipe("mlp", settings, self.few, seed=seed)
        known = CHANCE if history.stopped else right(model, self.valid)
        return {"seed": seed, "right": known}


def draws(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each cheap trial."""
    run, many = Cheap(loaders), max(2, round(1_200 * share))
    trials = [("random", draw(random.Random(n))) for n in range(many)]
    grid = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    trials += [("grid", knobs) for knobs in grid * max(1, round(20 * share))]
    for search, knobs in trials:
        line = {name: f"{knobs[name]:.6g}" for name in KNOBS}
        yield {"search": search, **line, **run(knobs)}


def thirty(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each search of thirty cheap trials, at random or by TPE."""
    run = Cheap(loaders)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for number in range(max(2, round(20 * share))):
        for name, sampler in {"random": RandomSampler, "tpe": TPESampler}.items():
            study = optuna.create_study(
                direction="maximize", sampler=sampler(seed=number)
            )
            study.optimize(
                lambda trial: run(cheap_space(trial))["right"],
                n_trials=30 if share == 1 else 2,
            )
            again = sum(run(study.best_params)["right"] for _ in range(5))
            best = int(study.best_value)
            yield {"sampler": name, "search": number, "best": best, "again": again}


def sides(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each run of the settings that the lesson compares."""
    run = Cheap(loaders)
    for side, knobs in list(SIDES.items()) * max(2, round(40 * share)):
        yield {"side": side, **run(knobs)}


def optimizers(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each optimizer, rate and seed."""
    data = part_of(loaders.train.dataset, 50_000 if share == 1 else 1_000)
    kinds = [(optimizer, lr) for optimizer, rates in RATES.items() for lr in rates]
    for seed, (optimizer, lr) in enumerate(kinds * max(1, round(20 * share))):
        recipe = {"optimizer": optimizer, "lr": lr, "dropout": 0.0}
        model, _ = train_recipe("mlp", recipe, data, seed=seed)
        known = right(model, loaders.valid.dataset)
        yield {"optimizer": optimizer, "lr": lr, "seed": seed, "right": known}


def case(loaders: Loaders, share: float) -> Lines:
    """Yield a line for each network that was trained at full size."""
    train, valid = loaders.train.dataset, loaders.valid.dataset
    few = part_of(train, 10_000)
    chose, scores = halves(len(valid))
    chooser = make_loader(part_of(valid, chose), 256, shuffle=False)
    seeds = max(2, round(30 * share))
    recipes: list[tuple[str, int, dict[str, Any], int]] = []
    recipes.append(("lesson 4", 0, LESSON_4, seeds))
    for search in range(max(1, round(20 * share))):
        loader = make_loader(few, 256, shuffle=True)
        options: Any = {"n_trials": 12, "epochs": 1, "progress": False}
        study = tune(
            "cnn", space=space, loaders=(loader, chooser), seed=search, **options
        )
        found = best_settings(study)
        recipes.append(("winner", search, found, seeds if search == 0 else 2))
    fresh = count(1)  # a search trains with its own number as the seed: at most 19
    for name, search, settings, runs in recipes:
        for seed in islice(fresh, runs):
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


TABLES = {
    "draws": draws,
    "thirty": thirty,
    "sides": sides,
    "optimizers": optimizers,
    "case": case,
}


if __name__ == "__main__":
    write_tables(TABLES, __doc__)
