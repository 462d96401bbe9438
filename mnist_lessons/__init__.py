"""Helper package of the mnist_lessons notebooks: deep learning on the MNIST digits.

Data flows one way: files -> loaders -> model -> `fit` -> `History` -> pictures.
"""

import importlib
from typing import Any

from mnist_lessons.checkpoints import load_model, save_model
from mnist_lessons.data import load_mnist
from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons.training import evaluate, fit, pick_device, seed_everything

__version__ = "0.1.0"  # the only place


def __getattr__(name: str) -> Any:
    """Import what takes time, such as matplotlib and Optuna, when it is first used."""
    if name in ("checks", "plots", "widgets"):
        return importlib.import_module(f"mnist_lessons.{name}")
    rooms = {
        "tune": "tuning",
        "diagnose": "diagnosis",
        "load_optdigits": "photos.optdigits",
        "spare_the_machine": "colab",
    }
    if room := rooms.get(name):
        return getattr(importlib.import_module(f"mnist_lessons.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
