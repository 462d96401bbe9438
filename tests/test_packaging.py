"""What is built and published: wheel, sdist, version, citation, workflow."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import yaml

import mnist_lessons

ROOT = Path(__file__).resolve().parent.parent
VERSION = mnist_lessons.__version__
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


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
    kinds = {PurePosixPath(name).suffix for name in names}
    assert {".py", ".js", ".css"} <= kinds


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
    place, shown = done.stdout.split("\n", 1)
    assert Path(place).is_relative_to(installed)
    assert "predict" in shown
    assert (installed / f"mnist_lessons-{VERSION}.dist-info").is_dir()


def test_the_command_line_says_the_version(run):
    assert run("--version") == (0, f"{VERSION}\n", "")


def test_the_version_stands_in_one_place_and_the_citation_repeats_it():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", VERSION)
    assert "version" not in PYPROJECT["project"]
    assert read_yaml("CITATION.cff")["version"] == VERSION


def test_the_citation_has_what_the_format_requires():
    cited = read_yaml("CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert cited["license"] == PYPROJECT["project"]["license"]
    for work in (cited, *cited["references"]):
        assert work["title"]
        for author in work["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert cited["message"]
    assert all(reference["type"] for reference in cited["references"])


def test_the_changelog_tells_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert VERSION in text


def test_the_workflow_runs_the_same_script_on_three_systems_and_two_pythons():
    workflow = read_yaml(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    systems = [name.split("-")[0] for name in matrix["os"]]
    assert systems == ["ubuntu", "macos", "windows"]
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert matrix["python"] == [oldest, "3.13"]
    python, run = job["steps"][-2:]
    assert python["with"]["python-version"] == "${{ matrix.python }}"
    assert (run["run"], run["shell"]) == (".ci/run", "bash")
    assert job["runs-on"] == "${{ matrix.os }}"


def test_ci_finds_the_programs_of_an_environment_on_windows_too():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "/Scripts" in script
    attributes = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    assert "* text=auto eol=lf" in attributes.splitlines()  # bash needs it
    lines = [line for line in script.splitlines() if "/bin/" in line]
    assert lines == ["#!/usr/bin/env bash"]
