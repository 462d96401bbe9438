"""What the lessons need on Google Colab; the first cell of each calls `prepare()`."""

import importlib.util
import sys

from IPython import get_ipython

from mnist_lessons.data import find_digits
from mnist_lessons.files import data_folder

PACKAGES = ("anywidget", "optuna")  # that Colab lacks, or may lack one day


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
