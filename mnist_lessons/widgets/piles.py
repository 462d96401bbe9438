"""Digits to look through, and which of them are unusual."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.data import Digits


class Pile(NamedTuple):
    """Digits of either origin in one form.

    Attributes:
        images: (count, 28, 28), on any scale.
        labels: int64, (count,).
        classes: the name of each class.
        scale, shift: `images * scale + shift` lies between 0 and 255, as in the file.
    """

    images: Tensor
    labels: Tensor
    classes: list[str]
    scale: float
    shift: float

    def pixels(self, index: int) -> Tensor:
        """Return one digit as it stands in the file: uint8, (28, 28)."""
        image = self.images[index] * self.scale + self.shift
        return image.round().clamp(0, 255).to(torch.uint8)


def as_pile(name: str, digits: Any) -> Pile:
    """Accept `Digits`, a loader of such, or torchvision's `MNIST` or the like.

    Args:
        name: what error messages call it.
        digits: the digits.

    Raises:
        ValueError: it is none of these, or holds no digits.
    """
    if isinstance(digits, DataLoader):
        digits = digits.dataset
    if isinstance(digits, Digits):
        images, labels = digits.images.cpu().squeeze(1), digits.labels.cpu()
        scale, shift = 255 * digits.std, 255 * digits.mean
        pile = Pile(images, labels, digits.classes, scale, shift)
    elif hasattr(digits, "data") and hasattr(digits, "targets"):
        classes = [name.split(" - ")[0] for name in digits.classes]
        pile = Pile(digits.data, digits.targets.long(), classes, 1.0, 0.0)
    else:
        raise ValueError(
            f"{name} is of type {type(digits).__name__}; give a Digits set, such as "
            "load_mnist().train.dataset, or torchvision's MNIST."
        )
    if not len(pile.labels) or pile.images.shape != (len(pile.labels), 28, 28):
        raise ValueError(
            f"{name} has images of shape {tuple(pile.images.shape)} and "
            f"{len(pile.labels)} labels; expected (count, 28, 28), count at least 1, "
            "and as many labels."
        )
    return pile


def unusualness(images: Tensor, labels: Tensor) -> Tensor:
    """Say how unusual each digit is for its class, 1 being ordinary.

    It is the distance from the mean picture of the class (the root of the summed
    squares of the pixels' differences), divided by the median of that distance in the
    class.

    Args:
        images: (count, 28, 28), on any scale.
        labels: the class of each, (count,).

    Returns:
        float32, (count,), at least 0.
    """
    ratios = torch.zeros(len(labels))
    for label in labels.unique():
        mine = labels == label
        pixels = images[mine].flatten(start_dim=1).float()
        distances = (pixels - pixels.mean(dim=0)).norm(dim=1)
        # a class with one digit only has the distance 0, and so the median 0
        ratios[mine] = distances / distances.median().clamp(min=1e-6)
    return ratios


def most_unusual_first(pile: Pile) -> tuple[Tensor, Tensor]:
    """Return the order of the digits, and how unusual each is.

    The first of each class, then the second of each: a pile's most unusual twenty would
    otherwise all be 1s, which are so alike that little makes one stand out.
    """
    ratios = unusualness(pile.images, pile.labels)
    order = ratios.argsort(descending=True, stable=True)
    ranks = torch.zeros_like(order)
    for label in pile.labels.unique():
        mine = pile.labels[order] == label
        ranks[mine] = torch.arange(int(mine.sum()))
    return order[ranks.argsort(stable=True)], ratios
