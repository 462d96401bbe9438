"""Settings, which are plain numbers and words: what each means, and what it may be."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons.training import one_cycle

Settings = Mapping[str, Any]
Model = str | Callable[..., DigitClassifier]

MODELS: dict[str, type[DigitClassifier]] = {
    "linear": LinearModel,
    "mlp": MLP,
    "cnn": CNN,
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001, "adamw": 0.001}


SCHEDULES: dict[str, Any] = {"constant": None, "one-cycle": one_cycle()}
# what each setting of the training may be: its least and its largest value, or words
LIMITS: dict[str, tuple[float, float] | list[str]] = {
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "lr": (0, math.inf),
    "optimizer": list(OPTIMIZERS),
    "schedule": list(SCHEDULES),
    "label_smoothing": (0, 1),
    "shift": (0, 28),
    "degrees": (0, 180),
}
WHOLE = ("epochs", "batch_size")


def split_settings(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the training, checked, and those of the model.

    Raises:
        ValueError: a setting of the training has a value that makes no sense.
    """
    training = {name: settings[name] for name in settings if name in LIMITS}
    for name, value in training.items():
        limits = LIMITS[name]
        if isinstance(limits, list):
            if value not in limits:
                choices = ", ".join(map(repr, limits))
                raise ValueError(f"{name}={value!r} is not known; choose {choices}.")
            continue
        kind = Integral if name in WHOLE else Real
        least, most = limits
        if (
            isinstance(value, bool)
            or not isinstance(value, kind)
            or not least <= float(value) <= most
            or value == math.inf
            or (name == "lr" and value == 0)
        ):
            what = "a whole number" if name in WHOLE else "a number"
            above = "above 0" if name == "lr" else f"{least:g} or more"
            upto = f", at most {most:g}" if most < math.inf else ""
            raise ValueError(
                f"{name}={value!r} does not work: give {what}, {above}{upto}."
            )
    return training, {n: settings[n] for n in settings if n not in LIMITS}


def find_model(model: Model) -> Callable[..., DigitClassifier]:
    """Return the class or function that builds a model.

    Raises:
        ValueError: there is no model of this name.
        TypeError: it is neither a name, a class nor a function.
    """
    build = MODELS.get(model) if isinstance(model, str) else model
    if build is None:
        names = ", ".join(map(repr, MODELS))
        raise ValueError(f"model={model!r} is not known; choose {names}, or a class.")
    if isinstance(build, nn.Module) or not callable(build):
        raise TypeError(
            f"model is a {type(build).__name__}; give the class itself, or a function "
            "that builds a new model each time."
        )
    return build


def build_model(model: Model, settings: Settings) -> DigitClassifier:
    """Build a model with its own settings; lists, as JSON has them, become tuples.

    Raises:
        ValueError: the model is not known, or does not know a setting.
        TypeError: it is not a class or function, or returns something else.
    """
    build = find_model(model)
    known = inspect.signature(build).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        for name in settings:
            if name not in known:
                raise ValueError(
                    f"The setting {name!r} is not known: it is none of the training's "
                    f"({', '.join(LIMITS)}), and {name_of(model)} takes "
                    f"{', '.join(known) or 'none'}."
                )
    net = build(
        **{n: tuple(v) if isinstance(v, list) else v for n, v in settings.items()}
    )
    if not isinstance(net, DigitClassifier):
        raise TypeError(
            f"{name_of(model)} returned a {type(net).__name__}; derive the model from "
            "mnist_lessons.DigitClassifier."
        )
    return net


def name_of(model: str | Callable[..., Any]) -> str:
    """Return what a model, or a space, is called."""
    if isinstance(model, functools.partial):
        model = model.func
    return model if isinstance(model, str) else getattr(model, "__name__", "the model")
