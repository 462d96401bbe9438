"""The training loop, which lesson 2 writes by hand, and the score of a model."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.utils.data import DataLoader

from mnist_lessons.arguments import check_device, check_number, check_whole
from mnist_lessons.history import Epoch, History, Score
from mnist_lessons.models import DigitClassifier, evaluation_mode
from mnist_lessons.recorder import Recorder


def seed_everything(seed: int = 0) -> None:
    """Seed Python's, NumPy's and PyTorch's random numbers, on every device.

    Another processor or number of threads still ends elsewhere, though close by.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pick_device() -> torch.device:
    """Return the fastest device: a GPU of NVIDIA, AMD or Apple, else the CPU."""
    gpu = torch.accelerator.current_accelerator(check_available=True)
    return gpu or torch.device("cpu")


def one_cycle(rise: float = 0.2) -> Callable[[Optimizer, int], OneCycleLR]:
    """Raise the rate to `lr` over a share of the steps, then lower it to zero.

    For `fit(..., schedule=one_cycle())` (Smith and Topin, 2018, arXiv:1708.07120); the
    way up takes the share `rise`, between 0 and 1. Used from lesson 3 on.
    """
    check_number("rise", rise, above=0, below=1, such_as=0.2)

    def schedule(optimizer: Optimizer, total_steps: int) -> OneCycleLR:
        # PyTorch divides by the steps of the way up less one, which may be 0
        share = rise * 1.001 if rise * total_steps == 1 else rise
        shape: Any = {"pct_start": share, "cycle_momentum": False}
        peak = optimizer.defaults["lr"]
        return OneCycleLR(optimizer, peak, total_steps, **shape)

    return schedule


def fit(
    model: DigitClassifier,
    train_loader: DataLoader,
    valid_loader: DataLoader | None = None,
    *,
    epochs: int,
    lr: float,
    optimizer: Callable[..., Optimizer] = torch.optim.Adam,
    schedule: Callable[[Optimizer, int], LRScheduler] | None = None,
    label_smoothing: float = 0.0,
    augment: Callable[[Tensor], Tensor] | None = None,
    channels_last: bool = False,
    autocast: bool = False,
    log_every: int | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    live: bool = False,
    on_epoch_end: Callable[[Epoch], Any] | None = None,
) -> History:
    """Train a model, and return the history of the run. Built in lesson 2.

    Ctrl-C (or the notebook's stop button) ends the run early and keeps the history so
    far; so does a loss that is no longer a finite number. `history.stopped` says why.
    An argument that makes no sense raises a `ValueError` or a `TypeError`.

    Args:
        model: what to train; its weights are changed in place.
        train_loader: batches to learn from.
        valid_loader: batches to score the model on after each epoch.
        epochs: how many times to go through the training images.
        lr: the learning rate, above 0; 0.001 is Adam's usual one.
        optimizer: a class from `torch.optim`, or a `functools.partial` of one.
        schedule: `schedule(optimizer, total_steps)` returns a learning-rate scheduler,
            which takes a step after every batch; `one_cycle()` makes such a function.
        label_smoothing: see `DigitClassifier.training_step`, which must then accept it.
        augment: changes each batch of training images, never validation images.
        channels_last: store images with the channel last; faster for convolutions.
        autocast: compute in bfloat16 where it is safe, which makes some processors
            faster and others slower: `tuning.precision.bfloat16_pays` tries it.
        log_every: also print and record the mean loss of every so many batches.
        device: where to train; `None` leaves the model where it is.
        progress: show a progress bar and one line an epoch.
        live: in a notebook, draw loss and accuracy while the model trains.
        on_epoch_end: called with each epoch's record; returning `True` stops the run.
    """
    _check_run(model, train_loader, optimizer, epochs, lr)
    device = _device_of(model) if device is None else check_device(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(device).to(memory_format=layout)
    _note_scale(model, train_loader)
    opt = optimizer(model.parameters(), lr=lr)
    batches = len(train_loader)
    scheduler = schedule(opt, epochs * batches) if schedule else None
    smoothing = {"label_smoothing": label_smoothing} if label_smoothing else {}
    recorder = Recorder(model, epochs, batches, log_every, progress, live)
    with recorder:
        for _ in range(epochs):
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
            epoch = recorder.after_epoch(score, last_lr)
            if on_epoch_end and on_epoch_end(epoch):
                break
    return recorder.history


def evaluate(model: DigitClassifier, loader: DataLoader) -> Score:
    """Score a model on every image of a loader. Built in lesson 2.

    Runs in evaluation mode, without gradients, and leaves the model in the mode it was
    in. A loader that is `None` or empty raises a `ValueError`.
    """
    _check_model(model)
    if not loader:
        raise ValueError(f"The loader is {loader!r}: valid_size=0 gives none.")
    device = _device_of(model)
    with evaluation_mode(model):
        outputs = [
            model.validation_step((images.to(device), labels.to(device)))
            for images, labels in loader
        ]
    return Score(**model.validation_epoch_end(outputs))


def _device_of(model: torch.nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _note_scale(model: DigitClassifier, loader: DataLoader) -> None:
    """Let the model remember how its digits were scaled: a saved one needs to know."""
    digits = getattr(loader, "dataset", None)  # one's own loader may have none
    if isinstance(model, DigitClassifier):
        model.classes = getattr(digits, "classes", None)
        model.mean, model.std = (getattr(digits, n, None) for n in ("mean", "std"))


def _check_model(model: object) -> None:
    if isinstance(model, type):
        name = model.__name__
        raise TypeError(f"{name} is a class; build a model first: {name}().")
    if not hasattr(model, "training_step"):
        name = type(model).__name__
        raise TypeError(f"{name} has no training_step; derive it from DigitClassifier.")


def _check_run(model: Any, loader: Any, optimizer: Any, epochs: Any, lr: Any) -> None:
    _check_model(model)
    if isinstance(loader, tuple):
        raise TypeError("train_loader is a tuple: train, valid, test = load_mnist().")
    if not loader:
        raise ValueError(f"train_loader={loader!r} has nothing to learn from.")
    if isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"optimizer is a {kind} already; give torch.optim.{kind}.")
    check_whole("epochs", epochs)
    check_number("lr", lr, above=0, such_as=0.001)
