"""The cells that a lecturer types live: their placeholders and the cue sheet."""

import re
from typing import NamedTuple

from nbformat import NotebookNode

from mnist_lessons.teaching.execution import picture_in
from mnist_lessons.teaching.exercises import HandoutError, tags_of

HOW = (
    'give it the metadata {"mnist_lessons": {"live": {"prompt": "what to type", '
    '"minutes": 2}}}, as CONTRIBUTING.md says under Tags'
)
VARIES = "or close to it, as this varies from run to run"


class Cue(NamedTuple):
    """What a lecturer has to know about one cell."""

    cell: NotebookNode
    section: str
    prompt: str
    minutes: int


def cues_of(notebook: NotebookNode) -> list[Cue]:
    """Return the cells tagged `live` in their order.

    Raises:
        HandoutError: if there are none, or one does not say its prompt and minutes.
    """
    found, section = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## (.+)$", cell.source, re.MULTILINE):
                section = heading
        elif "live" in tags_of(cell):
            told = cell.metadata.get("mnist_lessons", {}).get("live", {})
            if not {"prompt", "minutes"} <= set(told):
                raise HandoutError(f"cell {cell.id} is tagged live, but {HOW}")
            found.append(Cue(cell, section, told["prompt"], told["minutes"]))
    if not found:
        raise HandoutError(f"no cell is tagged live; choose one, and {HOW}")
    return found


def placeholder(cue: Cue) -> str:
    """Return the comment that stands where the code will be typed."""
    return f"# Live: {cue.prompt}"


def cue_sheet(notebook: NotebookNode) -> str:
    """Return Markdown that says for each live cell what to type and what comes out.

    The expected output is the one that the lesson stores, so it is never older.
    """
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
        varies = "nbval-ignore-output" in tags_of(cue.cell)
        parts += [
            f"## Cue {number}: {cue.prompt}",
            f"Section {cue.section} ({minutes}). Type:",
            f"```python\n{cue.cell.source}\n```",
            f"Expect{f' ({VARIES})' * varies}:",
            f"```text\n{expected(cue.cell)}\n```",
        ]
    return "\n\n".join(parts) + "\n"


def expected(cell: NotebookNode) -> str:
    """Return a cell's stored output as text: what it printed, pictures in words."""
    texts = []
    for output in cell.outputs:
        if picture := picture_in(output):
            texts.append(f"picture: {picture.alt}")
        else:
            texts.append(output.get("text") or output.data.get("text/plain", ""))
    return "\n".join(text.strip("\n") for text in texts) or "no output"
