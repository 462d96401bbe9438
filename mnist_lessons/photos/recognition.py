"""Any photo, scan or drawing of a digit, turned into 28x28 pixels as MNIST was made.

NIST's black and white digits were scaled to fit 20x20 pixels with their proportions
kept, which made the edges grey, and were placed in 28x28 with their centre of mass in
the middle; ink is bright, paper is 0 (LeCun et al., 1998, Proc. IEEE 86(11), III-A).
`read_digit` does the same: a model reads a photo only as well as this is done.
"""

import os
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lessons.photos import filtering
from mnist_lessons.photos.opening import ImageError, read_grey

BOX, SIZE, MIDDLE = 20, 28, 14  # the digit, the whole image, and where its centre lies
FINE = 100  # the longer side at which its strokes are cut out and measured
COARSE = 150  # the longer side of the small copy in which the digit is looked for
FAINTEST = 0.08  # the least part of the paper's light that ink swallows
# MNIST's strokes are 1.7 to 3.9 pixels wide (nine in ten), by the measure used here
USUAL = 1.7, 3.9


class BlankImageError(ImageError):
    """There is no digit to be seen."""


class Steps(NamedTuple):
    """A picture on its way to a digit: float32; ink is 1, paper is 0."""

    grey: Tensor  # as it was given, (height, width), but 0 is black, 1 is white
    cropped: Tensor  # the digit alone, (height, width), at most 100 pixels a side
    boxed: Tensor  # scaled to fit the box, (height, width), the longer side 20 pixels
    image: Tensor  # with its centre of mass in the middle, (1, 1, 28, 28)


def read_digit(source: Any) -> Tensor:
    """Turn a picture of one digit into what MNIST would have made of it.

    The ink may be darker or lighter than the paper; shadows, noise, the size and the
    place of the digit do not matter. Of several shapes the largest counts, with what
    lies close to it. Strokes thinner or thicker than MNIST's are made like those.

    The source is a file, a `PIL.Image.Image`, or grey values (height, width) from 0 to
    1 or 255; else an `ImageError` is raised, and for an empty page a `BlankImageError`.
    The digit is float32, (1, 1, 28, 28), from 0 (paper) to 1 (ink), and not normalised:
    a model wants `(image - model.mean) / model.std`.
    """
    return steps_of(source).image


def steps_of(source: Any) -> Steps:
    """Do what `read_digit` does, with its errors, and return every step of it."""
    picture = read_grey(source)
    grey = dark_on_light(picture)
    small = filtering.resize(grey, COARSE)
    paper = filtering.paper_of(small)
    where = main_shape(is_ink(without_paper(small, paper)))
    digit = None if where is None else cut_out(without_paper(grey, paper), where)
    if digit is None:
        there = f"{source}: there" if isinstance(source, str | os.PathLike) else "There"
        raise BlankImageError(
            f"{there} is no digit to be seen. Write it larger or with a darker pen, "
            "and let it fill about half of the picture."
        )
    boxed = fit_box(digit)
    return Steps(picture, digit, boxed, centre(boxed)[None, None])


def dark_on_light(grey: Tensor) -> Tensor:
    """Invert a picture whose ink is lighter than its paper.

    Ink is rarer than paper, so against the mean around it, it is the extreme of the
    two: the skewness says on which side. Thin and thick strokes show at other widths.
    """
    small = filtering.resize(grey, COARSE)
    skewness = 0.0
    for part in (20, 10, 4):
        detail = small - filtering.blur(small, max(small.shape) // part)
        spread = detail.square().mean().sqrt().clamp(min=1e-6)
        skewness += float((detail / spread).pow(3).mean())
    # 0.5 to 1, because the light of a dark board is nothing to measure ink by
    return 1 - grey / 2 if skewness > 0 else grey


def without_paper(grey: Tensor, paper: Tensor) -> Tensor:
    """Return the part of the light that ink swallows: 0 for paper, near 1 for ink."""
    ink = 1 - grey / filtering.resize(paper, grey.shape)
    # noise lifts the paper a little; a thick digit may cover more than half of it
    return ink - ink.quantile(0.25)


def is_ink(ink: Tensor) -> Tensor:
    """Tell which pixels stand out from the noise, and from faint ruled lines."""
    # a quarter of the pixels is so close to the paper; for normal noise that makes 2.5
    # times their distance its standard deviation, however many pixels are ink
    noise = 2.5 * float(ink.abs().quantile(0.25))
    least = max(FAINTEST, 6 * noise)
    seen = ink[ink > least]
    return ink > (max(least, filtering.otsu(seen) / 2) if len(seen) else least)


def cut_out(ink: Tensor, where: Tensor) -> Tensor | None:
    """Return one shape alone, from 0 to 1 with soft edges; `None` if it is no shape."""
    gate = F.interpolate(filtering.grow(where, 2)[None, None], ink.shape)[0, 0]
    box = filtering.extent(gate > 0)
    ink, gate = (filtering.resize(part[box], FINE) for part in (ink, gate))
    # ink is what is darker than the middle between ink and paper
    core = (ink > filtering.otsu(ink[gate > 0])) & (gate > 0)
    if not core.any():
        return None
    around = filtering.grow(core.float(), 1 + max(ink.shape) // 40)
    rest = ink[(gate > 0) & (around == 0)]
    light = rest.median() if len(rest) else torch.tensor(0.0)
    soft = ((ink - light) / (ink[core].median() - light)).clamp(0, 1) * around
    return soft[filtering.extent(soft > 0.05)]


def main_shape(mask: Tensor) -> Tensor | None:
    """Return the largest connected shape and what lies close to it, as 0 and 1.

    A shape that runs out of the picture, the edge of a table for one, counts only if
    there is none within. `None` if all are as small as dust.
    """

    def length(shape: Tensor) -> int:
        return max(shape[filtering.extent(shape)].shape)

    def is_within(shape: Tensor) -> bool:
        return not (shape[[0, -1]].any() or shape[:, [0, -1]].any())

    labels = torch.arange(1.0, mask.numel() + 1).view(mask.shape) * mask
    while not torch.equal(spread := filtering.grow(labels, 1) * mask, labels):
        labels = spread  # each pixel takes the largest label that it can reach
    names, areas = labels[mask].unique(return_counts=True)
    shapes = [labels == names[i] for i in areas.argsort(descending=True)[:20]]
    dust = max(4, max(mask.shape) // 30)
    large = [shape for shape in shapes if length(shape) >= dust]
    if not large:
        return None
    main = next(filter(is_within, large), large[0])
    near = filtering.grow(main.float(), max(1, round(0.15 * length(main)))) > 0
    for shape in shapes:
        belongs = (shape & near).any() and shape.sum() > 0.03 * main.sum()
        if belongs and (is_within(shape) or not is_within(main)):
            main = main | shape
    return main.float()


def fit_box(digit: Tensor) -> Tensor:
    """Scale a digit to fit the box, its proportions kept, its brightest ink at 1.

    Strokes are first made as wide as MNIST's: a thin pen's would vanish at this size.
    """
    wide = filtering.stroke_width(digit) * BOX / max(digit.shape)
    change = max(0.0, USUAL[0] - wide) + min(0.0, USUAL[1] - wide)
    if change:
        digit = F.pad(filtering.resize(digit, FINE, enlarge=True), [FINE // 10] * 4)
        radius = round(abs(change) / 2 * FINE / BOX)
        digit = (
            filtering.grow(digit, radius)
            if change > 0
            else -filtering.grow(-digit, radius)
        )
        digit = digit[filtering.extent(digit > 0.05)]
    digit = filtering.resize(digit, BOX, enlarge=True)
    return digit / digit.max()


def centre(digit: Tensor) -> Tensor:
    """Place a digit in the whole image, its centre of mass in the middle."""
    image = torch.zeros(SIZE, SIZE)
    place = []
    for dimension, side in enumerate(digit.shape):
        mass = digit.sum(1 - dimension)
        middle = float((mass * torch.arange(side)).sum() / mass.sum())
        start = min(max(round(MIDDLE - middle), 0), SIZE - side)
        place.append(slice(start, start + side))
    image[place[0], place[1]] = digit
    return image


def as_text(image: Tensor, encoding: str = "utf-8") -> str:
    """Draw a digit with letters: two for each pixel, so that it is about square."""
    shades = " ░▒▓█"
    try:
        shades.encode(encoding)
    except UnicodeEncodeError:
        shades = " .:+#"
    edge = "+" + "-" * (2 * image.shape[1]) + "+"
    levels = (image * 4.999).int().tolist()
    rows = ["".join(shades[level] * 2 for level in row) for row in levels]
    return "\n".join([edge, *(f"|{row}|" for row in rows), edge])
