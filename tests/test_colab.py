"""A lesson opened alone on Google Colab: nothing but the notebook and the wheel.

A stand-in takes the place of Colab: a kernel in an empty folder with a home of its own,
a module `google.colab`, a `%pip` that only notes what it is asked, and a server on this
machine that has the digits. MNIST_LESSONS_ALL_COLAB=1 executes all lessons.
"""

import ast
import os
import sys
import types
from pathlib import Path

import matplotlib
import nbformat
import pytest
from lesson_cells import LESSONS
from nbclient import NotebookClient

from mnist_lessons import colab, files
from mnist_lessons.files import DataFileError

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "data" / "MNIST" / "raw"
WHOLE = LESSONS if os.environ.get("MNIST_LESSONS_ALL_COLAB") else LESSONS[:1]
FONTS = matplotlib.get_cachedir()  # a list of fonts takes seconds to make

OUTPUT = """
import os
def enable_custom_widget_manager():
    with open(os.environ["NOTED"], "a") as noted:
        print("widgets", file=noted)
"""
STARTUP = """
import os, sys
import google.colab  # Colab has imported it before the first cell runs
from torchvision import datasets

datasets.MNIST.mirrors = [os.environ["MIRROR"]]
# None: as if it were not installed
sys.modules |= dict.fromkeys(os.environ["MISSING"].split())

def pip(line):
    with open(os.environ["NOTED"], "a") as noted:
        print("pip", line, file=noted)
    for name in os.environ["MISSING"].split():
        if name.replace("_", "-") in line:
            del sys.modules[name]

get_ipython().register_magic_function(pip)
"""


class Session:
    """A Colab session. `noted` are the calls of pip and of the widgets' switch."""

    def __init__(self, folder, mirror):
        self.folder, self.mirror = folder, mirror

    def run(self, notebook):
        resources = {"metadata": {"path": self.folder / "content"}}
        client = NotebookClient(notebook, timeout=300, resources=resources)
        client.widget_registry = {}  # else nbclient may wait for ever (its issue 312)
        client.execute()
        return notebook.cells

    @property
    def noted(self):
        return (self.folder / "noted").read_text(encoding="utf-8").splitlines()

    @property
    def cache(self):
        return self.folder / "cache" / "mnist_lessons"


@pytest.fixture
def session(installed, mirror, isolated, tmp_path):
    """Build the stand-in around the wheel; `mirror` and `isolated` see to the rest."""
    module = tmp_path / "fake" / "google" / "colab"
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "colab.py"
    for folder in (module, startup.parent, tmp_path / "home", tmp_path / "content"):
        folder.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "output.py").write_text(OUTPUT, encoding="utf-8")
    startup.write_text(STARTUP, encoding="utf-8")
    mirror.files = {path.name: path.read_bytes() for path in RAW.glob("*.gz")}
    settings = {
        "PYTHONPATH": os.pathsep.join([str(installed), str(tmp_path / "fake")]),
        "HOME": str(tmp_path / "home"),
        "USERPROFILE": str(tmp_path / "home"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLCONFIGDIR": FONTS,
        "MIRROR": mirror.address,
        "MISSING": "",
        "NOTED": str(tmp_path / "noted"),
    }
    for name, value in settings.items():
        isolated.setenv(name, value)
    return Session(tmp_path, mirror)


def set_up_of(path):
    return next(
        cell
        for cell in nbformat.read(path, as_version=4).cells
        if "setup" in cell.metadata.get("tags", [])
    )


def notebook_of(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def printed(cell):
    return "".join(o.text for o in cell.outputs if o.get("name") == "stdout")


def imports_of(path):
    """Every import of a lesson after its set-up, as the code of one cell."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            found += [
                ast.unparse(node)
                for node in ast.walk(ast.parse(cell.source))
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    assert found
    return "\n".join(found)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_lesson_alone_runs_to_its_end(session, installed, path):
    notebook = nbformat.read(path, as_version=4)
    where = "import mnist_lessons\nprint(mnist_lessons.__file__)"
    notebook.cells.append(nbformat.v4.new_code_cell(where))
    cells = session.run(notebook)
    assert Path(printed(cells[-1]).strip()).is_relative_to(installed)
    # all is installed, so pip is not asked; anywidget switches itself on, too
    assert set(session.noted) == {"widgets"}
    assert session.mirror.asked == set(session.mirror.files)
    assert (session.cache / "MNIST" / "raw").is_dir()


def test_the_set_up_is_enough_for_what_every_lesson_imports(session):
    # one kernel for all; test_lessons.py sees to it that the set-up is the same
    setup = set_up_of(LESSONS[0]).source
    session.run(notebook_of(setup, *map(imports_of, LESSONS)))
    assert session.noted == ["widgets"]


def test_what_is_missing_is_installed_and_a_second_run_does_nothing(
    session, monkeypatch
):
    monkeypatch.setenv("MISSING", "mnist_lessons anywidget optuna")
    cell = set_up_of(LESSONS[0]).source
    first, second, versions = session.run(
        notebook_of(
            cell, cell, "import anywidget, optuna, torch; print(torch.__file__)"
        )
    )
    package, others, *switched = session.noted
    assert package.startswith("pip install -q --no-deps git+https://github.com/")
    assert others == "pip install -q anywidget optuna"
    assert switched == ["widgets", "widgets"]
    assert "Downloading the digits (11.6 MB)" in printed(first)
    place = f"The digits are in {session.cache}.\n"
    assert printed(first).endswith(place)
    assert printed(second) == place
    assert str(session.folder) not in printed(versions)  # Colab's own torch


def test_digits_that_cannot_be_downloaded_are_told_in_the_set_up(
    isolated, tmp_path, capsys
):
    switched = []
    output = types.SimpleNamespace(
        enable_custom_widget_manager=lambda: switched.append(True)
    )
    isolated.setitem(sys.modules, "google", types.ModuleType("google"))
    fake = types.SimpleNamespace(output=output)
    isolated.setitem(sys.modules, "google.colab", fake)
    isolated.setattr(files, "__file__", str(tmp_path / "site" / "pkg" / "files.py"))
    with pytest.raises(DataFileError, match="download failed"):
        colab.prepare()
    assert switched == [True]
    assert "Downloading the digits" in capsys.readouterr().out


def test_elsewhere_nothing_is_done(isolated, tmp_path, capsys):
    assert "google.colab" not in sys.modules
    colab.prepare()
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
