"""Other people's digits: the file, its writers, and how they are prepared."""

import gzip
import shutil

import pytest
import torch
from lesson_cells import ROOT

from mnist_lessons import LinearModel, fit, load_optdigits
from mnist_lessons.files import DataFileError
from mnist_lessons.photos.optdigits import as_mnist

NAME = "digits.csv.gz"
FILE = ROOT / "data" / "optdigits" / NAME


@pytest.fixture(scope="module")
def digits():
    return load_optdigits()


def test_the_digits_are_those_of_the_file_and_look_like_mnist(digits):
    with gzip.open(FILE, "rt", encoding="ascii") as file:
        rows = [[int(number) for number in line.split(",")] for line in file]
    assert len(digits) == len(rows) == 1_797
    assert digits.scans.shape == (1_797, 8, 8)
    assert digits.scans.flatten(1).tolist() == [row[:64] for row in rows]
    assert digits.labels.tolist() == [row[64] for row in rows]
    assert digits.classes == list("0123456789")
    assert digits.images.shape == (1_797, 1, 28, 28)
    assert digits.images.dtype == torch.float32
    pixels = digits.images * digits.std + digits.mean
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5
    sides = [(pixels[:, 0].amax(dim=d) > 0.01).sum(dim=1) for d in (1, 2)]
    longer = torch.stack(sides).amax(dim=0)
    assert 19 <= longer.min() <= longer.max() == 20
    places = torch.arange(28)
    for d in (2, 3):
        mass = pixels.sum(dim=[x for x in (1, 2, 3) if x != d])
        middle = (mass * places).sum(dim=1) / mass.sum(dim=1)
        assert (middle - 14).abs().max() < 0.51


def test_every_block_of_a_writer_has_all_digits(digits):
    assert digits.writers.dtype == torch.int64
    counts = digits.writers.bincount()
    assert len(counts) == 14
    assert 110 < counts.min() < counts.max() < 140
    assert digits.writers.diff().unique().tolist() == [0, 1]  # in order
    for writer in range(14):
        assert len(digits.labels[digits.writers == writer].unique()) == 10


def test_digits_of_one_hand_are_alike(digits):
    # so a random split would flatter: chance would be a fourteenth, 7 %
    x = digits.images.flatten(1)
    near = torch.cdist(x, x).fill_diagonal_(torch.inf).argmin(dim=1)
    assert (digits.writers[near] == digits.writers).float().mean() > 0.4


def test_mnist_teaches_a_linear_model_six_in_ten_of_them(loaders, digits):
    model = LinearModel()
    fit(model, loaders.train, epochs=1, lr=0.001, progress=False)
    right = (model.predict(digits.images) == digits.labels).float().mean()
    assert 0.57 < right < 0.66  # 61 % were measured; only enlarged 26 %


def test_a_scan_is_cut_scaled_and_centred():
    scan = torch.zeros(8, 8)
    scan[0:6, 1] = 16  # a 1, up and to the left
    image = as_mnist(scan)
    rows, columns = (image > 0.05).any(dim=1), (image > 0.3).any(dim=0)
    assert image.max() == 1
    assert rows.sum() == 20
    for inked in (rows, columns):
        assert inked.nonzero().float().mean() == pytest.approx(14, abs=0.6)


def test_pixels_come_on_the_scale_of_a_model(digits):
    plain = load_optdigits(mean=0, std=1)
    assert torch.allclose((plain.images - 0.1307) / 0.3081, digits.images, atol=1e-6)
    for word in ({"std": 0}, {"mean": "dark"}):
        with pytest.raises((TypeError, ValueError), match=next(iter(word))):
            load_optdigits(**word)


def test_a_folder_that_is_named_comes_first(tmp_path, monkeypatch):
    broken = FILE.read_bytes()[:-1]
    for place in (tmp_path / "a", tmp_path / "b" / "optdigits"):
        place.mkdir(parents=True)
        (place / NAME).write_bytes(broken)
    for folder in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(DataFileError, match=r"digits\.csv\.gz is damaged.*MD5"):
            load_optdigits(folder)
        monkeypatch.setenv("MNIST_LESSONS_DATA", str(folder))
        with pytest.raises(DataFileError, match="Move it away"):
            load_optdigits()
    assert (tmp_path / "a" / NAME).read_bytes() == broken  # nothing was changed
    shutil.copy(FILE, tmp_path / "a")
    assert len(load_optdigits(tmp_path / "a")) == 1_797
    assert len(load_optdigits(tmp_path / "elsewhere")) == 1_797  # the checkout's own


def test_a_package_without_the_file_says_where_it_is(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "mnist_lessons" / "files.py"
    monkeypatch.setattr("mnist_lessons.files.__file__", str(installed))
    with pytest.raises(DataFileError, match=r"lacks digits\.csv\.gz.*data/optdigits"):
        load_optdigits(tmp_path)
