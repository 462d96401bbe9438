"""What a search is asked to do, checked before anything is loaded."""

import math
import time
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import torch

from mnist_lessons.arguments import check_device, check_number, check_whole
from mnist_lessons.data import class_names
from mnist_lessons.training import pick_device
from mnist_lessons.tuning.recipes import MODELS, Model, find_model, name_of
from mnist_lessons.tuning.spaces import SPACES, Space


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The arguments of `tune`, which explains them."""

    model: Model = "cnn"
    space: Space | None = None
    n_trials: int | None = None
    until: float = math.inf  # the time.time() after which no trial begins
    epochs: int = 2
    storage: Any = None
    study_name: str | None = None
    workers: int = 1
    seed: int = 0
    data_dir: str | PathLike | None = None
    limit: int | None = None
    device: torch.device | str | None = None
    progress: bool = True
    dataset: str = "MNIST"
    loaders: Any = None

    @property
    def about(self) -> dict[str, Any]:
        """What all trials of one study must have in common."""
        about = {name: getattr(self, name) for name in ("epochs", "dataset", "limit")}
        usual = self.space in (None, SPACES.get(name_of(self.model)))
        space = None if usual else name_of(self.space)  # type: ignore[arg-type]
        return {"model": name_of(self.model), **about, "space": space}


def make_plan(*, seconds: float | None = None, **arguments: Any) -> Plan:
    """Check the arguments of `tune`, and fill in what was left open."""
    plan = Plan(**arguments)
    find_model(plan.model)
    class_names(plan.dataset)  # complains if there is no such data set
    changes: dict[str, Any] = {
        "epochs": check_whole("epochs", plan.epochs),
        "workers": check_whole("workers", plan.workers),
        "seed": check_whole("seed", plan.seed, 0, 2**32 - 1),
        "study_name": plan.study_name or name_of(plan.model),
        "device": check_device(plan.device or pick_device()),
    }
    for name in ("n_trials", "limit"):
        if getattr(plan, name) is not None:
            changes[name] = check_whole(name, getattr(plan, name))
    if seconds is not None:
        changes["until"] = time.time() + check_number("seconds", seconds, above=0)
    elif plan.n_trials is None and plan.until == math.inf:
        changes["n_trials"] = 20
    if plan.space is not None and not callable(plan.space):
        raise TypeError(
            f"space is a {type(plan.space).__name__}; give a function that takes a "
            "trial and returns settings."
        )
    by_name = isinstance(plan.model, str) and plan.space is None
    if plan.workers > 1 and not (by_name and isinstance(plan.storage, str | None)):
        raise TypeError(
            f"workers={plan.workers} starts other processes, which cannot import what "
            "a notebook defines: they need a model's name, its own space, and the "
            "address of a storage. Take workers=1; or write a script that calls "
            'tune(..., storage="journal:///folder/name"), and start it several times.'
        )
    if by_name:
        changes["space"] = SPACES[str(plan.model)]
    elif plan.space is None:
        raise ValueError(
            f"There are no ranges for model={name_of(plan.model)!r}. Give space=..., a "
            "function that chooses its settings, or one of "
            f"{', '.join(MODELS)} as the model."
        )
    return replace(plan, **changes)
