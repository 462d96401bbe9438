"""Where the files are looked for, and what happens to damaged and missing ones."""

import errno
import gzip
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from mnist_lessons import files, load_mnist
from mnist_lessons.data import DATASETS, find_digits
from mnist_lessons.files import DataFileError, data_folder

ROOT = Path(__file__).resolve().parent.parent
PACKED = [name for name, _ in datasets.MNIST.resources]
UNPACKED = [name.removesuffix(".gz") for name in PACKED]

pytestmark = pytest.mark.usefixtures("isolated")


def load(data, dataset="MNIST"):
    folder = getattr(data, "folder", data)
    return load_mnist(folder, dataset=dataset, valid_size=10)


def pixels_of(loaders):
    pixels = loaders.train.dataset.images * loaders.std + loaders.mean
    return (pixels * 255).round().byte().squeeze(1)


def refused(data, *words, dataset="MNIST"):
    """The files are refused with these words, and stay as they are."""
    before = data.snapshot()
    with pytest.raises(DataFileError) as caught:
        load(data, dataset)
    for word in words:
        assert word in str(caught.value)
    assert data.snapshot() == before


def flip_a_byte(content):
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def html(_):
    return b"<html>log in to this network</html>"


DAMAGE = [flip_a_byte, html, lambda c: c[:-9], lambda _: b""]


# where to look


def test_argument_environment_checkout_and_cache_come_in_this_order(
    monkeypatch, tmp_path
):
    checkout = str(ROOT / "mnist_lessons" / "files.py")
    monkeypatch.setattr(files, "__file__", checkout)
    assert data_folder(None) == ROOT / "data"
    monkeypatch.setenv("MNIST_LESSONS_DATA", "")
    assert data_folder(None) == ROOT / "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for folder in (str(tmp_path / "others"), "~/others"):
        monkeypatch.setenv("MNIST_LESSONS_DATA", folder)
        assert data_folder(None) == tmp_path / "others"
        for argument in (tmp_path / "digits", str(tmp_path / "digits"), "~/digits"):
            assert data_folder(argument) == tmp_path / "digits"
    monkeypatch.delenv("MNIST_LESSONS_DATA")
    # an installed package uses the cache
    installed = tmp_path / "site-packages" / "mnist_lessons" / "files.py"
    # another package's "data" folder beside it is not a checkout
    (tmp_path / "site-packages" / "data").mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(installed))
    assert data_folder(None) == tmp_path / "cache" / "mnist_lessons"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert data_folder(None) == tmp_path / ".cache" / "mnist_lessons"


# unpacking


def test_packed_files_are_unpacked_beside_themselves_and_only_once(tiny, monkeypatch):
    data = tiny()
    (data.raw / "notes.txt").write_text("mine")
    packed = data.snapshot()
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(data.folder / "elsewhere"))
    assert find_digits(data.folder) == data.folder
    assert len(datasets.MNIST(data.folder, train=False)) == 20
    names = sorted(path.name for path in data.raw.iterdir())
    assert names == sorted([*PACKED, *UNPACKED, "notes.txt"])
    unpacked = data.snapshot()
    assert packed.items() <= unpacked.items()
    times = {path: path.stat().st_mtime_ns for path in data.raw.iterdir()}
    load(data)
    assert {path: path.stat().st_mtime_ns for path in data.raw.iterdir()} == times
    (data.raw / UNPACKED[1]).unlink()  # and it comes back
    load(data)
    assert data.snapshot() == unpacked
    for name in PACKED:  # the unpacked ones alone are enough
        (data.raw / name).unlink()
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(data.folder))
    load(None)
    assert not list(data.raw.glob("*.gz"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_packed_files_in_the_folder_itself_are_found_and_stay_alone(
    tiny, tmp_path, dataset
):
    data = tiny(dataset)
    bare = tmp_path / "bare"
    shutil.copytree(data.raw, bare)
    before = {path: path.read_bytes() for path in bare.iterdir()}
    expected = pixels_of(load(data, dataset))
    for _ in range(2):
        assert torch.equal(pixels_of(load(bare, dataset)), expected)
    assert {path: path.read_bytes() for path in bare.iterdir()} == before
    assert (tmp_path / "cache" / "mnist_lessons").is_dir()


def test_of_emnists_many_splits_only_the_one_asked_for_stays(tiny):
    data = tiny("EMNIST-balanced")
    with zipfile.ZipFile(data.raw / "gzip.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(data.raw / "gzip.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
            archive.writestr(name.replace("balanced", "digits"), content)
    data.seal("gzip.zip")
    load(data, "EMNIST-balanced")
    assert not list(data.raw.glob("emnist-digits*"))  # gigabytes, in the real one
    load(data, "EMNIST-digits")
    assert len(list(data.raw.glob("emnist-*"))) == 8


def test_files_that_the_system_has_packed_anew_are_taken(tiny, isolated, tmp_path):
    data = tiny("FashionMNIST")
    system = tmp_path / "system"
    data.raw.rename(system)
    isolated.setattr(files, "INSTALLED", {"FashionMNIST": system})
    for path in system.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=1))
    for folder in (tmp_path / "data", system):
        pixels = pixels_of(load(folder, "FashionMNIST"))
        assert torch.equal(pixels, torch.from_numpy(data.images["train"][:50]))
    assert sorted(path.name for path in system.iterdir()) == sorted(PACKED)


# damaged files


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_damaged_packed_file_is_named_and_left_alone(tiny, dataset):
    data = tiny(dataset)
    for name in data.names:
        whole = (data.raw / name).read_bytes()
        for damage in DAMAGE:
            (data.raw / name).write_bytes(damage(whole))
            path = str(data.raw / name)
            refused(data, path, "is damaged", "Move it away", dataset=dataset)
        (data.raw / name).write_bytes(whole)
    load(data, dataset)  # beside whole unpacked ones it is noticed, too
    (data.raw / name).write_bytes(damage(whole))
    refused(data, path, "is damaged", dataset=dataset)


def test_a_damaged_unpacked_file_is_named_and_left_alone(tiny):
    data = tiny()
    load(data)
    damages = [*DAMAGE, lambda c: c[:6], lambda c: c + b"more"]
    for name in UNPACKED:
        for damage in damages:
            path = data.raw / name
            path.write_bytes(damage(path.read_bytes()))
            refused(data, f"{path} is damaged", "Delete it and run this again")
            path.unlink()
            load(data)  # the advice works
    for name in PACKED:
        (data.raw / name).unlink()
    for damage in damages[1:]:  # without the packed ones, a flipped pixel is not seen
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        refused(data, f"{path} is damaged")
        path.write_bytes(whole)


def test_files_of_another_set_under_the_same_names_are_refused(tiny, tmp_path):
    shutil.copytree(tiny("KMNIST").raw, tmp_path / "bare")
    with pytest.raises(DataFileError, match="another data set than FashionMNIST"):
        load(tmp_path / "bare", "FashionMNIST")


# missing files


@pytest.mark.parametrize("dataset", DATASETS)
def test_missing_files_without_a_network_are_named(tiny, tmp_path, dataset):
    data = tiny(dataset)
    (data.raw / data.names[-1]).unlink()
    lacks = f"{data.raw} lacks {data.names[-1]}, and the download failed"
    refused(data, lacks, "Connect to the internet", "by hand", dataset=dataset)
    with pytest.raises(DataFileError) as caught:
        load(tmp_path / "mistyped" / "data", dataset)
    assert ", ".join(data.names) in str(caught.value)
    assert not (tmp_path / "mistyped").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataFileError, match=r"notes\.txt"):
        load(tmp_path / "notes.txt", dataset)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("dataset", DATASETS)
def test_only_what_is_missing_is_downloaded_and_once(tiny, mirror, dataset):
    data = tiny(dataset)
    mirror.serve(dataset)
    mirror.files = {name: (data.raw / name).read_bytes() for name in data.names}
    before = data.snapshot()
    for missing in (data.names[:1], data.names):
        for path in data.raw.iterdir():
            if path.name in missing or path.name not in data.names:
                path.unlink()
        mirror.asked.clear()
        load(data, dataset)
        load(data, dataset)
        assert mirror.asked == set(missing)
        assert before.items() <= data.snapshot().items()


def test_a_download_that_is_not_the_whole_file_is_refused(tiny, mirror):
    data = tiny()
    missing = data.raw / PACKED[0]
    whole = missing.read_bytes()
    missing.unlink()
    for content, mirror.breaks_off in ((html(None), False), (whole, True)):
        mirror.files = {missing.name: content}
        refused(data, f"lacks {missing.name}, and the download failed")


# folders that cannot be written


def test_a_read_only_folder_is_unpacked_in_the_cache(tiny, read_only, tmp_path):
    data = tiny()
    before = data.snapshot()
    read_only(data.folder)
    train, valid, test = load(data)
    assert (len(train.dataset), len(valid.dataset), len(test.dataset)) == (50, 10, 20)
    cached = tmp_path / "cache" / "mnist_lessons" / "MNIST" / "raw"
    assert set(UNPACKED) <= {path.name for path in cached.iterdir()}
    assert data.snapshot() == before
    damaged = cached / UNPACKED[0]
    damaged.write_bytes(flip_a_byte(damaged.read_bytes()))
    refused(data, f"{damaged} is damaged")
    read_only(tmp_path)
    damaged.unlink()
    refused(data, f"Cannot write MNIST to {cached}", "MNIST_LESSONS_DATA")
    for name in PACKED:  # with unpacked files it needs no cache
        (data.raw / name.removesuffix(".gz")).write_bytes(
            gzip.decompress((data.raw / name).read_bytes())
        )
    load(data)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["shutil.copyfile", "Path.replace", "Path.mkdir"])
def test_a_full_disk_or_ctrl_c_leaves_nothing_half_written(
    tiny, monkeypatch, tmp_path, where, error
):
    data = tiny()
    before = data.snapshot()

    def stop(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"mnist_lessons.files.{where}", stop)
        if isinstance(error, OSError):
            refused(data, f"Cannot write MNIST to {data.raw}", "full", "Make room")
        else:
            with pytest.raises(KeyboardInterrupt):
                load(data)
    assert data.snapshot() == before
    assert not (tmp_path / "cache").exists()  # full is not read-only
    load(data)  # once there is space


def test_a_file_that_another_process_brought_meanwhile_is_not_overwritten(
    tiny, monkeypatch
):
    data = tiny()
    other = data.raw / UNPACKED[0]
    complete = shutil.copyfile

    def copy(source, target):
        # the other process is done while this one still unpacks
        other.write_bytes(gzip.decompress((data.raw / PACKED[0]).read_bytes()))
        os.utime(other, (1, 1))
        return complete(source, target)

    monkeypatch.setattr("mnist_lessons.files.shutil.copyfile", copy)
    load(data)
    assert other.stat().st_mtime == 1
