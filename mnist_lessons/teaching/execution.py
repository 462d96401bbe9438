"""Executing a notebook, and leaving out of it what only makes it larger."""

import html
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"
IMAGE = re.compile(
    r'^<img alt="([^"]*)" width="(\d+)"[^>]* src="data:image/png;base64,([^"]*)">$'
)
NOTE = re.compile('<p class="mnist-lessons-still">.*?</p>')
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def execute(notebook: nbformat.NotebookNode, folder: Path, timeout: int) -> None:
    """Run all cells in a fresh kernel, in that folder, and store what they show.

    Raises:
        CellExecutionError: if a cell fails; of nbclient, as the next two.
        CellTimeoutError: if a cell takes longer than `timeout` seconds.
        DeadKernelError: if the kernel dies.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,  # one output for text printed in several pieces
        record_timing=False,
        store_widget_state=False,
    )
    # nbclient follows what Output widgets print, and then may wait for ever (its issue
    # 312); without this table the text lands in the cell's own output
    client.widget_registry = {}
    client.execute()


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what would differ from run to run, or look wrong in a stored notebook."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.update(nbformat.from_dict(METADATA))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not is_progress_bar(o)]
            for output in cell.outputs:
                # what it refers to is gone; without it every reader shows the picture
                output.get("data", {}).pop(WIDGET, None)
                drop_second_copy(output)
                drop_note(output)
            cell.outputs = [o for o in cell.outputs if o.get("data") != {}]


def drop_second_copy(output: nbformat.NotebookNode) -> None:
    """Remove the bare PNG where the output has it as HTML, too, with alt text."""
    data = output.get("data", {})
    if "<img alt=" in data.get("text/html", "") and data.pop("image/png", None):
        output.metadata.pop("image/png", None)


def drop_note(output: nbformat.NotebookNode) -> None:
    """Remove the line that a piece shows where its kernel is gone."""
    data = output.get("data", {})
    if "text/html" in data:
        data["text/html"] = NOTE.sub("", data["text/html"])


class StoredPicture(NamedTuple):
    """A picture of `plots` as a notebook stores it.

    Attributes:
        alt: its description in words.
        width: in pixels of the page.
        png: the PNG file in base64.
    """

    alt: str
    width: int
    png: str


def picture_in(output: nbformat.NotebookNode) -> StoredPicture | None:
    """Return the picture that an output is, or `None` where it is something else."""
    found = IMAGE.match(output.get("data", {}).get("text/html", ""))
    if not found:
        return None
    alt, width, png = found.groups()
    return StoredPicture(html.unescape(alt), int(width), png)


def is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """Tell a tqdm bar, stored in its first state: a page shows it stuck at 0 %."""
    data = output.get("data", {})
    return WIDGET in data and bool(re.search(r"\d%\|", data.get("text/plain", "")))
