"""The training loop, the score of a model, and the record of a run.

`fit` is plain PyTorch, the loop that lesson 2 writes by hand, with a progress bar and a
record of each epoch.
"""

import contextlib
import math
import os
import random
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.utils.data import DataLoader

from mnist_lessons.arguments import check_whole
from mnist_lessons.history import History, Record, Recorder, Score
from mnist_lessons.models import DigitClassifier, evaluation_mode


def seed_everything(seed: int = 0) -> None:
    """Seed Python's, NumPy's and PyTorch's random numbers, on every device.

    On one machine the same seed then gives the same numbers. Another processor, or
    another number of threads, adds floats in another order and ends close by.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pick_device() -> torch.device:
    """Return the fastest device: an NVIDIA GPU, else an Apple GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def use_half_the_cores() -> int:
    """Let PyTorch use half of this process's cores, one to eight; return how many.

    More threads are quicker only while nothing else runs. Where a browser, a call or a
    neighbour's notebook needs a core, PyTorch's threads wait for each other at every
    step, and two on two cores are slower than one. More than eight gain nothing on
    digits. `MNIST_LESSONS_THREADS` names another number, for several notebooks side by
    side.
    """
    threads = os.environ.get("MNIST_LESSONS_THREADS") or min(8, max(1, _cores() // 2))
    torch.set_num_threads(check_whole("MNIST_LESSONS_THREADS", int(threads)))
    return torch.get_num_threads()


def _cores() -> int:
    """Return how many cores this process may use: a container may get but a few."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no container, or no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) // int(period))
    return cores


def one_cycle(
    rise: float = 0.2, cycle_momentum: bool = False
) -> Callable[[Optimizer, int], OneCycleLR]:
    """Raise the rate to `lr` over this share of the steps, then lower it to zero.

    For `fit(..., schedule=one_cycle())`; the optimizer's own rate is the peak (Smith
    and Topin, 2018, arXiv:1708.07120). Built in lesson 2, as `rise_and_fall`.

    Args:
        rise: the share of all steps that the way up takes, above 0, below 1.
        cycle_momentum: also lower the momentum while the rate rises.

    Raises:
        ValueError: `rise` is not between 0 and 1.
    """
    if not 0 < rise < 1:
        raise ValueError(f"rise={rise!r} does not work: give a share such as 0.2.")

    def schedule(optimizer: Optimizer, total_steps: int) -> OneCycleLR:
        # PyTorch divides by the steps of the way up less one, which may be 0
        share = rise * 1.001 if rise * total_steps == 1 else rise
        return OneCycleLR(
            optimizer,
            optimizer.defaults["lr"],
            total_steps=total_steps,
            pct_start=share,
            cycle_momentum=cycle_momentum,
        )

    return schedule


def fit(
    model: DigitClassifier,
    train_loader: DataLoader,
    valid_loader: DataLoader | None = None,
    *,
    epochs: int,
    lr: float,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    schedule: Callable[[torch.optim.Optimizer, int], LRScheduler] | None = None,
    label_smoothing: float = 0.0,
    augment: Callable[[Tensor], Tensor] | None = None,
    channels_last: bool = False,
    autocast: bool = False,
    log_every: int | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    live: bool = False,
    on_epoch_end: Callable[[Record], Any] | None = None,
) -> History:
    """Train a model, and return the record of the run. Built in lesson 2.

    Ctrl-C (or the notebook's stop button) ends the run early and keeps the record so
    far. So does a loss that is no longer a finite number, with advice;
    `history.stopped` then says what happened.

    Args:
        model: what to train; its weights are changed in place.
        train_loader: batches to learn from.
        valid_loader: batches to score the model on after each epoch.
        epochs: how many times to go through the training images.
        lr: the learning rate, above 0; 0.001 is Adam's usual one.
        optimizer: a class from `torch.optim`, or a `functools.partial` of one.
        schedule: `schedule(optimizer, total_steps)` returns a learning-rate scheduler,
            which takes a step after every batch.
        label_smoothing: see `DigitClassifier.training_step`, which must then accept it.
        augment: changes each batch of training images, never validation images.
        channels_last: store images with the channel last; faster for convolutions.
        autocast: compute in bfloat16 where it is safe. A processor without instructions
            for it is many times slower then: `bfloat16_pays` in `tuning.precision`
            tells in a trial of a few steps.
        log_every: also print and record the mean loss of every so many batches.
        device: where to train; `None` leaves the model where it is.
        progress: show a progress bar and one line an epoch.
        live: in a notebook, draw loss and accuracy while the model trains; less than a
            tenth of the time goes into drawing. A run of a second or two is drawn once,
            at its end, which takes about a tenth of a second.
        on_epoch_end: called with each epoch's record; returning `True` stops the run.

    Raises:
        ValueError: `train_loader` is empty, or `epochs`, `lr` or `log_every` makes no
            sense.
        TypeError: `model` is not a model or has no `training_step`; `train_loader` is
            a tuple of loaders; `optimizer` is not a class or function.
    """
    _check_model(model)
    if isinstance(train_loader, tuple):
        raise TypeError(
            "train_loader is a tuple. Take the loaders apart first: "
            "train, valid, test = load_mnist()."
        )
    if isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__} already; give fit the class, "
            f"optimizer=torch.optim.{type(optimizer).__name__}."
        )
    if not train_loader:
        raise ValueError(f"train_loader={train_loader!r} has nothing to learn from.")
    if not isinstance(epochs, Integral) or epochs < 1:
        raise ValueError(f"epochs={epochs!r} does not train; give 1, 2, 3 or more.")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr={lr} does not work: a learning rate is above 0.")
    if log_every is not None and (not isinstance(log_every, Integral) or log_every < 1):
        raise ValueError(f"log_every={log_every!r}: give 1 or more batches, or None.")

    device = _device_of(model) if device is None else torch.device(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(device).to(memory_format=layout)
    opt = optimizer(model.parameters(), lr=lr)
    batches = len(train_loader)
    scheduler = schedule(opt, epochs * batches) if schedule else None
    smoothing = {"label_smoothing": label_smoothing} if label_smoothing else {}
    if isinstance(model, DigitClassifier):
        digits = getattr(train_loader, "dataset", None)  # one's own loader has none
        for name in ("classes", "mean", "std"):
            setattr(model, name, getattr(digits, name, None))

    recorder = Recorder(
        model,
        epochs=epochs,
        batches=batches,
        log_every=log_every,
        progress=progress,
        live=live,
    )
    recorder.history.autocast = autocast
    with recorder:
        for _ in range(epochs):
            recorder.start_epoch()
            model.train()
            for images, labels in train_loader:
                images, labels = images.to(device), labels.to(device)
                if augment:
                    images = augment(images)
                images = images.contiguous(memory_format=layout)
                with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                    loss = model.training_step((images, labels), **smoothing)
                recorder.after_batch(loss, labels)
                opt.zero_grad()
                loss.backward()
                opt.step()
                last_lr = opt.param_groups[0]["lr"]
                if scheduler:
                    scheduler.step()
            score = evaluate(model, valid_loader) if valid_loader else None
            record = recorder.after_epoch(score, last_lr)
            if on_epoch_end and on_epoch_end(record):
                break
    return recorder.history


def evaluate(model: DigitClassifier, loader: DataLoader) -> Score:
    """Score a model on every image of a loader. Built in lesson 2.

    Runs in evaluation mode, without gradients, and leaves the model in the mode it was
    in. Nothing about the model changes.

    Raises:
        ValueError: the loader is `None` or empty.
    """
    _check_model(model)
    if not loader:
        raise ValueError(
            f"There is nothing to score the model on: the loader is {loader!r}. "
            "load_mnist(valid_size=0) gives no validation loader."
        )
    device = _device_of(model)
    with evaluation_mode(model):
        outputs = [
            model.validation_step((images.to(device), labels.to(device)))
            for images, labels in loader
        ]
    totals = model.validation_epoch_end(outputs)
    return Score(
        totals["loss"], totals["accuracy"], int(totals["correct"]), int(totals["count"])
    )


def _device_of(model: torch.nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _check_model(model: object) -> None:
    if isinstance(model, type):
        raise TypeError(
            f"{model.__name__} is a class; build a model first: {model.__name__}()."
        )
    if not hasattr(model, "training_step"):
        raise TypeError(
            f"{type(model).__name__} has no training_step. Derive the model from "
            "mnist_lessons.DigitClassifier, which has all the steps."
        )
