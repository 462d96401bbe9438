"""The checks of lesson 2."""

import functools
from typing import Any

import torch

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require


@exercise
def softmax(function: Any) -> str:
    """Check a function: logits (n, classes) -> probabilities of the same shape."""
    logits = 2 * torch.randn(6, 10, generator=fresh())
    true = logits.softmax(dim=1)
    try:
        result = asking.call(function, logits)
    except asking.NotYetError as error:
        require(
            "must match the size" not in str(error),
            "A sum or maximum over dim=1 loses that dimension, and its 6 numbers no "
            "longer fit the 6 rows. keepdim=True keeps them in a column.",
        )
        require(
            "return_types" not in str(error),
            "max(dim=1) returns two things, values and positions. amax(dim=1) returns "
            "the values alone.",
        )
        raise
    result = asking.a_tensor(result)
    require(
        result.shape == logits.shape,
        f"The logits have the shape {tuple(logits.shape)}, your result "
        f"{tuple(result.shape)}. Each logit becomes one probability; keepdim=True "
        "keeps a sum's dimension.",
    )
    if not torch.allclose(result, true, atol=1e-5):
        exp = logits.exp()
        mistakes = (
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
        )
        asking.rule_out(functools.partial(torch.allclose, result, atol=1e-4), mistakes)
        sums_are_one = torch.allclose(result.sum(dim=1), torch.ones(6), atol=1e-4)
        raise asking.NotYetError(
            "Each row sums to 1, but the ratios in it are not those of softmax. Is exp "
            "taken of the logits as they are?"
            if sums_are_one
            else "The result differs from softmax: its rows do not sum to 1."
        )
    # 1,000 overflows exp; rows far apart catch one maximum taken over the whole batch
    offsets = torch.tensor([[1000.0], [0.0], [-1000.0], [500.0], [2.0], [-3.0]])
    large = asking.call(function, logits + offsets).to(logits.dtype)
    require(
        not (torch.allclose(large[0], true[0], atol=1e-4) and large[2].isnan().any()),
        "You subtract one maximum from the whole batch. In rows far below it every exp "
        "becomes 0, and 0 divided by 0 is not a number. Each row has its own maximum.",
    )
    require(
        torch.allclose(large, true, atol=1e-4),
        "Right for small logits, but exp(1000) is infinite, and infinity divided by "
        "infinity is not a number. What can you do to all logits of a row without "
        "changing its probabilities?",
    )
    asking.gradient_flows(function, logits)
    return (
        "Differences between logits become ratios of probabilities, and only the "
        "differences count: that is why a maximum may be subtracted from all."
    )


@exercise
def learning_rate(answer: Any) -> str:
    """Check the validation accuracy that a chosen learning rate reached: 90.5 %."""
    answer = asking.accuracy(answer, "one_epoch(lr=...)", "the learning rate")
    require(
        answer <= 0.94,
        "More than this model reaches in an epoch. Is it the learning rate itself?",
    )
    require(
        answer >= 0.5,
        f"{answer:.1%}: either the steps are far too small, or this is the learning "
        "rate itself and not the accuracy that one_epoch(lr=...) returns.",
    )
    require(
        answer >= 0.905,
        f"{answer:.2%} after one epoch. Try a rate ten times as large, then one ten "
        "times as small: which way is better? (Above 1 the result is a lottery.)",
    )
    return (
        "You found the hill by trying rates that differ by a factor, not by a step. "
        "That is how learning rates are searched."
    )


forgot_zero_grad = asking.choice(
    "Check the letter of the curve whose loop forgot `zero_grad`.",
    "B",
    "Without zero_grad every step repeats all the gradients so far, like a ball "
    "that never loses speed: it rolls through the valley and up the other side.",
    A="A falls slowly and surely: its steps are small but go the right way.",
    C="C does not move at all: its weights are never changed.",
    D="D falls quickly and then stays low: nothing is wrong here.",
)
