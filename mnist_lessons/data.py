"""The digits, split and served in batches.

torchvision reads the files; here the images become one tensor in memory, so that a
batch is a single index operation. Built in lesson 1.
"""

import math
import os
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)
from torchvision import datasets

from mnist_lessons.files import data_folder, prepare

DATASETS = {
    "MNIST": (datasets.MNIST, {}),
    "FashionMNIST": (datasets.FashionMNIST, {}),
    "KMNIST": (datasets.KMNIST, {}),
    "EMNIST-balanced": (datasets.EMNIST, {"split": "balanced"}),
    "EMNIST-digits": (datasets.EMNIST, {"split": "digits"}),
    "QMNIST": (datasets.QMNIST, {}),
}


# positions in the validation digits of 25 hard ones, on which the lessons compare their
# models; chosen by other models than those, with benchmarks/hard_digits.py
HARD_DIGITS = (
    *(417, 446, 560, 584, 632, 819, 1346, 1740, 2173, 2279, 2802, 2892, 3312),
    *(3578, 3623, 3999, 4932, 6397, 6914, 7628, 7683, 8050, 9289, 9653, 9915),
)


class Digits(TensorDataset):
    """Images and labels in memory, with what is known about them.

    A `TensorDataset`, so `images, labels = digits[[0, 5, 9]]` is one index operation.

    Attributes:
        classes: the name of each class; `classes[label]` says what a label means.
        mean, std: what was subtracted from the pixels and what they were divided by
            after they were scaled to [0, 1].
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: list[str],
        mean: float,
        std: float,
    ) -> None:
        super().__init__(images, labels)
        self.classes, self.mean, self.std = classes, mean, std

    @property
    def images(self) -> Tensor:
        """All images: float32, (count, 1, 28, 28)."""
        return self.tensors[0]

    @property
    def labels(self) -> Tensor:
        """All labels: int64, (count,)."""
        return self.tensors[1]


# digits in use: whoever asks for them again, as `tune` does or a cell that runs twice,
# gets the same ones, where a second copy would take another 220 MB
_IN_USE: WeakValueDictionary[tuple, Digits] = WeakValueDictionary()


class Loaders(NamedTuple):
    """Three `DataLoader`s: `train, valid, test = load_mnist()`."""

    train: DataLoader
    valid: DataLoader | None
    test: DataLoader

    @property
    def classes(self) -> list[str]:
        """The name of each class."""
        return self.train.dataset.classes  # type: ignore[attr-defined]

    @property
    def mean(self) -> float:
        """What was subtracted from every pixel, on the scale [0, 1]."""
        return self.train.dataset.mean  # type: ignore[attr-defined]

    @property
    def std(self) -> float:
        """What every pixel was then divided by."""
        return self.train.dataset.std  # type: ignore[attr-defined]


def load_mnist(
    data_dir: str | os.PathLike | None = None,
    batch_size: int = 128,
    *,
    dataset: str = "MNIST",
    normalize: bool | tuple[float, float] = True,
    valid_size: int = 10_000,
    limit: int | None = None,
    device: torch.device | str | None = None,
    seed: int = 0,
) -> Loaders:
    """Load the digits and return one loader each for training, validation and test.

    A batch is a pair: images, float32 of shape (batch, 1, 28, 28), and labels, int64
    of shape (batch,). The training loader gives them in a new random order every epoch,
    the other two always in the order of the files. Built in lesson 1.

    Args:
        data_dir: the folder that holds `MNIST/raw/` (or `FashionMNIST/raw/`, ...), or
            the packed files themselves. Without it: the environment variable
            `MNIST_LESSONS_DATA`, else the checkout's own `data/`, else a cache folder.
            What is missing is downloaded (MNIST 12 MB, QMNIST 20, KMNIST 21,
            FashionMNIST 31, EMNIST 562); where the folder is read-only, or holds the
            packed files themselves, the unpacked ones go to the cache.
        batch_size: images a batch; the last batch of an epoch may be smaller.
        dataset: "MNIST", "FashionMNIST" (clothes), "KMNIST" (Japanese letters),
            "EMNIST-balanced" (digits and letters, 47 classes: `num_classes=47` for the
            models), "EMNIST-digits" or "QMNIST" (more digits).
        normalize: `True` subtracts the mean of the training pixels and divides by
            their standard deviation; `False` leaves pixels in [0, 1]; a pair
            `(mean, std)` uses those numbers instead.
        valid_size: how many images at the end of the training file are kept for
            validation. With 0 all of them train and `valid` is `None`.
        limit: keep only the first `limit` training images (after the validation images
            are set apart; mean and standard deviation still come from all of them).
        device: where the images live; the CPU where nothing is said.
        seed: orders the training batches, nothing else. Two loaders with one seed give
            the same batches, so build fresh loaders for each run of a comparison.

    Raises:
        ValueError: an argument makes no sense; the message says what would.
        DataFileError: a file is damaged, or missing and cannot be downloaded. No file
            is changed or deleted.
    """
    _check_dataset(dataset)
    _check_count("batch_size", batch_size, at_least=1)
    given = _mean_and_std(normalize)

    folder = find_digits(data_dir, dataset)
    key = (dataset, folder, given, valid_size, limit, str(device))
    piles = [_IN_USE.get((*key, number)) for number in range(3)]
    if None in piles:
        piles = _read_piles(dataset, folder, given, valid_size, limit, device)
        _IN_USE.update(
            {(*key, n): pile for n, pile in enumerate(piles) if pile is not None}
        )

    def loader(digits: Any, shuffle: bool = False) -> Any:
        return digits and make_loader(digits, batch_size, shuffle=shuffle, seed=seed)

    train, valid, test = piles
    return Loaders(loader(train, shuffle=True), loader(valid), loader(test))


def _read_piles(
    dataset: str,
    folder: Path,
    given: tuple[float, float] | None,
    valid_size: int,
    limit: int | None,
    device: torch.device | str | None,
) -> list[Digits | None]:
    """Return training, validation and test digits; needs little more memory than they.

    Arguments are those of `load_mnist`.
    """
    dataset_class, options = DATASETS[dataset]
    images, labels = _as_tensors(dataset_class(folder, train=True, **options))
    _check_count("valid_size", valid_size, at_least=0, at_most=len(images) - 1)
    split = len(images) - valid_size
    if limit is not None:
        _check_count("limit", limit, at_least=1, at_most=split)
    mean, std = given or _pixel_statistics(images[:split])
    classes = class_names(dataset)

    def digits(images: Tensor, labels: Tensor) -> Digits:
        # the bytes become floats once, and those are then scaled in place
        images = images.float().div_(255).sub_(mean).div_(std)
        return Digits(images.to(device), labels.to(device), classes, mean, std)

    kept = split if limit is None else limit
    train = digits(images[:kept], labels[:kept])
    images = images[split:].clone()  # lets go of the other bytes
    valid = digits(images, labels[split:]) if valid_size else None
    test = digits(*_as_tensors(dataset_class(folder, train=False, **options)))
    return [train, valid, test]


def class_names(dataset: str = "MNIST") -> list[str]:
    """Return the name of each class of a data set, without loading it.

    EMNIST-balanced has 47: a small letter that looks like its capital, as c and C do,
    counts as the capital.

    Raises:
        ValueError: the data set is not known.
    """
    _check_dataset(dataset)
    dataset_class, options = DATASETS[dataset]
    if dataset_class is datasets.EMNIST:
        return list(datasets.EMNIST.classes_split_dict[options["split"]])
    return [name.split(" - ")[0] for name in dataset_class.classes]


def find_digits(
    data_dir: str | os.PathLike | None = None, dataset: str = "MNIST"
) -> Path:
    """Return the folder from which torchvision can read the checked, unpacked files.

    `torchvision.datasets.MNIST(find_digits())` then works. Arguments and errors are
    those of `load_mnist`.
    """
    _check_dataset(dataset)
    dataset_class, options = DATASETS[dataset]
    return prepare(dataset_class, options, data_folder(data_dir))


def make_loader(
    digits: TensorDataset, batch_size: int, *, shuffle: bool, seed: int = 0
) -> DataLoader:
    """Serve a data set that is in memory, one index operation a batch.

    A plain `DataLoader` fetches images one by one and glues them together. Here the
    sampler hands over a whole batch of indices, and `batch_size=None` tells the loader
    not to glue. It draws from a generator of its own, so iterating over it does not
    disturb PyTorch's global random numbers. Built in lesson 1.
    """
    generator = torch.Generator().manual_seed(seed)
    order = (
        RandomSampler(digits, generator=generator)
        if shuffle
        else SequentialSampler(digits)
    )
    batches = BatchSampler(order, batch_size, drop_last=False)
    return DataLoader(digits, sampler=batches, batch_size=None, generator=generator)


def _check_dataset(dataset: str) -> None:
    if dataset not in DATASETS:
        raise ValueError(
            f"dataset={dataset!r} is not known; choose one of {', '.join(DATASETS)}."
        )


def _check_count(
    name: str, value: int, *, at_least: int, at_most: int | None = None
) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and value >= at_least and (at_most is None or value <= at_most):
        return
    limits = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
    raise ValueError(f"{name}={value!r} does not work: give a whole number, {limits}.")


def _mean_and_std(normalize: Any) -> tuple[float, float] | None:
    """Return the two numbers asked for, or `None` for those of the training pixels."""
    if normalize is True:
        return None
    if normalize is False:
        return 0.0, 1.0
    try:
        mean, std = (float(number) for number in normalize)
    except (TypeError, ValueError):
        mean, std = 0.0, 0.0
    if not (math.isfinite(mean) and 0 < std < math.inf):
        raise ValueError(
            f"normalize={normalize!r} does not work: give True, False, or a pair "
            "(mean, std) with std above 0, such as (0.1307, 0.3081)."
        )
    return mean, std


def _pixel_statistics(images: Tensor) -> tuple[float, float]:
    """Return mean and standard deviation of pixels given as bytes, scaled to [0, 1].

    From the count of each of the 256 values: exact, and without a copy in floats.
    """
    counts = torch.bincount(images.flatten(), minlength=256).double()
    values = torch.arange(256).double() / 255
    mean = (counts @ values) / counts.sum()
    variance = counts @ (values - mean).square() / (counts.sum() - 1)
    return mean.item(), variance.sqrt().item()


def _as_tensors(data: datasets.MNIST) -> tuple[Tensor, Tensor]:
    """Return images as bytes, (count, 1, 28, 28), and labels, (count,)."""
    images, labels = data.data, data.targets
    if isinstance(data, datasets.EMNIST):
        # EMNIST's files hold each image on its side
        images = images.transpose(1, 2).contiguous()
    if labels.ndim == 2:
        labels = labels[:, 0]  # QMNIST: the class, then seven facts about the writer
    return images.unsqueeze(1), labels.long()
