"""Where the files of digits live, and whether they are whole.

torchvision downloads, unpacks and reads them, but takes any file that is there for a
whole one. This module refuses damaged files first. No file that it finds is changed.
"""

import contextlib
import gzip
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torchvision import datasets
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor
from torchvision.datasets.utils import check_integrity

from mnist_lessons.arguments import LessonsError

# Debian's package dataset-fashion-mnist holds the files packed anew, so with other sums
INSTALLED = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
# 1,797 digits of thirteen people, 57 KB: its name and its MD5 sum
OPTDIGITS = ("digits.csv.gz", "9b335364a7bfd63947c7480a5bd51f2d")


class DataFileError(LessonsError, RuntimeError):
    """A file of digits is damaged, or missing and out of reach."""


def data_folder(data_dir: str | os.PathLike | None) -> Path:
    """Return the folder to look in; `load_mnist` lists the places in their order."""
    if not isinstance(data_dir, str | os.PathLike | None):
        raise ValueError(
            f"data_dir={data_dir!r} is not a folder. Name the other arguments, as in "
            "load_mnist(batch_size=64)."
        )
    if folder := data_dir or os.environ.get("MNIST_LESSONS_DATA"):
        return Path(folder).expanduser()
    return _own_folder() or _cache_folder()


def _own_folder() -> Path | None:
    """Return the folder of a checkout; an installed package has none."""
    checkout = Path(__file__).resolve().parent.parent
    is_one = (checkout / "pyproject.toml").is_file() and (checkout / "data").is_dir()
    return checkout / "data" if is_one else None


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mnist_lessons"


def read_digits(dataset_class: Any, options: dict[str, str], folder: Path) -> list[Any]:
    """Return torchvision's data sets of training and test images, of whole files.

    Packed files are looked for in `folder/MNIST/raw` (or `FashionMNIST/raw`, ...), in
    `folder` itself, and where a package of the system puts them. They are unpacked into
    the cache where `folder` is read-only, or somebody's own collection of packed files.
    A file that is damaged or cannot be had or written raises a `DataFileError`.
    """
    kind = dataset_class.__name__
    raw = folder / kind / "raw"
    for place in (folder, _cache_folder()):
        _check_files(dataset_class, place / kind / "raw")
        with contextlib.suppress(RuntimeError):  # what torchvision says if one lacks
            return _open(dataset_class, options, place)
    packed = _find_packed(dataset_class, [raw, folder, INSTALLED.get(kind, raw)])
    collection = not raw.exists() and any(p.parent == folder for p in packed.values())
    writable = os.access(_nearest_folder(raw), os.W_OK)
    target = folder if writable and not collection else _cache_folder()
    try:
        _complete(dataset_class, options, packed, target / kind / "raw")
    except (RuntimeError, URLError, ConnectionError, TimeoutError) as error:
        missing = [name for name in _packed_sums(dataset_class) if name not in packed]
        raise DataFileError(
            f"{raw} lacks {', '.join(missing)}, and the download failed. Connect to "
            "the internet and run this again, or copy the files there by hand, as they "
            f"are, from a machine that could download them. ({error})"
        ) from error
    except OSError as error:
        raise DataFileError(
            f"Cannot write {kind} to {target / kind / 'raw'}: {error}. Make room, or "
            "name another folder: data_dir=..., or $MNIST_LESSONS_DATA."
        ) from error
    return _open(dataset_class, options, target)


def find_optdigits(data_dir: str | os.PathLike | None) -> Path:
    """Return the packed file of other people's digits, which is whole.

    It lies in `optdigits/` in the folder that `data_folder` names, or in that folder,
    or else in the checkout's `data/`, or in the package if it was installed.
    """
    folder, own = data_folder(data_dir), _own_folder() or Path(__file__).parent
    named = [folder / "optdigits", folder]
    places, (name, md5) = [*named, own / "optdigits"], OPTDIGITS
    path = next((place / name for place in places if (place / name).is_file()), None)
    if path is None:
        raise DataFileError(
            f"{named[0]} lacks {name}, and so does the package. Copy it there from the "
            "project's folder data/optdigits."
        )
    if not check_integrity(path, md5):
        raise DataFileError(
            f"{path} is damaged or incomplete, or is another file: its MD5 sum should "
            f"be {md5}. Move it away and run this again, or put a fresh copy there, "
            "from the project's folder data/optdigits."
        )
    return path


def _open(dataset_class: Any, options: dict[str, Any], folder: Path) -> list[Any]:
    return [dataset_class(folder, train=train, **options) for train in (True, False)]


def _nearest_folder(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _complete(dataset_class: Any, options: dict, packed: dict, raw: Path) -> None:
    """Let torchvision unpack the packed files, and download those that are missing.

    Only whole files leave a temporary folder, and none replaces a file that is there: a
    broken download, a full disk or a second process leaves nothing half-written.
    """
    with tempfile.TemporaryDirectory(dir=_nearest_folder(raw)) as staging:
        staged = Path(staging, dataset_class.__name__, "raw")
        staged.mkdir(parents=True)
        for name, path in packed.items():
            if path.parent in INSTALLED.values():  # torchvision would refuse it
                with gzip.open(path) as file:
                    (staged / path.stem).write_bytes(file.read())
            else:
                shutil.copyfile(path, staged / name)
        _open(dataset_class, options | {"download": True}, Path(staging))
        raw.mkdir(parents=True, exist_ok=True)
        for path in staged.iterdir():
            # of EMNIST's many splits, which are gigabytes, only the one asked for
            wanted = path.suffix or options.get("split", "") in path.name
            if wanted and not (raw / path.name).exists():
                path.replace(raw / path.name)


def _find_packed(dataset_class: Any, places: list[Path]) -> dict[str, Path]:
    """Return the packed files that are in one of the places, by name; all are whole."""
    packed = {}
    for name, md5 in _packed_sums(dataset_class).items():
        path = next((p / name for p in places if (p / name).is_file()), None)
        if path is None:
            continue
        if path.parent not in INSTALLED.values() and not check_integrity(path, md5):
            raise DataFileError(
                f"{path} is damaged or incomplete, or belongs to another data set than "
                f"{dataset_class.__name__}: its MD5 sum should be {md5}. Move it away "
                "and run this again; a fresh copy will be downloaded. (In a git "
                "checkout, `git checkout -- data` brings the original back.)"
            )
        packed[name] = path
    return packed


def _packed_sums(dataset_class: Any) -> dict[str, str]:
    """Return the names of the files to download, and the MD5 sum of each."""
    if dataset_class is datasets.EMNIST:
        return {Path(datasets.EMNIST.url).name: datasets.EMNIST.md5}
    if dataset_class is datasets.QMNIST:
        parts = datasets.QMNIST.resources
        return {Path(url).name: md5 for url, md5 in parts["train"] + parts["test"]}
    return dict(dataset_class.resources)


def _check_files(dataset_class: Any, raw: Path) -> None:
    _find_packed(dataset_class, [raw])  # complains of a damaged one
    for path in raw.glob("*-idx*"):
        if not path.suffix and not _is_whole(path):
            advice = "Delete it and run this again; it will be unpacked afresh."
            raise DataFileError(f"{path} is damaged or incomplete. {advice}")


def _is_whole(path: Path) -> bool:
    """Compare an unpacked file with its own header and with the .gz file beside it."""
    try:
        read_sn3_pascalvincent_tensor(str(path))
    except Exception:  # of any type: it was written for whole files
        return False
    packed = path.with_name(path.name + ".gz")
    # a .gz file ends with the CRC-32 of what it holds, and its length (RFC 1952)
    crc = packed.read_bytes()[-8:-4] if packed.exists() else None
    return crc in (None, zlib.crc32(path.read_bytes()).to_bytes(4, "little"))
