"""The checks of lesson 1."""

import functools
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require
from mnist_lessons.data import find_digits

VALID = 50_000  # where in the file the validation digits begin


@functools.cache
def _digits(start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return some digits as they stand in the training file, and their labels."""
    digits = MNIST(find_digits())
    end = start + count
    return digits.data[start:end].clone(), digits.targets[start:end].clone()


which_stops = asking.choice(
    "Check the letter of the difference whose shapes do not fit.",
    "B",
    "60,000 stands below 10, and neither of them is 1. That is why the rule needs "
    "unsqueeze(1). Read shapes from the right, and most error messages explain "
    "themselves.",
    A="Write (28, 28) below the last two sizes of (60000, 28, 28): they are equal. So "
    "one picture is taken from each of the 60,000. That works.",
    C="Write the shapes below each other: 60000 over 60000, then 10 over 1. A size of "
    "1 is stretched. That works.",
    D="Write the shapes below each other: 60000 over nothing, then 1 over 10. A size "
    "of 1 is stretched. That works: it is the line of the rule.",
)


@exercise
def centre_of_mass(function: Any) -> str:
    """Check a function: image, (28, 28), uint8 -> (row, column)."""
    generator = fresh()
    image = torch.zeros(28, 28, dtype=torch.uint8)
    # always further down than to the right, so that the two cannot be mistaken
    top = int(torch.randint(7, 11, (), generator=generator))
    left = int(torch.randint(2, 6, (), generator=generator))
    patch = torch.randint(1, 256, (12, 7), generator=generator)
    patch[:3] //= 8  # lighter on top, so that the weights matter
    patch[6:, :3] = 0  # and a corner cut out, so that the box is not the ink
    image[top : top + 12, left : left + 7] = patch.to(torch.uint8)

    def centre(weights: Tensor) -> tuple[float, float]:
        places, total = torch.arange(28.0), weights.sum()
        down, across = weights.sum(dim=1) @ places, weights.sum(dim=0) @ places
        return float(down / total), float(across / total)

    pair = "Return two numbers, the row first: return row, column."
    row, column = asking.numbers(asking.call(function, image), 2, pair)

    def is_at(place: tuple[float, ...]) -> bool:
        return abs(row - place[0]) < 1e-3 and abs(column - place[1]) < 1e-3

    true = centre(image.float())
    if is_at(true):
        places = [
            asking.numbers(asking.call(function, digit), 2, pair)
            for digit in _digits(0, 200)[0]
        ]
        down, across = torch.tensor(places).mean(dim=0).tolist()
        return (
            f"For the first 200 digits of MNIST your function says row {down:.2f}, "
            f"column {across:.2f} on average. A model trained on them expects the ink "
            "there, and an image that is centred otherwise looks strange to it."
        )
    whole = (
        "The direction is right, but these are whole numbers. Divide with / and not "
        "with //, and keep the fraction: half a pixel matters."
    )
    mistakes = (
        (true[::-1], "Row and column are the wrong way round."),
        (
            centre((image > 0).float()),
            "Every pixel with ink counts alike here. Weigh each by its brightness.",
        ),
        (
            (top + 5.5, left + 3.0),
            "That is the middle of the box around the ink, not its centre of mass.",
        ),
        (
            (true[0] + 1, true[1] + 1),
            "You count rows and columns from 1. Python, and the picture, count from 0.",
        ),
        ((true[0] // 1, true[1] // 1), whole),
        ((round(true[0]), round(true[1])), whole),
    )
    asking.rule_out(is_at, mistakes)
    require(
        row >= top and column >= left,
        "That is outside the ink. Could it be that you multiply numbers of type uint8? "
        "Such a product starts again from 0 after 255. Sums of them do not, nor do "
        "products with torch.arange(28).",
    )
    require(
        row <= 27 and column <= 27,
        "That is outside the image. A sum is not an average yet.",
    )
    raise asking.NotYetError(
        f"For a patch of ink in rows {top} to {top + 11} and columns {left} to "
        f"{left + 6} you say row {row:.2f}, column {column:.2f}. Which positions do "
        "you average, and how much does each one count?"
    )


divided_twice = asking.choice(
    "Check the letter of the picture that was divided by 255 twice.",
    "C",
    "Pictures are stretched to the full range of grey before you see them, so they "
    "hide this mistake. Look at the numbers before you train on them.",
    A="A runs from below 0 to nearly 3: mean subtracted, divided by the "
    "standard deviation. Dividing by 255 never makes a negative number.",
    B="B runs from 0 to 1: it was divided by 255 exactly once.",
    D="D runs from -1 to 1: that is (0.5, 0.5). Dividing by 255 never makes "
    "a negative number.",
)


@exercise
def dataset(kind: Any) -> str:
    """Check a class: images, labels, mean, std -> a data set of standardised digits."""
    generator = fresh()
    count = int(torch.randint(30, 60, (), generator=generator))
    images = torch.randint(0, 256, (count, 28, 28), generator=generator)
    images = images.to(torch.uint8)
    labels = torch.randint(0, 10, (count,), generator=generator)
    mean, std = (0.1 + 0.1 * torch.rand(2, generator=generator)).tolist()
    std += 0.2  # never as large as the mean, so that the two cannot be mistaken
    made = asking.call(kind, images, labels, mean, std)
    length = asking.call(made.__len__)
    require(
        length != 28 and length != 784,
        "len(...) is the size of one digit here. Count the digits.",
    )
    require(length == count, f"len(...) is {length} for a data set of {count} digits.")
    for index in (3, count - 1, 0):
        _examine_item(made, index, images, labels, (mean, std))

    many = 2_000
    images = torch.randint(0, 256, (many, 28, 28), generator=generator)
    made = asking.call(kind, images.to(torch.uint8), torch.arange(many), mean, std)
    loader = DataLoader(made, batch_size=128, shuffle=True, generator=generator)
    start = time.perf_counter()
    served = torch.cat([labels for _, labels in loader])
    seconds = time.perf_counter() - start
    require(
        torch.equal(served.sort().values, torch.arange(many)),
        "A DataLoader did not get each digit once. Does item i depend on i alone?",
    )
    return (
        f"A DataLoader asked your class for {many:,} digits, one by one and in random "
        f"order, and packed them into {len(loader)} batches in {seconds:.2f} s. These "
        "two methods are all that PyTorch wants to know of any data of your own."
    )


def _examine_item(
    made: Any, index: int, images: Tensor, labels: Tensor, scale: tuple[float, float]
) -> None:
    """Check the item at one position."""
    item = asking.call(made.__getitem__, index)
    require(
        isinstance(item, tuple | list) and len(item) == 2,
        "An item is a pair: return image, label.",
    )
    image, label = item
    if not isinstance(image, Tensor) or (image.ndim == 0 and torch.is_tensor(label)):
        require(not torch.is_tensor(label), "The image comes first, then the label.")
    image = asking.a_tensor(image) if not torch.is_tensor(image) else image
    require(
        image.shape != images.shape,
        "The image of an item holds all digits. Which one was asked for?",
    )
    require(
        image.shape != (28, 28),
        "The image has the shape (28, 28). The channel is missing: a size of 1 in "
        "front, which unsqueeze(0) makes.",
    )
    require(
        image.shape == (1, 28, 28),
        f"The image has the shape {tuple(image.shape)}, not (1, 28, 28).",
    )
    require(
        not isinstance(label, Tensor) or label.ndim == 0,
        "The label is a tensor of several numbers. An item has one label.",
    )
    require(
        isinstance(label, int)
        or (torch.is_tensor(label) and not label.is_floating_point()),
        "A label is a whole number: int(...) makes one.",
    )
    mean, std = scale
    raw = images[index].unsqueeze(0).float()

    def is_like(values: Tensor) -> bool:
        return torch.allclose(image.float(), values, rtol=1e-3, atol=1e-4)

    mistakes = (
        (raw, "The pixels still go from 0 to 255. Divide, subtract, divide."),
        (raw / 255, "The pixels go from 0 to 1: they are not standardised yet."),
        ((raw - mean) / std, "Mean and deviation belong to pixels from 0 to 1. What "
         "comes before you subtract?"),
        ((raw - mean) / std / 255, "Divide by 255 first: mean and deviation belong to "
         "pixels from 0 to 1."),
        (raw / 255 / std - mean, "Subtract the mean before you divide by the "
         "deviation."),
        (raw / 255 - mean / std, "Brackets: the division comes before the subtraction "
         "here."),
        ((raw / 255 - mean) * std, "Divide by the deviation; do not multiply."),
        ((raw / 255 - std) / mean, "Mean and deviation have changed places."),
        ((raw / 255 - 0.5) / 0.5, "Scale with the mean and deviation that the data set "
         "was given, not with (0.5, 0.5)."),
    )  # fmt: skip
    asking.rule_out(is_like, mistakes)
    everything = (images.unsqueeze(1).float() / 255 - mean) / std
    others = [i for i in range(len(images)) if is_like(everything[i])]
    require(
        others == [] or index in others,
        f"Item {index} has the image of digit {others[:1]}. Which one was asked for?",
    )
    require(
        index in others,
        f"The pixels of item {index} are not (pixels / 255 - mean) / std, with the "
        "mean and the deviation that the data set was given.",
    )
    require(
        image.dtype == torch.float32,
        f"The image is of type {image.dtype}. Models work with torch.float32.",
    )
    require(
        int(label) == int(labels[index]),
        f"Item {index} has the label {int(label)}; it should be {int(labels[index])}.",
    )


@exercise
def nearest_neighbour(function: Any) -> str:
    """Check a function: images, memory, labels -> the labels of the nearest ones."""
    generator = fresh()
    count = 12
    images = torch.rand(count, 784, generator=generator)
    signs = 2.0 * torch.randint(0, 2, images.shape, generator=generator) - 1
    near = images + 0.1 * signs  # a little off in each pixel: 2.8 away
    spoiled = images.clone()
    spoiled[:, 300] += 5  # far off in one pixel: 5 away, less if nothing is squared
    bright, dark = torch.full((1, 784), 3.0), torch.full((1, 784), -3.0)
    memory = torch.cat([near, spoiled, bright, dark])
    true = torch.randint(0, 10, (count,), generator=generator)
    others = (true + torch.randint(1, 10, (count,), generator=generator)) % 10
    labels = torch.cat([true, others, torch.tensor([3, 8])])
    order = torch.randperm(len(memory), generator=generator)
    memory, labels = memory[order], labels[order]

    answers = asking.call(function, images, memory, labels)
    require(
        not isinstance(answers, tuple),
        "Your function returns two things. min() gives the smallest values and their "
        "positions; argmin() gives the positions alone.",
    )
    require(
        isinstance(answers, Tensor),
        "Return one tensor. torch.tensor(...) makes one of a list.",
    )
    require(
        answers.shape != (len(memory),),
        "One label for each stored digit came back, not one for each image. Along "
        "which dimension does argmin search?",
    )
    require(
        answers.shape == (count,),
        f"For {count} images the answer has the shape {tuple(answers.shape)}, not "
        f"({count},).",
    )
    distances = torch.cdist(images, memory)
    positions = distances.argmin(dim=1)

    def is_like(values: Tensor) -> bool:
        return torch.allclose(answers.float(), values.float(), atol=1e-2)

    mistakes = (
        (positions, "These are positions in the memory. Which label stands there?"),
        (distances.amin(dim=1), "These are distances. At which position is the "
         "smallest one, and which label stands there?"),
        (distances.square().amin(dim=1), "These are squared distances. At which "
         "position is the smallest one, and which label stands there?"),
        (labels[distances.argmax(dim=1)], "These are the labels of the digits that are "
         "farthest away."),
        (labels[torch.cdist(images, memory, p=1).argmin(dim=1)], "You add up the "
         "differences of the pixels as they are. Square them first, as in the distance "
         "that you know from geometry."),
        (labels[(images @ memory.T).argmax(dim=1)], "Your function answers each time "
         "with the brightest digit of the memory. Do differences cancel? Squares "
         "cannot."),
    )  # fmt: skip
    asking.rule_out(is_like, mistakes)
    require(
        is_like(true),
        f"{int((answers == true).sum())} of {count} images got the label of the stored "
        "digit nearest to them. Work with images, memory and labels only, as they are "
        "given to the function.",
    )
    stored, names = _digits(0, 1_000)
    unseen, truth = _digits(VALID, 500)
    stored, unseen = (x.flatten(1).float() / 255 for x in (stored, unseen))
    said = [asking.call(function, part, stored, names) for part in unseen.split(50)]
    right = int((torch.cat(said) == truth).sum())
    return (
        f"With 1,000 training digits as its memory your function reads {right} of 500 "
        f"validation digits, {right / 500:.0%}. Nothing was trained for it; the price "
        "is 1,000 distances for each answer."
    )
