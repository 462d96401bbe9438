"""Time the recipes of the lessons against PyTorch's own MNIST example, in one run.

    python benchmarks/speed.py                                      everything
    python benchmarks/speed.py --recipes mlp cnn --no-reference     seconds, not minutes
    python benchmarks/speed.py --help                               what can be set

What counts as seconds: building the model, and training it with all that its batches
need. Reading the files and scoring are not counted, nor is scaling all images once, as
the lessons' loaders do (0.13 s); the example scales them batch by batch. A time alone
says little, because processors differ and other programs disturb; so each figure is a
median over seeds, the recipes take turns, and what carries over to another machine is
the ratio.

All train on the 60,000 training images and are scored on the test digits. The lessons
must not open those before their end; here it is allowed, because nothing is chosen by
the scores: the recipes were settled on validation digits and stay, whatever comes out.
"""

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Adadelta, AdamW
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets
from torchvision.transforms import Compose, Normalize, ToTensor

from mnist_lessons import (
    CNN,
    MLP,
    DigitClassifier,
    LinearModel,
    evaluate,
    fit,
    load_mnist,
    seed_everything,
)
from mnist_lessons.data import find_digits, make_loader
from mnist_lessons.plots.picture import COLOURS, MARKERS, Picture, in_one_style
from mnist_lessons.training import one_cycle
from mnist_lessons.tuning.precision import bfloat16_pays

GOAL = 0.99  # the accuracy that the ratio is about
EXAMPLE = "PyTorch's example"
OUT = Path(__file__).resolve().parent.parent / "build" / "speed"


class Recipe(NamedTuple):
    """How a lesson trains a model; `options` are further ones of `fit`.

    With `autocast` it computes in bfloat16, if a trial shows that this is faster here.
    """

    model: Callable[[], DigitClassifier]
    epochs: int
    batch_size: int
    lr: float
    options: dict[str, Any]


def wave(optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """Raise and lower the rate, like `one_cycle(0.1)`; the momentum goes against it."""
    return OneCycleLR(optimizer, 0.01, total_steps=steps, pct_start=0.1)


# all recipes in one place; lessons 2 to 5 explain them
mlp = partial(MLP, (256, 128), dropout=0)
cnn = partial(CNN, (8, 32), 256, dropout=0)
normed = partial(CNN, (16, 32, 32), 128, dropout=0, batch_norm=True)
smooth = {"label_smoothing": 0.1, "schedule": one_cycle(0.2)}
quick = {"optimizer": partial(AdamW, betas=(0.7, 0.9), weight_decay=0), **smooth}
steady = {"optimizer": partial(AdamW, betas=(0.8, 0.95), weight_decay=0.01), **smooth}
usual, bf16 = {"channels_last": True}, {"channels_last": True, "autocast": True}
RECIPES = {
    "linear": Recipe(LinearModel, 1, 128, 0.01, {"schedule": wave}),
    "mlp": Recipe(mlp, 3, 256, 0.006, {"optimizer": AdamW, **smooth}),
    "cnn": Recipe(cnn, 1, 256, 0.01, {**quick, **usual}),
    "cnn-autocast": Recipe(cnn, 1, 256, 0.01, {**quick, **bf16}),
    "cnn-bn": Recipe(normed, 2, 256, 0.01, {**steady, **usual}),
    "cnn-bn-autocast": Recipe(normed, 2, 256, 0.01, {**steady, **bf16}),
}


class Example(DigitClassifier):
    """The network of github.com/pytorch/examples, mnist."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, 10)."""
        return self.layers(images)


class Run(NamedTuple):
    """A model that was scored after so many epochs and seconds of training."""

    recipe: str
    seed: int
    epochs: int
    seconds: float
    accuracy: float
    bfloat16: bool = False


class Trained(NamedTuple):
    """A network, and what it cost."""

    model: DigitClassifier
    epochs: int
    seconds: float
    cpu_seconds: float
    bfloat16: bool


def train(name: str, recipe: Recipe, digits: Dataset, seed: int) -> Trained:
    """Build a network and train it by the recipe."""
    seed_everything(seed)
    start, cpu_start = time.perf_counter(), time.process_time()
    loader = make_loader(digits, recipe.batch_size, shuffle=True, seed=seed)
    model, options = recipe.model(), dict(recipe.options)
    if options.get("autocast"):
        options["autocast"] = bfloat16_pays(model, loader, options["channels_last"])
    history = fit(
        model, loader, epochs=recipe.epochs, lr=recipe.lr, progress=False, **options
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    if history.stopped:  # by Ctrl-C, or it diverged: half a run counts for nothing
        raise SystemExit(f"{name}: {history.stopped}")
    return Trained(model, recipe.epochs, seconds, cpu, options.get("autocast", False))


def run_recipe(name: str, digits: Dataset, test: DataLoader, seed: int) -> Run:
    """Train by the recipe of a lesson, and score the model."""
    model, epochs, seconds, _cpu, bfloat16 = train(name, RECIPES[name], digits, seed)
    accuracy = evaluate(model, test).accuracy
    return Run(name, seed, epochs, seconds, accuracy, bfloat16)


def run_example(train: Dataset, test: Dataset, seed: int, epochs: int) -> Iterator[Run]:
    """Train as the example does; score after each epoch, until one reaches `GOAL`.

    As the example does on a CPU, it takes the images one by one and never shuffles.
    """
    seed_everything(seed)
    start = time.perf_counter()
    loader = DataLoader(train, batch_size=64)
    model = Example()
    optimizer = Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    seconds = time.perf_counter() - start
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        scheduler.step()
        seconds += time.perf_counter() - start
        accuracy = evaluate(model, DataLoader(test, batch_size=1000)).accuracy
        yield Run(EXAMPLE, seed, epoch, seconds, accuracy)
        if accuracy >= GOAL:
            return


class Row(NamedTuple):
    """The runs of one recipe: the last of each seed, and medians over the seeds.

    `to_goal` are the median seconds to `GOAL`, and `reached` says how many seeds got
    there; one that did not counts as infinitely slow.
    """

    recipe: str
    last: list[Run]
    epochs: float
    seconds: float
    accuracy: float
    to_goal: float
    reached: int

    def spread(self, what: str) -> tuple[float, float]:
        """Return the lowest and the highest of the seeds."""
        values = [getattr(run, what) for run in self.last]
        return min(values), max(values)


def summarise(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each recipe, in the order in which they come."""
    rows = []
    for recipe in dict.fromkeys(run.recipe for run in runs):
        seeds: dict[int, list[Run]] = {}
        for run in runs:
            if run.recipe == recipe:
                seeds.setdefault(run.seed, []).append(run)
        last = [own[-1] for own in seeds.values()]
        medians = (
            median(getattr(run, what) for run in last)
            for what in ("epochs", "seconds", "accuracy")
        )
        goals = [
            next((run.seconds for run in own if run.accuracy >= GOAL), math.inf)
            for own in seeds.values()
        ]
        reached = sum(map(math.isfinite, goals))
        rows.append(Row(recipe, last, *medians, median(goals), reached))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Write the rows as a Markdown table; brackets hold the lowest and the highest."""
    reference = next((r.to_goal for r in rows if r.recipe == EXAMPLE), math.inf)
    lines = [
        "| recipe | seeds | epochs | bfloat16 | test accuracy | seconds "
        f"| seconds to {GOAL:.0%} | times faster to {GOAL:.0%} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        seeds, used = len(row.last), sum(run.bfloat16 for run in row.last)
        low, high = row.spread("accuracy")
        least, most = row.spread("seconds")
        there = math.isfinite(row.to_goal)
        both = there and math.isfinite(reference)
        cells = [
            row.recipe,
            str(seeds),
            f"{row.epochs:g}",
            "yes" if used == seeds else f"{used} of {seeds}" if used else "no",
            f"{row.accuracy:.2%} ({low:.2%} to {high:.2%})",
            f"{row.seconds:.2f} ({least:.2f} to {most:.2f})",
            f"{row.to_goal:.2f} ({row.reached} of {seeds} seeds)" if there else "-",
            f"{reference / row.to_goal:.1f}" if both else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@in_one_style
def picture(runs: Sequence[Run]) -> Picture:
    """Draw accuracy against seconds: medians, with bars from lowest to highest."""
    figure = Figure(figsize=(8.4, 4.4))
    axis = figure.subplots()
    labels = []
    for number, row in enumerate(summarise(runs)):
        (least, most), (low, high) = row.spread("seconds"), row.spread("accuracy")
        x, y = row.seconds, row.accuracy
        spread = {"xerr": [[x - least], [most - x]], "yerr": [[high - y], [y - low]]}
        look = {"color": COLOURS[number % 7], "marker": MARKERS[number % 7]}
        axis.errorbar(x, 1 - y, **spread, **look, markersize=8, capsize=3)
        labels.append(f"{row.recipe}: {y:.2%}, {x:.3g} s")
        spot = (x, 1 - y)
        way = [run for run in runs if run[:2] == row.last[0][:2]]
        if len(way) > 1:  # the example was scored after each epoch
            way_x, way_y = [r.seconds for r in way], [1 - r.accuracy for r in way]
            axis.plot(way_x, way_y, linestyle=":", **look)
            spot = (way_x[0], way_y[0])
        # of two neighbours the quicker one has its label on the left
        left = "autocast" in row.recipe
        place, side = ((-8, 6), "right") if left else ((8, -14), "left")
        axis.annotate(labels[-1], spot, place, ha=side, textcoords="offset points")
    # errors on a log scale, so that 98 and 99 % stand apart; good models on top
    axis.set(xscale="log", xlabel="seconds to train")
    axis.set(yscale="log", ylabel="test accuracy")
    axis.margins(x=0.25, y=0.2)
    best, worst = axis.get_ylim()
    ticks = [0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002]
    axis.set_yticks(ticks, [f"{100 - 100 * error:g} %" for error in ticks])
    axis.set_ylim(worst, best)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.grid()
    alt = f"Test accuracy against seconds of training. {'; '.join(labels)}."
    return Picture(figure, alt)


def machine() -> str:
    """Say what computes here."""
    about = Path("/proc/cpuinfo")  # elsewhere than on Linux Python knows a name
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, "
        f"{torch.backends.cpu.get_cpu_capability()}; {platform.system()}; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def save(runs: Sequence[Run], out: Path) -> None:
    """Write what is known so far: each run, the table, and the picture."""
    out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "runs": [run._asdict() for run in runs]}
    (out / "speed.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    drawn = picture(runs)
    drawn.save(out / "speed.png")
    page = f"{machine()}\n\n{table(summarise(runs))}\n\n![{drawn.alt}](speed.png)\n"
    (out / "speed.md").write_text(page, encoding="utf-8")


def every_run(settings: argparse.Namespace) -> Iterator[Run]:
    """Warm up, then train seed by seed, so that what disturbs meets all alike."""
    train, _, test = load_mnist(valid_size=0, limit=settings.limit)
    scale = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    one_by_one, unseen = (
        datasets.MNIST(find_digits(), train=part, transform=scale)
        for part in (True, False)
    )
    if settings.limit:
        part = range(settings.limit)
        one_by_one, unseen = Subset(one_by_one, part), Subset(unseen, part)
    examples = 0 if settings.no_reference else settings.reference_seeds
    few = Subset(train.dataset, range(min(2560, len(train.dataset))))
    for name in settings.recipes:
        run_recipe(name, few, test, seed=0)
    if examples:
        list(run_example(Subset(one_by_one, range(64)), Subset(unseen, [0]), 0, 1))
    for seed in range(1, max(settings.seeds, examples) + 1):
        if seed <= settings.seeds:
            for name in settings.recipes:
                yield run_recipe(name, train.dataset, test, seed)
        if seed <= examples:
            yield from run_example(one_by_one, unseen, seed, settings.reference_epochs)


def read_settings(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = f"of {', '.join(RECIPES)} (default: all); the CNNs with autocast compute in "
    what += "bfloat16 if a trial shows that this is faster here"
    where = "speed.md, speed.png and speed.json go there, written anew after each run, "
    where += "so stop it when you like (default: build/speed, which git ignores)"
    give_up = f"epochs after which an example below {GOAL:.0%}% gives up (default: 6)"
    trial = "so many images only, to try the script; the figures then mean nothing"
    all_of_them = {"nargs": "+", "choices": RECIPES, "default": list(RECIPES)}
    number = partial(parser.add_argument, type=int)
    parser.add_argument("--recipes", **all_of_them, metavar="NAME", help=what)
    number("--seeds", default=5, help="runs of each recipe (default: 5)")
    number("--reference-seeds", default=1, help="runs of the example (default: 1)")
    number("--reference-epochs", default=6, help=give_up)
    parser.add_argument("--no-reference", action="store_true", help="no example")
    number("--limit", metavar="N", help=trial)
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=where)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Time what the command line asks for; print each run, then the table."""
    settings = read_settings(words)
    print(machine(), flush=True)
    runs: list[Run] = []
    for run in every_run(settings):
        runs.append(run)
        save(runs, settings.out)
        kind = " in bfloat16" if run.bfloat16 else ""
        print(
            f"seed {run.seed}  {run.recipe:18} {run.accuracy:.2%} after "
            f"{run.seconds:.2f} s, {run.epochs} epochs{kind}",
            flush=True,
        )
    print(f"\n{table(summarise(runs))}\n\nAlso in {settings.out}")


if __name__ == "__main__":
    main()
