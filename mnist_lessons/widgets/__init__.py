"""Every interactive piece of the lessons, each with a still picture as a fallback.

The last line of a cell shows a piece. Sliders and buttons are ipywidgets; what has to
draw or to follow a pointer is an anywidget, with its JavaScript in the folder `static`.
"""

from mnist_lessons.widgets.base import Interactive
from mnist_lessons.widgets.boundary import Boundary
from mnist_lessons.widgets.browsing import DigitBrowser
from mnist_lessons.widgets.confusion import ConfusionExplorer
from mnist_lessons.widgets.drawing import DrawingPad
from mnist_lessons.widgets.predictions import Predictions
from mnist_lessons.widgets.sliders import (
    BatchExplorer,
    Descent,
    FittingCurves,
    LearningRate,
)
from mnist_lessons.widgets.workshop import FilterWorkshop

__all__ = [
    "BatchExplorer",
    "Boundary",
    "ConfusionExplorer",
    "Descent",
    "DigitBrowser",
    "DrawingPad",
    "FilterWorkshop",
    "FittingCurves",
    "Interactive",
    "LearningRate",
    "Predictions",
]
