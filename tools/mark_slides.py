"""Give a slide type to each cell of the lessons that has none, by rule.

    uv run python tools/mark_slides.py                            every lesson
    uv run python tools/mark_slides.py notebooks/01_data.ipynb    these only

A type that a cell has stays: change it in JupyterLab, under "Slide Type".
"""

import argparse
from pathlib import Path

import nbformat

from mnist_lessons.teaching.rules import mark

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


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
