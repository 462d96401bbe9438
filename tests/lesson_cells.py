"""The lessons as tests read them: their files, and their cells by kind."""

import html
import re
from pathlib import Path

import nbformat
import pytest

from mnist_lessons.teaching.notebooks import tags_of

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
IMAGE = re.compile(r'<img alt="([^"]*)"')

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def cells_of(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook.cells


def code_of(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def prose_of(cells):
    return "\n\n".join(c.source for c in cells if c.cell_type == "markdown")


def setup_of(cells):
    (setup,) = [cell for cell in cells if "setup" in tags_of(cell)]
    return setup


def images_of(*cells):
    """Return the alt texts of the pictures below these code cells."""
    pages = [o.get("data", {}).get("text/html", "") for c in cells for o in c.outputs]
    return [html.unescape(alt) for page in pages for alt in IMAGE.findall(page)]
