"""Digits of people who wrote none of MNIST, prepared as MNIST was made."""

import gzip
import os

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lessons.arguments import check_number
from mnist_lessons.data import Digits, class_names
from mnist_lessons.files import find_optdigits
from mnist_lessons.photos import filtering
from mnist_lessons.photos.recognition import BOX, centre

# the first row of each writer's block, as the scikit-learn MOOC found them
BLOCKS = (0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667)


class OtherDigits(Digits):
    """Images and labels, and of each: the scan that it was made of, and whose it is.

    Attributes:
        scans: uint8, (count, 8, 8), 0 (paper) to 16 (ink).
        writers: int64, (count,), the number of the block, 0 to 13. A block is one
            person's; one of the thirteen people may have written two.
    """

    scans: Tensor
    writers: Tensor


def load_optdigits(
    data_dir: str | os.PathLike | None = None,
    *,
    mean: float = 0.1307,
    std: float = 0.3081,
) -> OtherDigits:
    """Load 1,797 digits of thirteen people in Turkey, in the order of their writers.

    Split them by `writers`, never at random: digits of one hand are alike. They are of
    E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine
    Learning Repository, 1998, doi 10.24432/C50P49, and come with the package.

    Args:
        data_dir: a folder that holds `optdigits/digits.csv.gz`, or that file itself;
            where it has none, the package's own copy is read.
        mean: what to subtract from the pixels, 0 to 1: a model's own; MNIST's if not
            given.
        std: what to divide them by then, likewise.

    Raises:
        DataFileError: if the file is damaged, or there is none.
    """
    mean = check_number("mean", mean, at_least=-torch.inf)
    std = check_number("std", std, above=0)
    with gzip.open(find_optdigits(data_dir), "rt", encoding="ascii") as file:
        rows = torch.tensor([[int(number) for number in x.split(",")] for x in file])
    scans, labels = rows[:, :64].reshape(-1, 8, 8), rows[:, 64]
    images = torch.stack([as_mnist(scan) for scan in scans]).unsqueeze(1)
    digits = OtherDigits((images - mean) / std, labels, class_names(), mean, std)
    digits.scans = scans.byte()
    starts = torch.tensor(BLOCKS)
    digits.writers = torch.bucketize(torch.arange(len(rows)), starts, right=True) - 1
    return digits


def as_points(scan: Tensor) -> Tensor:
    """Enlarge a scan to the 32x32 points that were counted, from 0 to 1."""
    points = F.interpolate(scan[None, None] / 16, (32, 32), mode="bicubic")[0, 0]
    return points.clamp(0, 1)


def as_mnist(scan: Tensor) -> Tensor:
    """Turn a scan, (8, 8) from 0 to 16, into an image, (28, 28) from 0 to 1.

    It is cut to its ink, scaled to fit 20x20 and placed with its centre of mass in the
    middle.
    """
    points = as_points(scan)
    digit = points[filtering.extent(points > 0.05)]
    boxed = filtering.resize(digit, BOX, enlarge=True)
    return centre(boxed / boxed.max())
