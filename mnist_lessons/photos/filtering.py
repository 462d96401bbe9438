"""Small filters for grey pictures, tensors (height, width), that recognition needs."""

import torch
import torch.nn.functional as F
from torch import Tensor


def otsu(values: Tensor) -> float:
    """Return the threshold that parts values best (Otsu, 1979, IEEE Trans. SMC 9(1)).

    It makes the two groups differ most: weight * weight * (mean - mean) ** 2.
    """
    low, high = float(values.min()), float(values.max())
    counts = torch.histc(values, 256, low, high)
    places = torch.linspace(low, high, 256)
    below, above = counts.cumsum(0), counts.sum() - counts.cumsum(0)
    sums = (counts * places).cumsum(0)
    means = sums / below, (sums[-1] - sums) / above.clamp(min=1)
    return float(places[(below * above * (means[0] - means[1]) ** 2).argmax()])


def resize(image: Tensor, size: int | torch.Size, *, enlarge: bool = False) -> Tensor:
    """Scale to a shape, or so that the longer side is `size`, without jagged edges."""
    if isinstance(size, int):
        factor = size / max(image.shape)
        if factor >= 1 and not enlarge:
            return image
        size = torch.Size(max(1, round(side * factor)) for side in image.shape)
    return F.interpolate(image[None, None], size, mode="bilinear", antialias=True)[0, 0]


def grow(image: Tensor, radius: int) -> Tensor:
    """Let every pixel take the largest value in the square around it (a dilation)."""
    wide = 2 * radius + 1
    image = F.max_pool2d(image[None, None], (wide, 1), 1, (radius, 0))
    return F.max_pool2d(image, (1, wide), 1, (0, radius))[0, 0]


def blur(image: Tensor, radius: int) -> Tensor:
    """Take the mean of the square around every pixel."""
    wide = 2 * radius + 1
    padded = F.pad(image[None, None], [radius] * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (wide, 1), 1), (1, wide), 1)[0, 0]


def paper_of(grey: Tensor) -> Tensor:
    """Return what the paper would look like without ink.

    Dark shapes up to a third of the picture wide are filled from around them (a
    morphological closing). That follows the light: a shadow stays, it is not ink.
    """
    radius = max(grey.shape) // 6
    down, across = (min(2 * radius, side - 1) for side in grey.shape)
    image = grey[None, None]
    # beyond the edges a slope goes on and a shape does not: each value there is as far
    # above the edge's as its mirror image is below
    for margins in ([0, 0, down, down], [across, across, 0, 0]):
        edges, mirrored = (F.pad(image, margins, m) for m in ("replicate", "reflect"))
        image = 2 * edges - mirrored
    filled = -grow(-grow(image[0, 0], radius), radius)
    height, width = grey.shape
    return filled[down : down + height, across : across + width].clamp(min=0.1)


def extent(mask: Tensor) -> tuple[slice, slice]:
    """Return the rows and the columns between the first and the last that hold ink."""
    rows, columns = (mask.any(d).nonzero().flatten().tolist() for d in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def stroke_width(digit: Tensor) -> float:
    """Return how wide the strokes are, in pixels: twice the area over the outline."""
    padded = F.pad(digit, [1, 1, 1, 1])
    steps = padded.diff(dim=0).abs().sum() + padded.diff(dim=1).abs().sum()
    return float(2 * digit.sum() / (steps * torch.pi / 4))
