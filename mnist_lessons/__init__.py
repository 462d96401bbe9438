"""Helper package of the mnist_lessons notebooks: deep learning on the MNIST digits.

Data flows one way: files -> loaders -> model -> `fit` -> `History` -> pictures.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mnist_lessons.checkpoints import load_model, save_model
from mnist_lessons.data import load_mnist
from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons.training import (
    evaluate,
    fit,
    pick_device,
    seed_everything,
    use_half_the_cores,
)

if TYPE_CHECKING:
    from mnist_lessons import checks, plots, widgets
    from mnist_lessons.tuning import tune

__version__ = "0.1.0"  # the only place

__all__ = [
    "CNN",
    "MLP",
    "DigitClassifier",
    "LinearModel",
    "checks",
    "evaluate",
    "fit",
    "load_mnist",
    "load_model",
    "pick_device",
    "plots",
    "save_model",
    "seed_everything",
    "tune",
    "use_half_the_cores",
    "widgets",
]


def __getattr__(name: str) -> Any:
    """Import what takes time, such as matplotlib and Optuna, when it is first used."""
    if name == "tune":
        return importlib.import_module("mnist_lessons.tuning").tune
    if name in ("checks", "plots", "widgets"):
        return importlib.import_module(f"mnist_lessons.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
