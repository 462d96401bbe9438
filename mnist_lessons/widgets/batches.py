"""What a network gets: a batch, as large and scaled as one likes."""

from typing import Any

import ipywidgets
import torch
from torch import Tensor

from mnist_lessons import plots
from mnist_lessons.plots.picture import Picture
from mnist_lessons.widgets.base import Interactive, Shown, digits_of, slider

SIZES = [1, 8, 32, 128, 512, 2_048]


class BatchExplorer(Interactive):
    """Sliders for the batch size and the scaling, and a batch as the network gets it.

    Built in lesson 1.

    Args:
        digits: training digits, `Digits` or a loader of them.

    Raises:
        TypeError: `digits` is something else.
        ValueError: there are none.

    Attributes:
        size: digits in a batch.
        scaling: how the pixels are scaled.
        next: a button that serves the next batch.
    """

    about = "sliders for the batch size and the scaling"

    def __init__(self, digits: Any) -> None:
        self._digits = digits_of(digits)
        generator = torch.Generator().manual_seed(0)
        self._order = torch.randperm(len(self._digits), generator=generator)
        self._start = 0
        self.size = slider("batch size", SIZES, 128)
        self.scaling = ipywidgets.Dropdown(
            options=["standardised", "(0.5, 0.5)", "0 to 1", "0 to 255"],
            description="scaling",
            style={"description_width": "7.5em"},
        )
        self.next = ipywidgets.Button(description="Next batch")
        picture = self._draw()
        self._shown = Shown(picture)
        super().__init__(
            self.size, self.scaling, self.next, self._shown, picture=picture
        )
        self.say(self._about())
        self._redraw = self.reacting_soon(self._update)
        for control in (self.size, self.scaling):
            control.observe(self._redraw, names="value")
        self.next.on_click(self._go_on)

    @property
    def batch(self) -> Tensor:
        """The images of the batch, (batch, 1, 28, 28), as the network gets them."""
        digits = self._digits
        chosen = self._order[self._start : self._start + self.size.value]
        scaled = digits.images[chosen].cpu() * digits.std + digits.mean  # 0 to 1
        return {
            "standardised": (scaled - digits.mean) / digits.std,
            "(0.5, 0.5)": (scaled - 0.5) / 0.5,
            "0 to 1": scaled,
            "0 to 255": scaled * 255,
        }[self.scaling.value]

    def _go_on(self, _: Any) -> None:
        self._start += self.size.value
        if self._start >= len(self._order):
            self._start = 0
        self._redraw()

    def _update(self) -> None:
        self.picture = self._draw()
        self._shown.show(self.picture)
        self.say(self._about())

    def _draw(self) -> Picture:
        return plots.batch(self.batch, self.scaling.value)

    def _about(self) -> str:
        batch, size = self.batch, self.size.value
        steps = -(-len(self._order) // size)
        return (
            f"Shape {tuple(batch.shape)}, {batch.numel() * 4 / 1024:,.0f} KiB; "
            f"{steps:,} batches an epoch."
        )
