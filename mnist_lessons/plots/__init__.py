"""Every still picture of the lessons.

Each function returns a `Picture`: the last line of a cell shows it.
"""

from mnist_lessons.plots.charts import (
    Rung,
    bars,
    confusion,
    curves,
    history,
    ladder,
    runs,
    scatter,
    spread,
)
from mnist_lessons.plots.experiments import batch, filtering, fitting, learning
from mnist_lessons.plots.images import (
    answer_sheet,
    digits,
    maps,
    pixels,
    templates,
    value_ranges,
)
from mnist_lessons.plots.studies import importances, parallel, trials

__all__ = [
    "Rung",
    "answer_sheet",
    "bars",
    "batch",
    "confusion",
    "curves",
    "digits",
    "filtering",
    "fitting",
    "history",
    "importances",
    "ladder",
    "learning",
    "maps",
    "parallel",
    "pixels",
    "runs",
    "scatter",
    "spread",
    "templates",
    "trials",
    "value_ranges",
]
