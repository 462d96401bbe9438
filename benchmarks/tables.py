"""Write the tables of a script: measure each, and store it when it is complete."""

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mnist_lessons import load_mnist
from mnist_lessons.data import Loaders

OUT = Path(__file__).resolve().parent.parent / "mnist_lessons/measured"
Lines = Iterator[dict[str, Any]]
# yields the lines of a table, or of such a share of it
Measure = Callable[[Loaders, float], Lines]


def write_tables(
    tables: Mapping[str, Measure], about: str | None, words: list[str] | None = None
) -> None:
    """Measure the tables that the command line names, and write each as a CSV file."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(tables)} (all)")
    parser.add_argument("--share", type=float, default=1, help="of all runs (1)")
    parser.add_argument("--limit", type=int, help="training and validation digits")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write to")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.tables) - set(tables):
        parser.error(f"{unknown.pop()!r} is no table here; there are {list(tables)}.")
    torch.set_num_threads(1)
    loaders = load_mnist(limit=arguments.limit)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.tables or tables:
        start = time.perf_counter()
        lines = list(tables[name](loaders, arguments.share))
        path = arguments.out / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, lines[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        spent = time.perf_counter() - start
        print(f"{path.name}: {len(lines)} lines, {spent:.0f} s", flush=True)
