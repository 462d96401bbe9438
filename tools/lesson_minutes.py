"""Honest minutes of a lesson, estimated from what is in it.

    uv run python tools/lesson_minutes.py                            every lesson
    uv run python tools/lesson_minutes.py notebooks/01_data.ipynb    these only

Prose takes a minute for 110 words, folded text for 200, code for seven lines, and 12
seconds more for each cell that is run; a picture 40 seconds, an interactive piece 3
minutes, a prediction 1.5, one that is drawn 2.5. An exercise takes 12 minutes where
something is written, 6 where it is completed, 2 where it is chosen; its metadata say
which, {"mnist_lessons": {"exercise": "write"}}, "complete" or "choose" (7 where they
say nothing). What stands under a heading with "Going further" counts apart. Fitted to
what readers needed for the first edition of lessons 1 to 5 (80, 96, 119, 105, 151 here;
90, 135, 130, 101 to 116, 158 there). Exits with 1 if a lesson is above a limit.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LIMIT, FURTHER = 90, 20  # minutes of the core path, and those under Going further
EXERCISE = {"write": 12, "complete": 6, "choose": 2}
VERDICT = re.compile(r"outcome\b|predictions\.compare\(")
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)


class Minutes(NamedTuple):
    """What a lesson takes."""

    core: float
    further: float  # what stands under Going further

    @property
    def stated(self) -> int:
        """What the head of the lesson says: the core path, rounded to five."""
        return 5 * round(self.core / 5)

    @property
    def too_long(self) -> bool:
        """Whether one of the two is above its limit."""
        return self.core > LIMIT or self.further > FURTHER


def minutes_of(notebook: nbformat.NotebookNode) -> Minutes:
    """Return the minutes that a lesson takes."""
    spent = {False: 0.0, True: 0.0}
    level = 0  # of the heading with "Going further" that we are under
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts = {False: "", True: ""}
            for line in cell.source.splitlines():
                heading = re.match(r"(#+) (.*)", line)
                if heading and (not level or len(heading[1]) <= level):
                    further = "going further" in heading[2].lower()
                    level = len(heading[1]) if further else 0
                parts[bool(level)] += line + "\n"
            for under, text in parts.items():
                spent[under] += reading(text)
        elif cell.cell_type == "code":
            spent[bool(level)] += working(cell)
    return Minutes(spent[False], spent[True])


def reading(text: str) -> float:
    """Return the minutes for some prose; what is folded is skimmed."""
    folded = " ".join(FOLD.findall(text))
    return len(FOLD.sub("", text).split()) / 110 + len(folded.split()) / 200


def working(cell: nbformat.NotebookNode) -> float:
    """Return the minutes for a code cell."""
    tags = cell.metadata.get("tags", [])
    if {"setup", "check"} & set(tags):
        return 0
    if "exercise" in tags:
        return EXERCISE.get(cell.metadata.get("mnist_lessons", {}).get("exercise"), 7)
    for call, cost in (("draw", 2.5), ("ask", 1.5)):
        if f"predictions.{call}(" in cell.source:
            return cost
    pages = [output.get("data", {}).get("text/html", "") for output in cell.outputs]
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if "predictions.compare(" in cell.source:  # the verdict by itself takes no time
        shows = any("<img" in page or "<pre>" in page for page in pages)
        lines = [line for line in lines if shows and not VERDICT.match(line)]
    if not lines:
        return 0
    return len(lines) / 7 + 0.2 + 3 * ("widgets." in cell.source) + 0.67 * any(pages)


def main() -> int:
    """Print the minutes of the notebooks; return 1 if one of them is too long."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    status = 0
    for path in parser.parse_args().notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        minutes = minutes_of(nbformat.read(path, as_version=4))
        status |= minutes.too_long
        verdict = ", too long" * minutes.too_long
        print(
            f"{path.name}: {minutes.core:.0f} minutes (say {minutes.stated}), "
            f"going further {minutes.further:.0f}{verdict}"
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
