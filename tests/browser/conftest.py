"""A browser, a JupyterLab server, the lessons in it, and notebooks of a test's own.

$MNIST_LESSONS_SCREENSHOTS: a folder for pictures of each lesson, as a reader sees it.
$MNIST_LESSONS_NEED_BROWSER: if set, a missing browser is a failure, not a skip.
"""

import itertools
import os
from pathlib import Path

import nbformat
import pytest

from browser.notebook_page import NotebookPage
from browser.server import ADVICE, Lab, launch

FAILED = pytest.StashKey[bool]()
KERNEL = {"name": "python3", "display_name": "Python 3"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


def no_browser(reason):
    if os.environ.get("MNIST_LESSONS_NEED_BROWSER"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# Everything here ends with this folder's last test, not with the session: while
# Playwright runs, this thread has a running event loop, which other tests do not expect


@pytest.fixture(scope="package")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        no_browser(f"{ADVICE}; and first: pip install playwright")
    with sync_playwright() as playwright:
        found, reason = launch(playwright.chromium)
        if found is None:
            no_browser(reason)
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
    """`open_lesson(name)` returns a quick copy, run; it keeps the last one open.

    The first lesson is run with the keyboard alone, the others from the menu.
    """
    opened = {}

    def close_all():
        for name in list(opened):
            opened.pop(name).close()

    def get(name):
        if name not in opened:
            close_all()
            notebook = opened[name] = NotebookPage(browser, lab.url, f"{name}.ipynb")
            notebook.run_by_keys() if name == "01_data" else notebook.run_all()
            if folder := os.environ.get("MNIST_LESSONS_SCREENSHOTS"):
                notebook.screenshots(Path(folder) / name)
        return opened[name]

    yield get
    close_all()


@pytest.fixture
def lesson(request, open_lesson, tmp_path):
    """The lesson that the test is for, open and run from top to bottom."""
    notebook = open_lesson(request.param)
    before = list(notebook.trouble)
    yield notebook
    picture_of_failure(request, notebook, tmp_path)
    new = [line for line in notebook.trouble if line not in before]
    assert new == [], "trouble in the browser during this test"


@pytest.fixture(scope="package")
def open_notebook(browser, lab):
    """`open_notebook("x = 1", "x")` opens a new notebook with these code cells.

    A notebook of `nbformat` is taken as it is. Nothing is run. Close what you opened.
    """
    numbers = itertools.count()

    def open_one(*cells, **options):
        if isinstance(cells[0], str):
            code = [nbformat.v4.new_code_cell(source) for source in cells]
            metadata = {"kernelspec": KERNEL}
            written = nbformat.v4.new_notebook(cells=code, metadata=metadata)
        else:
            (written,) = cells
        name = f"scratch_{next(numbers)}.ipynb"
        nbformat.write(written, lab.root / name)
        return NotebookPage(browser, lab.url, name, **options)

    return open_one


@pytest.fixture
def scratch(request, open_notebook, tmp_path):
    """`scratch("x = 1", "x")` is `open_notebook` for this test alone, then closed."""
    opened = []

    def open_one(*cells, **options):
        opened.append(open_notebook(*cells, **options))
        return opened[-1]

    yield open_one
    for notebook in opened:
        picture_of_failure(request, notebook, tmp_path)
        notebook.close()


def picture_of_failure(request, notebook, folder):
    if request.node.stash.get(FAILED, True):
        notebook.page.screenshot(path=folder / "failed.png")
        print(f"what the browser showed: {folder / 'failed.png'}")
