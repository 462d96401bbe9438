"""Every still picture of the lessons.

Each function returns a `Picture`: the last line of a cell shows it.
"""

from mnist_lessons.plots.charts import (
    Rung,
    bars,
    broadcasting,
    confusion,
    curves,
    descent,
    fitting,
    histograms,
    history,
    ladder,
    repeated,
    runs,
    scatter,
    spread,
)
from mnist_lessons.plots.digits import (
    HARD_DIGITS,
    answer_sheet,
    batch,
    digits,
    filtering,
    learning,
    maps,
    pixels,
    places,
    templates,
    value_ranges,
)
from mnist_lessons.plots.networks import backward, boundary, units
from mnist_lessons.plots.rungs import first_rungs, rung
