"""Deep learning on the MNIST digits, in notebooks and from the command line.

  python -m mnist_lessons lab                             the lessons
  python -m mnist_lessons train cnn --save digits.pth     a model that reads digits
  python -m mnist_lessons predict digits.pth photo.jpg    what it reads in a photo

Each command has its own --help.
"""

import importlib
import io
import os
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from mnist_lessons import __version__
from mnist_lessons.arguments import LessonsError
from mnist_lessons.commands import shared
from mnist_lessons.distributed import only_rank_0_prints, world_size

# Each command is a module. Its docstring is what --help says, `OPTIONS` is what else
# argparse is told of them, and `run` is a short script, such as you would write.
# Here stand what follows its name, and what --help says of it in the list of all.
TABLE = """
lab       [options of JupyterLab]           open the lessons in JupyterLab
train     linear|mlp|cnn [options]          train a model, score it and save it
evaluate  MODEL_FILE [options]              score a saved model
predict   MODEL_FILE IMAGE [IMAGE ...]      read the digit in a picture
tune      linear|mlp|cnn [options]          search for good settings
handout   LESSON [LESSON ...] [options]     write a lesson without or with its solutions
slides    LESSON [--out FOLDER]             make slides of a lesson
projector [LESSON] [options of JupyterLab]  open a lesson in large type, for a lecture
"""
ABOUT = re.findall(r"(\w+) +(.+?)  +(.+)", TABLE)
COMMANDS = {name: importlib.import_module(f"{__name__}.{name}") for name, *_ in ABOUT}
HOW: Any = {"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False}


def make_parser() -> ArgumentParser:
    """Build the parser from the commands' docstrings and their `OPTIONS`.

    A line of a docstring such as `  --epochs N   rounds through all digits` declares an
    option, and lines that begin with three blanks or more go on with its help.
    """
    row = re.compile(r"^  (\S+)(?: (\S+))?  +(.*(?:\n   .*)*)", re.MULTILINE)
    parser = ArgumentParser("python -m mnist_lessons", description=__doc__, **HOW)
    parser.add_argument("--version", action="version", version=__version__)
    group = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, usage, summary in ABOUT:
        command = COMMANDS[name]
        about, _, rest = (command.__doc__ or "").partition("\noptions:")
        table, _, examples = rest.partition("\n\n")
        texts: Any = {"help": summary, "description": about, "epilog": examples}
        usage = f"{parser.prog} {name} {usage}"
        own = group.add_parser(name, usage=usage, **texts, **HOW)
        own.set_defaults(parser=own)
        one_of = own.add_mutually_exclusive_group()
        table += shared.LOADING if name in ("train", "evaluate", "tune") else ""
        for option, metavar, text in row.findall(table):
            more = {"metavar": metavar} if metavar else {}
            more |= {"help": " ".join(text.split())}
            more |= (shared.OPTIONS | getattr(command, "OPTIONS", {})).get(option, {})
            (one_of if "const" in more else own).add_argument(option, **more)
    return parser


@only_rank_0_prints()
def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status. An error becomes a line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # file names can hold anything; and a log shows each epoch as it ends
            stream.reconfigure(errors="replace", line_buffering=True)
    options, others = make_parser().parse_known_args(argv)
    name, options.others = options.command, others
    try:
        if world_size() > 1 and name != "train":
            raise LessonsError(
                "torchrun starts several processes, and only train can share its "
                f"work among them. Run python -m mnist_lessons {name} by itself."
            )
        if others and name not in ("lab", "projector"):  # whose others are JupyterLab's
            options.parser.error(f"{' '.join(others)} is not known; see --help")
        return COMMANDS[name].run(options)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our lines, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if name == "train":
            print("Stopped, as nobody reads the output any more.", file=sys.stderr)
        return 1
    except (LessonsError, OSError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return 1
