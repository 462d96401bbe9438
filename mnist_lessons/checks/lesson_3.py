"""The checks of lesson 3."""

from typing import Any

import torch
import torch.nn.functional as F

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


relu_off = asking.choice(
    "Check the letter of the two slopes of a network whose ReLU is off.",
    "C",
    "The loss is 1/2, and yet neither weight is told to move: h is 0, and the ReLU "
    "lets no slope through to w. For this x the unit learns nothing.",
    A="v is right: what it multiplies is 0. For w your way leads through the ReLU: how "
    "does h change when z moves a little where it is negative?",
    B="These are the slopes of before. With another w, z is another one: begin on the "
    "left.",
    D="You took z for h. What does the ReLU make of a negative number?",
)


@exercise
def blame(function: Any) -> str:
    """Check a function: error (n, 10), weights (10, hidden), z (n, hidden) -> blame."""
    network, images, labels = _network(7, 5, 6, 4)
    error, weights, z = _forward(network, images, labels)
    expected = _by_backward(network, images, labels)
    result = asking.call(function, error, weights, z)
    require(isinstance(result, torch.Tensor), "Return a tensor.")
    require(
        result.shape != z.shape[1:],
        "You added up the images of the batch. Each image has a row of its own.",
    )
    require(
        result.shape != z.T.shape,
        "The result lies on its side: it has a row for each unit. Each image should "
        "have a row, and each unit a column.",
    )
    require(
        result.shape == z.shape,
        f"z has the shape {tuple(z.shape)}, your result {tuple(result.shape)}. There "
        "is one number of blame for each image and each hidden unit.",
    )
    result = result.double()
    on, passed = (z > 0).double(), error @ weights
    mistakes = (
        (passed, "This is right where the ReLU lets through, and only there. How much "
            "does the loss change when z moves a little where the ReLU gives 0?"),
        (passed * (1 - on), "The mask is the wrong way round: blame goes through where "
            "the ReLU let the value through, and it let the positive ones through."),
        (passed.relu(), "You cut off negative blame. A unit may well be asked to "
            "shrink. What decides is the sign of z, not that of the blame."),
        (-expected, "Every sign is turned round."),
        (passed * z.relu(), "You multiply by the hidden value. What is the slope of "
            "the ReLU where z is positive: z, or something simpler?"),
        (passed * z.sign(), "Where z is negative the slope of the ReLU is not -1."),
        (expected / len(z), "You took the mean over the images too early: here each "
            "image keeps its own blame."),
        (expected / error.shape[1], "You took the mean over the classes. A unit is to "
            "blame for its part in *each* error: the parts are added up."),
        (passed * passed.sign().relu() * on, "You cut off negative blame. A unit may "
            "well be asked to shrink."),
        ((error.abs() @ weights) * on, "An error has a sign: do not take it off."),
    )  # fmt: skip
    asking.rule_out(lambda wrong: torch.allclose(result, wrong, atol=1e-6), mistakes)
    close = torch.isclose(result, expected, atol=1e-6)
    require(
        close.all(),
        f"The shape is right, but {int((~close).sum())} of the {close.numel()} numbers "
        "differ from those of backward(). Two things are needed: the sum over the "
        "classes, and the mask.",
    )
    moved = _by_moving(network, images, labels)
    require(
        torch.allclose(result, moved, atol=1e-5),
        "These are not the changes of the loss when each z moves a little.",
    )
    right = _learned_with(function)
    return (
        f"All {close.numel()} numbers equal those of backward(), and those that come "
        "out when each z is moved by a millionth. Then a small network learned by your "
        "slopes alone whether a point lies inside a circle, which no straight line can "
        f"tell: it has {right:.0%} of 200 points right."
    )


which_overfits = asking.choice(
    "Check the letter of the run that overfits.",
    "D",
    "Its validation loss falls for a few epochs, then rises, while the training loss "
    "goes on to nearly nothing: what it still learns about its own digits makes its "
    "mistakes on others more expensive.",
    A="A has a gap, and a wide one. But what does its validation loss do to the end?",
    B="B has hardly moved, both losses are high and close together: it underfits.",
    C="In C the training loss lies above the other, since it was measured with dropout "
    "on. And what does the validation loss do to the end?",
)


def _network(n: int, inputs: int, hidden: int, classes: int) -> tuple[Any, ...]:
    """Return random weights and biases of two layers, random images and labels."""
    random = fresh()

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    layers = draw(hidden, inputs), draw(hidden), draw(classes, hidden), draw(classes)
    labels = torch.randint(classes, (n,), generator=random)
    return layers, draw(n, inputs), labels


def _forward(network: Any, images: torch.Tensor, labels: torch.Tensor) -> Any:
    """Return the errors of the logits, the second layer's weights, and z."""
    first, first_bias, second, second_bias = network
    z = images @ first.T + first_bias
    p = (z.relu() @ second.T + second_bias).softmax(dim=1)
    return p - F.one_hot(labels, p.shape[1]), second, z


def _loss(network: Any, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each image, from z on."""
    *_, second, second_bias = network
    return F.cross_entropy(z.relu() @ second.T + second_bias, labels, reduction="none")


def _by_backward(network: Any, images: torch.Tensor, labels: torch.Tensor) -> Any:
    *_, z = _forward(network, images, labels)
    z.requires_grad_()
    return torch.autograd.grad(_loss(network, z, labels).sum(), z)[0]


def _by_moving(network: Any, images: torch.Tensor, labels: torch.Tensor) -> Any:
    """Move each z by a millionth to both sides; one unit of all images at a time."""
    *_, z = _forward(network, images, labels)
    columns = []
    for unit in torch.eye(z.shape[1], dtype=z.dtype):
        up, down = (_loss(network, z + 1e-6 * s * unit, labels) for s in (1, -1))
        columns.append((up - down) / 2e-6)
    return torch.stack(columns, dim=1)


def _learned_with(function: Any) -> float:
    """Train a network of two layers by the learner's blame; return its accuracy."""
    random = torch.Generator().manual_seed(0)
    points = torch.randn(200, 2, generator=random, dtype=torch.float64)
    labels = (points.square().sum(dim=1) < 1.4).long()
    sizes = ((32, 2), (32,), (2, 32), (2,))
    layers = [torch.randn(s, generator=random, dtype=torch.float64) for s in sizes]
    for _ in range(300):
        error, second, z = _forward(layers, points, labels)
        blamed = function(error.clone(), second.clone(), z.clone()).double()
        slopes = (
            blamed.T @ points,
            blamed.sum(dim=0),
            error.T @ z.relu(),
            error.sum(dim=0),
        )
        for weights, slope in zip(layers, slopes, strict=True):
            weights -= 0.3 * slope / len(points)
    first, first_bias, second, second_bias = layers
    hidden = (points @ first.T + first_bias).relu()
    answers = (hidden @ second.T + second_bias).argmax(dim=1)
    return float((answers == labels).double().mean())
