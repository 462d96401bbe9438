"""Opening a picture, whatever kind it is, as grey values. What `images.py` begins with.

Afterwards a picture is a float32 tensor (height, width), 0 for black and 1 for white,
with at most `LARGEST` pixels a side.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

LARGEST = 1000  # a longer picture is made smaller first: nothing is lost at 28x28
MOST_PIXELS = 150_000_000  # some small files unfold to fill the memory
# not all that Pillow knows: opening EPS, for one, would start another program
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
ADVICE = "Save the picture as PNG or JPEG and try again."


class ImageError(ValueError):
    """The picture cannot be read, or no digit is found in it."""


def read_grey(source: Any) -> Tensor:
    """Return the grey values of a file, a `PIL.Image.Image`, a tensor or an array.

    Raises:
        ImageError: there is no such file, it is no picture, it is damaged or too large;
            or the values are not grey values of shape (height, width).
    """
    if isinstance(source, str | os.PathLike):
        return _grey_of_file(Path(source))
    if isinstance(source, Image.Image):
        return _grey_of_picture(source)
    return _grey_of_values(source)


def _grey_of_file(path: Path) -> Tensor:
    if path.is_dir():
        raise ImageError(f"{path} is a folder; name the picture in it.")
    if not path.exists():
        raise ImageError(
            f"There is no file {path.absolute()}. Is the name right, and the folder?"
        )
    try:
        with path.open("rb") as file:
            start = file.read(12)
            if not start:
                raise ImageError(f"{path} is empty. {ADVICE}")
            file.seek(0)
            Image.init()
            with warnings.catch_warnings():
                # Pillow's own about size, and those about odd details in a file
                warnings.simplefilter("ignore")
                known = [name for name in FORMATS if name in Image.OPEN]
                with Image.open(file, formats=known) as picture:
                    return _grey_of_picture(picture)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: {_too_large('far too many')}") from error
    except UnidentifiedImageError as error:
        if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1"):
            raise ImageError(
                f"{path} is a HEIC photo, as iPhones take them, which cannot be read "
                "here. Export it as JPEG and try again."
            ) from error
        raise ImageError(f"{path} is not a picture. {ADVICE}") from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: you have no right to.") from error
    # a damaged file makes Pillow raise nearly anything
    except Exception as error:
        raise ImageError(
            f"{path} is damaged or incomplete ({error}). Get it again, or save it anew."
        ) from error


def _grey_of_picture(picture: Image.Image) -> Tensor:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ImageError(_too_large(f"{width} x {height}"))
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):  # 16 bits and more
        picture = ImageOps.exif_transpose(picture)
        values = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray(values / max(1.0, float(values.max())))
    else:
        picture.draft("RGB", (LARGEST, LARGEST))  # JPEG can be read at a half, a fourth
        picture = ImageOps.exif_transpose(picture)
        picture = _on_paper(picture) if picture.has_transparency_data else picture
        picture = picture.convert("RGB").convert("L")
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return _grey_of_values(np.array(picture))


def _too_large(size: str) -> str:
    return f"{size} pixels are too many. Make the picture smaller and try again."


def _on_paper(picture: Image.Image) -> Image.Image:
    """Lay a picture with transparent parts on white, or on black if its ink is white.

    A drawing in white on nothing would vanish on white paper.
    """
    picture = picture.convert("RGBA")
    values = np.asarray(picture.convert("LA"))
    drawn = values[..., 1] > 127
    is_light = drawn.mean() < 0.5 and drawn.any() and values[drawn, 0].mean() > 127
    paper = Image.new("RGBA", picture.size, "black" if is_light else "white")
    return Image.alpha_composite(paper, picture)


def _grey_of_values(source: Any) -> Tensor:
    try:
        values = torch.as_tensor(np.asarray(_plain(source))).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ImageError(
            f"A {type(source).__name__} is no picture. Give a file's name, a PIL "
            "image, or grey values in a tensor or an array of shape (height, width)."
        ) from error
    shape = tuple(values.shape)
    if len(shape) != 2 or 0 in shape:
        raise ImageError(
            f"The shape {shape} is not that of one grey picture, (height, width). "
            "Write image.squeeze() for a digit of shape (1, 28, 28); average the "
            "colours of an image in colour."
        )
    if not values.isfinite().all():
        raise ImageError(
            "Some of the grey values are not finite (NaN or infinite), so this is no "
            "picture. Find out where they come from."
        )
    if values.min() < 0:
        raise ImageError(
            f"Grey values go from 0 to 1 or from 0 to 255; the smallest here is "
            f"{values.min():.3g}. Undo the normalising: image * std + mean."
        )
    largest = float(values.max())
    values = values / (1 if largest <= 1 else 255 if largest <= 255 else largest)
    if max(shape) <= LARGEST:
        return values
    picture = Image.fromarray(values.numpy())
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return torch.as_tensor(np.array(picture))


def _plain(source: Any) -> Any:
    return source.detach().cpu() if isinstance(source, Tensor) else source
