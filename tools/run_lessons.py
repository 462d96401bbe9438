"""Execute the lessons, each in a fresh kernel, store their outputs, print their costs.

    uv run python tools/run_lessons.py                            every lesson
    uv run python tools/run_lessons.py notebooks/01_data.ipynb    these only
    uv run python tools/run_lessons.py --dry-run                  print the costs only
    uv run python tools/run_lessons.py --cells 5                  and where memory rises

What only makes diffs larger is not stored: times, widget states, closed progress bars,
the second copy of each picture. A lesson with a failing cell stays as it was. Seconds
include the start of the kernel. Memory is the most that the kernel held at one time,
some 0.8 GB for PyTorch itself included; only Linux tells it.
"""

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from mnist_lessons.teaching.notebooks import execute, tidy

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

# runs in the kernel; `getrusage` there would count what this process held as it forked
PROBE = """\
import pathlib as _pathlib
if _pathlib.Path("/proc/self/status").exists():
    print(_pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def main() -> int:
    """Run the notebooks one after the other; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    parser.add_argument(
        "--timeout", type=int, default=120, help="seconds a cell may take (120)"
    )
    parser.add_argument("--dry-run", action="store_true", help="store no outputs")
    parser.add_argument(
        "--cells",
        type=int,
        metavar="N",
        help="list the N cells at which the peak rose most; store no outputs",
    )
    arguments = parser.parse_args()
    status = 0
    for path in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cells = notebook.cells
        notebook.cells = with_probes(cells, everywhere=arguments.cells is not None)
        start = time.perf_counter()
        try:
            execute(notebook, path.resolve().parent, arguments.timeout)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name}: FAILED, nothing written\n{error}", file=sys.stderr)
            status = 1
            continue
        costs = f"{time.perf_counter() - start:.0f} s"
        peaks = peaks_after(notebook.cells)
        if peaks:
            costs += f", {max(peaks.values()):.2f} GB"
        print(f"{path.name}: {costs}", flush=True)
        if arguments.cells is not None:
            print_rises(cells, peaks, arguments.cells)
        elif not arguments.dry_run:
            notebook.cells = cells
            tidy(notebook)
            nbformat.write(notebook, path)
    return status


def with_probes(cells: list, *, everywhere: bool) -> list:
    """Return the cells with a probe of memory after the last, or after each with code.

    Only the first leaves the stored numbers of the cells as they are.
    """
    probed = []
    for cell in cells:
        probed.append(cell)
        if cell is cells[-1] or (everywhere and cell.cell_type == "code"):
            probe = nbformat.v4.new_code_cell(PROBE, metadata={"after": cell.id})
            probed.append(probe)
    return probed


def peaks_after(cells: list) -> dict[str, float]:
    """Return the peak of memory so far, in GB, by the id of the cell before a probe."""
    return {
        cell.metadata.after: int(cell.outputs[0].text) * 1024 / 1e9
        for cell in cells
        if "after" in cell.metadata and cell.outputs
    }


def print_rises(cells: list, peaks: dict[str, float], count: int) -> None:
    """Print the cells at which the peak rose most, in the order of the lesson."""
    before = dict(zip(peaks, [0.0, *peaks.values()], strict=False))
    steepest = sorted(peaks, key=lambda cell: before[cell] - peaks[cell])[:count]
    for cell in cells:
        if cell.id in steepest:
            rise = peaks[cell.id] - before[cell.id]
            last_line = cell.source.splitlines()[-1]
            print(f"  {peaks[cell.id]:.2f} (+{rise:.2f}) GB {cell.id}: {last_line}")


if __name__ == "__main__":
    sys.exit(main())
