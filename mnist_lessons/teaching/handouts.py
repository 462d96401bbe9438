"""What is done to a lesson to make a handout of it, step by step, with nbconvert."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbformat import NotebookNode

from mnist_lessons.teaching.cues import cues_of, placeholder
from mnist_lessons.teaching.execution import execute, tidy
from mnist_lessons.teaching.exercises import SOLUTION, HandoutError, exercises_of

Resources = dict[str, Any]
Step = Callable[[NotebookNode, Resources], tuple[NotebookNode, Resources]]

BADGE = re.compile(
    r"^\[!\[.*colab-badge.*\]\(\S+/github/(\S+?)/notebooks/.*\)\n\n", re.M
)
LINK = re.compile(r"\]\((?:(\w+)\.ipynb(#[^)]*)?|\.\./([^)]+))\)")
PROMISE = "hints and a solution are folded"
TIMEOUT = 600  # seconds for one cell; the slowest takes ten on two cores


def read_lesson(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        HandoutError: if the file does not hold one.
    """
    try:
        return nbformat.read(path, as_version=4)
    except ValueError as error:
        raise HandoutError("the file is damaged, or no notebook") from error


def convert(path: Path, kind: str, outputs: bool = True) -> str:
    """Return the text of the notebook that is made from a lesson.

    Args:
        path: The lesson.
        kind: "handout" has no solutions, "solved" has them in their cells and is
            executed, "skeleton" is a handout with the live cells and all outputs empty.
        outputs: Whether to keep the outputs. Without them nothing is executed.

    Raises:
        HandoutError: if the lesson does not follow the rules of CONTRIBUTING.md, or if
            it fails with its solutions.
    """
    steps: dict[str, list[Step]] = {
        "handout": [without_solutions],
        "solved": [with_solutions, *[executed] * outputs],
        "skeleton": [without_solutions, with_blanks],
    }
    last = [relinked, *[ClearOutputPreprocessor] * (not outputs or kind == "skeleton")]
    exporter = NotebookExporter(preprocessors=[*steps[kind], *last])
    resources = {"folder": path.parent, "kind": kind}
    text, _ = exporter.from_notebook_node(read_lesson(path), resources)
    return text


def without_solutions(nb: NotebookNode, resources: Resources) -> tuple:
    """Take the folded solutions out; the hints and the checks stay."""
    # it complains of a solution in an unusual place, which would not be found below
    exercises_of(nb.cells)
    for cell in nb.cells:
        if cell.cell_type == "markdown" and SOLUTION.search(cell.source):
            cell.source = SOLUTION.sub("", cell.source).rstrip()
    nb.cells[0].source = nb.cells[0].source.replace(PROMISE, "hints are folded")
    return nb, resources


def with_solutions(nb: NotebookNode, resources: Resources) -> tuple:
    """Put each solution into the cell that asks for it."""
    for exercise in exercises_of(nb.cells):
        exercise.stub.source = exercise.solution
    return nb, resources


def with_blanks(nb: NotebookNode, resources: Resources) -> tuple:
    """Leave of each live cell one comment, which says what to type."""
    for cue in cues_of(nb):
        cue.cell.source = placeholder(cue)
    return nb, resources


def executed(nb: NotebookNode, resources: Resources) -> tuple:
    """Run the notebook where the lesson lies."""
    try:
        execute(nb, resources["folder"], TIMEOUT)
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise HandoutError(f"a cell fails with {reason}") from error
    except CellTimeoutError as error:
        raise HandoutError(f"a cell took longer than {TIMEOUT} seconds") from error
    except DeadKernelError as error:
        raise HandoutError("Python died while running it") from error
    tidy(nb)
    return nb, resources


def relinked(nb: NotebookNode, resources: Resources) -> tuple:
    """Make the links work where the rest of the project is missing.

    A link to a lesson then leads to the same kind of file, and one to the project's
    other files to its home page. The badge goes: it would open the lesson itself.
    """
    badge = BADGE.search(nb.cells[0].source)
    home = f"https://github.com/{badge[1]}/" if badge else "../"

    def elsewhere(link: re.Match[str]) -> str:
        lesson, anchor = link[1], link[2] or ""
        if lesson:
            return f"]({lesson}_{resources['kind']}.ipynb{anchor})"
        return f"]({home}{link[3]})"

    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(elsewhere, BADGE.sub("", cell.source))
    return nb, resources
