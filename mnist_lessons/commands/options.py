"""What can be typed after `python -m mnist_lessons`, and what --help says about it."""

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mnist_lessons import __version__
from mnist_lessons.commands import helptexts as texts
from mnist_lessons.data import DATASETS, class_names
from mnist_lessons.distributed import rank
from mnist_lessons.models import DigitClassifier
from mnist_lessons.tuning.recipes import MODELS, OPTIMIZERS

EPOCHS = {"linear": 5, "mlp": 5, "cnn": 2}


def whole(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """Return a function that turns what was typed into a whole number within limits."""

    def number(text: str) -> int:
        try:
            if least <= int(text) <= most:
                return int(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f"{text} does not work: give a whole number, {least} to {most:,}"
        )

    return number


def above_0(example: str) -> Callable[[str], float]:
    """Return a function that turns what was typed into a number above 0."""

    def number(text: str) -> float:
        if 0 < (value := _float(text)) < math.inf:
            return value
        raise argparse.ArgumentTypeError(
            f"{text} does not work: give a number above 0, such as {example}"
        )

    return number


def probability(text: str) -> float:
    """Turn what was typed into a probability below 1."""
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"{text} does not work: give 0 or more, below 1, such as 0.2"
        )
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def device(text: str) -> torch.device:
    """Turn what was typed into a device, if this machine has it."""
    try:
        found = torch.device(text)
        torch.ones(1, device=found).item()
    # what a missing device raises differs from one kind to the next
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"]
        there += [f"cuda:{n}" for n in range(torch.cuda.device_count())]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise argparse.ArgumentTypeError(
            f"{text} is not there; this machine has {', '.join(there)}"
        ) from error
    return found


def place(text: str) -> Path:
    """Make sure that a file can be written there, before there is one to write."""
    path = Path(text)
    if rank() > 0:
        return path  # the first process saves; this one may be on another machine
    if path.exists() and not path.is_file() and not path.is_dir():
        problem = f"{path} is a device, not a file; give another name"
    elif path.is_dir():
        problem = f"{path} is a folder; give the name of a file in it"
    elif not path.parent.is_dir():
        problem = f"there is no folder {path.parent}; make it first"
    else:
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
            return path
        except OSError as error:
            folder = path.parent.absolute()
            problem = f"{folder} cannot be written to ({error.strerror})"
    raise argparse.ArgumentTypeError(problem)


def model_from(options: argparse.Namespace) -> DigitClassifier:
    """Build the model that was asked for; what was not said is the class's default."""
    given: dict[str, Any] = {}
    classes = len(class_names(options.dataset))
    if options.hidden is not None:
        given["hidden"] = options.hidden
    if options.dropout is not None:
        given["dropout"] = options.dropout
    if options.model == "linear" and given:
        options.parser.error(
            f"a linear model has no hidden layer, so --{' and --'.join(given)} cannot "
            "change it; leave that out, or train mlp"
        )
    if options.model == "cnn" and "hidden" in given:
        if len(given["hidden"]) > 1:
            options.parser.error(
                "a cnn has one hidden layer after its convolutions: give --hidden one "
                "width, or train mlp"
            )
        given["hidden"] = given["hidden"][0]
    return MODELS[options.model](**given, num_classes=classes)


def make_parser() -> argparse.ArgumentParser:
    """Say which commands there are, and what each can be told."""
    parser = argparse.ArgumentParser(
        prog="python -m mnist_lessons",
        description=texts.ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    group = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(name: str) -> argparse.ArgumentParser:
        usage, short, text, end = texts.COMMANDS[name]
        new = group.add_parser(
            name,
            usage=f"{parser.prog} {name} {usage}",
            help=short,
            description=text,
            epilog=end,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        new.set_defaults(parser=new)
        return new

    command("lab")

    train = command("train")
    option = train.add_argument
    option("model", choices=MODELS, help="which model (see above)")
    number = whole(1)
    say = "rounds through all digits (linear, mlp: 5; cnn: 2)"
    option("--epochs", type=number, metavar="N", help=say)
    say = "digits a step (128)"
    option("--batch-size", type=number, metavar="N", default=128, help=say)
    say = "learning rate: how far a step goes (adam, adamw 0.001; sgd 0.1; momentum "
    option("--lr", type=above_0("0.001"), metavar="RATE", help=say + "0.01)")
    say = "how a step follows from the gradient: %(choices)s (adam); momentum is sgd "
    say += "with momentum 0.9"
    option("--optimizer", choices=OPTIMIZERS, metavar="NAME", default="adam", help=say)
    say = "width of each hidden layer (mlp: 256 128; cnn has one: 256)"
    option("--hidden", type=whole(1, 10_000), nargs="+", metavar="WIDTH", help=say)
    say = "probability of dropping a hidden value while training (mlp, cnn: 0.2)"
    option("--dropout", type=probability, metavar="P", help=say)
    say = "start of the random numbers: the same seed gives the same result (0)"
    option("--seed", type=whole(0, 2**32 - 1), metavar="N", default=0, help=say)
    say = "print the training loss every N batches as well (off)"
    option("--log-every", type=number, metavar="N", help=say)
    say = "write the model to this file, usually .pth (not saved)"
    option("--save", type=place, metavar="FILE", help=say)
    _add_common(train)

    evaluate = command("evaluate")
    evaluate.add_argument("file", metavar="MODEL_FILE", help="from train --save")
    say = "score the 10,000 test digits instead. Do this once, at the end: a model "
    say += "chosen by its test score has in a way been told the answers, and will do "
    say += "worse on new digits than that score says"
    evaluate.add_argument("--test", action="store_true", help=say)
    say = "digits at a time (1000); the score stays the same"
    evaluate.add_argument(
        "--batch-size", type=number, metavar="N", default=1000, help=say
    )
    _add_common(evaluate)

    predict = command("predict")
    predict.add_argument("file", metavar="MODEL_FILE", help="from train --save")
    predict.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")

    _add_tune(command("tune"))
    _add_handout(command("handout"))

    option = command("slides").add_argument
    say = "its number or name: 03, 3, 03_mlp; or all"
    option("lesson", metavar="LESSON", help=say)
    say = "folder for the files; it is made if need be (the current folder)"
    option("--out", type=Path, metavar="FOLDER", default=Path(), help=say)

    option = command("projector").add_argument
    say = "its number or name: 03, 3, 03_mlp (01)"
    option("lesson", metavar="LESSON", nargs="?", default="01", help=say)
    return parser


def _add_tune(parser: argparse.ArgumentParser) -> None:
    option, number = parser.add_argument, whole(1)
    option("model", choices=MODELS, help="which model (see train --help)")
    say = "how many settings to try, over all workers (20, if --seconds is not given)"
    option("--trials", type=number, metavar="N", help=say)
    say = "try no other settings after this time"
    option("--seconds", type=above_0("60"), metavar="S", help=say)
    say = "rounds through all digits for each trial (2)"
    option("--epochs", type=number, metavar="N", default=2, help=say)
    say = "processes that share the trials and the processor cores (1)"
    option("--workers", type=whole(1, 1000), metavar="N", default=1, help=say)
    say = "keep the study in a file, journal:///folder/name, or in a database, such as "
    say += "sqlite:///study.db (not kept)"
    option("--storage", metavar="ADDRESS", help=say)
    say = "the study's name in its storage (the model's name)"
    option("--study", metavar="NAME", help=say)
    say = "start of the random numbers: one worker finds the same again (0)"
    option("--seed", type=whole(0, 2**32 - 1), metavar="N", default=0, help=say)
    say = "train on the first N digits only (50,000)"
    option("--limit", type=whole(1, 50_000), metavar="N", help=say)
    _add_common(parser)


def _add_handout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lessons", metavar="LESSON", nargs="+", help="see above")
    option = parser.add_mutually_exclusive_group().add_argument
    parser.set_defaults(kind="handout")
    say = "write NN_name_solved.ipynb instead of NN_name_handout.ipynb"
    option("--solutions", dest="kind", action="store_const", const="solved", help=say)
    say = "write NN_name_skeleton.ipynb and NN_name_cues.md, and print the cue sheet"
    option("--skeleton", dest="kind", action="store_const", const="skeleton", help=say)
    option = parser.add_argument
    say = "leave the outputs out (with --solutions nothing is executed then)"
    option("--no-outputs", dest="outputs", action="store_false", help=say)
    say = "write into this folder, made if it is missing (the current one)"
    option("--out", type=Path, metavar="FOLDER", default=Path(), help=say)
    option("--force", action="store_true", help="replace files that are there already")


def _add_common(parser: argparse.ArgumentParser) -> None:
    say = "cpu, cuda, cuda:1, mps, ... (the fastest that is there)"
    parser.add_argument("--device", type=device, metavar="NAME", help=say)
    say = "folder that holds MNIST/raw (the project's data, else a cache folder)"
    parser.add_argument("--data-dir", metavar="FOLDER", help=say)
    say = "other images: %(choices)s; downloaded once if they are not there (MNIST)"
    parser.add_argument(
        "--dataset", choices=DATASETS, metavar="NAME", default="MNIST", help=say
    )
