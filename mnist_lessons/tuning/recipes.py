"""Recipes: settings, which are plain numbers and words, become a trained model.

A search, a command line or a table in a lesson can say what to train without writing
Python: `{"lr": 0.006, "optimizer": "adamw", "hidden": (512, 256)}`.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from mnist_lessons.augmentation import random_affine
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.history import Epoch, History
from mnist_lessons.models import DigitClassifier
from mnist_lessons.training import fit, seed_everything
from mnist_lessons.tuning.settings import (
    OPTIMIZERS,
    RATES,
    SCHEDULES,
    Model,
    Settings,
    build_model,
    one_cycle,
    split_settings,
)

__all__ = ["one_cycle", "train_recipe"]


def train_recipe(
    model: Model,
    settings: Settings,
    data: Digits,
    valid: DataLoader | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    on_epoch_end: Callable[[Epoch], Any] | None = None,
    progress: bool = False,
) -> tuple[DigitClassifier, History]:
    """Build a model as the settings say, and train it. Built in lesson 5.

    The seed fixes the first weights, the order of the digits, dropout and augmentation:
    on one machine the same call gives the same model.

    These settings are about training; each may be left out: `batch_size` (128), `lr`
    (what suits the optimizer), `optimizer` ("adam", "adamw", "sgd" or "momentum"),
    `schedule` ("constant", or "one-cycle"), `label_smoothing` (0), `shift` (each digit
    is moved by up to so many pixels; 0), `degrees` (and turned by up to so many; 0),
    `epochs` (1). All others go to the model: `hidden`, `dropout`, `channels`, ...

    Args:
        model: "linear", "mlp" or "cnn"; or a class or function that takes the model's
            settings and returns a `DigitClassifier`.
        settings: name and value of each setting.
        data: the digits to learn from: `train.dataset`.
        valid: batches to score the model on after each epoch.
        epochs: rounds through all digits; goes before the setting of that name.
        seed: start of all random numbers.
        device: where to train; `None` for where the digits are.
        on_epoch_end: see `fit`.
        progress: show a progress bar and one line an epoch.

    Returns:
        The trained model, and the record of the run.

    Raises:
        ValueError: a setting is not known, or its value makes no sense.
        TypeError: `model` does not return a `DigitClassifier`; `data` is a loader.
    """
    if not isinstance(data, torch.utils.data.Dataset):
        raise TypeError(
            f"data is a {type(data).__name__}; give the digits themselves: "
            "train.dataset."
        )
    told = {} if epochs is None else {"epochs": epochs}
    training, own = split_settings({**settings, **told})
    seed_everything(seed)
    if isinstance(model, str) and hasattr(data, "classes"):
        own.setdefault("num_classes", len(data.classes))
    net = build_model(model, own)
    optimizer = training.get("optimizer", "adam")
    batch_size = int(training.get("batch_size", 128))  # PyTorch refuses NumPy's numbers
    history = fit(
        net,
        make_loader(data, batch_size, shuffle=True, seed=seed),
        valid,
        epochs=training.get("epochs", 1),
        lr=training.get("lr", RATES[optimizer]),
        optimizer=OPTIMIZERS[optimizer],
        schedule=SCHEDULES[training.get("schedule", "constant")],
        label_smoothing=training.get("label_smoothing", 0.0),
        augment=_augmentation(training.get("shift", 0), training.get("degrees", 0)),
        channels_last=any(isinstance(part, nn.Conv2d) for part in net.modules()),
        device=data[0][0].device if device is None else device,
        progress=progress,
        on_epoch_end=on_epoch_end,
    )
    return net, history


def _augmentation(shift: float, degrees: float) -> Callable | None:
    if not shift and not degrees:
        return None
    return functools.partial(random_affine, shift=shift, degrees=degrees, scale=0)
