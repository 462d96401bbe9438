"""Execute the lessons, each from a fresh kernel, and store their outputs in place.

    uv run python tools/run_lessons.py                            every lesson
    uv run python tools/run_lessons.py notebooks/01_data.ipynb    these only

What only makes diffs larger is left out: times, widget states, closed progress bars,
the second copy of each picture. A lesson with a failing cell stays as it was.
"""

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from mnist_lessons.teaching.notebooks import execute, tidy

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


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
            notebook = nbformat.read(path, as_version=4)
            execute(notebook, path.resolve().parent, arguments.timeout)
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
