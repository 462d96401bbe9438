"""New training digits from old ones: each is turned, scaled or moved a little."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lessons.arguments import check_number, check_whole


def random_affine(
    images: Tensor, degrees: float = 8.0, shift: float = 1.5, scale: float = 0.1
) -> Tensor:
    """Turn, scale and move each image by its own random amounts. Built in lesson 6.

    One batched operation, on the device of the images; torchvision's `RandomAffine`
    makes one draw for the whole batch. To give amounts of your own to `fit`, freeze
    them: `augment=functools.partial(random_affine, degrees=5)`. Such changes of
    training digits go back to Simard et al. (2003, ICDAR).

    Args:
        images: floats, (batch, 1, height, width), any range of values; the least value
            of the batch counts as background and fills what comes in from outside.
        degrees: turn by up to this angle, in either direction.
        shift: move by up to so many pixels, in each direction, fractions included.
        scale: enlarge or shrink by up to this fraction, at least 0, below 1.
    """
    if images.ndim != 4 or not images.is_floating_point():
        what = f"{images.dtype} of shape {tuple(images.shape)}"
        raise ValueError(f"images should be a batch of floats; these are {what}.")
    check_number("degrees", degrees)
    check_number("shift", shift)
    check_number("scale", scale, below=1)
    count, _, height, width = images.shape
    draws = torch.rand(4, count, device=images.device, dtype=images.dtype) * 2 - 1
    angle = draws[0] * math.radians(degrees)
    zoom = 1 / (1 + draws[1] * scale)
    right, down = draws[2] * 2 * shift / width, draws[3] * 2 * shift / height
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    # for each pixel of the new image the place in the old one, from -1 to 1
    rows = [torch.stack([cosine, -sine, right]), torch.stack([sine, cosine, down])]
    turns = torch.stack(rows).permute(2, 0, 1)
    places = F.affine_grid(turns, list(images.shape), align_corners=False)
    background = images.min()
    moved = F.grid_sample(images - background, places, align_corners=False)
    return moved + background


def random_shift(images: Tensor, most: int = 4) -> Tensor:
    """Move each image by its own random number of whole pixels. Built in lesson 4.

    Args:
        images: a batch, (batch, 1, height, width); the least value of the batch counts
            as background and fills what comes in from outside.
        most: the most pixels to move by, in each of the four directions.
    """
    if images.ndim != 4:
        raise ValueError(f"images have {images.ndim} axes; a batch has four axes.")
    most = check_whole("most", most, 0)
    count, _, height, width = images.shape
    wide = F.pad(images, (most,) * 4, value=float(images.min()))
    top, left = torch.randint(2 * most + 1, (2, count), device=images.device).tolist()
    cut = zip(wide, top, left, strict=True)
    return torch.stack([i[:, y : y + height, x : x + width] for i, y, x in cut])
