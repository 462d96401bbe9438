"""Lint, format and types, notebooks included; and that imports run one way."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = """
import sys
from importlinter import cli
sys.exit(cli.lint_imports(no_cache=True))
"""
# what `import mnist_lessons` must not wait for
SLOW = "matplotlib optuna ipywidgets anywidget jupyterlab nbformat nbconvert playwright"
ROOMS = "checks colab commands distributed photos plots teaching tuning widgets"


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "ruff", "check", "--no-cache", "."],
        ["-m", "ruff", "format", "--no-cache", "--check", "--diff", "."],
        ["-m", "mypy"],
        ["-c", LINT_IMPORTS],
    ],
    ids=["ruff check", "ruff format", "mypy", "import-linter"],
)
def test_tool_has_nothing_to_say(command):
    run(*command)


def test_the_package_alone_loads_neither_its_rooms_nor_what_is_slow():
    modules = run("-c", "import mnist_lessons, sys; print(*sys.modules)").split()
    rooms = {f"mnist_lessons.{room}" for room in ROOMS.split()}
    slow = set(SLOW.split()) | rooms
    assert [name for name in modules if name in slow] == []
    run("-c", f"import {', '.join(sorted(rooms))}")
