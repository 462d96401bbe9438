"""The checks of the exercises: `checks.softmax(my_softmax)` says how it went.

A check looks at properties on fresh random input, never at the text of an answer. It
says one of three things: not tried yet; right, and why it matters; not yet, with the
likely mistake and without the answer. It never raises, whatever it is given, so that a
notebook always runs to its end.
"""

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


def _check(examine: Callable[[Any], str]) -> Callable[[Any], Verdict]:
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
            return Verdict("not yet", f"The check could not use this. {_told(error)}")

    return check


def _told(error: BaseException) -> str:
    try:
        return f"Python says: {type(error).__name__}: {error}"
    except Exception:
        return f"Python says: {type(error).__name__}."


def _require(condition: bool | Tensor, hint: str) -> None:
    if not condition:
        raise NotYetError(hint)


def _fresh() -> torch.Generator:
    """Return new random numbers, without touching those of the notebook."""
    generator = torch.Generator()
    generator.seed()
    return generator


def _call(function: Any, *inputs: Any) -> Any:
    """Call a learner's function on copies; say what is wrong if that fails."""
    _require(
        callable(function), "Give the check the function itself, without brackets."
    )
    copies = [x.clone() if isinstance(x, Tensor) else x for x in inputs]
    try:
        result = function(*copies)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise NotYetError(f"Your function stopped. {_told(error)}") from error
    if result is ... or (isinstance(result, tuple) and any(x is ... for x in result)):
        raise NotTriedError
    _require(result is not None, "Your function gives nothing back: does it return?")
    for before, after in zip(inputs, copies, strict=True):
        if isinstance(before, Tensor):
            _require(
                torch.equal(before, after),
                "Your function changes the tensor that it is given. Work on a new one.",
            )
    return result


def _letter(answer: Any, right: str, praise: str, hints: Mapping[str, str]) -> str:
    """Check a choice from a picture; `hints` says what speaks against the others."""
    letters = ", ".join(sorted([*hints, right]))
    _require(isinstance(answer, str), f"Answer with a letter in quotes: {letters}.")
    choice = answer.strip(" .()").upper()
    _require(choice in [*hints, right], f"Choose one of the letters {letters}.")
    _require(choice == right, hints.get(choice, ""))
    return praise


def _numbers(answer: Any, count: int, hint: str) -> list[float]:
    """Read `count` plain numbers from a tuple, list, tensor or array."""
    if hasattr(answer, "tolist"):
        answer = answer.flatten().tolist()
    _require(isinstance(answer, Sequence) and not isinstance(answer, str), hint)
    _require(len(answer) == count, hint)
    try:
        return [float(number) for number in answer]
    except (TypeError, ValueError) as error:
        raise NotYetError(hint) from error


def _accuracy(answer: Any, source: str) -> float:
    """Read an accuracy: a plain number, or a tensor or array that holds just one."""
    if hasattr(answer, "tolist") and getattr(answer, "ndim", 1) == 0:
        answer = answer.tolist()
    _require(
        isinstance(answer, int | float) and not isinstance(answer, bool),
        f"Give the check what {source} returns: one number.",
    )
    _require(not math.isnan(answer), "The accuracy is not a number (nan).")
    return float(answer)


# --- lesson 1 -----------------------------------------------------------------------


@_check
def centre_of_mass(function: Any) -> str:
    """Check a function: image, (28, 28), uint8 -> (row, column)."""
    generator = _fresh()
    image = torch.zeros(28, 28, dtype=torch.uint8)
    # always further down than to the right, so that the two cannot be mistaken
    top = int(torch.randint(7, 11, (), generator=generator))
    left = int(torch.randint(2, 6, (), generator=generator))
    patch = torch.randint(1, 256, (12, 7), generator=generator)
    patch[:3] //= 8  # lighter on top, so that the weights matter
    patch[6:, :3] = 0  # and a corner cut out, so that the box is not the ink
    image[top : top + 12, left : left + 7] = patch.to(torch.uint8)

    def centre(weights: Tensor) -> tuple[float, float]:
        places = torch.arange(28.0)
        rows, columns = weights.sum(dim=1), weights.sum(dim=0)
        total = weights.sum()
        return float((rows * places).sum() / total), float(
            (columns * places).sum() / total
        )

    pair = "Return two numbers, the row first: return row, column."
    row, column = _numbers(_call(function, image), 2, pair)

    def is_at(place: tuple[float, float]) -> bool:
        return abs(row - place[0]) < 1e-3 and abs(column - place[1]) < 1e-3

    true = centre(image.float())
    if is_at(true):
        return (
            "This is the point that MNIST's digits are centred on; an image that is "
            "centred otherwise looks strange to a model trained on them."
        )
    _require(not is_at((true[1], true[0])), "Row and column are the wrong way round.")
    _require(
        not is_at(centre((image > 0).float())),
        "Every pixel with ink counts alike here. Weigh each by its brightness.",
    )
    _require(
        not is_at((top + 5.5, left + 3.0)),
        "That is the middle of the box around the ink, not its centre of mass.",
    )
    _require(
        not is_at((true[0] + 1, true[1] + 1)),
        "You count rows and columns from 1. Python, and the picture, count from 0.",
    )
    _require(
        not is_at((true[0] // 1, true[1] // 1))
        and not is_at((round(true[0]), round(true[1]))),
        "The direction is right, but these are whole numbers. Divide with / and not "
        "with //, and keep the fraction: half a pixel matters.",
    )
    _require(
        row >= top and column >= left,
        "That is outside the ink. Could it be that your sums are of type uint8, which "
        "starts again from 0 after 255? Those of image.float() do not.",
    )
    _require(
        row <= 27 and column <= 27,
        "That is outside the image. A sum is not an average yet.",
    )
    raise NotYetError(
        f"For a patch of ink in rows {top} to {top + 11} and columns {left} to "
        f"{left + 6} you say row {row:.2f}, column {column:.2f}. Which positions do "
        "you average, and how much does each one count?"
    )


@_check
def divided_twice(answer: Any) -> str:
    """Check the letter of the picture that was divided by 255 twice."""
    return _letter(
        answer,
        "C",
        "Pictures are stretched to the full range of grey before you see them, so they "
        "hide this mistake. Look at the numbers before you train on them.",
        {
            "A": "A runs from below 0 to nearly 3: mean subtracted, divided by the "
            "standard deviation. Dividing by 255 never makes a negative number.",
            "B": "B runs from 0 to 1: it was divided by 255 exactly once.",
            "D": "D runs from -1 to 1: that is (0.5, 0.5). Dividing by 255 never makes "
            "a negative number.",
        },
    )


@_check
def nearest_neighbour(answer: Any) -> str:
    """Check the accuracy of a nearest-neighbour classifier: 90 % on validation."""
    answer = _accuracy(answer, "nearest_neighbour(...)")
    _require(
        not (answer > 1 and answer <= 100),
        "An accuracy is a fraction here, 0.9 and not 90. Give the check what "
        "nearest_neighbour(...) returns, unchanged.",
    )
    _require(
        answer <= 1,
        "That is the number of stored digits. Give the check the accuracy that "
        "nearest_neighbour(...) returns for it.",
    )
    _require(
        answer < 1,
        "All of them right? Then the digits were looked up among themselves. Score "
        "on validation digits, which the classifier has not stored.",
    )
    _require(
        answer >= 0.9,
        f"{answer:.2%} right: not 90 % yet. Let it store more digits.",
    )
    return (
        "No formula, no training, and better than the ten means: more data can replace "
        "a cleverer method. The price is paid at every answer, which searches them all."
    )


# --- lesson 2 -----------------------------------------------------------------------


@_check
def softmax(function: Any) -> str:
    """Check a function: logits (n, classes) -> probabilities of the same shape."""
    generator = _fresh()
    logits = 2 * torch.randn(6, 10, generator=generator)
    true = logits.softmax(dim=1)
    try:
        result = _call(function, logits)
    except NotYetError as error:
        _require(
            "must match the size" not in str(error),
            "A sum or maximum over dim=1 loses that dimension, and its 6 numbers no "
            "longer fit the 6 rows. keepdim=True keeps them in a column.",
        )
        _require(
            "return_types" not in str(error),
            "max(dim=1) returns two things, values and positions. amax(dim=1) returns "
            "the values alone.",
        )
        raise
    _require(isinstance(result, Tensor), "Return a tensor.")
    result = result.to(logits.dtype)
    _require(
        result.shape == logits.shape,
        f"The logits have the shape {tuple(logits.shape)}, your result "
        f"{tuple(result.shape)}. Each logit becomes one probability; keepdim=True "
        "keeps a sum's dimension.",
    )
    if not torch.allclose(result, true, atol=1e-5):
        exp = logits.exp()
        for wrong, hint in (
            (exp, "All positive, but the rows do not sum to 1. Divide by the sum."),
            (
                logits.softmax(dim=0),
                "The columns sum to 1. Each row is one image: its probabilities, along "
                "dim=1, should.",
            ),
            (
                exp / exp.sum(),
                "The whole batch sums to 1. Each row is one image and should sum to 1 "
                "by itself.",
            ),
            (
                logits / logits.sum(dim=1, keepdim=True),
                "Some results are negative. Take exp of the logits before you divide.",
            ),
            (true.log(), "These are logarithms of probabilities. One exp is missing."),
        ):
            _require(not torch.allclose(result, wrong, atol=1e-4), hint)
        sums_are_one = torch.allclose(result.sum(dim=1), torch.ones(6), atol=1e-4)
        raise NotYetError(
            "Each row sums to 1, but the ratios in it are not those of softmax. Is exp "
            "taken of the logits as they are?"
            if sums_are_one
            else "The result differs from softmax: its rows do not sum to 1."
        )
    # 1,000 overflows exp; rows far apart catch one maximum taken over the whole batch
    offsets = torch.tensor([[1000.0], [0.0], [-1000.0], [500.0], [2.0], [-3.0]])
    large = _call(function, logits + offsets).to(logits.dtype)
    _require(
        not (torch.allclose(large[0], true[0], atol=1e-4) and large[2].isnan().any()),
        "You subtract one maximum from the whole batch. In rows far below it every exp "
        "becomes 0, and 0 divided by 0 is not a number. Each row has its own maximum.",
    )
    _require(
        torch.allclose(large, true, atol=1e-4),
        "Right for small logits, but exp(1000) is infinite, and infinity divided by "
        "infinity is not a number. What can you do to all logits of a row without "
        "changing its probabilities?",
    )
    learns = logits.requires_grad_()
    _require(
        function(learns).requires_grad,
        "The gradient cannot flow through your result. Use PyTorch's operations all "
        "the way, without .item(), .numpy() or .detach().",
    )
    return (
        "Differences between logits become ratios of probabilities, and only the "
        "differences count: that is why a maximum may be subtracted from all."
    )


@_check
def learning_rate(answer: Any) -> str:
    """Check the validation accuracy that a chosen learning rate reached: 90.5 %."""
    answer = _accuracy(answer, "one_epoch(lr=...)")
    _require(
        answer <= 1,
        "An accuracy is a fraction here, 0.9 and not 90. Give the check what "
        "one_epoch(lr=...) returns, unchanged, and not the learning rate.",
    )
    _require(
        answer <= 0.94,
        "More than this model reaches in an epoch. Is it the learning rate itself?",
    )
    _require(
        answer >= 0.5,
        f"{answer:.1%}: either the steps are far too small, or this is the learning "
        "rate itself and not the accuracy that one_epoch(lr=...) returns.",
    )
    _require(
        answer >= 0.905,
        f"{answer:.2%} after one epoch. Try a rate ten times as large, then one ten "
        "times as small: which way is better? (Above 1 the result is a lottery.)",
    )
    return (
        "You found the hill by trying rates that differ by a factor, not by a step. "
        "That is how learning rates are searched."
    )


@_check
def forgot_zero_grad(answer: Any) -> str:
    """Check the letter of the curve whose loop forgot `zero_grad`."""
    return _letter(
        answer,
        "B",
        "Without zero_grad every step repeats all the gradients so far, like a ball "
        "that never loses speed: it rolls through the valley and up the other side.",
        {
            "A": "A falls slowly and surely: its steps are small but go the right way.",
            "C": "C does not move at all: its weights are never changed.",
            "D": "D falls quickly and then stays low: nothing is wrong here.",
        },
    )
