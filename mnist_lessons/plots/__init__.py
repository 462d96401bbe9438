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
    spread,
)
from mnist_lessons.plots.images import (
    answer_sheet,
    digits,
    maps,
    pixels,
    templates,
    value_ranges,
)

__all__ = [
    "Rung",
    "answer_sheet",
    "bars",
    "confusion",
    "curves",
    "digits",
    "history",
    "ladder",
    "maps",
    "pixels",
    "runs",
    "spread",
    "templates",
    "value_ranges",
]
