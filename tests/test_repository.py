"""What surrounds the code agrees with itself: README, environments, addresses, CI."""

import ast
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
from lesson_cells import LESSONS, cells_of, prose_of, setup_of
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mnist_lessons import __version__ as VERSION  # noqa: N812

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
DEPENDENCIES = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
# a function imports these, and says what to install where they are missing
EXTRA = {Requirement(r).name for r in PROJECT["optional-dependencies"]["slides"]}
ADDRESS = PROJECT["urls"]["Repository"]
OURS = ADDRESS.removeprefix("https://github.com/")
HOSTS = r"github\.com/|colab\.research\.google\.com/github/|mybinder\.org/v2/gh/"
FORK = "https://github.com/anna-b/digits.in_class"
COMMANDS = ["uv run python -m mnist_lessons lab", "uv run pytest"]
# the name of the package that conda gives it, where that is another one
CONDA_NAMES = {"torch": "pytorch-cpu", "torchvision": "torchvision"}
# what an import is called, where the package has another name
IMPORT_NAMES = {
    "PIL": "pillow",
    "IPython": "ipython",
    "jupyterlab_server": "jupyterlab-server",
}
# packages that may be imported although pyproject.toml leaves them to another one
COMES_WITH = {
    "ipython": "ipywidgets",
    "traitlets": "ipywidgets",
    "jinja2": "jupyterlab",
    "jupyter-server": "jupyterlab",
    "jupyterlab-server": "jupyterlab",
    "nbconvert": "jupyter-server",
    "nbclient": "nbconvert",
    "nbformat": "nbconvert",
    "pygments": "nbconvert",
}
ONLY_ON_COLAB = {"google"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def read_yaml(name):
    return yaml.safe_load(read(name))


# what is installed


def test_conda_takes_python_and_pytorch_and_leaves_the_rest_to_pyproject():
    *packages, pip = read_yaml("environment.yml")["dependencies"]
    assert pip == {"pip": ["-e ."]}
    parts = [re.fullmatch(r"([\w-]+)\s*(.*)", package).groups() for package in packages]
    bounds = {CONDA_NAMES[n]: str(DEPENDENCIES[n].specifier) for n in CONDA_NAMES}
    python = dict(parts)["python"]
    assert dict(parts) == {"python": python, "pip": "", **bounds}
    assert re.fullmatch(r"=3\.\d+", python)  # as Binder wants it
    assert f"{python[1:]}.0" in SpecifierSet(PROJECT["requires-python"])


def test_dependencies_have_lower_bounds_only():
    # Colab keeps its own torch and numpy only if nothing asks for other ones
    for requirement in DEPENDENCIES.values():
        operators = [bound.operator for bound in requirement.specifier]
        assert operators == [">="], requirement


def third_party_imports():
    for path in (ROOT / "mnist_lessons").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for top in {module.split(".")[0] for module in modules}:
                if top not in sys.stdlib_module_names | {"mnist_lessons"}:
                    yield path.name, IMPORT_NAMES.get(top, top)


def test_every_import_of_the_package_is_a_dependency_or_comes_with_one():
    imports = set(third_party_imports())
    assert {("models.py", "torch"), ("charts.py", "matplotlib")} <= imports
    known = set(DEPENDENCIES) | set(COMES_WITH) | ONLY_ON_COLAB | EXTRA
    assert {(file, name) for file, name in imports if name not in known} == set()
    for name, bringer in COMES_WITH.items():
        assert bringer in set(DEPENDENCIES) | set(COMES_WITH)
        brought = map(Requirement, importlib.metadata.requires(bringer))
        always = {r.name for r in brought if not r.marker or r.marker.evaluate()}
        assert name in always, bringer


# README.md, .ci/run and the workflow


def test_readme_gives_each_command_in_one_line_and_without_ampersands():
    readme = read("README.md")
    fences = re.findall(r"^```\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    for command in COMMANDS:
        assert f"pip install uv && {command}\n" in fences
        assert {"pip install uv", command} <= set(readme.splitlines())


def test_ci_runs_the_test_command_of_the_readme_on_every_system():
    script = read(".ci/run")
    typed = re.sub(r'"|\$bin/| --quiet', "", script).splitlines()
    assert {"pip install uv", "uv run pytest"} <= {line.strip() for line in typed}
    assert "/Scripts" in script  # where Windows has an environment's programs
    lines = [line for line in script.splitlines() if "/bin/" in line]
    assert lines == ["#!/usr/bin/env bash"]
    assert "* text=auto eol=lf" in read(".gitattributes").splitlines()  # for bash
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    systems, pythons = job["strategy"]["matrix"].values()
    assert [s.split("-")[0] for s in systems] == ["ubuntu", "macos", "windows"]
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
    assert re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)[0] == "Unreleased"
    assert VERSION in changes


def test_the_citation_has_what_the_format_requires():
    cited = read_yaml("CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert cited["license"] == PROJECT["license"]
    assert cited["message"]
    for work in (cited, *cited["references"]):
        assert work["title"]
        for author in work["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert all(reference["type"] for reference in cited["references"])


# addresses


def repositories_in(text):
    """Every `owner/name` in an address of the code host, of Colab or of Binder."""
    return re.findall(rf"(?:{HOSTS})([\w.-]+/[\w-]+)", text)


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
            for other in repositories_in(path.read_text(encoding="utf-8")):
                fork = other.endswith(f"/{name}") and other != OURS
                assert not fork or path.name == "CONTRIBUTING.md", path


def test_links_to_colab_and_binder_name_files_that_exist():
    texts = [read("README.md"), *(prose_of(cells_of(path)) for path in LESSONS)]
    named = re.findall(r"(?:blob/main/|lab/tree/)(\S+?\.ipynb)", "\n".join(texts))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


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
            new = tmp_path / "copy" / path.relative_to(ROOT)
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new)
    return tmp_path / "copy"


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
    done = set_repository(copy, FORK)
    assert done.returncode == 0, done.stderr
    for name in ("pyproject.toml", "README.md", "CITATION.cff", "01_data.ipynb"):
        assert name in done.stdout
    # longer names and ends of lines are left alone
    assert page.read_bytes() == f"{ADDRESS}-extra {FORK}.\r\nx-{OURS}".encode()
    changed = contents(copy)
    old = re.compile(rf"(?<!x-){re.escape(OURS)}(?![\w-])".encode())
    assert [path for path, content in changed.items() if old.search(content)] == []
    readme = (copy / "README.md").read_text(encoding="utf-8")
    assert f"git clone {FORK}\ncd digits.in_class\n" in readme
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
    write, written = Path.write_bytes, []

    def write_a_few(path, content):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_a_few)
    with pytest.raises(KeyboardInterrupt):
        change(FORK, copy)
    monkeypatch.setattr(Path, "write_bytes", write)
    later = change(FORK, copy)
    assert later
    assert not set(later) & set(written)
    assert change(FORK, copy) == []


def test_what_is_no_address_is_refused_and_changes_nothing(copy):
    before = contents(copy)
    paths = ["", "/anna", "/anna/digits/tree/main", "/anna b/digits"]
    paths += ["/-anna/digits", "/anna/.."]
    refused = [f"https://github.com{path}" for path in paths]
    refused += ["anna/digits", "https://example.com/anna/digits", ""]
    for address in [*refused, "git@github.com:anna/digits.git"]:
        done = set_repository(copy, address)
        assert done.returncode == 1, address
        assert repr(address) in done.stderr
        assert "https://github.com/ANNA/mnist-lessons" in done.stderr
    assert contents(copy) == before
