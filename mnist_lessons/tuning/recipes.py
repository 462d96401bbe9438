"""Recipes: settings, which are plain numbers and words, become a trained model.

A search, a command line or a table in a lesson can say what to train without writing
Python: `{"lr": 0.006, "optimizer": "adamw", "hidden": (512, 256)}`.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from mnist_lessons.arguments import check_choice, check_number, check_whole
from mnist_lessons.augmentation import random_affine
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.history import Epoch, History
from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons.training import fit, one_cycle, seed_everything

Settings = Mapping[str, Any]
Model = str | Callable[..., DigitClassifier]

MODELS = {"linear": LinearModel, "mlp": MLP, "cnn": CNN}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001, "adamw": 0.001}
SCHEDULES: dict[str, Any] = {"constant": None, "one-cycle": one_cycle()}
# what each setting of the training may be; every other setting is the model's
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "epochs": check_whole,
    "batch_size": check_whole,
    "lr": functools.partial(check_number, above=0),
    "optimizer": functools.partial(check_choice, choices=OPTIMIZERS),
    "schedule": functools.partial(check_choice, choices=SCHEDULES),
    "weight_decay": check_number,
    "label_smoothing": functools.partial(check_number, at_most=1),
    "shift": functools.partial(check_number, at_most=28),
    "degrees": functools.partial(check_number, at_most=180),
}
USUAL: dict[str, Any] = {"epochs": 1, "batch_size": 128, "optimizer": "adam"}
USUAL |= {"schedule": "constant", "label_smoothing": 0.0, "shift": 0.0, "degrees": 0.0}


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
    `weight_decay` (the optimizer's own), `schedule` ("constant", or "one-cycle"),
    `label_smoothing` (0), `shift` (each digit is moved by up to so many pixels; 0),
    `degrees` (and turned by up to so many; 0), `epochs` (1). All others go to the
    model: `hidden`, `dropout`, `channels`, ... A `ValueError` names a setting that is
    not known, or whose value makes no sense.

    Args:
        model: "linear", "mlp" or "cnn"; or a class or function that takes the model's
            settings and returns a `DigitClassifier`.
        settings: name and value of each setting.
        data: the digits to learn from: `train.dataset`.
        valid: batches to score the model on after each epoch.
        epochs: rounds through all digits; goes before the setting of that name.
        seed: start of all random numbers.
        device: where to train; `None` for where the digits are.
        on_epoch_end: as in `fit`.
        progress: as in `fit`.

    Returns:
        The trained model, and the record of the run.
    """
    if not isinstance(data, torch.utils.data.Dataset):
        kind = type(data).__name__
        raise TypeError(f"data is a {kind}; give the digits themselves: train.dataset.")
    own = {n: value for n, value in settings.items() if n not in CHECKS}
    training = USUAL | {n: CHECKS[n](n, settings[n]) for n in settings if n not in own}
    training.setdefault("lr", RATES[training["optimizer"]])
    seed_everything(seed)
    if isinstance(model, str) and hasattr(data, "classes"):
        own.setdefault("num_classes", len(data.classes))
    net = build_model(model, own)
    optimizer = OPTIMIZERS[training["optimizer"]]
    if "weight_decay" in training:
        optimizer = functools.partial(optimizer, weight_decay=training["weight_decay"])
    shift, degrees = training["shift"], training["degrees"]
    change = functools.partial(random_affine, shift=shift, degrees=degrees, scale=0)
    history = fit(
        net,
        make_loader(data, training["batch_size"], shuffle=True, seed=seed),
        valid,
        epochs=training["epochs"] if epochs is None else epochs,
        lr=training["lr"],
        optimizer=optimizer,
        schedule=SCHEDULES[training["schedule"]],
        label_smoothing=training["label_smoothing"],
        augment=change if shift or degrees else None,
        channels_last=any(isinstance(part, nn.Conv2d) for part in net.modules()),
        device=data[0][0].device if device is None else device,
        progress=progress,
        on_epoch_end=on_epoch_end,
    )
    return net, history


def find_model(model: Model) -> Callable[..., DigitClassifier]:
    """Return the class or function that builds a model."""
    if isinstance(model, str):
        return MODELS[check_choice("model", model, MODELS)]
    if isinstance(model, nn.Module) or not callable(model):
        raise TypeError(
            f"model is a {type(model).__name__}; give the class itself, or a function "
            "that builds a new model each time."
        )
    return model


def build_model(model: Model, settings: Settings) -> DigitClassifier:
    """Build a model with its own settings; lists, as JSON has them, become tuples."""
    build = find_model(model)
    accepted = inspect.signature(build)
    try:
        accepted.bind(**settings)
    except TypeError as error:
        raise ValueError(
            f"{name_of(model)}{accepted} {error}. The settings of the training are "
            f"{', '.join(CHECKS)}."
        ) from None
    net = build(**with_tuples(settings))
    if not isinstance(net, DigitClassifier):
        raise TypeError(
            f"{name_of(model)} returned a {type(net).__name__}; derive the model from "
            "mnist_lessons.DigitClassifier."
        )
    return net


def with_tuples(settings: Settings) -> dict[str, Any]:
    """Return settings with tuples where JSON has lists."""
    return {n: tuple(v) if isinstance(v, list) else v for n, v in settings.items()}


def name_of(model: str | Callable[..., Any]) -> str:
    """Return what a model, or a space, is called."""
    if isinstance(model, functools.partial):
        model = model.func
    return model if isinstance(model, str) else getattr(model, "__name__", "the model")
