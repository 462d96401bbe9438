"""Any digit of a pile, large, with its label and the value of each pixel."""

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons import plots
from mnist_lessons.arguments import check_whole
from mnist_lessons.data import Digits
from mnist_lessons.widgets.base import STATIC, Interactive, menu

ANY = -1  # no class; a menu whose value is None looks empty


class PixelGrid(anywidget.AnyWidget):
    """The picture in the browser, which also says what each pixel holds.

    `pixels` go from 0 to 255, row by row; `title` and `note` are the lines above and
    below; `numbers` says whether the values stand in the pixels. A key sends
    `{"go": "next"}`, "previous" or "random".
    """

    _esm = STATIC / "browsing.js"
    _css = STATIC / "browsing.css"
    pixels = traitlets.List([0] * 784).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    numbers = traitlets.Bool(False).tag(sync=True)


class Pile(NamedTuple):
    """Digits of either origin; `images * scale + shift` is what the file has."""

    images: Tensor  # (count, 28, 28)
    labels: Tensor  # int64, (count,)
    classes: list[str]
    scale: float = 1.0
    shift: float = 0.0

    def pixels(self, index: int) -> Tensor:
        """Return one digit as it stands in the file: uint8, (28, 28)."""
        image = self.images[index] * self.scale + self.shift
        return image.round().clamp(0, 255).to(torch.uint8)


def as_pile(name: str, digits: Any) -> Pile:
    """Accept `Digits`, a loader of such, or torchvision's `MNIST` or the like."""
    digits = digits.dataset if isinstance(digits, DataLoader) else digits
    if isinstance(digits, Digits):
        images, labels = digits.images.cpu().squeeze(1), digits.labels.cpu()
        scale, shift = 255 * digits.std, 255 * digits.mean
        pile = Pile(images, labels, digits.classes, scale, shift)
    elif hasattr(digits, "data") and hasattr(digits, "targets"):
        classes = [name.split(" - ")[0] for name in digits.classes]
        images, labels = torch.as_tensor(digits.data), torch.as_tensor(digits.targets)
        pile = Pile(images, labels.long(), classes)
    else:
        raise ValueError(
            f"{name} is of type {type(digits).__name__}; give a Digits set, such as "
            "load_mnist().train.dataset, or torchvision's MNIST."
        )
    if not len(pile.labels) or pile.images.shape[1:] != (28, 28):
        raise ValueError(
            f"{name} has images of shape {tuple(pile.images.shape)}; expected "
            "(count, 28, 28), count at least 1."
        )
    return pile


def most_unusual_first(pile: Pile) -> tuple[Tensor, Tensor]:
    """Return the order of the digits, and how unusual each is, 1 being ordinary.

    That is the distance from the mean picture of the class (the root of the summed
    squares of the pixels' differences), divided by the median of that distance in the
    class. The first of each class come first, then the second of each: a pile's most
    unusual twenty would otherwise all be 1s, which are so alike that little makes one
    stand out.
    """
    ratios = torch.zeros(len(pile.labels))
    ranks = torch.zeros_like(pile.labels)
    for label in pile.labels.unique():
        mine = pile.labels == label
        pixels = pile.images[mine].flatten(start_dim=1).float()
        distances = (pixels - pixels.mean(dim=0)).norm(dim=1)
        # a class with one digit only has the distance 0, and so the median 0
        ratios[mine] = distances / distances.median().clamp(min=1e-6)
        ranks[mine] = ratios[mine].argsort(descending=True, stable=True).argsort()
    order = ratios.argsort(descending=True, stable=True)
    return order[ranks[order].argsort(stable=True)], ratios


class DigitBrowser(Interactive):
    """Show any digit of a pile, with its label and the value of each pixel.

    The buttons, and the keys n, p and r, go through the pile, or through one class of
    it. "Most unusual" shows the most unusual digit of each class, then the second most
    unusual of each, and so on (`most_unusual_first`). A pile is `Digits`, or
    torchvision's `MNIST` or the like; several by name give a choice. `index` is the
    number of the digit on show. Used in lesson 1.
    """

    about = "digit browser"

    def __init__(self, digits: Any) -> None:
        named = digits if isinstance(digits, Mapping) else {"digits": digits}
        if not named:
            raise ValueError("digits is empty; give at least one name and its digits.")
        self._piles = {name: as_pile(name, part) for name, part in named.items()}
        self._orders = {n: most_unusual_first(p) for n, p in self._piles.items()}
        self._dice = random.Random()  # leaves the lesson's own random numbers alone
        self._place = self.index = 0
        parts = self._build()
        pile = self._pile
        shown = self._orders[self._pile_choice.value][0][:20].tolist()  # two of a class
        still = plots.digits(
            torch.stack([pile.pixels(i) for i in shown]),
            titles=[pile.classes[pile.labels[i]] for i in shown],
        )
        super().__init__(*parts, picture=still)
        self.show(0)

    @property
    def pixels(self) -> Tensor:
        """The digit on show: uint8, (28, 28)."""
        return self._pile.pixels(self.index)

    @property
    def label(self) -> int:
        """The class of the digit on show."""
        return int(self._pile.labels[self.index])

    def show(self, index: int) -> None:
        """Show the digit with this number, counted from 0."""
        count = len(self._pile.labels)
        self.index = check_whole("index", index, 0, count - 1)
        name = self._pile.classes[self.label]
        with self._grid.hold_sync():
            self._grid.pixels = self.pixels.flatten().tolist()
            self._grid.title = f"Digit {self.index:,} of {count:,}, label {name}"
            self._grid.note = ""
        self._number.value = self.index

    def next(self) -> None:
        """Show the next digit (of the chosen class); after the last comes the first."""
        candidates = self._candidates()
        later = candidates[candidates > self.index]
        self.show(int(later[0] if len(later) else candidates[0]))

    def previous(self) -> None:
        """Show the digit before; before the first comes the last."""
        candidates = self._candidates()
        earlier = candidates[candidates < self.index]
        self.show(int(earlier[-1] if len(earlier) else candidates[-1]))

    def random(self) -> None:
        """Show any digit, each as likely as the others."""
        candidates = self._candidates()
        self.show(int(candidates[self._dice.randrange(len(candidates))]))

    def unusual(self) -> None:
        """Show the most unusual digit; called again, the next in that order."""
        order, ratios = self._orders[self._pile_choice.value]
        order = order[torch.isin(order, self._candidates())]
        place = self._place % len(order)
        index = int(order[place])
        self.show(index)
        name = self._pile.classes[self.label]
        self._grid.note = (
            f"Number {place + 1:,} of the unusual ones: its pixels are "
            f"{ratios[index]:.1f} times as far from the average {name} as those of a "
            f"typical {name}."
        )
        self._place += 1

    @property
    def _pile(self) -> Pile:
        return self._piles[self._pile_choice.value]

    def _build(self) -> list[ipywidgets.Widget]:
        """Make the controls; return the rows in which they stand."""
        self._pile_choice = menu("pile:", list(self._piles))
        self._class_choice = menu("label:", self._class_options())
        self._number = ipywidgets.BoundedIntText(
            max=len(self._pile.labels) - 1,
            description="number:",
            layout={"width": "11em"},
            style={"description_width": "initial"},
        )
        self._values = ipywidgets.Checkbox(
            description="write the values into the pixels", indent=False
        )
        self._grid = PixelGrid()
        self._pile_choice.observe(self.reacting(self._open_pile), "value")
        self._class_choice.observe(self.reacting(self._open_class), "value")
        show_number = self.reacting(lambda: self.show(self._number.value))
        self._number.observe(show_number, "value")
        ipywidgets.link((self._values, "value"), (self._grid, "numbers"))
        self._grid.on_msg(self._take_key)
        names = ["Previous", "Next", "Random", "Most unusual"]
        moves = [self.previous, self.next, self.random, self.unusual]
        auto = {"width": "auto"}
        buttons = [ipywidgets.Button(description=name, layout=auto) for name in names]
        for button, move in zip(buttons, moves, strict=True):
            button.on_click(self.reacting(move))
        choices = [self._pile_choice, self._class_choice, self._number]
        wrapped = {"flex_flow": "row wrap"}
        return [
            ipywidgets.HBox(choices[len(self._piles) == 1 :], layout=wrapped),
            ipywidgets.HBox(buttons, layout=wrapped),
            self._grid,
            self._values,
        ]

    def _class_options(self) -> list[tuple[str, int]]:
        present = self._pile.labels.unique().tolist()
        return [("any", ANY), *((self._pile.classes[i], i) for i in present)]

    def _open_pile(self) -> None:
        self._place = self.index = 0
        self._class_choice.options = self._class_options()  # chooses "any"
        self._number.max = len(self._pile.labels) - 1
        self.show(0)

    def _open_class(self) -> None:
        self._place = 0
        if self._class_choice.value not in (ANY, self.label):
            self.next()

    def _take_key(self, _: Any, content: dict[str, str], __: Any) -> None:
        self.reacting(getattr(self, content["go"]))()

    def _candidates(self) -> Tensor:
        chosen = self._class_choice.value
        if chosen == ANY:
            return torch.arange(len(self._pile.labels))
        return (self._pile.labels == chosen).nonzero().flatten()
