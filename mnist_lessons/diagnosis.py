"""Why does it not learn? Tests of a learner's own program. Built in lesson 7.

Each test runs the program's own functions, and returns whether all is well, what it
measured and what it expects. After A. Karpathy, *A Recipe for Training Neural
Networks*, 2019, and I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning*, 2016,
chapter 11.
"""

import functools
import math
from collections.abc import Callable, Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mnist_lessons.models import evaluation_mode
from mnist_lessons.program import (
    DiagnosisError,
    Pile,
    Program,
    logits_of,
    nothing_changes,
    without_idle_biases,
)
from mnist_lessons.report import Report, Result
from mnist_lessons.training import evaluate, fit

Outcome = tuple[bool, str, str]  # all is well, measured, expected


def first_loss(program: Program) -> Outcome:
    """Measure the loss before training, and the spread of pixels."""
    images, labels = program.train.images[:256], program.train.labels[:256]
    logits = logits_of(program.new_model(), images)
    loss, guess = float(F.cross_entropy(logits, labels)), math.log(logits.shape[1])
    spread = float(images.float().std())
    fine = 0.5 * guess < loss < 2 * guess and 0.03 < spread < 10
    measured = f"loss {loss:.2f}, deviation of the pixels {spread:.3g}"
    return fine, measured, f"loss about {guess:.2f}, deviation 0.03 to 10"


def one_batch(program: Program) -> Outcome:
    """Train on the same 32 digits for 600 steps; the loss is plain."""
    model, images = program.new_model(), program.train.images[:32]
    for part in model.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0  # it is there to prevent just this
    program.train_on(model, torch.arange(len(images)).repeat(600), len(images))
    with evaluation_mode(model):
        logits = logits_of(model, images)
    loss = float(F.cross_entropy(logits, program.train.labels[: len(images)]))
    # what softmax twice cannot get below: 1.46 with ten classes
    bound = 0.82 * math.log(1 + (logits.shape[1] - 1) / math.e)
    measured = f"loss {loss:.2f} after 600 steps on 32 digits"
    return loss < bound, measured, f"below {bound:.1f}"


def gradients(program: Program) -> Outcome:
    """Ask of each tensor whether its last gradient was finite and not 0."""
    model, notes = program.steps
    none = [name for name, met in notes.items() if not met or not met[-1][0]]
    none = without_idle_biases(model, none)
    return not none, f"none for {listed(none, notes)}", "one for every tensor"


def old_gradients(program: Program) -> Outcome:
    """Ask of each tensor whether its gradients were always added to old ones."""
    notes = program.steps[1]
    later = {name: [old for _, old in met[1:]] for name, met in notes.items()}
    added = [name for name, old in later.items() if old and all(old)]
    return not added, f"always in {listed(added, notes)}", "cleared before the next"


def moved_weights(program: Program) -> Outcome:
    """Ask of each tensor that got gradients whether more than its size changed."""
    (model, notes), start = program.steps, dict(program.new_model().named_parameters())
    still = []
    for name, weights in model.named_parameters():
        before, change = start[name].detach(), (weights - start[name]).detach()
        if len(before.flatten()) > 1:  # what weight decay does is no evidence
            size = (before**2).sum().clamp(min=1e-12)
            change = change - before * (change * before).sum() / size
        came = any(came for came, _ in notes.get(name, []))
        if came and not change.norm() > 1e-5 * before.norm():
            still += [name]
    still = without_idle_biases(model, still)
    return not still, f"unchanged: {listed(still, notes)}", "every tensor changes"


def shared_images(program: Program) -> Outcome:
    """Compare the images of both piles by hash; one in a thousand may be a twin."""
    if program.valid is None:
        raise DiagnosisError("there is no valid_loader")
    marks, known = program.valid.hashes, {*program.train.hashes}
    shared = sum(mark in known for mark in marks)
    return shared <= len(marks) / 1000, f"{shared} of {len(marks)} images", "none"


def mixed_labels(program: Program) -> Outcome:
    """Compare each label with the next one."""
    labels = program.train.labels
    same = float((labels[1:] == labels[:-1]).double().mean())
    luck = float((labels.bincount() / len(labels)).square().sum())
    measured = f"{same:.0%} of labels are followed by their like"
    return same < luck + 0.3 * (1 - luck), measured, f"about {luck:.0%}"


def fair_score(program: Program) -> Outcome:
    """Score twice; the digits that are read wrongly come last, in a small batch."""
    model, pile = program.steps[0], program.valid or program.train
    labels = pile.labels[: len(pile.images)]
    with evaluation_mode(model):
        right = logits_of(model, pile.images).argmax(dim=1) == labels
    # by class, too: batch norm without eval() reads batches of one class in another way
    order = (labels + 1_000 * ~right).argsort()
    batches = pile.batches(order, max(1, len(order) // 10 - 1))
    share = float(right.double().mean())
    scores = []
    for _ in range(2):
        score = program.functions["score"](model.train(), batches)
        score = getattr(score, "accuracy", score)
        if isinstance(score, tuple | list | dict):
            raise DiagnosisError(f"score returns a {type(score).__name__}, no number.")
        scores.append(float(score))
    units = (1, 100, len(right))  # a share, per cent, or a count
    fine = min(abs(scores[0] / unit - share) for unit in units) < 0.002
    measured = f"{scores[0]:.4g}, then {scores[1]:.4g}"
    return fine and scores[0] == scores[1], measured, f"twice {share:.4f}"


def listed(names: list[str], notes: Collection[str]) -> str:
    """Say how many of the tensors these are, and name the first four."""
    few = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} of {len(notes)} tensors" + (f" ({few})" if few else "")


TESTS: dict[Callable[[Program], Outcome], str] = {  # and the mistakes that each shows
    shared_images: "validation digits among the training digits",
    mixed_labels: "no shuffling: the digits come in the order of sorted files",
    first_loss: "pixels from 0 to 255, or divided by 255 twice; weights too large",
    one_batch: "softmax before the loss (stops at 1.46 with ten classes); another "
    "model's optimizer; labels of a wrong kind; a rate far too large or small",
    gradients: "detach() in the middle; weights that start at zero; dead ReLUs after "
    "too large a step; a layer that is never used",
    old_gradients: "zero_grad() forgotten, or called by another optimizer",
    moved_weights: "an optimizer with another model's weights, or without some of "
    "them; zero_grad() between backward() and step()",
    fair_score: "eval() forgotten; an average of the batches' averages",
}


def diagnose(
    make_model: Callable[[], nn.Module],
    train_loader: Any,
    valid_loader: Any = None,
    *,
    train_step: Callable[..., Any] | None = None,
    score: Callable[..., Any] | None = None,
) -> Report:
    """Test a program that does not learn: what looks wrong, and like which mistakes.

    It runs your functions on new models; your loaders' order and random numbers go on
    as if it had not, and prints are swallowed. (What your functions themselves change
    by its name, such as a global model's averages, stays changed.) Where the program
    breaks off, the line of the test says so. Built in lesson 7.

    Args:
        make_model: builds a new model, from images to logits, (batch, classes).
        train_loader: batches of images, (batch, ...), and labels, int64 (batch,).
        valid_loader: likewise; without it, the test that needs it does not run.
        train_step: your loop. `train_step(model, batches)` builds the optimizer and
            takes a step on each batch; `fit` with Adam at 0.001 if not given.
        score: `score(model, batches)` returns the share of right answers; per cent, a
            count or a `Score` will do. `evaluate` if not given.

    Raises:
        DiagnosisError: if a function is none, or a loader has no such batches.
    """
    step = train_step or functools.partial(fit, epochs=1, lr=0.001, progress=False)
    functions = {"train_step": step, "score": score or evaluate}
    with nothing_changes():
        train = Pile("train_loader", train_loader)
        valid = (
            valid_loader if valid_loader is None else Pile("valid_loader", valid_loader)
        )
        program = Program(train, valid, make_model=make_model, **functions)
        return Report(_run(test, program) for test in TESTS)


def _run(test: Callable[[Program], Outcome], program: Program) -> Result:
    name, mistakes = test.__name__.replace("_", " "), TESTS[test]
    try:
        fine, measured, expected = test(program)
        return Result(name, fine, measured, expected, "" if fine else mistakes)
    except (Exception, SystemExit) as error:  # a sick program may fail in any way
        return Result(name, None, f"{type(error).__name__}: {error}", "-", mistakes)
