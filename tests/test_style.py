"""Lint, format and types, notebooks included; and that imports run one way."""

import subprocess
import sys

import pytest
from lesson_cells import ROOT

LINT = "from importlinter import cli; raise SystemExit(cli.lint_imports(no_cache=True))"
# what `import mnist_lessons` must not wait for
SLOW = "matplotlib optuna ipywidgets anywidget jupyterlab nbformat nbconvert playwright"
ROOMS = "checks colab commands diagnosis distributed photos plots teaching tuning"
ROOMS += " widgets"


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "command",
    ["ruff check --no-cache .", "ruff format --no-cache --check --diff .", "mypy"],
)
def test_tool_has_nothing_to_say(command):
    run("-m", *command.split())


def test_imports_run_one_way():
    run("-c", LINT)


def test_the_package_alone_loads_neither_its_rooms_nor_what_is_slow():
    rooms = {f"mnist_lessons.{room}" for room in ROOMS.split()}
    code = "import mnist_lessons, sys; print(*sys.modules)\n"
    code += f"import {', '.join(sorted(rooms))}"  # and all of them can be
    modules = run("-c", code).split()
    assert "mnist_lessons" in modules
    assert set(modules) & (set(SLOW.split()) | rooms) == set()
