"""Packed files: finding, checking, downloading and unpacking them."""

import contextlib
import gzip
import hashlib
import shutil
import zipfile
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torchvision.datasets.utils import download_url

from mnist_lessons.sources import (
    ADVICE,
    MEGABYTES,
    UNPACKED_MD5,
    addresses,
    packed_sums,
)


class DataFileError(RuntimeError):
    """A file of digits is damaged, or missing and out of reach."""


def find_packed(dataset_class: Any, places: list[Path]) -> dict[str, Path]:
    """Return the packed files that are in one of the places, by name.

    Raises:
        DataFileError: one of them is not what it should be.
    """
    found = {}
    for name, md5 in packed_sums(dataset_class).items():
        for place in places:
            if (place / name).is_file():
                _check_packed(dataset_class, place / name, md5)
                found[name] = place / name
                break
    return found


def _check_packed(dataset_class: Any, path: Path, md5: str) -> None:
    """Compare a packed file, or else what is in it, with its MD5 sum."""
    with path.open("rb") as file:
        if _md5(file) == md5:
            return
    inside = UNPACKED_MD5.get(dataset_class.__name__, {}).get(path.stem)
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
        if inside and _md5(file) == inside:
            return
    raise DataFileError(
        f"{path} is damaged or incomplete, or belongs to another data set than "
        f"{dataset_class.__name__}: its MD5 sum should be {md5}. Move it away and run "
        "this again; a fresh copy will be downloaded. (In a git checkout, `git "
        "checkout -- data` brings the original back.)"
    )


def _md5(file: BufferedIOBase) -> str:
    return hashlib.file_digest(file, "md5").hexdigest()


def download(
    dataset_class: Any, there: set[str], staged: Path, place: Path
) -> dict[str, Path]:
    """Download into `staged` what is not there yet; return the files by name.

    Raises:
        DataFileError: that failed; the message says what `place` lacks.
    """
    missing = {n: m for n, m in packed_sums(dataset_class).items() if n not in there}
    for name, md5 in missing.items():
        urls, errors = addresses(dataset_class, name), []
        for url in urls:
            try:
                download_url(url, staged, name, md5)
                break
            except (RuntimeError, URLError, ConnectionError, TimeoutError) as error:
                errors.append(f"{url}: {error}")
        else:
            kind = dataset_class.__name__
            raise DataFileError(
                f"{place} lacks {', '.join(missing)}, and the download failed. ({kind} "
                f"is {MEGABYTES[kind]} MB in all.) Connect to the internet and run "
                "this again, or copy the files there by hand, as they are, from a "
                f"machine that could download them.{ADVICE.get(kind, '')} The download "
                f"said: {'; '.join(errors)}"
            )
    return {name: staged / name for name in missing}


def unpack(packed: dict[str, Path], name: str, folder: Path) -> None:
    """Write the unpacked file of this name; all of EMNIST is in one archive."""
    with contextlib.ExitStack() as stack:
        if name + ".gz" in packed:
            source: Any = packed[name + ".gz"]
        else:
            (archive,) = packed.values()
            members = stack.enter_context(zipfile.ZipFile(archive))
            source = stack.enter_context(members.open(f"gzip/{name}.gz"))
        unzipped = stack.enter_context(gzip.open(source))
        target = stack.enter_context((folder / name).open("wb"))
        shutil.copyfileobj(unzipped, target, 1 << 20)
