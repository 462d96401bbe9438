"""The other data sets: real clothes where they are installed, and where files lie."""

import itertools
import os

import matplotlib as mpl
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.utils.data import TensorDataset

from conftest import ABSENT
from mnist_lessons import files, load_mnist, plots, tune
from mnist_lessons.data import class_names
from mnist_lessons.plots.picture import STYLE
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.recipes import train_recipe

DEBIAN = files.INSTALLED["FashionMNIST"]


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


def test_debians_clothes_are_whole_and_have_the_names_of_their_labels(clothes):
    assert [len(loader.dataset) for loader in clothes] == [50_000, 10_000, 10_000]
    # 0.2860 and 0.3530 for all 60,000
    assert clothes.mean == pytest.approx(0.2855, abs=5e-4)
    assert clothes.std == pytest.approx(0.3528, abs=5e-4)
    assert clothes.test.dataset.labels.bincount().tolist() == [1000] * 10
    images, labels = clothes.train.dataset[:5000]
    lit = (images > images.min()).float().mean(dim=(1, 2, 3))
    shares = {
        name: lit[labels == label].mean() for label, name in enumerate(clothes.classes)
    }
    assert min(shares, key=shares.get) == "Sandal"  # straps on black
    assert shares["Trouser"] < 0.5 < shares["Coat"]


def test_debians_clothes_are_found_without_being_named(clothes, isolated, tmp_path):
    isolated.setattr(files, "INSTALLED", {"FashionMNIST": DEBIAN})
    loaders = load_mnist(tmp_path / "data", dataset="FashionMNIST")
    assert torch.equal(loaders.test.dataset.images, clothes.test.dataset.images)
    assert (tmp_path / "data" / "FashionMNIST" / "raw").is_dir()
    assert not (tmp_path / "cache").exists()


def test_emnist_balanced_has_47_classes_that_a_model_learns_and_tune_finds(tiny):
    data = tiny("EMNIST-balanced")
    loaders = load_mnist(data.folder, dataset="EMNIST-balanced", valid_size=10)
    assert len(class_names("EMNIST-balanced")) == 47
    assert loaders.classes == class_names("EMNIST-balanced")
    # each named model has as many outputs: test_main.py
    given, _ = train_recipe("linear", {"num_classes": 50}, loaders.train.dataset)
    assert given.arguments["num_classes"] == 50
    bare = TensorDataset(*loaders.train.dataset.tensors)  # says nothing of classes
    assert train_recipe("linear", {}, bare)[0].arguments["num_classes"] == 10
    options = {"n_trials": 1, "epochs": 1, "progress": False, "device": "cpu"}
    options |= {"data_dir": data.folder, "dataset": "EMNIST-balanced"}
    with pytest.raises(ValueError, match="valid_size=10000"):  # 60 images are too few
        tune("linear", **options)
    with pytest.raises(ValueError, match="dataset='letters' is not known"):
        tune("linear", **(options | {"dataset": "letters"}))
    assert Plan(model="linear", dataset="KMNIST").about["dataset"] == "KMNIST"


def overlaps(picture, texts_of):
    """Return the pairs of texts that touch in a figure, laid out as it is saved."""
    canvas = FigureCanvasAgg(picture.figure)
    with mpl.rc_context(STYLE):
        canvas.draw()
    texts = [text for text in texts_of(picture.figure.axes) if text.get_text()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert len(boxes) > 2
    return [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]


@pytest.mark.parametrize("dataset", ["FashionMNIST", "EMNIST-balanced"])
def test_no_two_names_overlap_in_a_confusion_matrix(dataset):
    names = class_names(dataset)
    labels = torch.arange(len(names)).repeat(20_000)
    next_one = torch.arange(len(labels)) // len(names) % 2  # half of the answers
    answers = (labels + next_one) % len(names)
    picture = plots.confusion(labels, answers, names)
    assert not overlaps(picture, lambda axes: axes[0].get_xticklabels())
    assert not overlaps(picture, lambda axes: axes[0].get_yticklabels())
    assert not overlaps(picture, lambda axes: axes[0].texts)
    (axis,) = picture.figure.axes
    assert [text.get_text() for text in axis.get_xticklabels()] == names


def test_no_two_names_overlap_below_bars_or_above_clothes():
    names = class_names("FashionMNIST")
    picture = plots.bars({"all": torch.ones(10)}, names)
    assert not overlaps(picture, lambda axes: axes[0].get_xticklabels())
    labels, images = torch.arange(10), torch.rand(10, 28, 28)
    for answers in (None, labels.flip(0)):
        picture = plots.digits(images, labels, answers, classes=names)
        assert not overlaps(picture, lambda axes: [axis.title for axis in axes])
    assert "T-shirt/top read as Ankle boot, Trouser read as Bag" in picture.alt


def test_many_templates_have_names_of_a_size_to_read():
    names = class_names("EMNIST-balanced")
    picture = plots.learning({"a run": [(1, 2.0)]}, torch.rand(47, 784), names)
    assert picture.figure.axes[1].get_title().startswith("templates 0 to t, ")
    drawn = [t for t in picture.figure.axes[1].texts if t.get_text() in names]
    assert len(drawn) == 47
    assert min(text.get_size() for text in drawn) >= 6
