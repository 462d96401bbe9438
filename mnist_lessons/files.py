"""Finding, checking and unpacking the files of digits.

torchvision downloads, unpacks and reads them. This module decides where they live and
refuses damaged ones before torchvision sees them. No file that it finds is changed.
"""

import contextlib
import errno
import hashlib
import math
import os
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torchvision import datasets


class DataFileError(RuntimeError):
    """A file of digits is damaged, or missing and out of reach."""


def data_folder(data_dir: str | os.PathLike | None) -> Path:
    """Return the folder to look in; `load_mnist` lists the places in their order."""
    if data_dir is not None:
        if not isinstance(data_dir, str | os.PathLike):
            raise ValueError(
                f"data_dir={data_dir!r} is not a folder. Name the other arguments, as "
                "in load_mnist(batch_size=64)."
            )
        return Path(data_dir).expanduser()
    if from_environment := os.environ.get("MNIST_LESSONS_DATA"):
        return Path(from_environment).expanduser()
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir():
        return checkout / "data"
    return _cache_folder()


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mnist_lessons"


def prepare(dataset_class: Any, options: dict[str, str], folder: Path) -> Path:
    """Make the unpacked files ready; return the folder to read them from.

    Args:
        dataset_class: a class from `torchvision.datasets`.
        options: what the class needs besides the folder.
        folder: where to look and, unless it is read-only, to unpack.

    Raises:
        DataFileError: a file is damaged, cannot be downloaded, or cannot be written.
    """
    for target in (folder, _cache_folder()):
        _verify(dataset_class, options, target)
        raw = _raw(dataset_class, target)
        if all((raw / name).exists() for name in _unpacked(dataset_class, options)):
            return target
        try:
            _complete(dataset_class, options, source=folder, target=target)
            return target
        except OSError as error:
            read_only = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if not (read_only and target == folder):
                full = error.errno == errno.ENOSPC
                advice = "Free some space there" if full else "Check this path"
                raise DataFileError(
                    f"Cannot write {dataset_class.__name__} to {raw}: {error}. "
                    f"{advice}, or name another folder with data_dir=... or the "
                    "environment variable MNIST_LESSONS_DATA."
                ) from error
    raise AssertionError("unreachable: the cache either worked or raised")


def _raw(dataset_class: Any, folder: Path) -> Path:
    return folder / dataset_class.__name__ / "raw"


def _packed(dataset_class: Any) -> dict[str, str]:
    """Return the names of the files to download, and the MD5 sum of each."""
    if dataset_class is datasets.EMNIST:
        return {Path(datasets.EMNIST.url).name: datasets.EMNIST.md5}
    if dataset_class is datasets.QMNIST:
        parts = datasets.QMNIST.resources["train"] + datasets.QMNIST.resources["test"]
        return {Path(url).name: md5 for url, md5 in parts}
    return dict(dataset_class.resources)


def _unpacked(dataset_class: Any, options: dict[str, str]) -> list[str]:
    """Return the names of the files that torchvision reads."""
    if dataset_class is datasets.EMNIST:
        starts = [f"emnist-{options['split']}-{part}" for part in ("train", "test")]
        kinds = ["images-idx3-ubyte", "labels-idx1-ubyte"]
        return [f"{start}-{kind}" for start in starts for kind in kinds]
    return [Path(name).stem for name in _packed(dataset_class)]


def _verify(dataset_class: Any, options: dict[str, str], folder: Path) -> None:
    """Raise `DataFileError` if a file that is there is not what it should be."""
    raw = _raw(dataset_class, folder)
    for name, md5 in _packed(dataset_class).items():
        if (raw / name).exists() and _md5(raw / name) != md5:
            raise DataFileError(
                f"{raw / name} is damaged or incomplete: its MD5 sum should be {md5}. "
                "Move it away and run this again; a fresh copy will be downloaded. "
                "(In a git checkout, `git checkout -- data` brings the original back.)"
            )
    for name in _unpacked(dataset_class, options):
        if (raw / name).exists() and not _is_whole(raw / name):
            raise DataFileError(
                f"{raw / name} is damaged or incomplete. "
                "Delete it and run this again; it will be unpacked afresh."
            )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _is_whole(path: Path) -> bool:
    """Compare an unpacked file with its own header and with the .gz file beside it."""
    content = path.read_bytes()
    dimensions = content[3] if len(content) > 3 else 0
    if len(content) < 4 + 4 * dimensions:
        return False
    values = math.prod(struct.unpack_from(f">{dimensions}I", content, 4))
    bytes_a_value = {8: 1, 12: 4}.get(content[2], 0)
    if len(content) != 4 + 4 * dimensions + values * bytes_a_value:
        return False
    packed = path.with_name(path.name + ".gz")
    if not packed.exists():
        return True
    # a .gz file ends with the CRC-32 and the length of what it holds (RFC 1952)
    crc, _length = struct.unpack("<II", packed.read_bytes()[-8:])
    return zlib.crc32(content) == crc


def _complete(
    dataset_class: Any, options: dict[str, str], *, source: Path, target: Path
) -> None:
    """Let torchvision download and unpack what `source` lacks, and move it to `target`.

    torchvision works in a temporary folder, and only whole files are moved on, never
    over a file that is there. So a broken download, a full disk or a second process at
    the same work leaves nothing half-written.
    """
    raw = _raw(dataset_class, target)
    new = [folder for folder in (raw, *raw.parents) if not folder.exists()]
    try:
        _unpack_beside(raw, dataset_class, options, _raw(dataset_class, source))
    except BaseException:
        for folder in new:  # leave no empty folders behind, after a mistyped path, say
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _unpack_beside(
    raw: Path, dataset_class: Any, options: dict[str, str], place: Path
) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=raw, prefix="incomplete-") as staging:
        staged = _raw(dataset_class, Path(staging))
        staged.mkdir(parents=True)
        for name in _packed(dataset_class):
            if (found := place / name).exists():
                shutil.copyfile(found, staged / name)
        try:
            for is_train in (True, False):
                dataset_class(staging, train=is_train, download=True, **options)
        except (RuntimeError, URLError, ConnectionError, TimeoutError) as error:
            missing = [n for n in _packed(dataset_class) if not (place / n).exists()]
            raise DataFileError(
                f"{place} lacks {', '.join(missing)}, and the "
                f"download failed. Connect to the internet and run this again, or copy "
                f"the files there by hand. The download said: {error}"
            ) from error
        for name in [*_packed(dataset_class), *_unpacked(dataset_class, options)]:
            if not (raw / name).exists():
                (staged / name).replace(raw / name)
