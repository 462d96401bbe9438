"""That the tests in a browser notice what is broken."""

import sys

import pytest

BROKEN = """
import anywidget

class Broken(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { throw new Error('broken on purpose') } }"

Broken()
"""
THROWS = "throw new Error('broken on purpose')"
WORKING = BROKEN.replace(THROWS, "el.append('hello')")
EMPTY = BROKEN.replace(THROWS, "")
CLOSED = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3), leave=False): pass"
IMAGE = "from IPython.display import HTML; HTML('<img src=\"http://192.0.2.1/a.png\">')"
SLIDER = "import ipywidgets\nipywidgets.IntSlider()"


def test_errors_names_everything_that_is_broken(scratch):
    notebook = scratch(IMAGE, EMPTY, BROKEN, "1 / 0", "never = 'run'")
    notebook.run_all()
    errors = notebook.errors()
    assert any("http://192.0.2.1/a.png" in line for line in errors)
    assert any("broken on purpose" in line for line in errors)
    assert "ZeroDivisionError: division by zero in: 1 / 0" in errors
    assert "not run: never = 'run'" in errors
    for cell in notebook.state()["cells"][1:3]:  # one shows nothing, the other fails
        assert not cell["outputs"][-1]["live"]
    assert "no live widget below: import anywidget" in errors


def test_errors_has_nothing_to_say_until_the_kernel_of_a_widget_is_gone(scratch):
    notebook = scratch(SLIDER, WORKING, CLOSED, "import sys; print(sys.executable)", "")
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.panel.get_by_text(sys.executable).count() == 1
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run_code("1 / 0")
    reopened = scratch(notebook.save())  # trusted, as it was run and saved here
    assert any(line.startswith("the page says '") for line in reopened.errors())


def test_a_kernel_that_dies_is_noticed(scratch):
    notebook = scratch("import os; os._exit(1)")
    with pytest.raises(AssertionError, match="appears to have died"):
        notebook.run_all()
