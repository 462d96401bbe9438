"""A browser, a JupyterLab server, the lessons in it, and notebooks of a test's own.

$MNIST_LESSONS_SCREENSHOTS: a folder for pictures of each lesson, as a reader sees it.
$MNIST_LESSONS_NEED_BROWSER: if set, a missing browser is a failure, not a skip.
"""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

import nbformat
import pytest

from browser.notebook_page import NotebookPage
from browser.server import ADVICE, Lab, launch


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """When a test fails, take a picture of each page that is open."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("browser")
    if browser and call.when == "call" and report.failed:
        for page in (page for context in browser.contexts for page in context.pages):
            file = Path(tempfile.mkdtemp()) / "failed.png"
            with contextlib.suppress(Exception):  # the page may have died
                page.screenshot(path=file)
                report.sections.append(("what the browser showed", str(file)))
    return report


# Everything here ends with this folder's last test, not with the session: while
# Playwright runs, this thread has a running event loop, which other tests do not expect


@pytest.fixture(scope="package")
def browser():
    absent = pytest.fail if os.getenv("MNIST_LESSONS_NEED_BROWSER") else pytest.skip
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent(f"{ADVICE}; and first: pip install playwright")
    with sync_playwright() as playwright:
        found, reason = launch(playwright.chromium)
        if found is None:
            absent(reason)
        yield found
        found.close()


@pytest.fixture(scope="package")
def lab(browser, tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="package")
def open_lesson(browser, lab):
    """`open_lesson(name)` returns a quick copy, run: the first one by keys alone."""
    opened = {}

    def get(name):
        if name not in opened:
            for other in list(opened):
                opened.pop(other).close()
            notebook = opened[name] = NotebookPage(browser, lab.url, f"{name}.ipynb")
            notebook.run_by_keys() if name == "01_data" else notebook.run_all()
            if folder := os.environ.get("MNIST_LESSONS_SCREENSHOTS"):
                for number, _ in enumerate(notebook.scroll(), start=1):
                    notebook.page.screenshot(path=f"{folder}/{name}/{number:02d}.png")
        return opened[name]

    yield get
    for notebook in opened.values():
        notebook.close()


@pytest.fixture
def lesson(request, open_lesson):
    """The lesson that the test is for, open and run from top to bottom."""
    notebook = open_lesson(request.param)
    before = list(notebook.trouble)
    yield notebook
    new = [line for line in notebook.trouble if line not in before]
    assert new == [], "trouble in the browser during this test"


@pytest.fixture(scope="package")
def open_notebook(browser, lab):
    """`open_notebook("x = 1", "x")` opens a new notebook with these code cells.

    A notebook of `nbformat` is taken as it is. Nothing is run. Close what you opened.
    """
    numbers = itertools.count()

    def open_one(*cells):
        written = cells[0]
        if isinstance(written, str):
            code = [nbformat.v4.new_code_cell(source) for source in cells]
            metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
            written = nbformat.v4.new_notebook(cells=code, metadata=metadata)
        name = f"scratch_{next(numbers)}.ipynb"
        nbformat.write(written, lab.root / name)
        return NotebookPage(browser, lab.url, name)

    return open_one


@pytest.fixture
def scratch(open_notebook):
    """`scratch("x = 1", "x")` is `open_notebook` for this test alone, then closed."""
    with contextlib.ExitStack() as opened:

        def open_one(*cells):
            return opened.enter_context(contextlib.closing(open_notebook(*cells)))

        yield open_one
