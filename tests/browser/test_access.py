"""What a screen reader is told, and what axe-core finds: on a page, in JupyterLab."""

import re

import nbformat
import pytest
from lesson_cells import LESSONS, cells_of, code_of, images_of
from nbconvert import HTMLExporter

from browser.notebook_page import PANEL

# what axe-core says of every notebook, whatever stands in it
OF_NBCONVERT = ["link-in-text-block"]  # its links have a colour, and no line below
OF_JUPYTERLAB = [
    *("aria-allowed-attr", "button-name"),  # the debugger's; what folds a section
    *("aria-input-field-name", "aria-required-children"),  # its cells; their list
]
# how code is coloured, and the numbers beside the cells
CODE = [[".highlight"], [".jp-InputPrompt"], [".jp-OutputPrompt"]]


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


def found_by(axe, page, context=None, known=()):
    """Return what axe-core finds wrong: the rule, and the elements that break it."""
    rules = {rule: {"enabled": False} for rule in known}
    options = {"resultTypes": ["violations"], "rules": rules}
    broken = axe.run(page, context=context, options=options).response["violations"]
    return {rule["id"]: [n["html"][:200] for n in rule["nodes"]] for rule in broken}


def undescribed(page):
    """Return the alt texts of lesson 1 that no image on a page has for its name."""
    alts = images_of(*code_of(cells_of(LESSONS[0])))
    names = [re.sub(r"\s+", " ", alt) for alt in alts]
    assert len(names) > 5
    # what is folded is described once it is opened
    page.locator("details").evaluate_all("folds => folds.forEach(f => (f.open = true))")
    return [n for n in names if not page.get_by_role("img", name=n, exact=True).count()]


def test_an_exported_lesson_is_described_in_full_and_axe_finds_nothing(axe, browser):
    page = browser.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.set_content(HTMLExporter().from_filename(LESSONS[0])[0])
    assert undescribed(page) == []
    assert page.get_by_alt_text("No description").count() == 0
    assert found_by(axe, page, {"exclude": CODE}, OF_NBCONVERT) == {}
    page.set_content("<html lang=en><title>a</title><main><h1>a</h1><img src=a.png>")
    assert found_by(axe, page).keys() == {"image-alt"}  # axe does notice
    page.close()


def test_a_stored_lesson_in_jupyterlab_is_described_and_axe_finds_nothing(axe, scratch):
    notebook = scratch(nbformat.read(LESSONS[0], as_version=4))  # it is not run
    assert undescribed(notebook.panel) == []
    first = notebook.panel.get_by_role("img", name="1 image of a digit: label: 5.")
    assert first.evaluate("e => e.complete && e.naturalWidth > 100")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        assert found_by(axe, notebook.page, PANEL, OF_JUPYTERLAB) == {}, theme
