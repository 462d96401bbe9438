"""Small filters for grey pictures, tensors (height, width), that `images.py` needs."""

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
    image = image[None, None]
    return F.interpolate(image, size, mode="bilinear", antialias=True)[0, 0]


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


def continued(image: Tensor, width: int) -> Tensor:
    """Continue a picture on all sides, so that a slope goes on and a shape does not.

    Each value beyond the edge is as far above the edge's as its mirror image is below.
    """
    for _ in range(2):
        edges = image[:1], image[-1:]
        w = min(width, len(image) - 1)
        before = 2 * edges[0] - image[1 : w + 1].flip(0)
        after = 2 * edges[1] - image[-w - 1 : -1].flip(0)
        image = torch.cat([before, image, after]).T
    return image


def inner(image: Tensor, shape: torch.Size) -> Tensor:
    """Cut the middle of that shape out of a picture."""
    top, left = ((a - b) // 2 for a, b in zip(image.shape, shape, strict=True))
    return image[top : top + shape[0], left : left + shape[1]]


def extent(mask: Tensor) -> tuple[slice, slice]:
    """Return the rows and the columns between the first and the last that hold ink."""
    rows, columns = (mask.any(d).nonzero().flatten().tolist() for d in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def length(mask: Tensor) -> int:
    """Return the longer side of the box around a shape."""
    return max(span.stop - span.start for span in extent(mask))


def runs_out(mask: Tensor) -> bool:
    """Tell whether a shape touches the edge of the picture."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def stroke_width(digit: Tensor) -> float:
    """Return how wide the strokes are, in pixels: twice the area over the outline."""
    padded = F.pad(digit, [1, 1, 1, 1])
    steps = padded.diff(dim=0).abs().sum() + padded.diff(dim=1).abs().sum()
    return float(2 * digit.sum() / (steps * torch.pi / 4))
