"""What several commands share: options, how what is typed is checked, an error."""

import contextlib
import functools
import sys
import tempfile
from argparse import ArgumentTypeError, Namespace  # noqa: F401
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_lessons import arguments, distributed
from mnist_lessons.arguments import LessonsError
from mnist_lessons.data import DATASETS
from mnist_lessons.models import DigitClassifier
from mnist_lessons.tuning.recipes import MODELS


def typed(
    check: Callable[..., Any], kind: type = str, **limits: Any
) -> Callable[[str], Any]:
    """Return a type for argparse, which turns text into a `kind` and checks that."""

    def convert(text: str) -> Any:
        value: Any = text
        with contextlib.suppress(ValueError):  # the check says what would do
            value = kind(text)
        try:
            return check("", value, **limits)
        except ValueError as error:
            # argparse has named the option, and people know what they typed
            message = str(error).partition("=")[2].replace(repr(value), text, 1)
            raise ArgumentTypeError(message) from error

    return convert


whole = functools.partial(typed, arguments.check_whole, int, at_most=1_000_000)
number = functools.partial(typed, arguments.check_number, float)
# what argparse is told of the options that several commands have
OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"choices": MODELS},
    "--epochs": {"type": whole()},
    "--seed": {"type": whole(at_least=0, at_most=2**32 - 1), "default": 0},
    "--device": {"type": typed(lambda _, device: arguments.check_device(device))},
    "--dataset": {"choices": DATASETS, "default": "MNIST"},
    "--out": {"type": Path, "default": Path()},
}
LOADING = """
  --device NAME      cpu, cuda, cuda:1, mps, ... (the fastest that is there)
  --data-dir FOLDER  folder that holds MNIST/raw (the project's data, else a cache
                     folder)
  --dataset NAME     other images: %(choices)s; downloaded once if they are not there
                     (MNIST)
"""


def scale_of(model: DigitClassifier) -> tuple[float, float]:
    """Return the mean and the standard deviation that the model's digits had."""
    if model.mean is not None and model.std is not None:
        return model.mean, model.std
    print(
        "The model does not say how its digits were scaled (fit would have noted it). "
        "MNIST's own mean and standard deviation are used.",
        file=sys.stderr,
    )
    return 0.1307, 0.3081


def make_folder(folder: Path) -> None:
    """Make a folder if it is missing, and make sure that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except FileExistsError as error:
        raise LessonsError(f"{folder} is a file; --out needs a folder.") from error
    except OSError as error:
        raise LessonsError(
            f"{folder.absolute()} cannot be written to ({error.strerror}); "
            "--out FOLDER writes elsewhere."
        ) from error


def new_file(text: str) -> Path:
    """Make sure that a file can be written there, before there is one to write."""
    path = Path(text)
    if distributed.rank() > 0:
        return path  # the first process saves; this one may be on another machine
    if path.is_dir():
        problem = f"{path} is a folder; give the name of a file in it"
    elif path.exists() and not path.is_file():
        problem = f"{path} is a device, not a file; give another name"
    elif not path.parent.is_dir():
        problem = f"there is no folder {path.parent}; make it first"
    else:
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
            return path
        except OSError as error:
            folder = path.parent.absolute()
            problem = f"{folder} cannot be written to ({error.strerror})"
    raise ArgumentTypeError(problem)
