"""Helper package of the mnist_lessons notebooks: deep learning on the MNIST digits.

Data flows one way: files -> loaders -> model -> `fit` -> `History` -> pictures.
"""

from mnist_lessons import checks, plots
from mnist_lessons.data import load_mnist
from mnist_lessons.models import DigitClassifier, LinearModel
from mnist_lessons.training import evaluate, fit, pick_device, seed_everything

__all__ = [
    "DigitClassifier",
    "LinearModel",
    "checks",
    "evaluate",
    "fit",
    "load_mnist",
    "pick_device",
    "plots",
    "seed_everything",
]
