"""Execute the lessons, each from a fresh kernel, and store their outputs in place.

    uv run python tools/run_lessons.py                            every lesson
    uv run python tools/run_lessons.py notebooks/01_data.ipynb    these only

What only makes diffs larger is left out: times, widget states, closed progress bars,
the second copy of each picture. A lesson with a failing cell stays as it was.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def execute(path: Path, timeout: int) -> nbformat.NotebookNode:
    """Return the notebook with fresh outputs; raise when a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,  # one output for text printed in several pieces
        record_timing=False,
        store_widget_state=False,
    )
    # nbclient follows what Output widgets print, and then may wait for ever (its issue
    # 312); without this table the text lands in the cell's own output
    client.widget_registry = {}
    return client.execute()


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


def drop_second_copy(output: nbformat.NotebookNode) -> None:
    """Remove the bare PNG where the output has it as HTML, too, with alt text."""
    data = output.get("data", {})
    if "<img alt=" in data.get("text/html", "") and data.pop("image/png", None):
        output.metadata.pop("image/png", None)


def is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """Tell a tqdm bar, stored in its first state: a page shows it stuck at 0 %."""
    data = output.get("data", {})
    return WIDGET in data and bool(re.search(r"\d%\|", data.get("text/plain", "")))


def main() -> int:
    """Run the notebooks one after the other; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    parser.add_argument(
        "--timeout", type=int, default=120, help="seconds a cell may take (120)"
    )
    arguments = parser.parse_args()
    status = 0
    for path in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        start = time.perf_counter()
        try:
            notebook = execute(path.resolve(), arguments.timeout)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name}: FAILED, nothing written\n{error}", file=sys.stderr)
            status = 1
            continue
        seconds = time.perf_counter() - start
        tidy(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {seconds:.1f} s, {path.stat().st_size / 1024:.0f} KiB")
    return status


if __name__ == "__main__":
    sys.exit(main())
