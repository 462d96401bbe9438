"""The digits, split and served in batches. Built in lesson 1.

The images become one tensor in memory, so that a batch is a single index operation.
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset
from torchvision import datasets

from mnist_lessons.arguments import (
    check_choice,
    check_device,
    check_number,
    check_whole,
)
from mnist_lessons.files import data_folder, read_digits

DATASETS = {
    "MNIST": (datasets.MNIST, {}),
    "FashionMNIST": (datasets.FashionMNIST, {}),
    "KMNIST": (datasets.KMNIST, {}),
    "EMNIST-balanced": (datasets.EMNIST, {"split": "balanced"}),
    "EMNIST-digits": (datasets.EMNIST, {"split": "digits"}),
    "QMNIST": (datasets.QMNIST, {}),
}


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
    the other two always in the order of the files. A file that is damaged, or missing
    and not to be had, raises a `DataFileError`. Built in lesson 1.

    Args:
        data_dir: the folder that holds `MNIST/raw/` (or `FashionMNIST/raw/`, ...), or
            the packed files themselves. Without it: the environment variable
            `MNIST_LESSONS_DATA`, else the checkout's own `data/`, else a cache folder,
            which also serves where `data_dir` is read-only. What is missing is
            downloaded (MNIST 12 MB, EMNIST 562, the others 20 to 31).
        batch_size: images a batch; the last batch of an epoch may be smaller.
        dataset: "MNIST", "FashionMNIST" (clothes), "KMNIST" (Japanese letters),
            "EMNIST-balanced" (digits and letters, 47 classes: `num_classes=47` for the
            models), "EMNIST-digits" or "QMNIST" (more digits).
        normalize: `True` subtracts the mean of the training pixels and divides by
            their standard deviation; `False` leaves pixels in [0, 1]; a pair
            `(mean, std)` uses those numbers instead.
        valid_size: how many images at the end of the training file are kept for
            validation. With 0 all of them train and `valid` is `None`.
        limit: keep only so many of the other images, the first ones (mean and standard
            deviation still come from all of them).
        device: where the images live; the CPU where nothing is said.
        seed: orders the training batches, nothing else. Two loaders with one seed give
            the same batches, so build fresh loaders for each run of a comparison.
    """
    batch_size = check_whole("batch_size", batch_size)
    fixed_scale = _mean_and_std(normalize)
    device = check_device(device)
    classes = class_names(dataset)
    parts = _read(data_dir, dataset)
    images, labels = _as_tensors(parts.pop(0))  # and the file's bytes are let go of
    valid_size = check_whole("valid_size", valid_size, 0, len(images) - 1)
    split = len(images) - valid_size
    kept = split if limit is None else check_whole("limit", limit, 1, split)
    pixels = images[:split]
    mean, std = fixed_scale or (pixels.mean().item(), pixels.std().item())

    def loader(images: Tensor, labels: Tensor, shuffle: bool = False) -> DataLoader:
        images = images.sub_(mean).div_(std)  # in place: a copy would cost 190 MB
        digits = Digits(images.to(device), labels.to(device), classes, mean, std)
        return make_loader(digits, batch_size, shuffle=shuffle, seed=seed)

    valid = loader(images[split:], labels[split:]) if valid_size else None
    if limit is not None:  # without the others, which would stay in memory
        images, labels = images[:kept].clone(), labels[:kept].clone()
    train = loader(images[:kept], labels[:kept], shuffle=True)
    return Loaders(train, valid, loader(*_as_tensors(parts.pop())))


def class_names(dataset: str = "MNIST") -> list[str]:
    """Return the name of each class of a data set, without loading it."""
    dataset_class, options = DATASETS[check_choice("dataset", dataset, DATASETS)]
    if dataset_class is datasets.EMNIST:
        return list(datasets.EMNIST.classes_split_dict[options["split"]])
    return [name.split(" - ")[0] for name in dataset_class.classes]


def find_digits(
    data_dir: str | os.PathLike | None = None, dataset: str = "MNIST"
) -> Path:
    """Return the folder of a data set whose files are whole, for torchvision to read.

    Arguments and errors are those of `load_mnist`.
    """
    return Path(_read(data_dir, dataset)[0].root)


def make_loader(
    digits: TensorDataset, batch_size: int, *, shuffle: bool, seed: int = 0
) -> DataLoader:
    """Serve a data set that is in memory, one index operation a batch.

    A plain `DataLoader` fetches images one by one and glues them together. Here the
    sampler hands over a whole batch of indices, and `batch_size=None` tells the loader
    not to glue. It draws from a generator of its own, so iterating over it does not
    disturb PyTorch's global random numbers. Built in lesson 1.
    """
    rng = torch.Generator().manual_seed(seed)
    order = RandomSampler(digits, generator=rng) if shuffle else range(len(digits))
    batches = BatchSampler(order, batch_size, drop_last=False)
    return DataLoader(digits, sampler=batches, batch_size=None, generator=rng)


def _mean_and_std(normalize: Any) -> tuple[float, float] | None:
    """Return the two numbers asked for, or `None` for those of the training pixels."""
    if isinstance(normalize, bool):
        return None if normalize else (0.0, 1.0)
    try:
        mean, std = normalize
        mean = check_number("mean", mean, at_least=-math.inf)
        return mean, check_number("std", std, above=0)
    except (TypeError, ValueError) as error:
        pair = "a pair (mean, std) with std above 0, such as (0.1307, 0.3081)"
        message = f"normalize={normalize!r} does not work: give True, False, or {pair}."
        raise ValueError(message) from error


def _read(data_dir: str | os.PathLike | None, dataset: str) -> list[datasets.MNIST]:
    dataset_class, options = DATASETS[check_choice("dataset", dataset, DATASETS)]
    return read_digits(dataset_class, options, data_folder(data_dir))


def _as_tensors(data: datasets.MNIST) -> tuple[Tensor, Tensor]:
    """Return images in [0, 1], (count, 1, 28, 28), and labels, (count,)."""
    images, labels = data.data, data.targets
    if isinstance(data, datasets.EMNIST):  # its files hold each image on its side
        images = images.transpose(1, 2).contiguous()
    if labels.ndim == 2:  # QMNIST: the class, then seven facts about the writer
        labels = labels[:, 0]
    return images.unsqueeze(1).float().div_(255), labels.long()
