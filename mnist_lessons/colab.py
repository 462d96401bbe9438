"""What the first cell of each lesson does: threads, and what is missing on Colab."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

import torch
from IPython import get_ipython

from mnist_lessons.data import find_digits
from mnist_lessons.files import data_folder

PACKAGES = ("anywidget", "optuna")  # that Colab lacks, or may lack one day


def use_half_the_cores() -> int:
    """Let PyTorch use half of this process's cores, one to eight; return how many.

    More are quicker only while nothing else runs: beside a browser, a call or another
    notebook, PyTorch's threads wait for each other at every step, and two on two cores
    are slower than one. More than eight gain nothing on digits. The environment
    variable MNIST_LESSONS_THREADS asks for another number.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no container, or no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) // int(period))
    half = min(8, max(1, cores // 2))
    torch.set_num_threads(int(os.environ.get("MNIST_LESSONS_THREADS") or half))
    return torch.get_num_threads()


def prepare() -> None:
    """Make a Colab session ready for a lesson; anywhere else, do nothing.

    Packages that are missing are installed; what Colab comes with, torch and numpy
    above all, stays as it is. Interactive pieces are switched on, and the digits are
    downloaded (11.6 MB) unless an earlier call did so. A second call does no harm.

    Raises:
        DataFileError: the digits cannot be downloaded, or a file is damaged.
    """
    if "google.colab" not in sys.modules:
        return
    from google.colab import output

    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        # the magic, as in a cell: it installs for the Python that runs the notebook
        get_ipython().run_line_magic("pip", f"install -q {' '.join(missing)}")
        importlib.invalidate_caches()
    output.enable_custom_widget_manager()
    if not (data_folder(None) / "MNIST").exists():
        print("Downloading the digits (11.6 MB), once for each Colab session.")
    print(f"The digits are in {find_digits()}.")
