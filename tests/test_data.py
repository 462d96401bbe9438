"""`load_mnist`: the split, the order, the numbers, the other data sets."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets

from mnist_lessons import load_mnist
from mnist_lessons.data import DATASETS, Digits, class_names, find_digits, make_loader
from mnist_lessons.plots import HARD_DIGITS

pytestmark = pytest.mark.usefixtures("isolated")
NUMBERS = TensorDataset(torch.arange(1000), torch.arange(1000))


def images_of(loader):
    return torch.cat([images for images, _ in loader])


def labels_of(loader):
    return torch.cat([labels for _, labels in loader])


def as_pixels(array):
    return torch.from_numpy(np.ascontiguousarray(array)).unsqueeze(1).float() / 255


def test_the_real_digits_are_those_that_torchvision_reads(loaders):
    folder = find_digits(Path(__file__).resolve().parent.parent / "data")
    train, test = (datasets.MNIST(folder, train=part) for part in (True, False))
    for loader, data, labels in (
        (loaders.train, train.data[:50_000], train.targets[:50_000]),
        (loaders.valid, train.data[50_000:], train.targets[50_000:]),
        (loaders.test, test.data, test.targets),
    ):
        assert torch.equal(loader.dataset.labels, labels)
        pixels = loader.dataset.images * loaders.std + loaders.mean
        assert torch.equal((pixels * 255).round().byte().squeeze(1), data)
    # 0.1307 and 0.3081 for all 60,000; the first 50,000 are a trace brighter
    assert loaders.mean == pytest.approx(0.1307, abs=5e-4)
    assert loaders.std == pytest.approx(0.3081, abs=5e-4)
    assert len(loaders.train) == math.ceil(50_000 / 128)


def test_the_hard_digits_are_spread_over_the_classes(loaders):
    assert len(set(HARD_DIGITS)) == 25
    labels = loaders.valid.dataset.labels[list(HARD_DIGITS)]
    assert labels.bincount(minlength=10).tolist() == [3, 2] * 5


# what comes out of a loader


def test_loaders_are_real_ones_and_a_batch_is_one_index_operation(tiny):
    loaders = load_mnist(tiny().folder, batch_size=16, valid_size=10)
    assert tuple(loaders) == (loaders.train, loaders.valid, loaders.test)
    for loader, sizes in zip(loaders, ([16] * 3 + [2], [10], [16, 4]), strict=True):
        assert type(loader) is DataLoader
        digits = loader.dataset
        assert isinstance(digits, Digits)
        assert isinstance(digits, TensorDataset)
        assert (digits.mean, digits.std) == (loaders.mean, loaders.std)
        assert digits.classes == loaders.classes == list("0123456789")
        assert [len(labels) for _, labels in loader] == sizes
        assert len(loader) == len(sizes)
        images, labels = next(iter(loader))
        assert (images.dtype, images.shape[1:]) == (torch.float32, (1, 28, 28))
        assert (labels.dtype, labels.ndim) == (torch.int64, 1)
        images, labels = digits[[3, 0, 5]]
        assert torch.equal(images, digits.images[torch.tensor([3, 0, 5])])
        assert torch.equal(labels, digits.labels[torch.tensor([3, 0, 5])])


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_is_split_and_shaped_alike(tiny, dataset):
    data = tiny(dataset)
    parts = data.images
    if dataset.startswith("EMNIST"):  # its files hold every image on its side
        parts = {part: array.transpose(0, 2, 1) for part, array in parts.items()}
    for split in (1, 50, 59):
        options = {"dataset": dataset, "valid_size": 60 - split}
        loaders = load_mnist(data.folder, normalize=False, **options)
        for loader, images, labels in (
            (loaders.train, parts["train"][:split], data.labels["train"][:split]),
            (loaders.valid, parts["train"][split:], data.labels["train"][split:]),
            (loaders.test, parts["test"], data.labels["test"]),
        ):
            digits = loader.dataset
            assert torch.equal(digits.images, as_pixels(images))
            assert digits.images.is_contiguous()
            assert digits.labels.dtype == torch.int64
            assert torch.equal(digits.labels, torch.from_numpy(labels).long())


def test_valid_size_0_trains_on_everything_on_the_device_asked_for(tiny, monkeypatch):
    monkeypatch.setattr("mnist_lessons.data.check_device", torch.device)
    train, valid, test = load_mnist(tiny().folder, valid_size=0, device="meta")
    assert valid is None
    assert len(train.dataset) == 60
    tensors = train.dataset.tensors + test.dataset.tensors
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize("limit", [7, 50])
def test_limit_keeps_the_first_training_images_only(tiny, limit):
    data = tiny()
    whole = load_mnist(data.folder, valid_size=10)
    part = load_mnist(data.folder, valid_size=10, limit=limit)
    images, labels = part.train.dataset.tensors
    assert torch.equal(images, whole.train.dataset.images[:limit])
    assert torch.equal(labels, whole.train.dataset.labels[:limit])
    assert torch.equal(part.valid.dataset.images, whole.valid.dataset.images)
    assert torch.equal(part.test.dataset.images, whole.test.dataset.images)
    assert (part.mean, part.std) == (whole.mean, whole.std)
    # and the others are not kept in memory
    assert images.untyped_storage().nbytes() == limit * 784 * 4


def test_each_epoch_visits_each_image_once_in_another_order():
    loader = make_loader(NUMBERS, 64, shuffle=True)
    first, second = labels_of(loader), labels_of(loader)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert not torch.equal(first, torch.arange(1000))
    assert not torch.equal(first, second)
    # not mixed within batches only: images from everywhere are in the first batch
    assert first[:64].max() > 800
    unshuffled = make_loader(NUMBERS, 64, shuffle=False)
    for _ in range(2):
        assert torch.equal(labels_of(unshuffled), torch.arange(1000))


def test_the_seed_orders_the_training_batches_and_nothing_else(tiny):
    folder = tiny().folder
    before = torch.random.get_rng_state()
    one, two, other = (
        load_mnist(folder, 16, valid_size=10, seed=seed) for seed in (3, 3, 4)
    )
    for _ in range(3):
        images = images_of(one.train)
        assert torch.equal(images, images_of(two.train))
        assert not torch.equal(images, images_of(other.train))
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.dataset.images, b.dataset.images)
        assert torch.equal(a.dataset.labels, b.dataset.labels)
    # nor do PyTorch's own random numbers and the loaders disturb each other
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    again = load_mnist(folder, 16, valid_size=10, seed=3)
    for _ in range(3):
        last = images_of(again.train)
    assert torch.equal(last, images)


@pytest.mark.parametrize("normalize", [True, False, (0.5, 0.5), [0.1, 0.3], (0, 2)])
def test_all_three_sets_are_scaled_alike(tiny, normalize):
    data = tiny()
    loaders = load_mnist(data.folder, valid_size=10, normalize=normalize)
    everything = as_pixels(data.images["train"])
    if normalize is True:  # with the numbers of the training images alone
        mean, std = everything[:50].mean().item(), everything[:50].std().item()
        assert mean != pytest.approx(everything.mean().item(), rel=1e-6)
    else:
        mean, std = normalize or (0, 1)
    assert (loaders.mean, loaders.std) == pytest.approx((mean, std), rel=1e-6)
    assert (type(loaders.mean), type(loaders.std)) == (float, float)
    for loader, raw in (
        (loaders.train, everything[:50]),
        (loaders.valid, everything[50:]),
        (loaders.test, as_pixels(data.images["test"])),
    ):
        torch.testing.assert_close(loader.dataset.images, (raw - mean) / std)


def test_a_scale_that_makes_no_sense_is_named(tiny):
    folder = tiny().folder
    for value in ((0.5,), (0.5, 0), ("a", "b"), (math.nan, 1), (0.5, math.inf), 0.5):
        with pytest.raises(ValueError, match="give True, False, or a pair") as caught:
            load_mnist(folder, valid_size=10, normalize=value)
        assert f"normalize={value!r}" in str(caught.value)


def test_every_data_set_names_its_classes():
    clothes = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag"
    expected = dict.fromkeys(DATASETS, list("0123456789"))
    expected["FashionMNIST"] = [*clothes.split(","), "Ankle boot"]
    expected["KMNIST"] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    expected["EMNIST-balanced"] = list(letters)
    assert {dataset: class_names(dataset) for dataset in DATASETS} == expected
    with pytest.raises(ValueError, match="dataset='EMNIST' is not known"):
        class_names("EMNIST")
