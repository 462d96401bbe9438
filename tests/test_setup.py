"""What a new user meets first agrees with itself: README, environments, addresses."""

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
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
IMPORT_NAMES = {"PIL": "pillow", "IPython": "ipython"}
# packages that may be imported although pyproject.toml leaves them to another one
COMES_WITH = {
    "ipython": "ipywidgets",
    "traitlets": "ipywidgets",
    "jupyter-server": "jupyterlab",
    "nbconvert": "jupyter-server",
    "nbclient": "nbconvert",
    "nbformat": "nbconvert",
}

project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
dependencies = {r.name: r for r in map(Requirement, project["dependencies"])}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def project_files():
    """All files that git tracks, or would track once they are added."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("only git tells which files are the project's own")
    # a checkout may belong to somebody else, as in a container: git reads it only so
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(
        [*git, "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


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
    known = set(dependencies) | set(COMES_WITH)
    assert [(file, name) for file, name in found if name not in known] == []


@pytest.mark.parametrize(("name", "bringer"), COMES_WITH.items())
def test_what_is_left_to_another_package_comes_with_it(name, bringer):
    assert bringer in set(dependencies) | set(COMES_WITH)
    brought = map(Requirement, importlib.metadata.requires(bringer))
    assert name in {r.name for r in brought if r.marker is None}


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
        assert any(re.search(rf"(^|/bin/){part}$", like_typed(line)) for line in lines)


def like_typed(line):
    return line.replace('"', "").replace(" --quiet", "").rstrip()


# addresses and links


def notebooks():
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def texts_of_notebook(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield "".join(cell["source"])


def repository():
    address = project["urls"]["Repository"]
    return re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address).group(1)


def repositories_in(text):
    """Every `owner/name` in an address of the code host, of Colab or of Binder."""
    hosts = r"github\.com/|colab\.research\.google\.com/github/|mybinder\.org/v2/gh/"
    return re.findall(rf"(?:{hosts})([\w.-]+/[\w-]+)", text)


def test_the_pages_name_the_repository_of_pyproject():
    found = repositories_in(read("README.md"))
    assert len(found) >= 5  # to clone, to unpack, two for Colab, one for Binder
    assert set(found) == {repository()}
    assert f"grep -rl {repository()} " in read("CONTRIBUTING.md")


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.name)
def test_a_lesson_names_the_repository_of_pyproject(path):
    found = repositories_in("\n".join(texts_of_notebook(path)))
    ours = [name for name in found if name.endswith("/" + repository().split("/")[1])]
    assert ours, "the badge for Colab is missing"
    assert set(ours) == {repository()}


def test_links_to_colab_and_binder_name_files_that_exist():
    texts = [read("README.md")]
    for path in notebooks():
        texts += texts_of_notebook(path)
    named = re.findall(r"(?:blob/main/|lab/tree/)(\S+?\.ipynb)", "\n".join(texts))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def pages():
    return [path for path in project_files() if path.suffix == ".md"]


def test_links_in_pages_lead_somewhere():
    broken = []
    for page in pages():
        text = re.sub(
            r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
        )
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, heading = target.partition("#")
            linked = (page.parent / file).resolve() if file else page
            if not linked.exists() or (heading and heading not in anchors(linked)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert len(pages()) >= 3
    assert broken == []


def anchors(page):
    """The name by which a code host links each heading: words joined by dashes."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings
    }


def test_no_file_names_the_host_of_a_package_registry():
    # a course is installed behind mirrors too; names of hosts would lead past them
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".com"]
    hosts += ["npmjs" + ".org", "anaconda" + ".org", "conda" + ".anaconda"]
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in project_files()
        for host in hosts
        if host.encode() in path.read_bytes()
    ]
    assert found == []
