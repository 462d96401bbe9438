"""Where the files are looked for, and what happens to damaged and missing ones."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from mnist_lessons import files, load_mnist
from mnist_lessons.data import find_digits
from mnist_lessons.files import DataFileError, data_folder

ROOT = Path(__file__).resolve().parent.parent
UNPACKED = [
    f"{part}-{kind}"
    for part in ("train", "t10k")
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
]
PACKED = [name + ".gz" for name in UNPACKED]

pytestmark = pytest.mark.usefixtures("isolated")


def flip_a_byte(path, position=-20):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


# where to look


def test_the_argument_comes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(tmp_path / "environment"))
    assert data_folder(tmp_path / "argument") == tmp_path / "argument"
    assert data_folder(str(tmp_path / "argument")) == tmp_path / "argument"


def test_the_environment_comes_before_the_checkout(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path


@pytest.mark.parametrize("value", [None, ""])
def test_the_checkout_comes_before_the_cache(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("MNIST_LESSONS_DATA", value)
    monkeypatch.setattr(files, "__file__", str(ROOT / "mnist_lessons" / "files.py"))
    assert data_folder(None) == ROOT / "data"


def test_an_installed_package_uses_the_cache(monkeypatch, tmp_path):
    installed = tmp_path / "site-packages" / "mnist_lessons" / "files.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(installed))
    assert data_folder(None) == tmp_path / "cache" / "mnist_lessons"
    # another package's "data" folder beside it is not a checkout
    (tmp_path / "site-packages" / "data").mkdir()
    assert data_folder(None) == tmp_path / "cache" / "mnist_lessons"


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_set(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(files, "__file__", str(tmp_path / "a" / "b" / "files.py"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert data_folder(None) == tmp_path / ".cache" / "mnist_lessons"


def test_a_tilde_means_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert data_folder("~/digits") == tmp_path / "digits"
    monkeypatch.setenv("MNIST_LESSONS_DATA", "~/others")
    assert data_folder(None) == tmp_path / "others"


def test_load_mnist_reads_the_folder_of_the_environment(monkeypatch, tiny):
    data = tiny()
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(data.folder))
    assert len(load_mnist(valid_size=10).train.dataset) == 50


def test_load_mnist_prefers_its_argument_to_the_environment(
    monkeypatch, tiny, tmp_path
):
    data = tiny()
    monkeypatch.setenv("MNIST_LESSONS_DATA", str(tmp_path / "elsewhere"))
    assert len(load_mnist(data.folder, valid_size=10).train.dataset) == 50
    assert not (tmp_path / "elsewhere").exists()


# unpacking


def test_packed_files_are_unpacked_beside_themselves_without_a_network(tiny):
    data = tiny()
    packed = data.snapshot()
    load_mnist(data.folder, valid_size=10)
    assert sorted(p.name for p in data.raw.iterdir()) == sorted(PACKED + UNPACKED)
    after = data.snapshot()
    assert all(after[name] == content for name, content in packed.items())


def test_a_second_call_changes_nothing(tiny):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    before = data.snapshot()
    times = {path: path.stat().st_mtime_ns for path in data.raw.iterdir()}
    load_mnist(data.folder, valid_size=10)
    assert data.snapshot() == before
    assert {path: path.stat().st_mtime_ns for path in data.raw.iterdir()} == times


def test_unpacked_files_alone_are_enough(tiny):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    for name in PACKED:
        (data.raw / name).unlink()
    load_mnist(data.folder, valid_size=10)
    assert sorted(p.name for p in data.raw.iterdir()) == sorted(UNPACKED)


def test_an_unpacked_file_that_was_deleted_comes_back(tiny):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    before = data.snapshot()
    (data.raw / UNPACKED[1]).unlink()
    load_mnist(data.folder, valid_size=10)
    assert data.snapshot() == before


def test_other_files_in_the_folder_stay(tiny):
    data = tiny()
    (data.raw / "notes.txt").write_text("mine")
    load_mnist(data.folder, valid_size=10)
    assert (data.raw / "notes.txt").read_text() == "mine"


def test_torchvision_reads_the_folder_that_find_digits_returns(tiny):
    data = tiny()
    folder = find_digits(data.folder)
    assert folder == data.folder
    assert len(datasets.MNIST(folder, train=False)) == 20
    with pytest.raises(ValueError, match="dataset='mnist'"):
        find_digits(data.folder, "mnist")


# damaged files


@pytest.mark.parametrize(
    "damage", [flip_a_byte, cut, lambda path: path.write_bytes(b"")]
)
@pytest.mark.parametrize("name", PACKED)
def test_a_damaged_packed_file_is_named_and_left_alone(tiny, name, damage):
    data = tiny()
    damage(data.raw / name)
    before = data.snapshot()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    assert str(data.raw / name) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert "Move it away" in str(caught.value)
    assert data.snapshot() == before


@pytest.mark.parametrize("name", PACKED)
def test_a_damaged_packed_file_is_noticed_beside_whole_unpacked_ones(tiny, name):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    flip_a_byte(data.raw / name)
    before = data.snapshot()
    with pytest.raises(DataFileError, match=name):
        load_mnist(data.folder, valid_size=10)
    assert data.snapshot() == before


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:6]),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(b"<html>log in to this network</html>"),
    ],
)
@pytest.mark.parametrize("name", UNPACKED)
def test_a_damaged_unpacked_file_is_named_and_left_alone(tiny, name, damage):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    damage(data.raw / name)
    before = data.snapshot()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    message = str(caught.value)
    assert f"{data.raw / name} is damaged" in message
    assert "Delete it and run this again" in message
    assert data.snapshot() == before
    # and the advice works
    (data.raw / name).unlink()
    load_mnist(data.folder, valid_size=10)


def test_a_truncated_unpacked_file_is_noticed_without_its_packed_one(tiny):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    for name in PACKED:
        (data.raw / name).unlink()
    cut(data.raw / UNPACKED[0])
    before = data.snapshot()
    with pytest.raises(DataFileError, match=UNPACKED[0]):
        load_mnist(data.folder, valid_size=10)
    assert data.snapshot() == before


def test_the_sums_of_the_real_files_are_those_that_torchvision_knows():
    for name, md5 in datasets.MNIST.resources:
        content = (ROOT / "data" / "MNIST" / "raw" / name).read_bytes()
        assert hashlib.md5(content).hexdigest() == md5


# missing files


@pytest.mark.parametrize("name", PACKED)
def test_a_missing_file_without_a_network_is_named(tiny, name):
    data = tiny()
    (data.raw / name).unlink()
    before = data.snapshot()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    message = str(caught.value)
    assert f"{data.raw} lacks {name}, and the download failed" in message
    assert "Connect to the internet" in message
    assert data.snapshot() == before


def test_an_empty_folder_without_a_network_names_every_file(tmp_path):
    with pytest.raises(DataFileError) as caught:
        load_mnist(tmp_path / "new")
    assert all(name in str(caught.value) for name in PACKED)
    assert not any(path.is_file() for path in (tmp_path / "new").rglob("*"))


@pytest.mark.parametrize("dataset", ["EMNIST-balanced", "EMNIST-digits", "QMNIST"])
def test_other_missing_data_sets_are_named_too(tiny, dataset):
    data = tiny(dataset)
    for name in data.names:
        (data.raw / name).unlink()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, dataset=dataset, valid_size=10)
    assert all(name in str(caught.value) for name in data.names)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataFileError, match=r"notes\.txt"):
        load_mnist(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("missing", [PACKED[1:2], PACKED[2:], PACKED])
def test_only_what_is_missing_is_downloaded(tiny, mirror, missing):
    data = tiny()
    before = data.snapshot()
    mirror.files = {name: (data.raw / name).read_bytes() for name in PACKED}
    for name in missing:
        (data.raw / name).unlink()
    load_mnist(data.folder, valid_size=10)
    assert mirror.asked == set(missing)
    after = data.snapshot()
    assert all(after[name] == content for name, content in before.items())


def test_nothing_is_downloaded_where_nothing_is_missing(tiny, mirror):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    load_mnist(data.folder, valid_size=10)
    assert mirror.asked == set()


def test_the_real_labels_are_downloaded_into_the_real_rest(mirror, tmp_path, loaders):
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(
        ROOT / "data" / "MNIST" / "raw", raw, ignore=lambda _, names: UNPACKED
    )
    missing = "t10k-labels-idx1-ubyte.gz"
    content = (raw / missing).read_bytes()
    (raw / missing).unlink()
    mirror.files = {missing: content}
    test = load_mnist(tmp_path / "data").test
    assert mirror.asked == {missing}
    assert (raw / missing).read_bytes() == content
    assert torch.equal(test.dataset.labels, loaders.test.dataset.labels)


def test_a_download_that_is_not_the_file_is_refused(tiny, mirror):
    # the log-in page of a hotel, say
    data = tiny()
    missing = PACKED[3]
    (data.raw / missing).unlink()
    before = data.snapshot()
    mirror.files = {missing: b"<html>log in to this network</html>"}
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    assert f"lacks {missing}, and the download failed" in str(caught.value)
    assert data.snapshot() == before


def test_a_download_that_breaks_off_is_refused(tiny, mirror):
    data = tiny()
    missing = PACKED[0]
    mirror.files = {missing: (data.raw / missing).read_bytes()}
    mirror.breaks_off = True
    (data.raw / missing).unlink()
    before = data.snapshot()
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    assert f"lacks {missing}, and the download failed" in str(caught.value)
    assert data.snapshot() == before


# folders that cannot be written


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_files_of_a_read_only_folder_are_unpacked_in_the_cache(
    tiny, read_only, tmp_path, number
):
    data = tiny()
    before = data.snapshot()
    read_only(data.folder, OSError, number)
    train, valid, test = load_mnist(data.folder, valid_size=10)
    assert (len(train.dataset), len(valid.dataset), len(test.dataset)) == (50, 10, 20)
    cached = tmp_path / "cache" / "mnist_lessons" / "MNIST" / "raw"
    assert set(UNPACKED) <= {path.name for path in cached.iterdir()}
    assert data.snapshot() == before


def test_a_read_only_folder_with_unpacked_files_needs_no_cache(
    tiny, read_only, tmp_path
):
    data = tiny()
    load_mnist(data.folder, valid_size=10)
    read_only(data.folder)
    load_mnist(data.folder, valid_size=10)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_in_the_cache_is_named(tiny, read_only, tmp_path):
    data = tiny()
    read_only(data.folder)
    load_mnist(data.folder, valid_size=10)
    cached = tmp_path / "cache" / "mnist_lessons" / "MNIST" / "raw" / UNPACKED[0]
    flip_a_byte(cached)
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    assert f"{cached} is damaged" in str(caught.value)


def test_where_the_cache_is_read_only_too_the_message_says_so(
    tiny, read_only, tmp_path
):
    data = tiny()
    read_only(tmp_path)
    with pytest.raises(DataFileError) as caught:
        load_mnist(data.folder, valid_size=10)
    assert str(tmp_path / "cache") in str(caught.value)
    assert "MNIST_LESSONS_DATA" in str(caught.value)


def test_a_folder_without_write_permission_works(tiny, tmp_path):
    data = tiny()
    before = data.snapshot()
    data.raw.chmod(0o555)
    try:
        if os.access(data.raw, os.W_OK):
            pytest.skip("root may write everywhere, and Windows has other permissions")
        load_mnist(data.folder, valid_size=10)
        assert data.snapshot() == before
    finally:
        data.raw.chmod(0o755)
    assert (tmp_path / "cache" / "mnist_lessons" / "MNIST" / "raw").is_dir()


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_a_file(source, target, _length):
    target.write(source.read(100))
    full_disk()


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("mnist_lessons.packed.shutil.copyfileobj", half_a_file),
        ("mnist_lessons.packed.gzip.open", full_disk),
        ("mnist_lessons.files.tempfile.TemporaryDirectory", full_disk),
    ],
)
def test_a_full_disk_is_named_and_nothing_is_left_half_written(
    tiny, monkeypatch, tmp_path, where, what
):
    data = tiny()
    before = data.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(where, what)
        with pytest.raises(DataFileError) as caught:
            load_mnist(data.folder, valid_size=10)
    message = str(caught.value)
    assert f"Cannot write MNIST to {data.raw}" in message
    assert os.strerror(errno.ENOSPC) in message
    assert "Free some space" in message
    assert data.snapshot() == before
    assert not (tmp_path / "cache").exists()  # full is not read-only
    load_mnist(data.folder, valid_size=10)  # once there is space


def test_a_crash_while_unpacking_leaves_nothing_half_written(tiny, monkeypatch):
    data = tiny()
    before = data.snapshot()

    def crash(source, target, _length):
        target.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mnist_lessons.packed.shutil.copyfileobj", crash)
        with pytest.raises(KeyboardInterrupt):
            load_mnist(data.folder, valid_size=10)
    assert data.snapshot() == before


def test_a_file_that_another_process_brought_meanwhile_is_not_overwritten(
    tiny, monkeypatch
):
    data = tiny()
    complete = shutil.copyfileobj

    def copy(source, target, length):
        # the other process is done while this one still unpacks
        (data.raw / UNPACKED[0]).write_bytes(b"of the other")
        return complete(source, target, length)

    monkeypatch.setattr("mnist_lessons.packed.shutil.copyfileobj", copy)
    files.prepare(datasets.MNIST, {}, data.folder)
    assert (data.raw / UNPACKED[0]).read_bytes() == b"of the other"


def test_two_processes_can_unpack_the_same_folder_at_once(tmp_path):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in PACKED:
        shutil.copyfile(ROOT / "data" / "MNIST" / "raw" / name, raw / name)
    code = (
        "import pathlib, sys, time\n"
        "from torchvision import datasets\n"
        "from mnist_lessons.files import prepare\n"
        "folder, me = map(pathlib.Path, sys.argv[1:])\n"
        "me.touch()\n"
        "while len(list(me.parent.glob('ready-*'))) < 2: time.sleep(0.001)\n"
        "prepare(datasets.MNIST, {}, folder)\n"
        "assert len(datasets.MNIST(folder)) == 60_000\n"
    )
    # the package that is tested here, wherever these processes find another one
    package = str(Path(files.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "data", tmp_path / f"ready-{i}"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for i in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(path.name for path in raw.iterdir()) == sorted(PACKED + UNPACKED)


def test_a_mistyped_folder_leaves_nothing_behind(isolated, tmp_path):
    with pytest.raises(DataFileError):
        load_mnist(tmp_path / "mistyped" / "data")
    assert not (tmp_path / "mistyped").exists()
