"""A learner's program, which runs for `diagnose` and leaves nothing else changed."""

import contextlib
import copy
import functools
import inspect
import io
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, Subset, TensorDataset

from mnist_lessons.arguments import LessonsError
from mnist_lessons.data import make_loader
from mnist_lessons.training import seed_everything

KEPT = 20 * 64  # images: twenty batches


class DiagnosisError(LessonsError, ValueError):
    """What was given is no program, or no digits, that can be tested."""


class Pile:
    """What a loader holds: the first images, all labels, a hash of each image.

    A copy of the loader is read, so that its own random numbers do not move on.
    """

    def __init__(self, name: str, loader: Any) -> None:
        data = getattr(loader, "dataset", None)  # which both copies may share
        try:
            self.hashes: list[int] = []
            images, labels = [], []
            for x, y in copy.deepcopy(loader, {id(data): data}):
                images += [x.cpu()] if len(self.hashes) < KEPT else []
                labels += y.tolist()  # small tensors kept would leave holes in memory
                self.hashes += [hash(image.tobytes()) for image in x.cpu().numpy()]
            self.images, self.labels = torch.cat(images)[:KEPT], torch.tensor(labels)
        except Exception as error:
            message = f"{name} gives no batches of images and labels: {error!r}."
            raise DiagnosisError(f"{message} Give a DataLoader.") from error
        if self.labels.ndim != 1 or self.labels.dtype != torch.int64:
            shape = ("batch", *self.labels.shape[1:])
            given = f"{str(self.labels.dtype)[6:]}, ({', '.join(map(str, shape))})"
            wanted = "int64, (batch,): the number of the class"
            raise DiagnosisError(f"{name} gives labels {given}; give {wanted}.")

    def batches(self, order: Tensor, size: int = 64) -> DataLoader:
        """Return a loader of these digits, by their numbers."""
        digits = TensorDataset(self.images, self.labels[: len(self.images)])
        chosen: Any = Subset(digits, order.tolist())
        return make_loader(chosen, size, shuffle=False)


class Program:
    """The functions under test, their digits, and what twenty steps did."""

    def __init__(self, train: Pile, valid: Pile | None, **functions: Any) -> None:
        for name, given in functions.items():
            if not callable(given) or isinstance(given, nn.Module):
                kind = type(given).__name__
                raise DiagnosisError(f"{name} is a {kind}; give a function.")
        self.train, self.valid, self.functions = train, valid, functions
        try:
            first, second = ({*self.new_model().parameters()} for _ in range(2))
        except Exception as error:
            raise DiagnosisError(f"make_model() gives no model: {error!r}") from error
        if not first or first & second:
            raise DiagnosisError("make_model() must give new weights at each call.")

    def new_model(self) -> nn.Module:
        """Build the model, the same one each time."""
        seed_everything(0)
        return self.functions["make_model"]()

    def train_on(self, model: nn.Module, order: Tensor, size: int) -> None:
        """Run the loop on these digits; no optimizer moves another model's weights."""
        own, spared = {*model.parameters()}, {}
        if len(order) % size == 1:  # batch norm cannot read a batch of one
            order = order[:-1]

        def spare(optimizer: Optimizer, *_: Any) -> None:
            for weights in (w for g in optimizer.param_groups for w in g["params"]):
                if weights not in own and weights.grad is not None:
                    spared[weights], weights.grad = weights.grad, None

        guard = register_optimizer_step_pre_hook(spare)
        try:
            done = self.functions["train_step"](model, self.train.batches(order, size))
            if inspect.isgenerator(done):
                raise DiagnosisError("train_step has a `yield`, so none of it runs.")
        finally:
            guard.remove()
            for weights, gradient in spared.items():
                weights.grad = gradient

    @functools.cached_property
    def steps(self) -> tuple[nn.Module, dict[str, list[tuple[bool, bool]]]]:
        """A model after twenty steps; of each gradient: not 0? added to an old one?"""
        model = self.new_model()
        notes: dict[str, list[tuple[bool, bool]]] = {}

        def note(name: str, weights: Tensor, gradient: Tensor) -> None:
            old = weights.grad is not None and bool(weights.grad.any())
            notes[name].append((0 < float(gradient.norm()) < math.inf, old))

        for name, weights in model.named_parameters():
            if weights.requires_grad:
                notes[name] = []
                weights.register_hook(functools.partial(note, name, weights))
        self.train_on(model, torch.arange(len(self.train.images)), 64)
        return model, notes


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return what the model puts out, in the mode that it is in, without gradients."""
    kind = next(model.parameters())  # a loop may have turned it to double
    images = images.to(kind.device, kind.dtype if images.is_floating_point() else None)
    with torch.no_grad():
        return model(images).float().cpu()


def without_idle_biases(model: nn.Module, names: list[str]) -> list[str]:
    """Leave out biases whose weights are not named, if there is batch norm.

    It subtracts what a bias before it adds, so that this learns nothing.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    if not any(isinstance(part, kinds) for part in model.modules()):
        return names
    return [name for name in names if name.replace("bias", "weight") in names]


@contextlib.contextmanager
def nothing_changes() -> Iterator[None]:
    """Go on afterwards with the random numbers of now; what is printed is lost."""
    states = random.getstate(), np.random.get_state()
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        with torch.random.fork_rng(), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
