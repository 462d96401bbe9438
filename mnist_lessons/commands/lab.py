"""Start JupyterLab on the lessons and open lesson 1.

The address to open is printed, and your browser opens it by itself where there is one.
Stop with Ctrl-C; what you changed in a notebook stays on disk once you save it.

options:

Every other option goes to JupyterLab as it is (`jupyter lab --help` lists them):

  python -m mnist_lessons lab --port 9000       if the usual port does not suit you
  python -m mnist_lessons lab --no-browser      only print the address
  python -m mnist_lessons lab --ip 0.0.0.0      in a container whose port is published
"""

from mnist_lessons.commands.shared import Namespace
from mnist_lessons.teaching.lab import run_lab


def run(options: Namespace) -> int:
    return run_lab(options.others)
