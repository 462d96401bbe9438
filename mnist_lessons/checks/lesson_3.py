"""The checks of lesson 3."""

from typing import Any

import torch

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require


@exercise
def dropout(function: Any) -> str:
    """Check a function: values (n, units), p -> values with a share p of zeros."""
    values = 0.5 + torch.rand(400, 50, generator=fresh())
    p = 0.2
    result = asking.a_tensor(asking.call(function, values, p))
    require(
        result.shape == values.shape,
        f"The values have the shape {tuple(values.shape)}, your result "
        f"{tuple(result.shape)}. A dropped value becomes 0; its place stays.",
    )
    dropped = result == 0
    share = dropped.float().mean().item()
    require(share > 0, "No value was set to 0.")
    require(share < 1, "Every value was set to 0.")
    require(
        not (dropped.all(dim=0) | ~dropped.any(dim=0)).all(),
        "The same units are dropped for every image of the batch. Each value has its "
        "own draw: the random numbers need the shape of the values.",
    )
    require(
        not (dropped.all(dim=1) | ~dropped.any(dim=1)).all(),
        "Some images lose all of their values, others none. Each value has its own "
        "draw: the random numbers need the shape of the values.",
    )
    require(
        abs(share - (1 - p)) > 0.05,
        f"With p = {p} you drop {share:.0%}: it is the kept ones that make up a share "
        "of p. Which side of p should a random number from 0 to 1 fall on?",
    )
    require(
        abs(share - p) < 0.05,
        f"With p = {p} about {p:.0%} should become 0; with you it is {share:.0%}.",
    )
    factors = (result / values)[~dropped]
    factor = factors.mean().item()
    require(
        (factors - factor).abs().max() < 1e-3,
        "The kept values should all be multiplied by the same number, whatever was "
        "drawn for them.",
    )
    mistakes = (
        (
            1.0,
            "The right share is dropped, but the sum of the values falls with it, and "
            "the next layer sees less in training than later. Scale up what is kept.",
        ),
        (1 - p, "Kept values became smaller. They have to make up for the lost ones."),
        (1 / p, "You divide by p. What share of the values is kept?"),
        (1 + p, "Close, but a fifth more than 80 % is not 100 %. Divide instead."),
    )
    asking.rule_out(lambda wrong: abs(factor - wrong) <= 1e-3, mistakes)
    require(
        abs(factor - 1 / (1 - p)) < 1e-3,
        f"Kept values are multiplied by {factor:.3g}. Times the share that is kept, "
        "this should make 1.",
    )
    require(
        not torch.equal(dropped, asking.call(function, values, p) == 0),
        "A second call dropped exactly the same values. Draw new ones every time.",
    )
    require(
        # a random number is exactly 0 once in 17 million
        (asking.call(function, values, 0.0) != values).float().mean() < 0.001,
        "With p = 0 nothing should change.",
    )
    asking.gradient_flows(function, values, p)
    return (
        "Since the kept values make up for the dropped ones, the layer above sees the "
        "same average in training and in use, where nothing is dropped."
    )


small_network = asking.good_and_small(
    "Check (accuracy, numbers learned): 94.5 % with at most 20,000 numbers.",
    "narrow(...)",
    goal=0.945,
    best=0.99,
    large="One unit of the hidden layer costs 784 weights, its bias and ten "
    "weights to the logits: 795.",
    weak="The width is only one of three knobs: which rates did well in the "
    "picture, and is one epoch enough for them?",
    praise="A network of a twelfth of the MLP's size, and better than any linear "
    "model: part of what looks like a lack of width is a lack of training.",
)


which_dropout = asking.choice(
    "Check the letter of the run that was trained with dropout.",
    "C",
    "Training loss is measured with dropout on, so with most of the network "
    "missing; validation loss with all of it. The usual order is reversed.",
    A="A learns the training digits and gets worse on the others, by jumps: "
    "that is what a rate far too large looks like.",
    B="B learns its digits to the last one while the others stop improving: "
    "that is overfitting, with nothing to hold it back.",
    D="D has hardly moved, and both curves lie on each other: its steps are "
    "far too small to learn anything, let alone to overfit.",
)
