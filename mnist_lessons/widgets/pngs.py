"""Digits as image data that a page can show without asking for a file."""

import base64
import io

import torch
from PIL import Image
from torch import Tensor


def as_png(image: Tensor) -> str:
    """Return a grey image as a PNG in a data URL, one pixel a value.

    Args:
        image: (height, width), from 0, black, to 1, white; values outside are cut off.

    Raises:
        ValueError: `image` is not of shape (height, width).
    """
    if image.ndim != 2:
        raise ValueError(
            f"image has the shape {tuple(image.shape)}; expected (height, width). For "
            "one of a batch write image[0, 0] or image.reshape(28, 28)."
        )
    levels = image.detach().cpu().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.numpy()).save(file, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
