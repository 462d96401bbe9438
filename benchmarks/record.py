"""See how accurate a minute of training on two cores can make a model.

    python benchmarks/record.py               about ten minutes: five seeds
    python benchmarks/record.py --seeds 1     two minutes
    python benchmarks/record.py --help        what can be set

The most accurate model was an ensemble: networks that are trained one after the other,
each from first weights of its own and on digits changed anew, and that answer together,
by the mean of their probabilities (Hansen and Salamon, 1990, IEEE TPAMI 12(10)). It
counts as one model and its networks' seconds are added up. It is no single network,
though, so its members stand in the table as well; and so does the recipe from which the
search set out.

Seconds are those of `speed.py`: building the networks, and training them with all that
their batches need. CPU seconds are of all threads together; where they are far below
twice the seconds on two cores, other programs disturbed.

All train on the 60,000 training images and are scored on the test digits. Nothing is
chosen by those scores: the recipes were settled on validation digits and stay, whatever
comes out.
"""

import argparse
import inspect
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

import torch
from speed import Recipe, Trained, bf16, machine, normed, steady, train
from torch import Tensor
from torch.utils.data import Dataset, Subset

from mnist_lessons import load_mnist
from mnist_lessons.augmentation import random_affine
from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier

OUT = Path(__file__).resolve().parent.parent / "build" / "record"

# the recipes in one place; lesson 6 explains the changes of the digits
shift = {"augment": partial(random_affine, degrees=0, shift=2, scale=0)}
affine = {"augment": random_affine}
BASE = Recipe(normed, 4, 256, 0.01, {**steady, **bf16, **shift})
MEMBER = Recipe(normed, 6, 256, 0.01, {**steady, **bf16, **affine})
MEMBERS = 3


class Result(NamedTuple):
    """A model that was trained and scored."""

    name: str
    seed: int
    epochs: int
    seconds: float
    cpu_seconds: float
    accuracy: float
    bfloat16: bool = False


def answer_together(models: Sequence[DigitClassifier], images: Tensor) -> Tensor:
    """Return the most probable classes by the mean of the models' probabilities."""
    each = [model.predict_proba(images) for model in models]
    return torch.stack(each).mean(dim=0).argmax(dim=1)


def score(name: str, seed: int, parts: Sequence[Trained], test: Digits) -> Result:
    """Score networks as one model, whose costs are the sums of theirs."""
    answers = answer_together([part.model for part in parts], test.images)
    accuracy = (answers == test.labels).double().mean().item()
    epochs, seconds, cpu_seconds = (
        sum(getattr(part, what) for part in parts)
        for what in ("epochs", "seconds", "cpu_seconds")
    )
    used = all(part.bfloat16 for part in parts)
    return Result(name, seed, epochs, seconds, cpu_seconds, accuracy, used)


def run_seed(seed: int, digits: Dataset, test: Digits) -> Iterator[Result]:
    """Train and score the base, each member, and the members as an ensemble."""
    yield score("base", seed, [train("base", BASE, digits, seed)], test)
    members = []
    for number in range(MEMBERS):  # no two members of a run have the same seed
        members.append(train("member", MEMBER, digits, MEMBERS * seed + number))
        yield score("member", seed, members[-1:], test)
    yield score("ensemble", seed, members, test)


def table(results: Sequence[Result]) -> str:
    """Write means over the seeds, and medians of the seconds, as a Markdown table."""
    lines = [
        "| model | runs | epochs | bfloat16 | test accuracy, mean | lowest to highest "
        "| standard deviation | seconds | CPU seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(result.name for result in results):
        own = [result for result in results if result.name == name]
        scores = [result.accuracy for result in own]
        seconds = [result.seconds for result in own]
        used = sum(result.bfloat16 for result in own)
        cells = [
            name,
            str(len(own)),
            str(own[0].epochs),
            "yes" if used == len(own) else f"{used} of {len(own)}" if used else "no",
            f"{mean(scores):.3%}",
            f"{min(scores):.2%} to {max(scores):.2%}",
            f"{100 * stdev(scores):.3f}" if len(own) > 1 else "-",
            f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
            f"{median(result.cpu_seconds for result in own):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def describe(name: str, recipe: Recipe) -> str:
    """Say in a sentence what is trained, from what it is trained with."""
    model, augment = recipe.model(), recipe.options["augment"]
    size = sum(parameter.numel() for parameter in model.parameters())
    amounts = inspect.signature(augment).parameters.values()
    changes = ", ".join(
        f"{a.name} {a.default:g}" for a in amounts if a.name != "images"
    )
    return (
        f"{name}: channels {model.arguments['channels']}, {size:,} parameters, "
        f"{recipe.epochs} epochs, batches of {recipe.batch_size}, random {changes}."
    )


def save(results: Sequence[Result], out: Path) -> None:
    """Write what is known so far: each result, and the table."""
    out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "results": [each._asdict() for each in results]}
    (out / "record.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    rows = [describe("base", BASE), describe("member", MEMBER)]
    rows += [f"ensemble: {MEMBERS} members, by the mean of their probabilities."]
    page = "\n\n".join([machine(), table(results), *rows])
    (out / "record.md").write_text(page + "\n", encoding="utf-8")


def read_settings(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trial = "few digits only, to try the script; the figures then mean nothing"
    where = "record.md and record.json go there, written anew after each model, so "
    where += "stop it when you like (default: build/record, which git ignores)"
    parser.add_argument("--seeds", type=int, default=5, help="ensembles (default: 5)")
    parser.add_argument("--quick", action="store_true", help=trial)
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=where)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Train what the command line asks for; print each result, then the table."""
    settings = read_settings(words)
    print(machine(), flush=True)
    limit = 512 if settings.quick else None
    loader, _, test = load_mnist(valid_size=0, limit=limit)
    few = Subset(loader.dataset, range(512))
    for recipe in (BASE, MEMBER):  # what is computed for the first time is slower
        train("warm-up", recipe._replace(epochs=1), few, seed=0)
    results: list[Result] = []
    for seed in range(1, settings.seeds + 1):
        for result in run_seed(seed, loader.dataset, test.dataset):
            results.append(result)
            save(results, settings.out)
            print(
                f"seed {seed}  {result.name:8} {result.accuracy:.2%} after "
                f"{result.seconds:.1f} s, {result.cpu_seconds:.1f} CPU seconds",
                flush=True,
            )
    print(f"\n{table(results)}\n\nAlso in {settings.out}")


if __name__ == "__main__":
    main()
