"""The lessons as tests read them: their files, and their cells by kind."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells_of(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook.cells


def code_of(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def prose_of(cells):
    return "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
