"""What is built: the wheel and the sdist, and the package as it is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from lesson_cells import ROOT

from mnist_lessons import __version__ as VERSION  # noqa: N812


def test_the_wheel_holds_the_package_and_nothing_else(built, project_files):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"mnist_lessons-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    names = {
        n for n in names if not n.startswith(f"mnist_lessons-{VERSION}.dist-info/")
    }
    ours = {path.relative_to(ROOT).as_posix() for path in project_files}
    assert names == {name for name in ours if name.startswith("mnist_lessons/")}
    assert {".py", ".js", ".css"} <= {PurePosixPath(name).suffix for name in names}


def test_the_sdist_holds_every_file_of_the_project(built, project_files):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    ours = {path.relative_to(ROOT).as_posix() for path in project_files}
    # .git: a file in a git worktree, which some versions of hatchling take along
    assert names - {"PKG-INFO", ".git"} == ours
    assert {"tests/conftest.py", "benchmarks/speed.py", ".ci/run"} <= names
    assert "data/MNIST/raw/train-images-idx3-ubyte.gz" in names


def test_the_installed_package_imports_and_shows_its_help(installed, tmp_path):
    code = "import mnist_lessons, runpy, sys; from mnist_lessons import widgets\n"
    code += "print(mnist_lessons.__file__); sys.argv[1:] = ['--help']\n"
    code += "runpy.run_module('mnist_lessons', run_name='__main__')"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    # from this folder the checkout is not found
    options = {"cwd": tmp_path, "env": environment, "encoding": "utf-8"}
    shown = subprocess.check_output(command, **options)
    place, text = shown.split("\n", 1)
    assert Path(place).is_relative_to(installed)
    assert "predict" in text
    assert (installed / f"mnist_lessons-{VERSION}.dist-info").is_dir()
