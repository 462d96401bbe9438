"""Every address of the project is the one in pyproject.toml, and a command sets it."""

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

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADDRESS = PYPROJECT["project"]["urls"]["Repository"]
OURS = ADDRESS.removeprefix("https://github.com/")
HOSTS = r"github\.com/|colab\.research\.google\.com/github/|mybinder\.org/v2/gh/"
FORK = "https://github.com/anna-b/digits.in_class"


def repositories_in(text):
    """Every `owner/name` in an address of the code host, of Colab or of Binder."""
    return re.findall(rf"(?:{HOSTS})([\w.-]+/[\w-]+)", text)


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


def test_the_readme_names_the_repository_of_pyproject():
    found = repositories_in((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) >= 5  # to clone, to unpack, two for Colab, one for Binder
    assert set(found) == {OURS}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_a_lesson_names_the_repository_in_its_badge_and_its_set_up_cell(path):
    first, setup, *_ = nbformat.read(path, as_version=4).cells
    badge = f"https://colab.research.google.com/github/{OURS}/blob/main/notebooks/"
    assert f"({badge}{path.name})" in first.source
    assert f"git+{ADDRESS}\n" in setup.source


def test_the_citation_names_the_repository():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["repository-code"] == ADDRESS


def test_no_file_names_the_project_under_another_owner(project_files):
    name = OURS.split("/")[1]
    for path in project_files:
        if path.suffix in {".md", ".ipynb", ".toml", ".cff", ".yml"}:
            for found in repositories_in(path.read_text(encoding="utf-8")):
                other = found.endswith(f"/{name}") and found != OURS
                assert not other or path.name == "CONTRIBUTING.md", path


def test_one_command_changes_every_place(copy):
    done = set_repository(copy, FORK)
    assert done.returncode == 0, done.stderr
    for name in ("pyproject.toml", "README.md", "CITATION.cff", "01_data.ipynb"):
        assert name in done.stdout
    old = re.compile(rf"{re.escape(OURS)}(?![\w-])".encode())
    left = [path for path, content in contents(copy).items() if old.search(content)]
    assert left == []
    readme = (copy / "README.md").read_text(encoding="utf-8")
    assert f"git clone {FORK}\ncd digits.in_class\n" in readme
    for path in LESSONS:
        notebook = nbformat.read(copy / "notebooks" / path.name, as_version=4)
        nbformat.validate(notebook)
        assert f"git+{FORK}\n" in notebook.cells[1].source


def test_a_second_run_changes_nothing_and_the_way_back_restores_every_byte(copy):
    before = contents(copy)
    set_repository(copy, FORK)
    changed = contents(copy)
    assert changed != before
    assert "0 files changed" in set_repository(copy, FORK + ".git/").stdout
    assert contents(copy) == changed
    set_repository(copy, ADDRESS)
    assert contents(copy) == before


def test_a_run_that_was_broken_off_can_be_repeated(copy, monkeypatch):
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


@pytest.mark.parametrize(
    "address",
    [
        "anna/digits",
        "https://example.com/anna/digits",
        "https://github.com/anna",
        "https://github.com/anna/digits/tree/main",
        "https://github.com/anna b/digits",
        "https://github.com/-anna/digits",
        "https://github.com/anna/..",
        "git@github.com:anna/digits.git",
        "",
    ],
)
def test_what_is_no_address_is_refused_and_changes_nothing(copy, address):
    before = contents(copy)
    done = set_repository(copy, address)
    assert done.returncode == 1
    assert repr(address) in done.stderr
    assert "https://github.com/ANNA/mnist-lessons" in done.stderr
    assert contents(copy) == before


def test_longer_names_and_ends_of_lines_are_left_alone(copy):
    page = copy / "docs" / "more.md"
    page.write_bytes(f"{ADDRESS}-extra {ADDRESS}.\r\nx-{OURS}".encode())
    set_repository(copy, FORK)
    assert page.read_bytes() == f"{ADDRESS}-extra {FORK}.\r\nx-{OURS}".encode()
