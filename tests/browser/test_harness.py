"""That the tests in a browser notice what is broken."""

import sys

import pytest

BROKEN = """
import anywidget

class Broken(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { throw new Error('broken on purpose') } }"

Broken()
"""
WORKING = BROKEN.replace("throw new Error('broken on purpose')", "el.append('hello')")
EMPTY = BROKEN.replace("throw new Error('broken on purpose')", "")
CLOSED = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3), leave=False): pass"
IMAGE = "from IPython.display import HTML; HTML('<img src=\"http://192.0.2.1/a.png\">')"


def test_errors_names_everything_that_is_broken(scratch):
    notebook = scratch(IMAGE, BROKEN, "1 / 0", "never = 'run'")
    notebook.run_all()
    errors = notebook.errors()
    assert any("http://192.0.2.1/a.png" in line for line in errors)
    assert any("broken on purpose" in line for line in errors)
    assert "ZeroDivisionError: division by zero in: 1 / 0" in errors
    assert "not run: never = 'run'" in errors
    assert "no live widget below: import anywidget" in errors


def test_errors_has_nothing_to_say_about_a_good_notebook(scratch):
    slider = "import ipywidgets\nipywidgets.IntSlider()"
    notebook = scratch(slider, WORKING, CLOSED, "print('fine')", "")
    notebook.run_all()
    assert notebook.errors() == []


def test_a_widget_that_shows_nothing_is_noticed(scratch):
    notebook = scratch(EMPTY)
    notebook.run_all()
    assert notebook.errors() == ["no live widget below: import anywidget"]


def test_a_kernel_that_dies_is_noticed(scratch):
    notebook = scratch("import os; os._exit(1)")
    with pytest.raises(AssertionError, match="appears to have died"):
        notebook.run_all()


def test_a_widget_whose_kernel_is_gone_is_noticed(scratch):
    notebook = scratch("import ipywidgets\nipywidgets.IntSlider()")
    notebook.run_all()
    reopened = scratch(notebook.save())  # trusted, as it was run and saved here
    # "Loading widget..." at first, in some releases for good
    assert any(line.startswith("the page says") for line in reopened.errors())


def test_the_kernel_is_this_python(scratch):
    notebook = scratch("import sys")
    assert notebook.run_code("import sys; print(sys.executable)") == sys.executable
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run_code("1 / 0")
