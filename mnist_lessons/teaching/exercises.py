"""The exercises of a lesson, and the solutions folded away below them."""

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # its import takes a second that the other commands need not wait for
    from nbformat import NotebookNode

SOLUTION = re.compile(
    r"<details>\s*<summary>Solution</summary>(.*?)</details>\s*", re.DOTALL
)
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class HandoutError(ValueError):
    """A handout cannot be made of this lesson, or cannot be written there."""


class Exercise(NamedTuple):
    """Three cells in a row, and the code that solves the first."""

    stub: "NotebookNode"
    check: "NotebookNode"
    answer: "NotebookNode"  # hints and the solution, folded
    solution: str


def tags_of(cell: "NotebookNode") -> list[str]:
    """Return the tags of a cell; most have none."""
    return cell.metadata.get("tags", [])


def exercises_of(cells: list["NotebookNode"]) -> list[Exercise]:
    """Return the exercises among the cells of a lesson, in their order.

    Raises:
        HandoutError: if an exercise has no check after it, or not exactly one fold
            called Solution with one python fence after that.
    """
    found = []
    for number, stub in enumerate(cells):
        if "exercise" not in tags_of(stub):
            continue
        after = cells[number + 1 : number + 3]
        folds = SOLUTION.findall(after[-1].source) if len(after) == 2 else []
        codes = [code for fold in folds for code in FENCE.findall(fold)]
        if len(folds) != 1 or len(codes) != 1 or "check" not in tags_of(after[0]):
            begins = (stub.source.splitlines() or [""])[0]
            raise HandoutError(
                f"the exercise that begins with `{begins}` needs a check in the next "
                "cell, and after it one fold called Solution with one python fence; "
                "CONTRIBUTING.md shows how under Exercises"
            )
        check, answer = after
        found.append(Exercise(stub, check, answer, codes[0].rstrip("\n")))
    return found
