"""What each cell of a lesson is in its slides, by rule: the notebook's `slide_type`.

slide      opens a section                subslide   is on slides of its own
fragment   goes with the slide before     notes      is for the speaker alone
skip       is left out                    -          continues the slide before
"""

import re

from nbformat import NotebookNode

TYPES = ("slide", "subslide", "fragment", "notes", "skip", "-")
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SKIPPED_TAGS = {"setup", "exercise", "check"}
PREDICTIONS = re.compile(r"^predictions\.\w+\(", re.MULTILINE)

# what the rules get wrong, by the cell's id
EXCEPTIONS = {
    # these lead to the tally of the predictions
    "c085ebdf": "skip",
    "9edb7d5b": "skip",
    "1a98e633": "skip",
    "337e13fb": "skip",
    "4797a209": "skip",
}


def slide_type(cell: NotebookNode) -> str:
    """Return one of `TYPES` for a cell, whatever its metadata say."""
    if cell.id in EXCEPTIONS:
        return EXCEPTIONS[cell.id]
    if cell.cell_type == "code":
        left_out = SKIPPED_TAGS & set(cell.metadata.get("tags", []))
        # the buttons are for one reader, and without a kernel they are only a line
        return "skip" if left_out or PREDICTIONS.search(cell.source) else "subslide"
    if cell.cell_type != "markdown":
        return "skip"
    prose = FENCE.sub("", FOLD.sub("", cell.source))
    levels = [len(marks) for marks, _ in HEADING.findall(prose)]
    if levels:
        return "slide" if min(levels) <= 2 else "subslide"
    return "fragment" if prose.strip() else "notes"


def type_of(cell: NotebookNode) -> str:
    """Return what the notebook says about a cell; by rule, where it says nothing."""
    told = cell.metadata.get("slideshow", {}).get("slide_type")
    return told if told in TYPES else slide_type(cell)


def mark(notebook: NotebookNode) -> int:
    """Write a `slide_type` into each cell that has none; return how many that were."""
    new = 0
    for cell in notebook.cells:
        slideshow = cell.metadata.setdefault("slideshow", NotebookNode())
        if slideshow.get("slide_type") not in TYPES:
            slideshow["slide_type"] = slide_type(cell)
            new += 1
    return new
