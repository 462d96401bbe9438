"""The command line: `python -m mnist_lessons train`, `evaluate`, `predict`, ...

Each command is a short script, such as you would write yourself with this package.
What can be typed after it, and its --help, stands in `options.py`.
"""

import argparse
import functools
import glob
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from mnist_lessons import (
    evaluate,
    fit,
    load_mnist,
    load_model,
    pick_device,
    save_model,
    seed_everything,
)
from mnist_lessons.arguments import LessonsError
from mnist_lessons.checkpoints import ModelFileError
from mnist_lessons.commands.handout import run_handout
from mnist_lessons.commands.options import EPOCHS, make_parser, model_from
from mnist_lessons.commands.slides import run_slides
from mnist_lessons.commands.tune import run_tune
from mnist_lessons.data import DATASETS, Loaders, class_names
from mnist_lessons.distributed import (
    TeamError,
    fit_distributed,
    only_rank_0_prints,
    own_device,
    process_group,
    processes,
    rank,
    run_on_all,
    share_of,
)
from mnist_lessons.files import DataFileError
from mnist_lessons.history import History
from mnist_lessons.models import DigitClassifier
from mnist_lessons.photos.opening import ImageError
from mnist_lessons.photos.recognition import as_text, read_digit
from mnist_lessons.teaching.lab import run_lab, run_projector
from mnist_lessons.tuning.settings import OPTIMIZERS, RATES
from mnist_lessons.tuning.storages import StudyError

MNIST_SCALE = (0.1307, 0.3081)  # mean and standard deviation of MNIST's pixels


class CommandError(ValueError):
    """What was asked for cannot be done."""


def run_train(options: argparse.Namespace) -> int:
    """Train a new model, score it on the validation digits, and save it."""
    count = processes()  # above 1, torchrun started several, and this is one of them
    if count == 1:
        return _train(options, options.device or pick_device(), load_mnist, fit)
    share_of(options.batch_size)  # complains before anything is loaded
    device = own_device(options.device)
    learn = functools.partial(fit_distributed, seed=options.seed)
    with process_group(device):
        return _train(options, device, functools.partial(run_on_all, load_mnist), learn)


def _train(
    options: argparse.Namespace,
    device: torch.device,
    load: Callable[..., Loaders],
    learn: Callable[..., History],
) -> int:
    """Train with the given ways to load the digits and to fit the model to them."""
    seed_everything(options.seed)
    model = model_from(options)
    loaders = load(
        options.data_dir,
        options.batch_size,
        dataset=options.dataset,
        device=device,
        seed=options.seed,
    )
    train, valid, _test = loaders
    assert valid is not None  # load_mnist sets some apart, if not told not to
    epochs = options.epochs or EPOCHS[options.model]
    lr = options.lr or RATES[options.optimizer]
    parameters = sum(weights.numel() for weights in model.parameters())
    team = f", {processes()} processes" if processes() > 1 else ""
    images = "" if options.dataset == "MNIST" else f" on {options.dataset}"
    print(
        f"Training {options.model} with {parameters:,} parameters{images}; optimizer "
        f"{options.optimizer}, learning rate {lr:g}, epochs {epochs}, device {device}"
        f"{team}.",
        flush=True,
    )
    history = learn(
        model,
        train,
        valid,
        epochs=epochs,
        lr=lr,
        optimizer=OPTIMIZERS[options.optimizer],
        channels_last=options.model == "cnn",
        log_every=options.log_every,
        device=device,
    )
    if history.stopped and not history.by_hand:
        raise CommandError("The model is of no use, so nothing was saved.")
    if not history.records:
        raise CommandError("No epoch was finished, so nothing was saved.")
    if rank() > 0:  # the first process scores and saves for all
        return 130 if history.by_hand else 0
    if options.save:
        save_model(model, options.save)
    print(f"Validation digits: {evaluate(model, valid)}.")
    if options.save:
        print(f"Saved as {options.save}. To read a picture with it:")
        name = shlex.quote(str(options.save))
        print(f"  python -m mnist_lessons predict {name} PICTURE")
    else:
        print("Not saved; with --save digits.pth you could read pictures with it.")
    return 130 if history.by_hand else 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Score a saved model on the validation digits, or on the test digits."""
    device = options.device or pick_device()
    model = load_model(options.file).to(device)
    # the digits have to be scaled as they were when the model was trained
    loaders = load_mnist(
        options.data_dir,
        options.batch_size,
        dataset=options.dataset,
        normalize=scale_of(model),
        device=device,
    )
    outputs = model.arguments.get("num_classes", 10)
    fits = outputs >= len(loaders.classes)
    if not fits or model.classes not in (None, loaders.classes):
        names = ", ".join(model.classes or [f"{outputs} classes"])
        others = [name for name in DATASETS if class_names(name) == model.classes]
        advice = f" Try --dataset {' or '.join(others)}." if others else ""
        raise CommandError(
            f"{options.file} was not trained on the classes of {options.dataset} but "
            f"on: {names}. So its answers cannot be compared with their labels.{advice}"
        )
    digits = loaders.test if options.test else loaders.valid
    assert digits is not None  # as above
    score = evaluate(model, digits)
    print(f"{'Test' if options.test else 'Validation'} digits: {score}.")
    return 0


def run_predict(options: argparse.Namespace) -> int:
    """Read the digit in each picture; the ones that cannot be read do not stop it."""
    model = load_model(options.file)
    mean, std = scale_of(model)
    encoding, status = getattr(sys.stdout, "encoding", None) or "ascii", 0
    for name in expand(options.images):
        try:
            image = read_digit(name)
        except ImageError as error:
            print(error, file=sys.stderr)
            status = 1
            continue
        chances = model.predict_proba((image - mean) / std)[0]
        if not chances.isfinite().all():
            raise CommandError(f"{options.file} is of no use: its weights diverged.")
        names = names_of(model, len(chances))
        best = chances.argsort(descending=True)[:3].tolist()
        likely = ", ".join(f"{names[n]} ({chances[n]:.1%})" for n in best)
        print(f"{name} as the model sees it:\n{as_text(image[0, 0], encoding)}")
        print(f"Answer: {names[best[0]]}. Most probable: {likely}.\n")
    return status


def scale_of(model: DigitClassifier) -> tuple[float, float]:
    """Return the mean and the standard deviation that the model's digits had."""
    if model.mean is None or model.std is None:
        print(
            "The model does not say how its digits were scaled (fit would have noted "
            "it). MNIST's own mean and standard deviation are used.",
            file=sys.stderr,
        )
        return MNIST_SCALE
    return model.mean, model.std


def names_of(model: DigitClassifier, count: int) -> list[str]:
    """Return what each of the model's answers is called."""
    known = model.classes or []
    return [known[n] if n < len(known) else str(n) for n in range(count)]


def expand(names: list[str]) -> Iterator[str]:
    """Replace *.jpg by the files' names where, as on Windows, the shell does not."""
    for name in names:
        found = [] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207
        yield from found or [name]


COMMANDS = {
    "train": run_train,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "tune": run_tune,
    "handout": run_handout,
    "slides": run_slides,
}
ERRORS = (
    CommandError,
    DataFileError,
    ModelFileError,
    ImageError,
    StudyError,
    TeamError,
    LessonsError,
    OSError,
)


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # file names can hold anything; and a log shows each epoch as it ends
            stream.reconfigure(errors="replace", line_buffering=True)
    with only_rank_0_prints():
        return _run(argv)


def _run(argv: list[str] | None) -> int:
    options, others = make_parser().parse_known_args(argv)
    try:
        if processes() > 1 and options.command != "train":
            raise CommandError(
                "torchrun starts several processes, and only train can share its work "
                f"among them. Run python -m mnist_lessons {options.command} by itself."
            )
        if options.command == "lab":
            return run_lab(others)  # JupyterLab knows the other options
        if options.command == "projector":
            return run_projector(options.lesson, others)
        if others:
            options.parser.error(f"{' '.join(others)} is not known; see --help")
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our lines, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if options.command == "train":
            print("Stopped, as nobody reads the output any more.", file=sys.stderr)
        return 1
    except ERRORS as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
