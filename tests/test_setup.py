"""What a new user meets first agrees with itself: README, environments, addresses."""

import ast
import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
LAB = "pip install uv && uv run python -m mnist_lessons lab"
TESTS = "pip install uv && uv run pytest"
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

project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
dependencies = {r.name: r for r in map(Requirement, project["dependencies"])}
# a function imports these, and says what to install where they are missing
extra = {Requirement(r).name for r in project["optional-dependencies"]["slides"]}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def conda_environment():
    packages = yaml.safe_load(read("environment.yml"))["dependencies"]
    plain = [package for package in packages if isinstance(package, str)]
    (pip,) = [package["pip"] for package in packages if isinstance(package, dict)]
    parts = [re.fullmatch(r"([\w-]+)\s*(.*)", package).groups() for package in plain]
    return dict(parts), pip


# environment.yml


def test_conda_python_is_one_that_the_project_supports():
    plain, _ = conda_environment()
    assert re.fullmatch(r"=3\.\d+", plain["python"])  # as Binder wants it
    supported = SpecifierSet(project["requires-python"])
    assert plain["python"].lstrip("=") + ".0" in supported


def test_conda_packages_have_the_bounds_of_pyproject():
    plain, _ = conda_environment()
    for name, conda_name in CONDA_NAMES.items():
        assert plain[conda_name] == str(dependencies[name].specifier)


def test_conda_takes_everything_else_through_pyproject():
    plain, pip = conda_environment()
    assert pip == ["-e ."]
    assert set(plain) == {"python", "pip", *CONDA_NAMES.values()}


# pyproject.toml


@pytest.mark.parametrize("requirement", dependencies.values(), ids=str)
def test_dependencies_have_lower_bounds_only(requirement):
    # Colab keeps its own torch and numpy only if nothing asks for other ones
    assert [bound.operator for bound in requirement.specifier] == [">="]


def third_party_imports(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for module in modules:
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names | {"mnist_lessons"}:
                    yield path.name, IMPORT_NAMES.get(top, top)


def test_every_import_of_the_package_is_a_dependency():
    found = list(third_party_imports("mnist_lessons"))
    assert {("models.py", "torch"), ("charts.py", "matplotlib")} <= set(found)
    known = set(dependencies) | set(COMES_WITH) | ONLY_ON_COLAB | extra
    assert [(file, name) for file, name in found if name not in known] == []


@pytest.mark.parametrize(("name", "bringer"), COMES_WITH.items())
def test_what_is_left_to_another_package_comes_with_it(name, bringer):
    assert bringer in set(dependencies) | set(COMES_WITH)
    brought = map(Requirement, importlib.metadata.requires(bringer))
    always = [r for r in brought if r.marker is None or r.marker.evaluate()]
    assert name in {r.name for r in always}


# README.md and .ci/run


@pytest.mark.parametrize("command", [LAB, TESTS])
def test_readme_gives_the_command_in_one_line(command):
    fences = re.findall(r"^```\n(.*?)^```", read("README.md"), re.DOTALL | re.MULTILINE)
    assert f"{command}\n" in fences


@pytest.mark.parametrize("command", [LAB, TESTS])
def test_readme_gives_the_command_without_ampersands(command):
    lines = read("README.md").splitlines()
    assert all(part in lines for part in command.split(" && "))


def test_ci_runs_the_test_command_of_the_readme():
    lines = read(".ci/run").splitlines()
    for part in TESTS.split(" && "):
        assert any(
            re.search(rf"(^|[/$]bin/){part}$", like_typed(line)) for line in lines
        )


def like_typed(line):
    return line.replace('"', "").replace(" --quiet", "").rstrip()


# addresses and links


def notebooks():
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def texts_of_notebook(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield "".join(cell["source"])


def test_links_to_colab_and_binder_name_files_that_exist():
    texts = [read("README.md")]
    for path in notebooks():
        texts += texts_of_notebook(path)
    named = re.findall(r"(?:blob/main/|lab/tree/)(\S+?\.ipynb)", "\n".join(texts))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_no_file_names_the_host_of_a_package_registry(project_files):
    # a course is installed behind mirrors too; names of hosts would lead past them
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".com"]
    hosts += ["npmjs" + ".org", "anaconda" + ".org", "conda" + ".anaconda"]
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in project_files
        for host in hosts
        if host.encode() in path.read_bytes()
    ]
    assert found == []
