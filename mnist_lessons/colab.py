"""What the first cell of each lesson does: threads, and what is missing on Colab."""

import contextlib
import os
import sys
from importlib import invalidate_caches, util
from pathlib import Path

import torch
from IPython import get_ipython

from mnist_lessons.arguments import check_whole
from mnist_lessons.data import find_digits
from mnist_lessons.files import data_folder


def spare_the_machine() -> int:
    """Let PyTorch use half of this process's cores, one to eight; return how many.

    More are slower beside a browser, a call or another notebook: threads wait for each
    other at every step. MNIST_LESSONS_THREADS (environment) asks for another number.

    A notebook's kernel also forgets what earlier cells showed (`Out[3]`; `_`, the last
    one, stays): a picture of twenty digits holds 5 MB, and a lesson has dozens.
    """
    if shell := get_ipython():
        shell.displayhook.do_full_cache = False
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no container, or no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) // int(period))
    name, half = "MNIST_LESSONS_THREADS", min(8, max(1, cores // 2))
    text = os.environ.get(name) or str(half)
    torch.set_num_threads(check_whole(name, int(text) if text.isdecimal() else text))
    return torch.get_num_threads()


def prepare() -> None:
    """Make a Colab session ready for a lesson; anywhere else, do nothing.

    It installs what is missing and gets the digits, or raises a `DataFileError`.
    """
    if "google.colab" not in sys.modules:
        return
    from google.colab import output

    if missing := [n for n in ("anywidget", "optuna") if util.find_spec(n) is None]:
        # the magic, as in a cell: it installs for the Python that runs the notebook
        get_ipython().run_line_magic("pip", f"install -q {' '.join(missing)}")
        invalidate_caches()
    output.enable_custom_widget_manager()
    if not (data_folder(None) / "MNIST").exists():
        print("Downloading the digits (11.6 MB), once for each Colab session.")
    print(f"The digits are in {find_digits()}.")
