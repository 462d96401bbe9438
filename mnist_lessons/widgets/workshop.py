"""A workshop for kernels: change nine numbers and see what they find in a digit."""

from typing import Any

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor, nn

from mnist_lessons import plots
from mnist_lessons.arguments import check_whole
from mnist_lessons.plots.picture import Picture
from mnist_lessons.widgets.base import STATIC, Redrawn, digits_of

OWN = "your own"
LARGEST = 1_000_000  # of a weight; far larger ones are too large for float32
KERNELS = {
    "upright edges": [1.0, 0, -1, 2, 0, -2, 1, 0, -1],
    "level edges": [1.0, 2, 1, 0, 0, 0, -1, -2, -1],
    "slanted lines": [-1.0, -1, 2, -1, 2, -1, 2, -1, -1],
    "outline": [-1.0, -1, -1, -1, 8, -1, -1, -1, -1],
    "blur": [0.1] * 9,
    "leave as it is": [0.0, 0, 0, 0, 1, 0, 0, 0, 0],
}


class _Numbers(anywidget.AnyWidget):
    """Nine number fields in a square."""

    _esm = STATIC / "kernel.js"
    _css = STATIC / "kernel.css"
    values = traitlets.List(traitlets.Float()).tag(sync=True)
    editable = traitlets.Bool(True).tag(sync=True)


class FilterWorkshop(Redrawn):
    """A 3x3 kernel to edit, or a learned one, and what it makes of a digit.

    The model's first convolution gives the learned kernels; their maps are drawn
    without its padding and stride. `preset` is the list of kernels; with a model it
    begins with the first learned one. `number` says which digit is shown, `index` at
    first. Built in lesson 4.
    """

    about = "a kernel to edit, and what it finds in a digit"

    def __init__(
        self, digits: Any, model: nn.Module | None = None, index: int = 0
    ) -> None:
        self._digits = digits_of(digits)
        last = len(self._digits) - 1
        index = check_whole("index", index, 0, last)
        self._learned = {} if model is None else _kernels_of(model)
        self.preset = ipywidgets.Dropdown(
            options=[*KERNELS, OWN, *self._learned], description="kernel"
        )
        self.number = ipywidgets.BoundedIntText(
            index, min=0, max=last, description="digit"
        )
        self.numbers = _Numbers(values=KERNELS[self.preset.value])
        menus = ipywidgets.VBox([self.preset, self.number])
        wrapped = ipywidgets.Layout(flex_flow="row wrap")
        super().__init__(ipywidgets.HBox([self.numbers, menus], layout=wrapped))
        self.preset.observe(self.reacting(self._take_preset), names="value")
        self.numbers.observe(self.reacting(self._take_numbers), names="values")
        self.number.observe(self.reacting_soon(self.redraw), names="value")
        if self._learned:
            self.preset.value = next(iter(self._learned))

    @property
    def kernel(self) -> Tensor:
        """The kernel that is shown, (height, width)."""
        if self.preset.value in self._learned:
            return self._learned[self.preset.value][0]
        return torch.tensor(self.numbers.values).reshape(3, 3)

    def _take_preset(self) -> None:
        is_learned = self.preset.value in self._learned
        self.numbers.editable = not is_learned
        self.numbers.layout.display = "none" if is_learned else None
        if self.preset.value in KERNELS:
            self.numbers.values = KERNELS[self.preset.value]
        self.redraw()

    def _take_numbers(self) -> None:
        if not all(abs(value) <= LARGEST for value in self.numbers.values):
            raise ValueError(f"a weight must lie between -{LARGEST:,} and {LARGEST:,}")
        if self.preset.value == OWN:
            self.redraw()
        elif self.numbers.values != KERNELS[self.preset.value]:
            self.preset.value = OWN  # and that draws

    def draw(self) -> Picture:
        """Draw the digit, the kernel and the map that it makes of the digit."""
        digits = self._digits
        image = digits.images[self.number.value].cpu()
        if self.preset.value in self._learned:
            return plots.filtering(image, *self._learned[self.preset.value])
        # background 0, so that a kernel finds nothing where there is nothing
        return plots.filtering(image * digits.std + digits.mean, self.kernel)


def _kernels_of(model: nn.Module) -> dict[str, tuple[Tensor, float]]:
    """Return the kernels of the first convolution by name, each with its bias."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or first.in_channels != 1 or max(first.kernel_size) > 28:
        raise ValueError(
            f"{type(model).__name__} has no convolution over one channel that fits "
            "into 28x28 pixels, so there are no learned kernels to show. Give a CNN, "
            "or no model."
        )
    weights = first.weight.detach().cpu()[:, 0]
    biases = [0.0] * len(weights) if first.bias is None else first.bias.tolist()
    pairs = zip(weights, biases, strict=True)
    return {f"learned {number}": pair for number, pair in enumerate(pairs, start=1)}
