"""What surrounds the code agrees with itself: README, environments, addresses, CI."""

import importlib.metadata
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from lesson_cells import LESSONS, ROOT, cells_of, read, setup_of
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mnist_lessons import __version__ as VERSION  # noqa: N812

PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
DEPENDENCIES = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
# a function imports these, and says what to install where they are missing
EXTRA = {Requirement(r).name for r in PROJECT["optional-dependencies"]["slides"]}
ADDRESS = PROJECT["urls"]["Repository"]
OURS = ADDRESS.removeprefix("https://github.com/")
FORK = "https://github.com/anna-b/digits.in_class"
# the name of the package that conda gives it, where that is another one
CONDA_NAMES = {"torch": "pytorch-cpu", "torchvision": "torchvision"}
# packages that may be imported although pyproject.toml leaves them to another one
COMES_WITH = {
    "ipywidgets": ["ipython", "traitlets"],
    "jupyterlab": ["jinja2", "jupyter-server", "jupyterlab-server"],
    "jupyter-server": ["nbconvert"],
    "nbconvert": ["nbclient", "nbformat", "pygments"],
}


def read_yaml(name):
    return yaml.safe_load(read(name))


def test_conda_takes_python_and_pytorch_and_leaves_the_rest_to_pyproject():
    *packages, pip = read_yaml("environment.yml")["dependencies"]
    assert pip == {"pip": ["-e ."]}
    parts = [re.fullmatch(r"([\w-]+)\s*(.*)", package).groups() for package in packages]
    bounds = {CONDA_NAMES[n]: str(DEPENDENCIES[n].specifier) for n in CONDA_NAMES}
    python = dict(parts)["python"]
    assert dict(parts) == {"python": python, "pip": "", **bounds}
    assert re.fullmatch(r"=3\.\d+", python)  # as Binder wants it
    assert f"{python[1:]}.0" in SpecifierSet(PROJECT["requires-python"])
    # Colab keeps its own torch and numpy only if nothing asks for other ones
    operators = [[b.operator for b in r.specifier] for r in DEPENDENCIES.values()]
    assert operators == [[">="]] * len(DEPENDENCIES)


def test_every_import_of_the_package_is_a_dependency_or_comes_with_one():
    line = re.compile(r"(?m)^ *(?:import ([\w.]+)(?: as \w+)?|from (\w\S*) import .*)$")
    imports = set()
    for path in (ROOT / "mnist_lessons").rglob("*.py"):
        for modules in line.findall(read(path)):
            top = "".join(modules).split(".")[0]
            if top not in sys.stdlib_module_names | {"mnist_lessons"}:
                name = "pillow" if top == "PIL" else top.lower().replace("_", "-")
                imports.add((path.name, name))
    assert {("models.py", "torch"), ("charts.py", "matplotlib")} <= imports
    brought = {name for names in COMES_WITH.values() for name in names}
    known = set(DEPENDENCIES) | brought | EXTRA | {"google"}  # which is Colab's own
    assert {(file, name) for file, name in imports if name not in known} == set()
    assert set(COMES_WITH) <= set(DEPENDENCIES) | brought
    for bringer, names in COMES_WITH.items():
        needed = map(Requirement, importlib.metadata.requires(bringer))
        always = {r.name for r in needed if not r.marker or r.marker.evaluate()}
        assert set(names) <= always, bringer


def test_readme_gives_each_command_in_one_line_and_without_ampersands():
    readme = read("README.md")
    fences = re.findall(r"(?ms)^```\n(.*?)^```", readme)
    for command in ("uv run python -m mnist_lessons lab", "uv run pytest"):
        assert f"pip install uv && {command}\n" in fences
        assert {"pip install uv", command} <= set(readme.splitlines())


def test_ci_runs_the_test_command_of_the_readme_on_every_system():
    script = read(".ci/run")
    typed = re.sub(r'"|\$bin/| --quiet', "", script).splitlines()
    assert {"pip install uv", "uv run pytest"} <= {line.strip() for line in typed}
    assert "/Scripts" in script  # where Windows has an environment's programs
    assert re.findall(".*/bin/.*", script) == ["#!/usr/bin/env bash"]
    assert "* text=auto eol=lf" in read(".gitattributes").splitlines()  # for bash
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    systems, pythons = job["strategy"]["matrix"].values()
    assert systems == [f"{name}-latest" for name in ("ubuntu", "macos", "windows")]
    assert pythons == [PROJECT["requires-python"].removeprefix(">="), "3.13"]
    python, run = job["steps"][-2:]
    assert python["with"]["python-version"] == "${{ matrix.python }}"
    assert (run["run"], run["shell"]) == (".ci/run", "bash")
    assert job["runs-on"] == "${{ matrix.os }}"


def test_the_version_stands_in_one_place_and_citation_and_changelog_repeat_it(run):
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", VERSION)
    assert "version" not in PROJECT
    assert run("--version") == (0, f"{VERSION}\n", "")
    cited = read_yaml("CITATION.cff")
    assert cited["version"] == VERSION
    changes = read("CHANGELOG.md")
    assert re.search(r"(?m)^## \[(.+?)\]", changes)[1] == "Unreleased"
    assert VERSION in changes
    # and the citation has what its format requires
    assert (cited["cff-version"], cited["license"]) == ("1.2.0", PROJECT["license"])
    assert cited["message"]
    for work in (cited, *cited["references"]):
        assert work["title"]
        names = [author.keys() for author in work["authors"]]
        assert all(n in ({"name"}, {"family-names", "given-names"}) for n in names)
    assert all(reference["type"] for reference in cited["references"])


def repositories_in(text):
    hosts = r"github\.com/|colab\.research\.google\.com/github/|mybinder\.org/v2/gh/"
    return re.findall(rf"(?:{hosts})([\w.-]+/[\w-]+)", text)


def test_every_address_of_the_project_is_the_one_in_pyproject(project_files):
    in_readme = repositories_in(read("README.md"))
    assert len(in_readme) >= 5  # to clone, to unpack, two for Colab, one for Binder
    assert set(in_readme) == {OURS}
    assert read_yaml("CITATION.cff")["repository-code"] == ADDRESS
    for path in LESSONS:
        first, *rest = cells_of(path)
        badge = f"https://colab.research.google.com/github/{OURS}/blob/main/notebooks/"
        assert f"({badge}{path.name})" in first.source
        assert f"git+{ADDRESS}\n" in setup_of(rest).source
    name = OURS.split("/")[1]
    for path in project_files:
        if path.suffix in {".md", ".ipynb", ".toml", ".cff", ".yml"}:
            for other in repositories_in(read(path)):
                fork = other.endswith(f"/{name}") and other != OURS
                assert not fork or path.name == "CONTRIBUTING.md", path


def test_no_file_names_the_host_of_a_package_registry(project_files):
    # a course is installed behind mirrors too; names of hosts would lead past them
    names = ["pypi.", "pythonhosted.", "npmjs.", "anaconda."]
    hosts = re.compile("|".join(f"{re.escape(n)}(?:org|com)" for n in names).encode())
    for path in project_files:
        assert not hosts.search(path.read_bytes()), path


@pytest.fixture
def copy(tmp_path, project_files):
    """A copy of the project, without the digits."""
    for path in project_files:
        if path.suffix != ".gz":
            new = tmp_path / path.relative_to(ROOT)
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new)
    return tmp_path


def set_repository(copy, address):
    command = [sys.executable, copy / "tools" / "set_repository.py", address]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert "Traceback" not in done.stderr
    return done


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_command_changes_every_address_and_the_way_back_restores_every_byte(copy):
    page = copy / "docs" / "more.md"
    page.write_bytes(f"{ADDRESS}-extra {ADDRESS}.\r\nx-{OURS}".encode())
    before = contents(copy)
    host = "https://github.com/"
    paths = ("anna", "anna/digits/tree/main", "-anna/digits", "anna/..")
    others = ("", "https://example.com/anna/digits", "git@github.com:a/b.git")
    for address in (*(host + path for path in paths), *others):
        done = set_repository(copy, address)
        assert done.returncode == 1, address
        assert repr(address) in done.stderr
        assert f"{host}ANNA/mnist-lessons" in done.stderr
    assert contents(copy) == before
    done = set_repository(copy, FORK)
    assert done.returncode == 0, done.stderr
    names = {"pyproject.toml", "README.md", "CITATION.cff", "notebooks/01_data.ipynb"}
    assert names <= set(done.stdout.splitlines())
    # longer names and ends of lines are left alone
    assert page.read_bytes() == f"{ADDRESS}-extra {FORK}.\r\nx-{OURS}".encode()
    changed = contents(copy)
    old = re.compile(rf"(?<!x-){re.escape(OURS)}(?![\w-])".encode())
    assert [path for path, content in changed.items() if old.search(content)] == []
    assert f"git clone {FORK}\ncd digits.in_class\n" in read(copy / "README.md")
    for path in LESSONS:
        notebook = nbformat.read(copy / "notebooks" / path.name, as_version=4)
        nbformat.validate(notebook)
        assert f"git+{FORK}\n" in setup_of(notebook.cells).source
    assert "0 files changed" in set_repository(copy, FORK + ".git/").stdout
    assert contents(copy) == changed
    set_repository(copy, ADDRESS)
    assert contents(copy) == before


def test_a_change_of_address_that_was_broken_off_can_be_repeated(copy, monkeypatch):
    change = runpy.run_path(str(ROOT / "tools" / "set_repository.py"))["set_repository"]
    written = []

    def write_a_few(path, content, write=Path.write_bytes):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_bytes", write_a_few)
        change(FORK, copy)
    later = change(FORK, copy)
    assert later
    assert not set(later) & set(written)
    assert change(FORK, copy) == []
