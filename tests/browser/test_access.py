"""What a screen reader is told, and what axe-core finds: on a page, in JupyterLab."""

import re

import nbformat
import pytest
from nbconvert import HTMLExporter
from test_access import alts_in

from browser.notebook_page import PANEL
from browser.server import LESSONS

LESSON = LESSONS / "01_data.ipynb"
# what axe-core says of every notebook, whatever stands in it
OF_NBCONVERT = {"link-in-text-block": "its links have a colour, and no line below"}
OF_JUPYTERLAB = {
    "aria-allowed-attr": "the debugger's button",
    "aria-input-field-name": "cells to write in have no names",
    "aria-required-children": "the list of cells",
    "button-name": "the button that folds a section",
}
# how code is coloured, and the numbers beside the cells
CODE = [[".highlight"], [".jp-InputPrompt"], [".jp-OutputPrompt"]]


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


def found_by(axe, page, context, known):
    """Return what axe-core finds wrong: the rule, and the elements that break it."""
    options = {
        "resultTypes": ["violations"],
        "rules": {rule: {"enabled": False} for rule in known},
    }
    results = axe.run(page, context=context, options=options).response
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]]
        for rule in results["violations"]
    }


@pytest.fixture(scope="module")
def exported(browser):
    """The lesson as a page, as `jupyter nbconvert --to html` makes it."""
    page = browser.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.set_content(HTMLExporter().from_filename(LESSON)[0])
    yield page
    page.close()


@pytest.fixture(scope="module")
def opened(open_notebook):
    """The lesson as it is stored, opened in JupyterLab and not run."""
    notebook = open_notebook(nbformat.read(LESSON, as_version=4))
    yield notebook
    notebook.close()


def undescribed(page, alts):
    """Return the alt texts that no image on a page has for its name."""
    names = [re.sub(r"\s+", " ", alt) for alt in alts]
    return [n for n in names if not page.get_by_role("img", name=n, exact=True).count()]


def test_every_picture_of_an_exported_lesson_has_its_description(exported):
    assert undescribed(exported, alts_in(LESSON)) == []
    assert exported.get_by_alt_text("No description").count() == 0


def test_every_picture_of_a_lesson_in_jupyterlab_has_its_description(opened):
    assert undescribed(opened.panel, alts_in(LESSON)) == []
    first = opened.panel.get_by_role("img", name="1 image of a digit: label: 5.")
    assert first.evaluate("e => e.complete && e.naturalWidth > 100")


def test_axe_finds_nothing_on_an_exported_lesson(axe, exported):
    assert found_by(axe, exported, {"exclude": CODE}, OF_NBCONVERT) == {}


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_in_a_lesson_in_jupyterlab(axe, opened, theme):
    opened.use_theme(theme)
    assert found_by(axe, opened.page, PANEL, OF_JUPYTERLAB) == {}
    opened.use_theme("JupyterLab Light")


def test_axe_notices_what_is_wrong(axe, browser):
    page = browser.new_page()
    page.set_content("<html lang=en><title>a</title><main><h1>a</h1><img src=a.png>")
    assert found_by(axe, page, None, {}).keys() == {"image-alt"}
    page.close()
