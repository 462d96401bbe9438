"""The checks of lesson 4."""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require

WINDOW = torch.tensor([[3.0, 0, 1], [0, 2, 3], [1, 1, 3]])
LEFT = torch.tensor([[-1.0, 0, 1]] * 3)  # answers to left edges
UPPER = LEFT.T  # and to upper ones
SEVEN = """\
.........
.#######.
.#######.
......##.
.....##..
....##...
...##....
...##....
...##....
.........
"""


@exercise
def one_window(answer: Any) -> str:
    """Check the number that a kernel and a bias of -1 make of one window."""
    (value,) = asking.numbers(
        [answer] if isinstance(answer, int | float) else answer, 1, "Give one number."
    )
    products = WINDOW * LEFT
    mistakes = {
        float(products.sum()): "Nearly: the bias is still missing.",
        float(products.sum()) + 1: "The bias is -1, so it makes the sum smaller.",
        float(products.sum()) - 9: "The bias is added once to the sum, not to each of "
        "the nine products.",
        float(-products.sum()) - 1: "You turned the kernel round. Lay it on the window "
        "as it is: its left column on the window's left column.",
        float((WINDOW * UPPER).sum()) - 1: "You exchanged rows and columns of the "
        "kernel.",
        float(WINDOW[:, 2].sum()) - 1: "What do the left column's pixels count? The "
        "weights on them are not 0.",
        float((WINDOW * LEFT.abs()).sum()) - 1: "The weights of the left column are "
        "below 0: ink under them makes the response smaller.",
        float(WINDOW.sum()): "That is the sum of the window. What becomes of the "
        "kernel's numbers?",
        float(WINDOW.sum()) - 1: "That is the sum of the window and the bias. What "
        "becomes of the kernel's numbers?",
    }
    require(value not in mistakes, mistakes.get(value, ""))
    require(
        value == float(products.sum()) - 1,
        "Multiply each number of the window with the number of the kernel that lies "
        "on it, nine products. Then add them up, and the bias at last.",
    )
    return (
        "Ink on the right counts for it, ink on the left against it, so a left edge "
        "gives a large number. The whole convolution is this sum, at every place."
    )


def _convolved(image: Tensor, kernel: Tensor, bias: float) -> Tensor:
    """Return what PyTorch makes of an image."""
    return F.conv2d(image[None, None], kernel[None, None])[0, 0] + bias


@exercise
def convolve(function: Any) -> str:
    """Check a function: image, kernel, bias -> the response at each place."""
    random = fresh()
    image = torch.randn(7, 11, generator=random)
    bias = 0.5 + float(torch.rand(1, generator=random))
    kernel = torch.randn(3, 3, generator=random)
    try:
        result = asking.a_tensor(asking.call(function, image, kernel, bias))
    except asking.NotYetError as stopped:  # nine products do not fit in one place
        require(
            "expand(" not in str(stopped),
            "One window gives one number: did you add up the products?",
        )
        raise
    true = _convolved(image, kernel, bias)
    shape = tuple(result.shape)
    require(shape != (), "You return one number. There is one for each place.")
    sizes: dict[tuple[int, ...], str] = {
        (7, 11): "As many values as pixels? At the edge the window would hang over. "
        "Count only the places where all of it lies on the image.",
        (4, 8): "One row and one column of places are missing: may the kernel's last "
        "column stand on the image's last?",
        (6, 10): "Too many places: in the last of them the window hangs over.",
        (9, 5): "Height and width are exchanged.",
        (3, 3): "You return as many values as the kernel has. Where is the loop over "
        "its places?",
    }
    require(shape not in sizes, sizes.get(shape, ""))
    require(
        shape == (5, 9),
        f"A 3x3 kernel fits on an image of shape (7, 11) in 5 times 9 places; you "
        f"return the shape {shape}.",
    )
    is_like = functools.partial(torch.allclose, result, atol=1e-4)
    if not is_like(true):
        asking.rule_out(is_like, _wrong_responses(image, kernel, bias))
        raise asking.NotYetError(
            "The shape is right, the values are not. At each place multiply the window "
            "and the kernel number by number, add up all products, then the bias."
        )
    wide = torch.randn(3, 5, generator=random)
    other = asking.call(function, image, wide, bias)
    require(
        isinstance(other, Tensor)
        and other.shape == (5, 7)
        and torch.allclose(other.float(), _convolved(image, wide, bias), atol=1e-4),
        "It works for square kernels only. With one of 3 rows and 5 columns, do rows "
        "and columns each get their own number?",
    )
    rows = SEVEN.split()
    seven = torch.tensor([[float(pixel == "#") for pixel in row] for row in rows])
    found = asking.a_tensor(asking.call(function, seven, UPPER, 0.0))
    row, column = divmod(int(found.argmax()), found.shape[1])
    return (
        f"The same values as conv2d. Then your function slid a kernel for upper edges "
        f"over a drawn 7: {found.numel()} values, and the largest, "
        f"{float(found.max()):.0f}, first in row {row}, column {column}, where the bar "
        f"of the 7 begins. A layer of a network does just this."
    )


def _wrong_responses(
    image: Tensor, kernel: Tensor, bias: float
) -> list[tuple[Tensor, str]]:
    """Return usual wrong answers of the right shape, each with its hint."""
    true = _convolved(image, kernel, bias)
    count, no_bias = kernel.numel(), true - bias
    windows = image.unfold(0, 3, 1).unfold(1, 3, 1)
    mean = "You take the mean of the products. Add them up."
    return [
        (no_bias, "The bias is missing: it is added to each response."),
        (
            no_bias + count * bias,
            "The bias is added to each product. It belongs to the sum, once.",
        ),
        (
            _convolved(image, kernel.flip(0, 1), bias),
            "Your kernel is upside down and back to front. That is what mathematicians "
            "call a convolution; networks lay the kernel on the window as it is.",
        ),
        (
            _convolved(image, kernel.T, bias),
            "Rows and columns of the window, or of the kernel, are exchanged.",
        ),
        (no_bias / count + bias, mean),
        (true / count, mean),
        (no_bias / count, mean),
        (true.clamp(min=0), "You cut off what is below 0. ReLU comes after it."),
        (
            (windows @ kernel).sum(dim=(2, 3)) + bias,
            "@ is the product of matrices. Multiply number by number, with *.",
        ),
        (
            windows.sum(dim=(2, 3)) + bias,
            "You add up the window. What becomes of the kernel's numbers?",
        ),
        (torch.zeros_like(true), "All zeros: where do the responses get their values?"),
        (
            image[:-2, :-2] * kernel[0, 0] + bias,
            "Only the first of the nine products counts. Take the whole window.",
        ),
    ]


MAPS = {
    "as it is": (0, 1),
    "padding=2": (2, 1),
    "stride=2": (0, 2),
    "padding=2, stride=2": (2, 2),
}


@exercise
def map_sizes(answer: Any) -> str:
    """Check the sizes of four maps, of 28 pixels and a kernel of 5, by settings."""
    require(isinstance(answer, dict), "Keep the dictionary, and fill its gaps.")
    if any(size is ... for size in answer.values()):
        raise asking.NotTriedError
    require(set(answer) == set(MAPS), "Keep the four names, and give each a number.")
    names = list(MAPS)
    given = asking.numbers([answer[name] for name in names], 4, "Give four numbers.")
    for name, size in zip(names, given, strict=True):
        padding, stride = MAPS[name]
        true = F.conv1d(
            torch.zeros(1, 1, 28), torch.zeros(1, 1, 5), padding=padding, stride=stride
        ).shape[2]
        row = 28 + 2 * padding
        mistakes = {
            (28 + padding - 5) // stride + 1: "padding stands on both sides.",
            row - 5 + 1: "a stride of 2 skips every second place.",
            (28 - 5) // stride + 1: "the padding makes the row longer.",
            (row - 5) / stride + 1: "half a place does not exist, and a step over the "
            "end is not taken.",
            -((5 - row) // stride) + 1: "a step over the end is not taken.",
            row // stride: "the whole kernel must lie on the row.",
            (row - 5) // stride: "the place where the kernel begins counts as well.",
        }
        hint = mistakes.get(size, "draw it as a row of boxes and count.")
        require(size == true, f"{name}: {hint}")
    return (
        "conv2d gives the same. With a kernel of 5, a padding of 2 keeps the size, and "
        "a stride of 2 then halves it: two numbers choose how large a map is."
    )


@exercise
def filter_parameters(answer: Any) -> str:
    """Check how many numbers the two convolutions of the CNN learn."""
    if isinstance(answer, list | tuple) and any(number is ... for number in answer):
        raise asking.NotTriedError
    hint = "Give two numbers in brackets, one for each convolution."
    first, second = asking.numbers(answer, 2, hint)
    mistakes = {
        200: "In the first, what about the biases? Each filter has one.",
        26: "In the first, that is one filter. There are eight.",
        25: "In the first, that is one filter without its bias. There are eight.",
        225: "In the first, the 25 weights are of one filter; the biases are as many "
        "as the filters, not as the weights.",
        208 * 576: "The weights are shared: the same ones serve all 24x24 places.",
        200 * 576: "The weights are shared: the same ones serve all 24x24 places.",
    }
    require(first not in mistakes, mistakes.get(int(first) if first else 0, ""))
    require(first == 208, "The first: eight filters, each of 5x5 weights and a bias.")
    mistakes = {
        2304: "In the second, what about the biases?",
        320: "Each filter of the second sees all eight maps, with weights of its own "
        "for each.",
        288: "Each filter of the second sees all eight maps, with weights of its own "
        "for each. And the biases?",
        2560: "In the second, a filter has one bias, not one for each map it sees.",
        2312: "In the second, the biases are as many as its filters, not as its maps.",
        73: "In the second, that is one filter. There are 32.",
    }
    require(second not in mistakes, mistakes.get(int(second) if second else 0, ""))
    require(second == 2336, "The second: 32 filters. How many numbers does one hold?")
    linear = 784 * 8 * 24 * 24 + 8 * 24 * 24
    return (
        f"A linear layer that computes the 4,608 values of the first, each from all "
        f"784 pixels, would learn {linear:,} numbers, and the convolution learns 208."
    )


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
        result.shape not in {(4, 2), (6, 2), (2, 2), (2, 6)},
        "Which two axes run *inside* a block?",
    )
    require(
        result.shape == true.shape,
        f"An image of shape {tuple(image.shape)} should become {tuple(true.shape)}, "
        f"half as high and half as wide; yours is {tuple(result.shape)}.",
    )
    is_like = functools.partial(torch.allclose, result, atol=1e-5)
    if is_like(true):
        asking.gradient_flows(function, image)
        early = asking.a_tensor(asking.call(function, image.relu()))
        require(
            torch.allclose(early, result.relu()),
            "Right for this image, but not for its values above 0 alone.",
        )
        return (
            "A strong response survives wherever in its block it was: that is how "
            "pooling forgets a pixel of position. And your function gives the same "
            "24 values whether ReLU comes before it or after."
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


@exercise
def random_shift(function: Any) -> str:
    """Check a function: images, most -> each moved by its own whole pixels."""
    random, most, count = fresh(), 3, 800
    images = -torch.rand(count, 1, 12, 14, generator=random)  # ink up to the edge
    images[:, :, 5:7, 6:8] = 1.0  # and a blot that tells how far it went
    images[0, 0, 0, 0] = -2.0  # the background
    result = asking.call(function, images, most)
    require(not isinstance(result, list), "Return one tensor; you have a list.")
    result = asking.a_tensor(result)
    require(
        result.shape == images.shape,
        f"Images of shape {tuple(images.shape)} should keep it; yours have "
        f"{tuple(result.shape)}. Cut out as many rows and columns as there were.",
    )
    moves = torch.stack([_peak(result, axis) for axis in (2, 3)], dim=1)
    down, right = (moves - torch.tensor([5, 6])).T
    require(bool(down.any() or right.any()), "Nothing has moved.")
    require(
        not (down == down[0]).all() or not (right == right[0]).all(),
        "All images move together. Each should move by numbers of its own.",
    )
    require(bool(down.any()), "They move to the sides only, never up or down.")
    require(bool(right.any()), "They move up and down only, never to the sides.")
    require(
        not (down == right).all() and not (down == -right).all(),
        "Each image moves as far down as to the side. Draw two numbers for each.",
    )
    _ends(down, most, "up", "down")
    _ends(right, most, "to the left", "to the right")
    again = asking.a_tensor(asking.call(function, images, most))
    require(
        not torch.equal(again, result),
        "Called twice, it moves them in the same way. Draw new numbers in each call.",
    )
    places = list(zip(down.tolist(), right.tolist(), strict=True))
    for background, wrapped, hint in (
        (0.0, False, "The gap is filled with 0. After standardising, paper is not 0."),
        (
            0.0,
            True,
            "What leaves on one side comes back on the other. Fill the gap "
            "with background.",
        ),
    ):
        wrong = _moved(images, places, most, background, wrapped)
        require(not torch.equal(result, wrong), hint)
    require(
        torch.equal(result, _moved(images, places, most, -2.0, False)),
        "They move, but not only that: what stays on the image should be unchanged, "
        "and the gap filled with the least value of the batch.",
    )
    return (
        f"Your function moved {count} images, and all {len(set(places))} moves of up "
        f"to {most} pixels occurred. A network that learns from such images seldom "
        "meets one twice in the same place, and has not one number more to learn."
    )


def _peak(images: Tensor, axis: int) -> Tensor:
    """Return in which row (axis 2) or column (3) of each image its blot begins."""
    return (images == 1).any(dim=5 - axis)[:, 0].int().argmax(dim=1)


def _ends(moves: Tensor, most: int, back: str, forth: str) -> None:
    """Check that moves reach the most in both directions, and no further."""
    require(int(moves.min()) < 0, f"None ever moves {back}.")
    require(int(moves.max()) > 0, f"None ever moves {forth}.")
    require(
        int(moves.abs().max()) <= most,
        f"With most={most} some move by {int(moves.abs().max())} pixels.",
    )
    for end, where in ((-most, back), (most, forth)):
        require(
            bool((moves == end).any()),
            f"None ever moves {where} by all {most} pixels. torch.randint(0, n, ...) "
            "draws from 0 to n - 1.",
        )


def _moved(
    images: Tensor,
    places: list[tuple[int, int]],
    most: int,
    background: float,
    wrapped: bool,
) -> Tensor:
    """Move each image down and to the right by its own numbers."""
    if wrapped:
        pairs = zip(images, places, strict=True)
        return torch.stack([image.roll(by, (1, 2)) for image, by in pairs])
    height, width = images.shape[2:]
    wide = F.pad(images, (most,) * 4, value=background)
    cut = [
        wide[i, :, most - d : most - d + height, most - r : most - r + width]
        for i, (d, r) in enumerate(places)
    ]
    return torch.stack(cut)
