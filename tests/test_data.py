"""`load_mnist`: the split, the order, the numbers, the other data sets."""

import math
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets

from mnist_lessons import load_mnist
from mnist_lessons.data import (
    DATASETS,
    HARD_DIGITS,
    Digits,
    Loaders,
    find_digits,
    make_loader,
)

pytestmark = pytest.mark.usefixtures("isolated")


def images_of(loader):
    return torch.cat([images for images, _ in loader])


def labels_of(loader):
    return torch.cat([labels for _, labels in loader])


def as_pixels(array):
    return torch.from_numpy(array).unsqueeze(1).float() / 255


# the real digits


def test_the_real_split_is_50000_and_10000_and_10000(loaders):
    assert [len(loader.dataset) for loader in loaders] == [50_000, 10_000, 10_000]


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


def test_the_real_mean_and_deviation_are_the_well_known_ones(loaders):
    # 0.1307 and 0.3081 for all 60,000; the first 50,000 are a trace brighter
    assert loaders.mean == pytest.approx(0.1307, abs=5e-4)
    assert loaders.std == pytest.approx(0.3081, abs=5e-4)
    images = loaders.train.dataset.images.double()
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std().item() == pytest.approx(1, abs=1e-4)


def test_the_classes_of_mnist_are_the_ten_digits(loaders):
    assert loaders.classes == list("0123456789")


# what comes out of a loader


def test_a_batch_is_float_images_and_whole_labels(tiny):
    for loader in load_mnist(tiny().folder, batch_size=8, valid_size=10):
        images, labels = next(iter(loader))
        assert images.dtype == torch.float32
        assert images.shape == (8, 1, 28, 28)
        assert labels.dtype == torch.int64
        assert labels.shape == (8,)


def test_a_batch_has_128_images_where_nothing_is_said(loaders):
    images, _ = next(iter(loaders.test))
    assert len(images) == 128
    assert len(loaders.train) == math.ceil(50_000 / 128)


def test_the_last_batch_may_be_smaller_and_is_not_dropped(tiny):
    loaders = load_mnist(tiny().folder, batch_size=16, valid_size=10)
    assert [len(labels) for _, labels in loaders.train] == [16, 16, 16, 2]
    assert [len(labels) for _, labels in loaders.valid] == [10]
    assert [len(labels) for _, labels in loaders.test] == [16, 4]
    assert [len(loader) for loader in loaders] == [4, 1, 2]


def test_loaders_are_real_data_loaders_over_tensors(tiny):
    for loader in load_mnist(tiny().folder, valid_size=10):
        assert type(loader) is DataLoader
        assert isinstance(loader.dataset, TensorDataset)
        assert isinstance(loader.dataset, Digits)


def test_several_images_are_one_index_operation(tiny):
    digits = load_mnist(tiny().folder, valid_size=10).train.dataset
    images, labels = digits[[3, 0, 5]]
    assert torch.equal(images, digits.images[torch.tensor([3, 0, 5])])
    assert torch.equal(labels, digits.labels[torch.tensor([3, 0, 5])])


def test_the_result_unpacks_and_has_names(tiny):
    loaders = load_mnist(tiny().folder, valid_size=10)
    train, valid, test = loaders
    assert isinstance(loaders, Loaders)
    assert (loaders.train, loaders.valid, loaders.test) == (train, valid, test)
    for loader in loaders:
        digits = loader.dataset
        assert (digits.mean, digits.std) == (loaders.mean, loaders.std)
        assert digits.classes == loaders.classes
    assert isinstance(loaders.mean, float)
    assert isinstance(loaders.std, float)


@pytest.mark.parametrize("device", [None, "cpu", "meta", torch.device("meta")])
def test_images_live_on_the_device_that_is_asked_for(tiny, device):
    loaders = load_mnist(tiny().folder, valid_size=10, device=device)
    expected = torch.device(device or "cpu")
    for loader in loaders:
        assert loader.dataset.images.device == expected
        assert loader.dataset.labels.device == expected


# the split


@pytest.mark.parametrize("valid_size", [1, 10, 59])
def test_validation_is_the_last_part_of_the_training_file(tiny, valid_size):
    data = tiny()
    loaders = load_mnist(data.folder, valid_size=valid_size, normalize=False)
    everything = as_pixels(data.images["train"])
    split = 60 - valid_size
    assert torch.equal(loaders.train.dataset.images, everything[:split])
    assert torch.equal(loaders.valid.dataset.images, everything[split:])
    assert torch.equal(loaders.test.dataset.images, as_pixels(data.images["test"]))
    labels = torch.from_numpy(data.labels["train"]).long()
    assert torch.equal(loaders.train.dataset.labels, labels[:split])
    assert torch.equal(loaders.valid.dataset.labels, labels[split:])


def test_valid_size_0_trains_on_everything_and_has_no_validation(tiny):
    loaders = load_mnist(tiny().folder, valid_size=0)
    assert loaders.valid is None
    assert len(loaders.train.dataset) == 60


def test_limit_keeps_the_first_training_images_only(tiny):
    data = tiny()
    whole = load_mnist(data.folder, valid_size=10)
    part = load_mnist(data.folder, valid_size=10, limit=7)
    assert torch.equal(part.train.dataset.images, whole.train.dataset.images[:7])
    assert torch.equal(part.train.dataset.labels, whole.train.dataset.labels[:7])
    assert torch.equal(part.valid.dataset.images, whole.valid.dataset.images)
    assert torch.equal(part.test.dataset.images, whole.test.dataset.images)
    assert (part.mean, part.std) == (whole.mean, whole.std)


def test_limit_may_be_all_training_images(tiny):
    data = tiny()
    assert len(load_mnist(data.folder, valid_size=10, limit=50).train.dataset) == 50


# the order


def test_an_epoch_visits_each_image_exactly_once_and_mixes_them():
    numbers = torch.arange(1000)
    loader = make_loader(TensorDataset(numbers, numbers), 64, shuffle=True)
    seen = labels_of(loader)
    assert torch.equal(seen.sort().values, numbers)
    assert not torch.equal(seen, numbers)
    # not mixed within batches only: images from everywhere are in the first batch
    assert seen[:64].max() > 800


def test_images_and_labels_stay_together(tiny):
    loader = load_mnist(tiny().folder, batch_size=16, valid_size=10).train
    digits = loader.dataset
    for images, labels in loader:
        for image, label in zip(images, labels, strict=True):
            place = (digits.images == image).flatten(1).all(dim=1).nonzero().item()
            assert digits.labels[place] == label


def test_a_second_epoch_has_another_order():
    numbers = torch.arange(1000)
    loader = make_loader(TensorDataset(numbers, numbers), 64, shuffle=True)
    assert not torch.equal(labels_of(loader), labels_of(loader))


def test_fresh_loaders_with_one_seed_repeat_every_epoch(tiny):
    folder = tiny().folder
    one, two = (load_mnist(folder, 16, valid_size=10, seed=3) for _ in range(2))
    for _ in range(3):
        assert torch.equal(images_of(one.train), images_of(two.train))


def test_another_seed_changes_the_order_and_nothing_else(tiny):
    folder = tiny().folder
    one, two = (load_mnist(folder, 16, valid_size=10, seed=seed) for seed in (0, 1))
    assert not torch.equal(images_of(one.train), images_of(two.train))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.dataset.images, b.dataset.images)
        assert torch.equal(a.dataset.labels, b.dataset.labels)


def test_validation_and_test_keep_the_order_of_the_files(tiny):
    data = tiny()
    loaders = load_mnist(data.folder, batch_size=3, valid_size=10, normalize=False)
    for _ in range(2):
        valid = as_pixels(data.images["train"][50:])
        assert torch.equal(images_of(loaders.valid), valid)
        assert torch.equal(images_of(loaders.test), as_pixels(data.images["test"]))


def test_the_global_random_numbers_do_not_change_the_order(tiny):
    folder = tiny().folder
    orders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        orders.append(images_of(load_mnist(folder, valid_size=10).train))
    assert torch.equal(*orders)


def test_loading_and_iterating_leave_the_global_random_numbers_alone(tiny):
    folder = tiny().folder
    before = torch.random.get_rng_state()
    loaders = load_mnist(folder, batch_size=16, valid_size=10)
    for loader in loaders:
        for _ in range(2):
            assert len(list(loader)) > 0
    assert torch.equal(torch.random.get_rng_state(), before)


# normalisation


def test_pixels_are_standardised_with_the_training_images_alone(tiny):
    data = tiny()
    loaders = load_mnist(data.folder, valid_size=10)
    pixels = as_pixels(data.images["train"][:50])
    assert loaders.mean == pytest.approx(pixels.mean().item(), rel=1e-6)
    assert loaders.std == pytest.approx(pixels.std().item(), rel=1e-6)
    with_validation = as_pixels(data.images["train"])
    assert loaders.mean != pytest.approx(with_validation.mean().item(), rel=1e-6)
    # the other two sets get the same treatment, not one of their own
    for loader, raw in (
        (loaders.train, pixels),
        (loaders.valid, with_validation[50:]),
        (loaders.test, as_pixels(data.images["test"])),
    ):
        expected = (raw - loaders.mean) / loaders.std
        torch.testing.assert_close(loader.dataset.images, expected)


def test_without_normalisation_pixels_are_from_0_to_1(tiny):
    data = tiny()
    loaders = load_mnist(data.folder, valid_size=10, normalize=False)
    images = loaders.train.dataset.images
    assert torch.equal(images, as_pixels(data.images["train"][:50]))
    assert (images.min(), images.max()) == (0, 1)
    assert (loaders.mean, loaders.std) == (0.0, 1.0)


@pytest.mark.parametrize("pair", [(0.5, 0.5), [0.1307, 0.3081], (0, 2)])
def test_a_pair_is_subtracted_and_divided_by(tiny, pair):
    data = tiny()
    loaders = load_mnist(data.folder, valid_size=10, normalize=pair)
    mean, std = pair
    assert (loaders.mean, loaders.std) == (mean, std)
    for loader, raw in (
        (loaders.train, data.images["train"][:50]),
        (loaders.valid, data.images["train"][50:]),
        (loaders.test, data.images["test"]),
    ):
        expected = (as_pixels(raw) - mean) / std
        torch.testing.assert_close(loader.dataset.images, expected)


# arguments that make no sense


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *(
            ({"valid_size": value}, ["valid_size=", repr(value), "0 to 59"])
            for value in (-1, 60, 60_000, "a", 1.5, True, None)
        ),
        *(
            ({"batch_size": value}, ["batch_size=", repr(value), "at least 1"])
            for value in (0, -5, "a", 2.5, True, None)
        ),
        *(
            ({"limit": value}, ["limit=", repr(value), "1 to 50"])
            for value in (0, -1, 51, "a", 2.5, True)
        ),
        *(
            ({"dataset": value}, ["dataset=", repr(value), *DATASETS])
            for value in ("mnist", "CIFAR10", "", None)
        ),
        *(
            ({"normalize": value}, ["normalize=", repr(value), "True, False"])
            for value in (
                None,
                0.5,
                "yes",
                (0.5,),
                (0.5, 0.5, 0.5),
                (0.5, 0),
                (0.5, -1),
                ("a", "b"),
                (0.5, math.nan),
                (math.nan, 0.5),
                (0.5, math.inf),
                (math.inf, 0.5),
            )
        ),
    ],
    ids=str,
)
def test_an_impossible_argument_is_named_with_what_works(tiny, arguments, words):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    before = data.snapshot()
    with pytest.raises(ValueError, match="=") as caught:
        load_mnist(data.folder, **{"valid_size": 10, **arguments})
    assert all(word in str(caught.value) for word in words)
    assert data.snapshot() == before


# the other data sets


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_is_split_and_shaped_alike(tiny, dataset):
    data = tiny(dataset)
    loaders = load_mnist(
        data.folder, dataset=dataset, valid_size=10, normalize=False, batch_size=16
    )
    parts = {"train": data.images["train"], "test": data.images["test"]}
    if dataset.startswith("EMNIST"):  # its files hold every image on its side
        parts = {part: array.transpose(0, 2, 1) for part, array in parts.items()}
    for loader, images, labels in (
        (loaders.train, parts["train"][:50], data.labels["train"][:50]),
        (loaders.valid, parts["train"][50:], data.labels["train"][50:]),
        (loaders.test, parts["test"], data.labels["test"]),
    ):
        assert torch.equal(loader.dataset.images, as_pixels(images))
        assert loader.dataset.labels.dtype == torch.int64
        assert torch.equal(loader.dataset.labels, torch.from_numpy(labels).long())
    images, labels = next(iter(loaders.train))
    assert images.shape == (16, 1, 28, 28)
    assert labels.shape == (16,)


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [
        ("MNIST", list("0123456789")),
        (
            "FashionMNIST",
            "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,"
            "Ankle boot",
        ),
        ("KMNIST", "o,ki,su,tsu,na,ha,ma,ya,re,wo"),
        (
            "EMNIST-balanced",
            list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        ),
        ("EMNIST-digits", list("0123456789")),
        ("QMNIST", list("0123456789")),
    ],
)
def test_every_data_set_names_its_classes(tiny, dataset, classes):
    expected = classes.split(",") if isinstance(classes, str) else classes
    folder = tiny(dataset).folder
    assert load_mnist(folder, dataset=dataset, valid_size=10).classes == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_damaged_file_of_any_data_set_is_named_and_left_alone(tiny, dataset):
    data = tiny(dataset)
    name = data.names[0]
    content = bytearray((data.raw / name).read_bytes())
    content[len(content) // 2] ^= 1
    (data.raw / name).write_bytes(content)
    before = data.snapshot()
    with pytest.raises(RuntimeError, match="damaged") as caught:
        load_mnist(data.folder, dataset=dataset, valid_size=10)
    assert str(data.raw / name) in str(caught.value)
    assert data.snapshot() == before


def test_the_hard_digits_are_spread_over_the_classes(loaders):
    assert len(set(HARD_DIGITS)) == 25
    labels = loaders.valid.dataset.labels[list(HARD_DIGITS)]
    assert labels.bincount(minlength=10).tolist() == [3, 2] * 5


def test_a_batch_size_in_the_place_of_the_folder_is_named():
    with pytest.raises(ValueError, match=r"data_dir=64.*load_mnist\(batch_size=64\)"):
        load_mnist(64)
