"""The other data sets: real clothes where they are installed, and where files lie."""

import gzip
import os
import shutil
import zipfile

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.utils.data import TensorDataset
from torchvision import datasets

from conftest import ABSENT
from mnist_lessons import files, load_mnist, packed, plots, sources, tune
from mnist_lessons.data import DATASETS, class_names
from mnist_lessons.files import DataFileError
from mnist_lessons.plots.picture import STYLE
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.recipes import train_recipe

DEBIAN = sources.INSTALLED["FashionMNIST"]
GZIPPED = ["MNIST", "FashionMNIST", "KMNIST", "QMNIST"]


@pytest.fixture(scope="module")
def clothes(tmp_path_factory, pytestconfig):
    """Fashion-MNIST as Debian packs it, loaded by its folder.

    $MNIST_LESSONS_NEED_FASHION: if set, its absence is a failure, not a skip.
    """
    if not DEBIAN.is_dir():
        reason = f"no Fashion-MNIST in {DEBIAN} (apt install dataset-fashion-mnist)"
        if os.environ.get("MNIST_LESSONS_NEED_FASHION"):
            pytest.fail(reason, pytrace=False)
        pytestconfig.stash[ABSENT] = reason
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        before = sorted(DEBIAN.iterdir())
        loaders = load_mnist(DEBIAN, dataset="FashionMNIST")
        assert sorted(DEBIAN.iterdir()) == before  # nothing is written there
        return loaders


# real clothes


def test_debians_fashion_mnist_loads_by_its_folder(clothes):
    assert [len(loader.dataset) for loader in clothes] == [50_000, 10_000, 10_000]
    # 0.2860 and 0.3530 for all 60,000
    assert clothes.mean == pytest.approx(0.2855, abs=5e-4)
    assert clothes.std == pytest.approx(0.3528, abs=5e-4)
    assert clothes.test.dataset.labels.bincount().tolist() == [1000] * 10


def test_the_classes_of_clothes_are_those_of_their_labels(clothes):
    images, labels = clothes.train.dataset[:5000]
    lit = (images > images.min()).float().mean(dim=(1, 2, 3))
    shares = {
        name: lit[labels == label].mean() for label, name in enumerate(clothes.classes)
    }
    assert min(shares, key=shares.get) == "Sandal"  # straps on black
    assert shares["Trouser"] < 0.5 < shares["Coat"]
    heights = (images > images.min()).any(dim=3).float().sum(dim=2).flatten()
    shoes, clothed = clothes.classes.index("Sneaker"), clothes.classes.index("Dress")
    assert heights[labels == shoes].mean() < 15 < 25 < heights[labels == clothed].mean()


def test_debians_fashion_mnist_is_found_without_being_named(
    clothes, isolated, tmp_path
):
    isolated.setattr(files, "INSTALLED", {"FashionMNIST": DEBIAN})
    found = load_mnist(tmp_path / "data", dataset="FashionMNIST")
    assert torch.equal(found.test.dataset.images, clothes.test.dataset.images)
    assert (tmp_path / "data" / "FashionMNIST" / "raw").is_dir()
    assert not (tmp_path / "cache").exists()


# where files may lie


@pytest.mark.parametrize("dataset", DATASETS)
def test_packed_files_in_the_folder_itself_are_found_and_stay_alone(
    tiny, tmp_path, dataset
):
    data = tiny(dataset)
    bare = tmp_path / "bare"
    shutil.copytree(data.raw, bare)
    before = {path: path.read_bytes() for path in bare.iterdir()}
    for _ in range(2):
        train, _, _ = load_mnist(bare, dataset=dataset, valid_size=10, normalize=False)
        expected = torch.from_numpy(data.images["train"][:50])
        if dataset.startswith("EMNIST"):
            expected = expected.transpose(1, 2)
        pixels = (train.dataset.images * 255).round().byte().squeeze(1)
        assert torch.equal(pixels, expected)
    assert {path: path.read_bytes() for path in bare.iterdir()} == before
    assert (tmp_path / "cache" / "mnist_lessons").is_dir()


@pytest.fixture
def repacked(tiny, isolated):
    """Fashion-MNIST, packed again: other bytes, the same content."""
    data = tiny("FashionMNIST")
    sums = {}
    for name in data.names:
        content = gzip.decompress((data.raw / name).read_bytes())
        (data.raw / name).write_bytes(gzip.compress(content, mtime=1))
        sums[name.removesuffix(".gz")] = data.md5(content)
    isolated.setitem(packed.UNPACKED_MD5, "FashionMNIST", sums)
    return data


def test_files_that_somebody_packed_again_are_known_by_their_content(repacked):
    before = repacked.snapshot()
    for _ in range(2):
        train, _, _ = load_mnist(
            repacked.folder, dataset="FashionMNIST", valid_size=10, normalize=False
        )
        pixels = (train.dataset.images * 255).round().byte().squeeze(1)
        assert torch.equal(pixels, torch.from_numpy(repacked.images["train"][:50]))
    after = repacked.snapshot()
    assert all(after[name] == content for name, content in before.items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: gzip.compress(gzip.decompress(content)[:-1] + b"\0", mtime=1),
        lambda content: content[:-9],
        lambda content: content[:40] + bytes(20) + content[60:],
        lambda content: b"<html>log in to this network</html>",
    ],
)
def test_files_that_were_packed_again_and_damaged_are_refused(repacked, damage):
    path = repacked.raw / repacked.names[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataFileError, match="damaged or incomplete") as caught:
        load_mnist(repacked.folder, dataset="FashionMNIST", valid_size=10)
    assert str(path) in str(caught.value)


def test_files_of_another_set_under_the_same_names_are_refused(tiny, tmp_path):
    data = tiny("KMNIST")
    bare = tmp_path / "bare"
    shutil.copytree(data.raw, bare)
    with pytest.raises(DataFileError, match="another data set than FashionMNIST"):
        load_mnist(bare, dataset="FashionMNIST", valid_size=10)


def test_the_sums_of_the_content_are_those_of_the_real_digits():
    raw = files.data_folder(None) / "MNIST" / "raw"
    for name, md5 in sources.UNPACKED_MD5["MNIST"].items():
        with gzip.open(raw / f"{name}.gz") as file:
            assert packed._md5(file) == md5


# what is missing


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_missing_set_is_named_with_its_size_and_its_place(tiny, dataset):
    data = tiny(dataset)
    for name in data.names:
        (data.raw / name).unlink()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, dataset=dataset, valid_size=10)
    message = str(caught.value)
    kind = dataset.split("-")[0]
    assert f"{data.raw} lacks {', '.join(data.names)}" in message
    assert f"{kind} is {sources.MEGABYTES[kind]} MB in all" in message
    assert ("dataset-fashion-mnist" in message) == (dataset == "FashionMNIST")


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_missing_set_is_downloaded_once_and_kept(tiny, mirror, dataset):
    data = tiny(dataset)
    mirror.files = {name: (data.raw / name).read_bytes() for name in data.names}
    before = data.snapshot()
    for name in data.names:
        (data.raw / name).unlink()
    for address in ("KMNIST", "FashionMNIST"):
        mirror.patch.setattr(getattr(datasets, address), "mirrors", [mirror.address])
    mirror.patch.setattr(datasets.EMNIST, "url", mirror.address + "gzip.zip")
    resources = {
        part: [(mirror.address + url.rsplit("/", 1)[1], md5) for url, md5 in pairs]
        for part, pairs in datasets.QMNIST.resources.items()
    }
    mirror.patch.setattr(datasets.QMNIST, "resources", resources)
    load_mnist(data.folder, dataset=dataset, valid_size=10)
    assert mirror.asked == set(data.names)
    mirror.asked.clear()
    load_mnist(data.folder, dataset=dataset, valid_size=10)
    assert not mirror.asked
    after = data.snapshot()
    assert all(after[name] == content for name, content in before.items())


def test_both_parts_of_emnist_come_from_one_archive(tiny):
    data = tiny("EMNIST-balanced")
    with zipfile.ZipFile(data.raw / "gzip.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(data.raw / "gzip.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
            archive.writestr(name.replace("balanced", "digits"), content)
    data.seal("gzip.zip")
    load_mnist(data.folder, dataset="EMNIST-balanced", valid_size=10)
    assert not list(data.raw.glob("emnist-digits*"))  # gigabytes, in the real one
    load_mnist(data.folder, dataset="EMNIST-digits", valid_size=10)
    assert len(list(data.raw.glob("emnist-*"))) == 8


# images as they should be


def test_letters_of_emnist_stand_upright_in_memory(tiny):
    digits = load_mnist(
        tiny("EMNIST-balanced").folder, dataset="EMNIST-balanced", valid_size=10
    ).train.dataset
    assert digits.images.is_contiguous()
    assert digits.images[[1, 3]].is_contiguous()


def test_qmnists_labels_are_the_digits(tiny):
    data = tiny("QMNIST")
    train, _, _ = load_mnist(data.folder, dataset="QMNIST", valid_size=10)
    assert train.dataset.labels.shape == (50,)
    assert np.array_equal(train.dataset.labels.numpy(), data.labels["train"][:50])


# many classes, and long names


def test_emnist_balanced_has_47_classes_that_every_named_model_learns(tiny):
    data = tiny("EMNIST-balanced")
    loaders = load_mnist(data.folder, dataset="EMNIST-balanced", valid_size=10)
    assert len(class_names("EMNIST-balanced")) == 47
    assert loaders.classes == class_names("EMNIST-balanced")
    for model in ("linear", "mlp", "cnn"):
        net, history = train_recipe(model, {}, loaders.train.dataset, loaders.valid)
        assert net.arguments["num_classes"] == 47
        assert len(history.records) == 1
    given, _ = train_recipe("linear", {"num_classes": 50}, loaders.train.dataset)
    assert given.arguments["num_classes"] == 50
    bare = TensorDataset(*loaders.train.dataset.tensors)  # says nothing of classes
    assert train_recipe("linear", {}, bare)[0].arguments["num_classes"] == 10


def test_an_unknown_set_has_no_class_names():
    with pytest.raises(ValueError, match="dataset='EMNIST' is not known"):
        class_names("EMNIST")


def test_tune_searches_on_another_set(tiny):
    data = tiny("EMNIST-balanced")
    options = {"n_trials": 1, "epochs": 1, "progress": False, "device": "cpu"}
    options |= {"data_dir": data.folder, "dataset": "EMNIST-balanced"}
    with pytest.raises(ValueError, match="valid_size=10000"):  # 60 images are too few
        tune("linear", **options)
    with pytest.raises(ValueError, match="dataset='letters' is not known"):
        tune("linear", **(options | {"dataset": "letters"}))
    plan = Plan("linear", dataset="KMNIST")
    assert plan.about["dataset"] == "KMNIST"


def overlaps(texts, figure):
    """Return the pairs of texts that touch in a figure that was laid out."""
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    assert len(boxes) > 2
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def shown(picture):
    """Return the figure, laid out as it is saved."""
    FigureCanvasAgg(picture.figure)
    with mpl.rc_context(STYLE):
        picture.figure.canvas.draw()
    return picture.figure


@pytest.mark.parametrize("dataset", ["FashionMNIST", "EMNIST-balanced"])
def test_no_two_names_overlap_in_a_confusion_matrix(dataset):
    names = class_names(dataset)
    labels = torch.arange(len(names)).repeat(20_000)
    next_one = torch.arange(len(labels)) // len(names) % 2  # half of the answers
    answers = (labels + next_one) % len(names)
    figure = shown(plots.confusion(labels, answers, names))
    (axis,) = figure.axes
    for texts in (axis.get_xticklabels(), axis.get_yticklabels(), axis.texts):
        assert [text.get_text() for text in axis.get_xticklabels()] == names
        assert not overlaps(texts, figure)


def test_no_two_names_overlap_below_bars_or_above_clothes():
    names = class_names("FashionMNIST")
    figure = shown(plots.bars({"all": torch.ones(10)}, names))
    assert not overlaps(figure.axes[0].get_xticklabels(), figure)
    labels = torch.arange(10)
    images = torch.rand(10, 28, 28)
    for answers in (None, labels.flip(0)):
        picture = plots.digits(images, labels, answers, classes=names)
        figure = shown(picture)
        assert not overlaps([axis.title for axis in figure.axes], figure)
    assert "Ankle boot, not T-shirt/top, Bag, not Trouser" in picture.alt


def test_many_templates_have_names_of_a_size_to_read():
    names = class_names("EMNIST-balanced")
    picture = plots.learning({"a run": [(1, 2.0)]}, torch.rand(47, 784), names)
    assert picture.figure.axes[1].get_title().startswith("templates 0 to t, ")
    drawn = [t for t in picture.figure.axes[1].texts if t.get_text() in names]
    assert len(drawn) == 47
    assert min(text.get_size() for text in drawn) >= 6
