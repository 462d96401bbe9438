"""What a search is asked to do, checked before anything is loaded."""

import math
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from os import PathLike
from typing import Any

import torch

from mnist_lessons.data import class_names
from mnist_lessons.training import pick_device
from mnist_lessons.tuning.settings import MODELS, Model, find_model, name_of
from mnist_lessons.tuning.spaces import SPACES, Space

DEFAULT_TRIALS = 20


def new_name() -> str:
    """Return a name that no other search on any machine has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


@dataclass
class Plan:
    """The arguments of `tune`, which explains them.

    Attributes:
        until: the time, as `time.time()` counts it, after which no trial begins.
        worker: which process this is; noted with each of its trials.
        told_to_stop: asked between epochs whether to end early.

    Raises:
        ValueError: a number makes no sense, or a model needs a `space`.
        TypeError: the model or the space is no class or function; other processes
            could not import it, or could not open the storage.
    """

    model: Model
    space: Space | None = None
    n_trials: int | None = None
    until: float = math.inf
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
    worker: str = field(default_factory=new_name)
    told_to_stop: Callable[[], bool] = bool  # which is False

    def __post_init__(self) -> None:
        self.epochs = _whole("epochs", self.epochs, 1)
        self.workers = _whole("workers", self.workers, 1)
        self.seed = _whole("seed", self.seed, 0, below=2**32)
        if self.limit is not None:
            self.limit = _whole("limit", self.limit, 1)
        if self.n_trials is not None:
            self.n_trials = _whole("n_trials", self.n_trials, 1)
        elif self.until == math.inf:
            self.n_trials = DEFAULT_TRIALS
        find_model(self.model)
        class_names(self.dataset)  # complains if there is no such data set
        if self.space is not None and not callable(self.space):
            raise TypeError(
                f"space is a {type(self.space).__name__}; give a function that takes "
                "a trial and returns settings."
            )
        if self.workers > 1:
            self._check_shareable()
        if self.space is None:
            if not isinstance(self.model, str):
                raise ValueError(
                    f"There are no ranges for model={name_of(self.model)!r}. Give "
                    f"space=..., a function that chooses its settings, or one of "
                    f"{', '.join(map(repr, MODELS))} as the model."
                )
            self.space = SPACES[self.model]
        self.study_name = self.study_name or name_of(self.model)
        self.device = torch.device(self.device or pick_device())

    @property
    def about(self) -> dict[str, Any]:
        """What all trials of one study must have in common."""
        about: dict[str, Any] = {"model": name_of(self.model), "epochs": self.epochs}
        about["dataset"] = self.dataset
        own = isinstance(self.model, str) and self.space is not SPACES[self.model]
        space = name_of(self.space) if own and self.space else None
        return {**about, "limit": self.limit, "space": space}

    def _check_shareable(self) -> None:
        why = ""
        if not isinstance(self.model, str):
            why = "a model that you give as a class"
        elif self.space is not None:
            why = "a space of your own"
        elif not isinstance(self.storage, str | None):
            why = "a storage that is an object (give its address instead)"
        elif self.storage in ("sqlite://", "sqlite:///:memory:"):
            why = f"{self.storage}, which is this process's own memory"
        if why:
            raise TypeError(
                f"workers={self.workers} starts other processes, and they cannot "
                f"import what a notebook defines, so {why} does not work with them. "
                "Take workers=1; or write it into a script that calls tune(..., "
                'storage="journal:///folder/name"), and start the script several times.'
            )


def check_seconds(seconds: float | None) -> None:
    """Make sure that a time limit is a number above 0, or `None`.

    Raises:
        ValueError: it is something else.
    """
    if seconds is not None and (not isinstance(seconds, Real) or not seconds > 0):
        raise ValueError(f"seconds={seconds!r} does not work: give a number above 0.")


def _whole(name: str, value: object, least: int, below: float = math.inf) -> int:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and least <= value < below:  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload, no-any-return]
    upto = f", below {below:,}" if below < math.inf else ""
    raise ValueError(
        f"{name}={value!r} does not work: give a whole number, {least} or more{upto}."
    )
