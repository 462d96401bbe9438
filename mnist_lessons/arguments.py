"""The base class of our errors, and the checks of arguments that modules share.

A check returns the value as a plain Python one, or raises a `ValueError` that names the
argument and says what would do. NumPy's numbers are numbers; `True` is none.
"""

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class LessonsError(Exception):
    """What was asked for cannot be done; the message says why, and what to do."""


def check_whole(
    name: str, value: Any, at_least: int = 1, at_most: int | None = None
) -> int:
    """Return a whole number within the limits."""
    try:
        if not isinstance(value, bool | np.bool_):
            whole = operator.index(value)
            if at_least <= whole and (at_most is None or whole <= at_most):
                return whole
    except TypeError:  # not a whole number at all
        pass
    limits = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
    raise ValueError(f"{name}={value!r} does not work: give a whole number, {limits}.")


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float = 0.0,
    at_most: float = math.inf,
    below: float = math.inf,
    such_as: float | None = None,
) -> float:
    """Return a finite number within the limits; `such_as` is an example for people."""
    try:
        number = math.nan if isinstance(value, bool | np.bool_ | str) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    enough = at_least <= number if above is None else above < number
    if math.isfinite(number) and enough and number <= at_most and number < below:
        return number
    limits = f"{at_least:g} or more" if above is None else f"above {above:g}"
    limits += f", at most {at_most:g}" if at_most < math.inf else ""
    limits += f", below {below:g}" if below < math.inf else ""
    limits += f", such as {such_as:g}" if such_as is not None else ""
    raise ValueError(f"{name}={value!r} does not work: give a number, {limits}.")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return one of the words to choose from."""
    words = list(choices)
    if isinstance(value, str) and value in words:
        return value
    raise ValueError(f"{name}={value!r} is not known; choose {', '.join(words)}.")


def check_device(device: torch.device | str | None) -> torch.device:
    """Return a device that this machine has; the CPU where nothing is said."""
    try:
        return torch.ones(1, device="cpu" if device is None else device).device
    except Exception as error:  # of another type for each kind of device
        gpu = torch.accelerator.current_accelerator(check_available=True)
        there = f"cpu and {gpu}" if gpu else "cpu"
        message = f"device={str(device)!r} is not there; this machine has {there}."
        raise ValueError(message) from error
