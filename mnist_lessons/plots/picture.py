"""What every picture of the lessons has in common: a look, and a description in words.

The colours follow Okabe and Ito (2008), made darker where they were too faint on white:
people with any colour vision can tell them apart (tests/test_access.py measures it).
Nothing is said by colour alone.
"""

import base64
import functools
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image
from torch import Tensor

BLUE, ORANGE, GREEN, PINK, BLACK = "#0072B2", "#BF5300", "#007F5C", "#CC79A7", "#000000"
COLOURS = [BLUE, ORANGE, GREEN, PINK, BLACK, "#4B2FE0", "#5C3300"]
GREY = "#707070"  # for what stays in the background, and can still be read
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES: list[Any] = ["-", "--", "-.", ":"]
DASHES += [(0, (8, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3))]  # ink and gap, in turn
STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "figure.facecolor": "white",  # opaque, so that a dark theme changes nothing
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,  # inches; else text above touches a title
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#D0D0D0",
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "image.cmap": "gray",
}
Arguments = ParamSpec("Arguments")


class Picture:
    """A finished matplotlib `figure`, and `alt`, what it shows in words.

    In a notebook the last line of a cell shows it, as HTML: JupyterLab gives a bare
    PNG no alt text. The first sentence of the description is its plain-text form, too.
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def save(self, path: str | Path) -> None:
        """Write the figure to a file; the ending (.png, .svg, .pdf) says which kind."""
        self.figure.savefig(path)

    def __repr__(self) -> str:
        return f"<picture: {self.alt.split('. ')[0].rstrip('.')}>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        drawn, file = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=self.figure.dpi)
        # 256 colours, each at most a shade off, make the stored lessons half as large
        image = Image.open(drawn).convert("RGB")
        image.quantize(256, Image.Quantize.MAXCOVERAGE).save(file, format="png")
        width, height = (round(inches * 84) for inches in self.figure.get_size_inches())
        png = file.getvalue()
        page = as_element(png, self.alt, width)
        bundle = {"text/html": page, "image/png": png, "text/plain": repr(self)}
        about = {"alt": self.alt, "width": width, "height": height}
        return bundle, {"image/png": about}


def as_element(png: bytes, alt: str, width: int) -> str:
    """Return a PNG file as an element of a page, `width` pixels wide if they fit."""
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" '
        'style="max-width: 100%; height: auto" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    )


def in_one_style(draw: Callable[Arguments, Picture]) -> Callable[Arguments, Picture]:
    """Draw with `STYLE`, and leave matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Picture:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def grid(
    count: int, width: float, height: float, columns: int = 0, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure and `count` axes, each `width` by `height` inches.

    They stand in one row, or in rows of `columns`; `options` are those of `subplots`.
    """
    columns = min(columns or count, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * width, rows * height))
    axes = figure.subplots(rows, columns, squeeze=False, **options).flatten().tolist()
    for unused in axes[count:]:
        unused.axis("off")
    return figure, axes[:count]


def fitting_size(texts: Sequence[str], width: float) -> float:
    """Return the font size, 11 at most, in which each line fits `width` inches."""
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    letter = 0.55  # widths of a letter, on average, in font sizes
    return min(11.0, 72 * width / (letter * max(longest, 1)))


def are_long(names: Sequence[str]) -> bool:
    """Say whether names of classes are words, not digits or letters."""
    return any(len(name) > 2 for name in names)


def centred(axis: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Write a text whose middle is at (x, y)."""
    axis.text(x, y, text, ha="center", va="center", **look)


def draw_signed(axis: Axes, values: Tensor, limit: float | None = None) -> AxesImage:
    """Draw values (height, width): 0 is white, positive orange, negative purple.

    The scale ends at `limit`, the largest value where nothing is given.
    """
    limit = limit or max(float(values.abs().max()), 1e-6)
    return axis.imshow(values.numpy(), cmap="PuOr_r", vmin=-limit, vmax=limit)


def evidence_bar(shown: AxesImage, axes: Any, **look: Any) -> None:
    """Explain the colours of weights that were drawn by `draw_signed`."""
    bar = axes[0].figure.colorbar(shown, ax=axes, pad=0.01, **look)
    low, high = shown.get_clim()
    bar.set_ticks([low, 0, high], labels=["against", "0", "for"])


def as_grids(images: Tensor) -> Tensor:
    """Accept (28, 28), (n, 28, 28), (n, 1, 28, 28) or (n, 784); return (n, 28, 28)."""
    images = torch.as_tensor(images).detach().cpu()
    if images.numel() % 784:
        raise ValueError(
            f"A digit has 28 x 28 = 784 pixels; a tensor of shape "
            f"{tuple(images.shape)} is not made of such digits."
        )
    return images.reshape(-1, 28, 28)


def ink_on(colour: Any) -> str:
    """Return black or white, whichever is read better on a colour of matplotlib's."""
    return BLACK if contrast(BLACK, colour) > contrast("white", colour) else "white"


def contrast(one: Any, other: Any) -> float:
    """Return the contrast of two colours as WCAG 2 defines it: from 1 to 21."""
    rgb = np.array([to_rgb(one), to_rgb(other)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


def accuracy_axis(axis: Axes, accuracies: Sequence[float]) -> None:
    """Show accuracies, drawn as `error_of`, on a log scale: so 98 and 99 % differ."""
    errors = [error_of(accuracy) for accuracy in accuracies]
    low, high = min(errors) / 1.25, max(errors) * 1.15
    axis.set_ylim(min(1.0, high), low)  # first: of equal errors "log" makes no range
    axis.set_yscale("log")
    ticks = [0.9, 0.5, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003]
    ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) < 3:  # a narrow range: three places on it
        ticks = [low * (high / low) ** share for share in (0.15, 0.5, 0.85)]
    mark_accuracies(axis, ticks)


def mark_accuracies(axis: Axes, errors: Sequence[float]) -> None:
    """Write accuracies beside these shares of mistakes, and nothing else."""
    axis.set_yticks(errors, [f"{100 - 100 * error:.4g} %" for error in errors])
    axis.minorticks_off()


def error_of(accuracy: float) -> float:
    """Return the share of mistakes; none at all has no place on a log scale."""
    return max(1 - accuracy, 1e-4)
