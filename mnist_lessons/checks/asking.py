"""What every check is made of."""

import functools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """What a check found; shown as text by the last line of a cell.

    Attributes:
        status: "not tried", "right" or "not yet".
        message: one or two sentences.
    """

    status: str
    message: str

    def __repr__(self) -> str:
        mark = {"right": "✓ Right.", "not yet": "✗ Not yet.", "not tried": "…"}
        return textwrap.fill(f"{mark[self.status]} {self.message}", width=88)


NOT_TRIED = Verdict(
    "not tried",
    "Not tried yet: replace the three dots in the cell above, and run both.",
)


class NotYetError(Exception):
    """Raised inside a check, with what the learner should look at."""


class NotTriedError(Exception):
    """Raised inside a check when a function still returns three dots."""


def exercise(examine: Callable[[Any], str]) -> Callable[[Any], Verdict]:
    """Turn a function that returns praise or raises `NotYetError` into a check."""

    @functools.wraps(examine)
    def check(answer: Any) -> Verdict:
        if answer is ...:
            return NOT_TRIED
        try:
            return Verdict("right", examine(answer))
        except NotTriedError:
            return NOT_TRIED
        except NotYetError as hint:
            return Verdict("not yet", str(hint))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: the notebook goes on
            return Verdict("not yet", f"The check could not use this. {told(error)}")

    return check


def told(error: BaseException) -> str:
    """Say what Python says of an error, even of one that cannot be shown."""
    try:
        return f"Python says: {type(error).__name__}: {error}"
    except Exception:
        return f"Python says: {type(error).__name__}."


def require(condition: bool | Tensor, hint: str) -> None:
    """Give the hint unless the condition holds."""
    if not condition:
        raise NotYetError(hint)


def fresh() -> torch.Generator:
    """Return new random numbers, without touching those of the notebook."""
    generator = torch.Generator()
    generator.seed()
    return generator


def call(function: Any, *inputs: Any) -> Any:
    """Call a learner's function on copies; say what is wrong if that fails."""
    require(callable(function), "Give the check the function itself, without brackets.")
    copies = [x.clone() if isinstance(x, Tensor) else x for x in inputs]
    try:
        result = function(*copies)
    except (KeyboardInterrupt, NotYetError):
        raise
    except BaseException as error:
        raise NotYetError(f"Your function stopped. {told(error)}") from error
    if result is ... or (isinstance(result, tuple) and any(x is ... for x in result)):
        raise NotTriedError
    require(result is not None, "Your function gives nothing back: does it return?")
    for before, after in zip(inputs, copies, strict=True):
        if isinstance(before, Tensor):
            require(
                torch.equal(before, after),
                "Your function changes the tensor that it is given. Work on a new one.",
            )
    return result


def letter(answer: Any, right: str, praise: str, hints: Mapping[str, str]) -> str:
    """Check a choice from a picture; `hints` says what speaks against the others."""
    letters = ", ".join(sorted([*hints, right]))
    require(isinstance(answer, str), f"Answer with a letter in quotes: {letters}.")
    choice = answer.strip(" .()").upper()
    require(choice in [*hints, right], f"Choose one of the letters {letters}.")
    require(choice == right, hints.get(choice, ""))
    return praise


def numbers(answer: Any, count: int, hint: str) -> list[float]:
    """Read `count` plain numbers from a tuple, list, tensor or array."""
    if hasattr(answer, "tolist"):
        answer = answer.flatten().tolist()
    require(isinstance(answer, Sequence) and not isinstance(answer, str), hint)
    require(len(answer) == count, hint)
    try:
        return [float(number) for number in answer]
    except (TypeError, ValueError) as error:
        raise NotYetError(hint) from error


def accuracy(answer: Any, source: str) -> float:
    """Read an accuracy: a plain number, or a tensor or array that holds just one."""
    if hasattr(answer, "item") and getattr(answer, "size", 0) != 0:
        count = answer.numel() if hasattr(answer, "numel") else answer.size
        answer = answer.item() if count == 1 else answer
    require(
        isinstance(answer, int | float) and not isinstance(answer, bool),
        f"Give the check what {source} returns: one number.",
    )
    require(not math.isnan(answer), "The accuracy is not a number (nan).")
    return float(answer)


def good_and_small(
    answer: Any, source: str, *, goal: float, best: float, large: str, weak: str
) -> None:
    """Check a pair, (accuracy, numbers learned): the goal with at most 20,000 numbers.

    Args:
        answer: what was given to the check.
        source: the function that returns such pairs.
        goal: the least accuracy, from 0 to 1.
        best: more than this no such model reaches.
        large: a hint for those who use too many numbers.
        weak: a hint for those who do not reach the goal.
    """
    pair = f"Give the check what {source} returns, unchanged: two numbers."
    right, size = numbers(answer, 2, pair)
    require(not (math.isnan(right) or math.isnan(size)), pair)
    require(right <= 1, f"An accuracy is a fraction here, and comes first. {pair}")
    require(right >= 0 and size >= 1 and size == int(size), pair)
    require(size <= 20_000, f"{size:,.0f} numbers are more than 20,000. {large}")
    require(
        size >= 100 and right <= best,
        f"No network of this kind does that. Give the check what {source} returns.",
    )
    require(right >= goal, f"{right:.2%} with {size:,.0f} numbers. {weak}")
