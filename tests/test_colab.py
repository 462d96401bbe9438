"""A lesson opened alone on Google Colab: nothing but the notebook and the wheel.

A stand-in takes the place of Colab: a kernel in an empty folder with a home of its own,
a module `google.colab`, a `%pip` that only notes what it is asked, and a server on this
machine that has the digits. MNIST_LESSONS_ALL_COLAB=1 executes whole lessons.
"""

import ast
import os
import sys
import types
from pathlib import Path
from unittest import mock

import matplotlib
import nbformat
import pytest
import torch
from lesson_cells import LESSONS, NOTEBOOKS, cells_of, code_of, every_lesson, setup_of
from nbclient import NotebookClient

from mnist_lessons import colab, files
from mnist_lessons.files import DataFileError

RAW = NOTEBOOKS.parent / "data" / "MNIST" / "raw"
WHERE = "import mnist_lessons, torch\nprint(mnist_lessons.__file__, torch.__file__)"
# what stands in for Colab: a module, and what its kernel does before the first cell
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


@pytest.fixture
def colab_run(installed, mirror, isolated, tmp_path):
    """`colab_run(*cells)` returns what each cell prints in the stand-in for Colab."""
    module = tmp_path / "fake" / "google" / "colab"
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "colab.py"
    for folder in (module, startup.parent, tmp_path / "home", tmp_path / "content"):
        folder.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "output.py").write_text(OUTPUT)
    startup.write_text(STARTUP)
    mirror.files = {path.name: path.read_bytes() for path in RAW.glob("*.gz")}
    names = {"HOME": "home", "USERPROFILE": "home", "IPYTHONDIR": "ipython"}
    settings = {name: tmp_path / folder for name, folder in names.items()} | {
        "NOTED": tmp_path / "noted",
        "PYTHONPATH": os.pathsep.join([str(installed), str(tmp_path / "fake")]),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # a list of fonts takes seconds
        "MIRROR": mirror.address,
        "MISSING": "",
    }
    for name, value in settings.items():
        isolated.setenv(name, str(value))

    def run(*sources):
        code = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=code)
        resources = {"metadata": {"path": tmp_path / "content"}}
        client = NotebookClient(notebook, timeout=300, resources=resources)
        client.widget_registry = {}  # else nbclient may wait for ever (its issue 312)
        client.execute()
        return ["".join(o.text for o in c.outputs if "text" in o) for c in code]

    return run


SETUP = setup_of(cells_of(LESSONS[0])).source  # test_lessons.py: the same in all


def imports_of(path):
    """Every import of a lesson after its set-up, as the code of one cell."""
    sources = [c.source for c in code_of(cells_of(path)) if c.source != SETUP]
    nodes = ast.walk(ast.parse("\n".join(sources)))
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, imports))


def test_the_set_up_is_enough_for_the_first_digit_and_every_import(
    colab_run, installed, mirror, tmp_path
):
    first = code_of(cells_of(LESSONS[0]))[1].source
    *_, where = colab_run(SETUP, first, *map(imports_of, LESSONS), WHERE)
    assert Path(where.split()[0]).is_relative_to(installed)
    # all is installed, so pip is not asked; anywidget switches itself on, too
    assert set((tmp_path / "noted").read_text().split()) == {"widgets"}
    assert mirror.asked == set(mirror.files)
    assert (tmp_path / "cache" / "mnist_lessons" / "MNIST" / "raw").is_dir()


@pytest.mark.skipif(
    "MNIST_LESSONS_ALL_COLAB" not in os.environ,
    reason="MNIST_LESSONS_ALL_COLAB is not set, so no whole lesson runs as on Colab",
)
@every_lesson
def test_a_lesson_alone_runs_to_its_end(colab_run, path):
    colab_run(*(cell.source for cell in code_of(cells_of(path))))


def test_what_is_missing_is_installed_and_a_second_run_does_nothing(
    colab_run, isolated, tmp_path
):
    isolated.setenv("MISSING", "mnist_lessons anywidget optuna")
    first, second, where = colab_run(SETUP, SETUP, WHERE)
    package, others, *switched = (tmp_path / "noted").read_text().splitlines()
    assert package.startswith("pip install -q --no-deps git+https://github.com/")
    assert others == "pip install -q anywidget optuna"
    assert switched == ["widgets", "widgets"]
    assert "Downloading the digits (11.6 MB)" in first
    place = f"The digits are in {tmp_path / 'cache' / 'mnist_lessons'}.\n"
    assert first.endswith(place)
    assert second == place
    assert str(tmp_path) not in where.split()[1]  # Colab's own torch


def test_digits_that_cannot_be_downloaded_are_told_in_the_set_up(
    isolated, tmp_path, capsys
):
    fake = mock.Mock()
    isolated.setitem(sys.modules, "google", fake)
    isolated.setitem(sys.modules, "google.colab", fake)
    isolated.setattr(files, "__file__", str(tmp_path / "site" / "pkg" / "files.py"))
    with pytest.raises(DataFileError, match="download failed"):
        colab.prepare()
    fake.output.enable_custom_widget_manager.assert_called_once_with()
    assert "Downloading the digits" in capsys.readouterr().out


def test_elsewhere_nothing_is_done(isolated, tmp_path, capsys):
    assert "google.colab" not in sys.modules
    colab.prepare()
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_half_of_the_cores_compute_unless_the_environment_says_otherwise(monkeypatch):
    def threads(cores, quota="max", asked=""):
        limit = types.SimpleNamespace(read_text=lambda: f"{quota} 100000")
        monkeypatch.setattr(colab, "Path", lambda _: limit)
        allowed = set(range(cores))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
        monkeypatch.setenv("MNIST_LESSONS_THREADS", asked)
        try:
            return colab.spare_the_machine()
        finally:
            torch.set_num_threads(1)

    assert [threads(cores) for cores in (1, 2, 8, 64)] == [1, 1, 4, 8]
    assert [threads(8, quota) for quota in (50_000, 400_000)] == [1, 2]
    assert threads(8, asked="3") == 3
    for wrong in ("abc", "0", "1.5"):
        with pytest.raises(ValueError, match=f"MNIST_LESSONS_THREADS='?{wrong}'? does"):
            threads(8, asked=wrong)
