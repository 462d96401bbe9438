"""What a difference can be trusted to say: intervals, an exact test, the price of luck.

Built in lessons 5 and 6.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mnist_lessons.arguments import check_number, check_whole
from mnist_lessons.history import Score


class Difference(NamedTuple):
    """A difference, first minus second, with the ends of its interval."""

    value: float
    low: float
    high: float


def student_quantile(degrees: float, share: float = 0.975) -> float:
    """Return the number that Student's t stays below with the given probability.

    Many standard errors on both sides make a 95 % interval: 1.96 for very many degrees
    of freedom, 2.78 for four of them (Student, 1908, Biometrika 6:1-25).

    Args:
        degrees: degrees of freedom, 1 or more; not always a whole number.
        share: from 0.5 to below 1.
    """
    degrees = check_number("degrees", degrees, at_least=1, such_as=4)
    degrees = min(degrees, 10_000)  # where t is normal, and the grid below fine enough
    share = check_number("share", share, at_least=0.5, below=1, such_as=0.975)
    # t is the square root of `degrees` times the tangent of an angle, whose density is
    # a power of its cosine: the whole infinite axis on a short one
    angles = torch.linspace(0, math.pi / 2, 200_001, dtype=torch.float64)
    density = angles.cos() ** (degrees - 1)
    below = torch.cumulative_trapezoid(density, angles)
    place = torch.searchsorted(below, (2 * share - 1) * below[-1])
    return math.sqrt(degrees) * math.tan(float(angles[place + 1]))


def welch(
    first: Sequence[float] | Tensor,
    second: Sequence[float] | Tensor,
    confidence: float = 0.95,
) -> Difference:
    """Return mean(first) - mean(second) with its interval. Built in lesson 5.

    The two lists of runs may differ in length and in spread (Welch, 1947, Biometrika
    34:28-35). Over seeds, the interval says what other seeds would give on the same
    digits, and nothing of other digits.

    Args:
        first: one number a run, such as accuracies; at least two.
        second: likewise.
        confidence: from 0 to below 1: the share of intervals that hold the true one.

    Raises:
        ValueError: if a list has fewer than two numbers or one that is not finite, or
            if no number differs from another of its list, so that nothing says how much
            luck there is.
    """
    confidence = check_number("confidence", confidence, below=1, such_as=0.95)
    runs = [torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second)]
    lengths = [len(x) for x in runs]
    if min(lengths) < 2:
        raise ValueError(f"Give at least two runs of each; there are {lengths}.")
    if not all(bool(x.isfinite().all()) for x in runs):
        raise ValueError("A run is no finite number, so its mean is none.")
    if all(bool((x == x[0]).all()) for x in runs):
        raise ValueError("The runs of a list do not differ: were their seeds the same?")
    parts = [float(x.var()) / len(x) for x in runs]  # squared standard errors
    spread = [part**2 / (len(x) - 1) for part, x in zip(parts, runs, strict=True)]
    degrees = sum(parts) ** 2 / sum(spread)
    half = student_quantile(degrees, (1 + confidence) / 2) * math.sqrt(sum(parts))
    value = float(runs[0].mean() - runs[1].mean())
    return Difference(value, value - half, value + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return how often fair coins would be at least as one-sided. Built in lesson 6.

    Two networks answer the same digits. Those that both read rightly, or both wrongly,
    say nothing of who is better; each other one is a coin (McNemar, 1947, Psychometrika
    12:153-157). The p-value, in (0, 1], is two-sided and exact. It compares these two
    trained networks, and not the recipes that they come from.

    Args:
        only_first: how many digits only the one network reads rightly, 0 or more.
        only_second: how many only the other.

    Raises:
        ValueError: if one of them is no such number.
    """
    fewer, more = sorted(
        (
            check_whole("only_first", only_first, at_least=0),
            check_whole("only_second", only_second, at_least=0),
        )
    )
    tosses = fewer + more
    tail = sum(math.comb(tosses, heads) for heads in range(fewer + 1))
    return min(1.0, 2 * tail / 2**tosses)


def between_sets(first: Score, second: Score) -> Difference:
    """Return the difference of two accuracies on different digits, with its interval.

    For a validation and a test score, say. The interval holds the true difference in 95
    of 100 draws of both sets of digits (Newcombe, 1998, Statistics in Medicine
    17:873-890, method 10). Two scores on the *same* digits differ by less luck. Used in
    lesson 6.
    """
    value = first.accuracy - second.accuracy
    (low, high), (second_low, second_high) = first.interval, second.interval
    down = math.hypot(first.accuracy - low, second_high - second.accuracy)
    up = math.hypot(high - first.accuracy, second.accuracy - second_low)
    return Difference(value, value - down, value + up)


def best_of(
    reported: Tensor, true: Tensor, counts: Sequence[int], people: int = 1_000
) -> tuple[Tensor, Tensor]:
    """Choose the best of several models by one score, and look at another. Lesson 6.

    Each person tries models from a pool in an order of their own, and keeps the one
    that the first score likes best. Both of its scores are returned as leads over the
    pool's mean: what is reported, and how much of it is true.

    Args:
        reported: a score of each model in the pool, (models,).
        true: the other score, (models,), from digits that choose nothing.
        counts: after how many tries to look, each at most the size of the pool.
        people: how many times to do all that.

    Returns:
        The reported lead and the true one, each (people, counts).
    """
    dice = torch.Generator().manual_seed(0)
    orders = torch.rand(people, len(reported), generator=dice).argsort(dim=1)
    chosen = []
    for count in counts:
        tried = orders[:, : check_whole("counts", count, 1, at_most=len(reported))]
        best = reported[tried].argmax(dim=1, keepdim=True)
        chosen.append(tried.gather(1, best))
    models = torch.cat(chosen, dim=1)
    return reported[models] - reported.mean(), true[models] - true.mean()
