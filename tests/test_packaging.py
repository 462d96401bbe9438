"""What is built: the wheel and the sdist, and the package as it is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from mnist_lessons import __version__ as VERSION  # noqa: N812

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_holds_the_package_and_nothing_else(built, project_files):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"mnist_lessons-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"mnist_lessons-{VERSION}.dist-info/"
    names = {name for name in names if not name.startswith(info)}
    package = ROOT / "mnist_lessons"
    ours = [path for path in project_files if path.is_relative_to(package)]
    assert names == {path.relative_to(ROOT).as_posix() for path in ours}
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
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,  # from here the checkout is not found
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    place, text = done.stdout.split("\n", 1)
    assert Path(place).is_relative_to(installed)
    assert "predict" in text
    assert (installed / f"mnist_lessons-{VERSION}.dist-info").is_dir()
