"""What `tune` may choose from, for each model: ranges around what is known to work."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import Trial

Space = Callable[["Trial"], dict[str, Any]]


def training_space(trial: "Trial") -> dict[str, Any]:
    """Choose how to train, whatever the model.

    One range of learning rates serves both optimizers: AdamW likes its lower half,
    momentum the upper one. They are tried evenly on a logarithmic scale, because it is
    the ratio of two rates that matters.
    """
    return {
        "lr": trial.suggest_float("lr", 5e-4, 0.1, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adamw", "momentum"]),
        "schedule": trial.suggest_categorical("schedule", ["constant", "one-cycle"]),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
        # a multiple of a step is a little off: 0.15000000000000002
        "label_smoothing": round(
            trial.suggest_float("label_smoothing", 0.0, 0.2, step=0.05), 2
        ),
    }


def mlp_space(trial: "Trial") -> dict[str, Any]:
    """Choose how to train an MLP, and its layers: the second is half as wide."""
    width = trial.suggest_int("hidden", 64, 512, log=True)
    layers = trial.suggest_int("layers", 1, 2)
    return {
        **training_space(trial),
        "hidden": [width, width // 2][:layers],
        "dropout": round(trial.suggest_float("dropout", 0.0, 0.5, step=0.1), 1),
        "shift": trial.suggest_int("shift", 0, 2),
    }


def cnn_space(trial: "Trial") -> dict[str, Any]:
    """Choose how to train a CNN, and the layer after its convolutions."""
    return {
        **training_space(trial),
        "hidden": trial.suggest_int("hidden", 64, 512, log=True),
        "dropout": round(trial.suggest_float("dropout", 0.0, 0.5, step=0.1), 1),
        "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
        "shift": trial.suggest_int("shift", 0, 2),
    }


SPACES = {"linear": training_space, "mlp": mlp_space, "cnn": cnn_space}
