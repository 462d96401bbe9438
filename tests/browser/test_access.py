"""What a screen reader is told, and what axe-core finds, on a page and in JupyterLab."""

import re

import nbformat
import pytest
from nbconvert import HTMLExporter

from browser.notebook_page import PANEL, low_contrasts
from browser.server import LESSONS
from browser.test_lessons import every_lesson
from browser.test_pieces import BLOCK

LESSON = LESSONS / "01_data.ipynb"
# what axe-core finds on every page that nbconvert makes of any notebook, and in every
# JupyterLab: nothing that a lesson could change
NOT_OURS = {}


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


def found_by(axe, page, context=None, apart_from=()):
    """Return what is wrong, as axe-core says it: the rule and the elements."""
    rules = {rule: {"enabled": False} for rule in apart_from}
    options = {"resultTypes": ["violations"], "rules": rules}
    results = axe.run(page, context=context, options=options).response
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]]
        for rule in results["violations"]
    }


@pytest.fixture
def exported(browser):
    """The lesson as a page, as `jupyter nbconvert --to html` makes it."""
    page = browser.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.set_content(HTMLExporter().from_filename(LESSON)[0])
    yield page
    page.close()


def test_axe(axe, exported):
    for k, v in found_by(axe, exported).items():
        print(k, len(v), v[:4])
    assert 0
