"""Opening any picture as grey values, float32 (height, width): 0 black, 1 white."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mnist_lessons.arguments import LessonsError
from mnist_lessons.photos.filtering import resize

LARGEST = 1000  # a longer picture is made smaller first: nothing is lost at 28x28
# not all that Pillow knows: opening EPS, for one, would start another program
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")


class ImageError(LessonsError, ValueError):
    """The picture cannot be read, or no digit is found in it."""


def read_grey(source: Any) -> Tensor:
    """Return the grey values of a file, a `PIL.Image.Image`, a tensor or an array.

    Raises an `ImageError` if there is no such file, or it is no picture, damaged or too
    large; or if the values are not grey values of shape (height, width).
    """
    if isinstance(source, str | os.PathLike):
        return _grey_of_file(Path(source))
    if isinstance(source, Image.Image):
        return _grey_of_picture(source)
    return _grey_of_values(source)


def _grey_of_file(path: Path) -> Tensor:
    if not path.is_file():
        raise ImageError(
            f"There is no file {path.absolute()}. Is the name right, and the folder?"
        )
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        # Pillow warns of large pictures, and of odd details in a file
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=known) as picture,
        ):
            return _grey_of_picture(picture)
    except Image.DecompressionBombError:  # a small file that would fill the memory
        why = "has too many pixels. Make it smaller and try again."
    except UnidentifiedImageError:
        why = (
            "is not a picture of a kind that can be read here (nor is a HEIC photo of "
            "an iPhone). Save it as PNG or JPEG and try again."
        )
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        why = f"is damaged or incomplete ({error}). Get it again, or save it anew."
    raise ImageError(f"{path} {why}")


def _grey_of_picture(picture: Image.Image) -> Tensor:
    picture.draft("RGB", (LARGEST, LARGEST))  # JPEG can be read at a half, a fourth
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):  # 16 bits and more
        values = np.asarray(picture, dtype=np.float32)
        return _grey_of_values(values / max(1.0, float(values.max())))
    picture = _on_paper(picture) if picture.has_transparency_data else picture
    picture = picture.convert("RGB").convert("L")
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return _grey_of_values(np.array(picture))


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
    plain = source.detach().cpu() if isinstance(source, Tensor) else source
    try:
        values = torch.as_tensor(np.asarray(plain)).float()
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
    if not values.min() >= 0:  # not a number, for one
        raise ImageError(
            f"Grey values go from 0 to 1 or from 0 to 255; the smallest here is "
            f"{values.min():.3g}. Undo the normalising: image * std + mean."
        )
    largest = float(values.max())
    values = values / (1 if largest <= 1 else 255 if largest <= 255 else largest)
    return resize(values, LARGEST)
