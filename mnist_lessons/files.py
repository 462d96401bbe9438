"""Where the files of digits live, and whether they are whole.

torchvision reads them. This module decides from which folder, and refuses damaged files
before torchvision sees them. No file that it finds is changed.
"""

import contextlib
import errno
import math
import os
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

from mnist_lessons.packed import DataFileError, download, find_packed, unpack
from mnist_lessons.sources import INSTALLED, unpacked_names

__all__ = ["DataFileError", "data_folder", "prepare"]


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

    Packed files are looked for in `folder/MNIST/raw` (or `FashionMNIST/raw`, ...), in
    `folder` itself, and where a package of the system puts them.

    Args:
        dataset_class: a class from `torchvision.datasets`.
        options: what the class needs besides the folder.
        folder: where to look and, unless it is read-only or holds the packed files
            themselves, to unpack.

    Raises:
        DataFileError: a file is damaged, cannot be downloaded, or cannot be written.
    """
    targets = [folder, _cache_folder()]
    bare = not _raw(dataset_class, folder).exists()
    if bare and find_packed(dataset_class, [folder]):
        targets.remove(folder)  # somebody's own collection: leave it as it is
    for target in targets:
        _verify(dataset_class, options, target)
        raw = _raw(dataset_class, target)
        if all((raw / n).exists() for n in unpacked_names(dataset_class, options)):
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


def _verify(dataset_class: Any, options: dict[str, str], folder: Path) -> None:
    """Raise `DataFileError` if a file that is there is not what it should be."""
    raw = _raw(dataset_class, folder)
    find_packed(dataset_class, [raw])
    for name in unpacked_names(dataset_class, options):
        if (raw / name).exists() and not _is_whole(raw / name):
            raise DataFileError(
                f"{raw / name} is damaged or incomplete. "
                "Delete it and run this again; it will be unpacked afresh."
            )


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
    """Download and unpack what `source` lacks, and put it into `target`.

    The work is done in a temporary folder, and only whole files are moved on, never
    over a file that is there. So a broken download, a full disk or a second process at
    the same work leaves nothing half-written.
    """
    raw = _raw(dataset_class, target)
    new = [folder for folder in (raw, *raw.parents) if not folder.exists()]
    places = [_raw(dataset_class, source), source]
    if installed := INSTALLED.get(dataset_class.__name__):
        places.append(installed)
    packed = find_packed(dataset_class, places)
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw, prefix="incomplete-") as staging:
            staged = Path(staging)
            for name, path in packed.items():  # they vouch for what is in them
                if name.endswith(".gz") and path.parent != raw:
                    shutil.copyfile(path, staged / name)
            packed |= download(dataset_class, set(packed), staged, places[0])
            for name in unpacked_names(dataset_class, options):
                unpack(packed, name, staged)
            for path in list(staged.iterdir()):
                if not (raw / path.name).exists():
                    path.replace(raw / path.name)
    except BaseException:
        for folder in new:  # leave no empty folders behind, after a mistyped path, say
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
