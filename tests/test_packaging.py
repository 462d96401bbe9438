"""What is built: the wheel and the sdist, and the package as it is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import PurePosixPath

from lesson_cells import ROOT

from mnist_lessons import __version__ as VERSION  # noqa: N812


def test_the_wheel_holds_the_package_and_the_sdist_every_file(built, project_files):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"mnist_lessons-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = f"mnist_lessons-{VERSION}.dist-info/"
    ours = {path.relative_to(ROOT).as_posix() for path in project_files}
    package = {name for name in ours if name.startswith("mnist_lessons/")}
    package |= {"mnist_lessons/optdigits/digits.csv.gz"}  # small enough to come along
    assert {name for name in names if not name.startswith(info)} == package
    assert {".py", ".js", ".css"} <= {PurePosixPath(name).suffix for name in names}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    # .git: a file in a git worktree, which some versions of hatchling take along
    assert names - {"PKG-INFO", ".git"} == ours
    assert {"tests/conftest.py", "benchmarks/speed.py", ".ci/run"} <= names
    assert "data/MNIST/raw/train-images-idx3-ubyte.gz" in names


def test_the_installed_package_shows_its_help(installed, tmp_path):
    # from this folder the checkout is not found
    options = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(installed)}}
    command = [sys.executable, "-m", "mnist_lessons", "--help"]
    assert b"predict" in subprocess.check_output(command, **options)
    code = "import mnist_lessons; print(len(mnist_lessons.load_optdigits()))"
    assert subprocess.check_output([sys.executable, "-c", code], **options) == b"1797\n"
    assert (installed / f"mnist_lessons-{VERSION}.dist-info").is_dir()
