"""The checks of lesson 4."""

import functools
from typing import Any

import torch
import torch.nn.functional as F

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require


@exercise
def max_pool(function: Any) -> str:
    """Check a function: image (height, width) -> the largest of each 2x2 block."""
    image = torch.randn(8, 12, generator=fresh())
    image[:2, :2] = -image[:2, :2].abs()  # a block without a positive number matters
    image[2:4, :2] = image[2:4, :2].abs()  # and so does one without a negative number
    batch = image[None, None]
    true, smallest = F.max_pool2d(batch, 2)[0, 0], -F.max_pool2d(-batch, 2)[0, 0]
    result = asking.call(function, image)
    require(
        not (isinstance(result, tuple) and len(result) == 2),
        "max(dim=...) returns two things, values and positions. amax(dim=...) returns "
        "the values alone.",
    )
    result = asking.a_tensor(result)
    require(
        result.shape != (7, 11),
        "Your windows overlap. Blocks of 2x2 lie side by side: the next one begins two "
        "pixels further on.",
    )
    require(
        result.shape == true.shape,
        f"An image of shape {tuple(image.shape)} should become {tuple(true.shape)}, "
        f"half as high and half as wide; yours is {tuple(result.shape)}.",
    )
    is_like = functools.partial(torch.allclose, result, atol=1e-5)
    if is_like(true):
        asking.gradient_flows(function, image)
        return (
            "A strong response survives wherever in its block it was: that is how "
            "pooling forgets a pixel of position."
        )
    mistakes = (
        (
            torch.where(true.abs() >= smallest.abs(), true, smallest),
            "You take the number farthest from 0. The largest of -1 and -5 is -1.",
        ),
        (F.avg_pool2d(batch, 2)[0, 0], "That is the mean of each block."),
        (smallest, "That is the smallest of each block."),
        (
            true.clamp(min=0),
            "Where a block holds only negative values you return 0. Does your search "
            "for the largest value start at 0?",
        ),
        (
            image[::2, ::2],
            "That is one corner of each block; the other three pixels do not count.",
        ),
        (
            image.reshape(4, 6, 4).amax(dim=2),
            "You take four neighbours in a row. A block is two rows high: keep rows "
            "and columns apart when you reshape.",
        ),
    )
    asking.rule_out(is_like, mistakes)
    raise asking.NotYetError(
        "The shape is right, the values are not: each should be the largest of a block "
        "of two rows and two columns."
    )


edge_filter = asking.choice(
    "Check the letter of the map that a filter for left edges made.",
    "B",
    "It subtracts the column on the left from the column on the right, so it "
    "answers where ink begins; where ink ends the number is negative.",
    A="A is positive all along the strokes and the same everywhere beside "
    "them: it adds up the window, and has no direction.",
    C="C answers most to strokes that run across, above and below them. "
    "Which strokes have edges on the left?",
    D="D is negative where you meet a stroke from the left, and positive "
    "where you leave it. Which edges is that?",
)


small_cnn = asking.good_and_small(
    "Check (accuracy, numbers learned): 98 % with at most 20,000 numbers.",
    "little(...)",
    goal=0.98,
    best=0.997,
    large="Most of them lie between the last feature maps (25 values each) and the "
    "fully connected layer.",
    weak="Are they spent where they help? And is the rate right for so few steps?",
    praise="A tenth of the MLP's size, and as good: weights that are shared by all "
    "places are spent well.",
)
