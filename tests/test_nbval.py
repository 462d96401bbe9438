"""That nbval bites: a lesson with a planted change must fail, and only where it is."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

TESTS = Path(__file__).resolve().parent
LESSON = TESTS.parent / "notebooks" / "01_data.ipynb"

PLANTS = {
    "a wrong label mapping": (
        "digits.targets[:40])",
        "(digits.targets[:40] + 1) % 10)",
    ),
    "a changed constant": ("train_images.float() / 255", "train_images.float() / 256"),
    "a changed threshold": ("digits.data > 0", "digits.data > 100"),
}


def run_nbval(folder, old="", new=""):
    """Run nbval on a copy of the lesson; return its exit status and its report."""
    notebook = nbformat.read(LESSON, as_version=4)
    if old:
        (cell,) = [
            c for c in notebook.cells if c.cell_type == "code" and old in c.source
        ]
        cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, folder / "copy.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    command += [f"--nbval-sanitize-with={TESTS / 'nbval.cfg'}"]
    command += ["-p", "no:cacheprovider", "-q", "copy.ipynb"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return run.returncode, run.stdout


def test_the_lesson_as_it_is_passes(tmp_path):
    status, report = run_nbval(tmp_path)
    assert status == 0, report


@pytest.mark.parametrize("plant", PLANTS)
def test_nbval_notices(plant, tmp_path):
    status, report = run_nbval(tmp_path, *PLANTS[plant])
    assert status == 1, report
    assert "failed" in report
    assert "Cell execution caused an exception" not in report  # an output moved
