"""Handouts: what is done to a lesson, step by step, and cue sheets for live coding."""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from mnist_lessons.teaching import notebooks
from mnist_lessons.teaching.notebooks import LessonError, tags_of

BADGE = re.compile(
    r"^\[!\[.*colab-badge.*\]\(\S+/github/(\S+?)/notebooks/.*\)\n\n", re.M
)
LINK = re.compile(r"\]\((?:(\w+)\.ipynb(#[^)]*)?|\.\./([^)]+))\)")
TIMEOUT = 600  # seconds for one cell; the slowest takes ten on two cores
HOW = (
    'give it the metadata {"mnist_lessons": {"live": {"prompt": "what to type", '
    '"minutes": 2}}}, as CONTRIBUTING.md says under Tags'
)


def convert(path: Path, kind: str, outputs: bool = True) -> str:
    """Return the text of the notebook that is made from a lesson.

    The kind "handout" has no solutions, "solved" has them in their cells and is
    executed, unless it is to have no outputs, and "skeleton" is a handout with the live
    cells and all outputs empty. A `LessonError` says that the lesson does not follow
    the rules of CONTRIBUTING.md, or fails with its solutions.
    """
    notebook = notebooks.read_lesson(path)
    exercises = notebooks.exercises_of(notebook.cells)
    if kind == "solved":
        for exercise in exercises:
            exercise.stub.source = exercise.solution
        if outputs:
            _run(notebook, path.parent)
    else:
        _remove_solutions(notebook)
    if kind == "skeleton":
        for cue in cues_of(notebook):
            cue.cell.source = f"# Live: {cue.prompt}"
    _relink(notebook, kind)
    for cell in notebook.cells:
        if cell.cell_type == "code" and (kind == "skeleton" or not outputs):
            cell.update(outputs=[], execution_count=None)
    return nbformat.writes(notebook) + "\n"


def _remove_solutions(notebook: NotebookNode) -> None:
    """Take the folded solutions out; the hints and the checks stay."""
    fold = notebooks.SOLUTION
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and fold.search(cell.source):
            cell.source = fold.sub("", cell.source).rstrip()
    first = notebook.cells[0]
    first.source = first.source.replace("hints and a solution are", "hints are")


def _run(notebook: NotebookNode, folder: Path) -> None:
    try:
        notebooks.execute(notebook, folder, TIMEOUT)
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise LessonError(f"a cell fails with {reason}") from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise LessonError(
            f"Python died while running it, or took over {TIMEOUT} seconds for a cell"
        ) from error
    notebooks.tidy(notebook)


def _relink(notebook: NotebookNode, kind: str) -> None:
    """Let links lead to lessons of the same kind, and to the project's home page."""
    # the badge goes: it would open the lesson itself
    badge = BADGE.search(notebook.cells[0].source)
    home = f"https://github.com/{badge[1]}/" if badge else "../"

    def elsewhere(link: re.Match[str]) -> str:
        lesson, anchor, file = link.groups("")
        return f"]({f'{lesson}_{kind}.ipynb{anchor}' if lesson else home + file})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(elsewhere, BADGE.sub("", cell.source))


class Cue(NamedTuple):
    """What a lecturer has to know about one cell that is typed live."""

    cell: NotebookNode
    section: str
    prompt: str
    minutes: int


def cues_of(notebook: NotebookNode) -> list[Cue]:
    """Return the cells tagged `live` in their order; there must be some."""
    cues, section = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = [section, *re.findall(r"^## (.+)$", cell.source, re.M)][-1]
        elif "live" in tags_of(cell):
            live = cell.metadata.get("mnist_lessons", {}).get("live", {})
            if not {"prompt", "minutes"} <= set(live):
                raise LessonError(f"cell {cell.id} is tagged live, but {HOW}")
            cues.append(Cue(cell, section, live["prompt"], live["minutes"]))
    if not cues:
        raise LessonError(f"no cell is tagged live; choose one, and {HOW}")
    return cues


def cue_sheet(notebook: NotebookNode) -> str:
    """Return Markdown: what to type in each live cell, and the output it stores."""
    cues = cues_of(notebook)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    total = sum(cue.minutes for cue in cues)
    parts = [
        f"# Cue sheet for {title}",
        f"{len(cues)} cells to type live, {total} minutes in all for typing two "
        "characters a second and for running; what you say comes on top. Run the other "
        "cells as they are, in their order. Do not leave out an import, as later cells "
        "may need it; a line with `assert` you can leave out.",
    ]
    for number, cue in enumerate(cues, 1):
        minutes = f"{cue.minutes} minute{'s' * (cue.minutes != 1)}"
        varies = " (or close to it, as this varies from run to run)"
        parts += [
            f"## Cue {number}: {cue.prompt}",
            f"Section {cue.section} ({minutes}). Type:",
            f"```python\n{cue.cell.source}\n```",
            f"Expect{varies * ('nbval-ignore-output' in tags_of(cue.cell))}:",
            f"```text\n{expected(cue.cell)}\n```",
        ]
    return "\n\n".join(parts) + "\n"


def expected(cell: NotebookNode) -> str:
    """Return a cell's stored output as text: what it printed, pictures in words."""
    texts = []
    for output in cell.outputs:
        text = output.get("text") or output.data.get("text/plain", "")
        picture = notebooks.picture_in(notebooks.page_of(output))
        texts.append(f"picture: {picture.alt}" if picture else text)
    return "\n".join(text.strip("\n") for text in texts) or "no output"
