"""Open one lesson in JupyterLab for a lecture: large type, no side bars, no status bar.

It is the JupyterLab that you know, with sliders and drawing pad. Your own settings of
JupyterLab stay as they are, and what you change in the lesson is stored only if you
save it. Ctrl-C stops it.

options:
  lesson LESSON  its number or name: 03, 3, 03_mlp (01)

examples:
  python -m mnist_lessons projector 03
  python -m mnist_lessons projector 03 --port=9000     other options go to JupyterLab
"""

from mnist_lessons.commands.shared import Namespace
from mnist_lessons.teaching.lab import run_projector

OPTIONS = {"lesson": {"nargs": "?", "default": "01"}}


def run(options: Namespace) -> int:
    return run_projector(options.lesson, options.others)
