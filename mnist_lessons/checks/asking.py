"""What every check is made of."""

import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """What a check says: a status, and one or two sentences."""

    status: str  # "not tried", "right" or "not yet"
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
    """Raised inside a check when there are still three dots, or with what to do."""


def exercise(examine: Callable[[Any], str]) -> Callable[[Any], Verdict]:
    """Turn a function that returns praise or raises `NotYetError` into a check."""

    @functools.wraps(examine)
    def check(answer: Any) -> Verdict:
        if answer is ...:
            return NOT_TRIED
        try:
            return Verdict("right", examine(answer))
        except NotTriedError as error:
            return Verdict("not tried", str(error)) if error.args else NOT_TRIED
        except NotYetError as hint:
            return Verdict("not yet", str(hint))
        except (Exception, SystemExit) as error:  # the notebook goes on
            words = f"Python says: {type(error).__name__}: {error}"
            return Verdict("not yet", f"The check could not use this. {words}")

    return check


def require(condition: bool | Tensor, hint: str) -> None:
    """Give the hint unless the condition holds."""
    if not condition:
        raise NotYetError(hint)


def rule_out(
    is_like: Callable[[Any], Any], mistakes: Iterable[tuple[Any, str]]
) -> None:
    """Give the hint of the first usual wrong answer that this one is like."""
    for wrong, hint in mistakes:
        require(not is_like(wrong), hint)


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
    except (Exception, SystemExit) as error:
        words = f"Python says: {type(error).__name__}: {error}"
        raise NotYetError(f"Your function stopped. {words}") from error
    if result is ... or (isinstance(result, tuple) and any(x is ... for x in result)):
        raise NotTriedError
    require(result is not None, "Your function gives nothing back: does it return?")
    for before, after in zip(inputs, copies, strict=True):
        require(
            not isinstance(before, Tensor) or torch.equal(before, after),
            "Your function changes the tensor that it is given. Work on a new one.",
        )
    return result


def a_tensor(result: Any) -> Tensor:
    """Check that a function returned a tensor, and return it as float32."""
    require(isinstance(result, Tensor), "Return a tensor.")
    return result.float()


def gradient_flows(function: Callable, values: Tensor, *others: Any) -> None:
    """Check that a function's result can be traced back to its input."""
    require(
        function(values.clone().requires_grad_(), *others).requires_grad,
        "The gradient cannot flow through your result. Use PyTorch's operations all "
        "the way, without .item(), .numpy(), float() or .detach().",
    )


def choice(
    task: str, right: str, praise: str, **hints: str
) -> Callable[[Any], Verdict]:
    """Make the check of a choice among pictures: the letter of the right one.

    `task` becomes the check's docstring; the hints, by their letters, say what speaks
    against the other pictures.
    """
    letters = sorted([*hints, right])

    def examine(answer: Any) -> str:
        listed = ", ".join(letters)
        require(isinstance(answer, str), f"Answer with a letter in quotes: {listed}.")
        letter = answer.strip(" .()").upper()
        require(letter in letters, f"Choose one of the letters {listed}.")
        require(letter == right, hints.get(letter, ""))
        return praise

    examine.__doc__ = task
    return exercise(examine)


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
    """Read what `source` returns, an accuracy: a number, or a tensor that holds one."""
    if hasattr(answer, "tolist"):
        values = torch.as_tensor(answer).flatten().tolist()
        answer = values[0] if len(values) == 1 else answer
    require(
        isinstance(answer, int | float) and not isinstance(answer, bool),
        f"Give the check what {source} returns: one number.",
    )
    require(not math.isnan(answer), "The accuracy is not a number (nan).")
    require(
        answer <= 1,
        "An accuracy is a fraction here, 0.9 and not 90. Give the check what "
        f"{source} returns, unchanged.",
    )
    return float(answer)
