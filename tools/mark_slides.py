"""Give a slide type to each cell of the lessons that has none, by rule.

    uv run python tools/mark_slides.py                            every lesson
    uv run python tools/mark_slides.py notebooks/01_data.ipynb    these only

A type that a cell has stays: change it in JupyterLab, under "Slide Type".

slide      opens a section                subslide   is on slides of its own
fragment   goes with the slide before     notes      is for the speaker alone
skip       is left out                    -          continues the slide before
"""

import argparse
from pathlib import Path

import nbformat

from mnist_lessons.teaching.outline import TYPES, type_of
from mnist_lessons.teaching.prose import HEADING, blanked

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def rule(cell: nbformat.NotebookNode) -> str:
    """Return the slide type of a cell that has none."""
    if cell.cell_type != "markdown":
        return type_of(cell)
    prose = blanked(cell.source)
    if levels := [len(head[1]) for head in HEADING.finditer(prose)]:
        return "slide" if min(levels) <= 2 else "subslide"
    return "fragment" if prose.strip() else "notes"


def mark(notebook: nbformat.NotebookNode) -> int:
    """Write a slide type into each cell that has none; return how many that were."""
    new = 0
    for cell in notebook.cells:
        slideshow = cell.metadata.setdefault("slideshow", nbformat.NotebookNode())
        if slideshow.get("slide_type") not in TYPES:
            slideshow["slide_type"] = rule(cell)
            new += 1
    return new


def main() -> None:
    """Mark the notebooks, and say how many cells were new."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    arguments = parser.parse_args()
    for path in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        new = mark(notebook)
        if new:
            nbformat.write(notebook, path)
        print(f"{path.name}: {new} of {len(notebook.cells)} cells were new")


if __name__ == "__main__":
    main()
