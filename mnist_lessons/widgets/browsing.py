"""Any digit of a pile, large, with its label and the value of each pixel."""

import random
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor

from mnist_lessons import plots
from mnist_lessons.widgets.base import Interactive
from mnist_lessons.widgets.piles import Pile, as_pile, most_unusual_first

STATIC = Path(__file__).parent / "static"
ANY = -1  # no class; a menu whose value is None looks empty


class PixelGrid(anywidget.AnyWidget):
    """The picture in the browser, which also says what each pixel holds.

    Traits: `pixels`, 784 whole numbers from 0 to 255, row by row; `title` and `note`,
    the lines above and below; `numbers`, whether the values stand in the pixels. It
    sends `{"go": "next"}`, "previous" or "random" when such a key is pressed.
    """

    _esm = STATIC / "browsing.js"
    _css = STATIC / "browsing.css"
    pixels = traitlets.List([0] * 784).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    numbers = traitlets.Bool(False).tag(sync=True)


class DigitBrowser(Interactive):
    """Show any digit of a pile, with its label and the value of each pixel.

    The buttons, and the keys n, p and r, go through the pile, or through one class of
    it. "Most unusual" shows the most unusual digit of each class, then the second most
    unusual of each, and so on; `unusualness` says what that means. Used in lesson 1.

    Args:
        digits: `Digits`, as in `load_mnist().train.dataset`, or torchvision's `MNIST`
            or the like. Several of them, by name, give a choice of piles.

    Raises:
        ValueError: `digits` is neither, or empty.
    """

    about = "digit browser"

    def __init__(self, digits: Any) -> None:
        given = digits if isinstance(digits, Mapping) else {"digits": digits}
        if not given:
            raise ValueError("digits is empty; give at least one name and its digits.")
        self._piles = {name: as_pile(name, part) for name, part in given.items()}
        self._orders: dict[str, tuple[Tensor, Tensor]] = {}
        self._dice = random.Random()  # leaves the lesson's own random numbers alone
        self._place = 0
        self._index = 0
        self._moves = {
            "Previous": self.previous,
            "Next": self.next,
            "Random": self.random,
            "Most unusual": self.unusual,
        }
        self._build()
        first = self._pile
        shown = self._unusual_first()[0][:20].tolist()  # two of each class
        names = [first.classes[first.labels[i]] for i in shown]
        still = plots.digits(
            torch.stack([first.pixels(i) for i in shown]), titles=names
        )
        super().__init__(*self._parts(), picture=still)
        self.show(0)

    @property
    def index(self) -> int:
        """The number of the digit on show, counted from 0."""
        return self._index

    @property
    def pixels(self) -> Tensor:
        """The digit on show: uint8, (28, 28)."""
        return self._pile.pixels(self._index)

    @property
    def label(self) -> int:
        """The class of the digit on show."""
        return int(self._pile.labels[self._index])

    def show(self, index: int) -> None:
        """Show one digit of the pile.

        Args:
            index: the digit's number, counted from 0.

        Raises:
            ValueError: there is no such digit.
        """
        self._show(index)

    def next(self) -> None:
        """Show the next digit (of the chosen class); after the last comes the first."""
        candidates = self._candidates()
        later = candidates[candidates > self._index]
        self._show(int(later[0] if len(later) else candidates[0]))

    def previous(self) -> None:
        """Show the digit before; before the first comes the last."""
        candidates = self._candidates()
        earlier = candidates[candidates < self._index]
        self._show(int(earlier[-1] if len(earlier) else candidates[-1]))

    def random(self) -> None:
        """Show any digit, each as likely as the others."""
        candidates = self._candidates()
        self._show(int(candidates[self._dice.randrange(len(candidates))]))

    def unusual(self) -> None:
        """Show the most unusual digit; called again, the next in that order."""
        order, ratios = self._unusual_first()
        if self._class is not None:
            order = order[self._pile.labels[order] == self._class]
        index = int(order[self._place % len(order)])
        name = self._pile.classes[self._pile.labels[index]]
        self._show(
            index,
            f"Number {self._place % len(order) + 1:,} of the unusual ones: its pixels "
            f"are {ratios[index]:.1f} times as far from the average {name} as those of "
            f"a typical {name}.",
        )
        self._place += 1

    @property
    def _pile(self) -> Pile:
        return self._piles[self._pile_choice.value]

    @property
    def _class(self) -> int | None:
        chosen = self._class_choice.value
        return None if chosen == ANY else chosen

    def _build(self) -> None:
        wide_enough = ipywidgets.Layout(
            width="max-content", min_width="9em", flex="0 0 auto"
        )
        style = {"description_width": "initial"}
        self._grid = PixelGrid()
        self._pile_choice = ipywidgets.Dropdown(
            options=list(self._piles),
            description="pile:",
            layout=wide_enough,
            style=style,
        )
        self._class_choice = ipywidgets.Dropdown(
            options=self._class_options(),
            description="label:",
            layout=wide_enough,
            style=style,
        )
        self._number = ipywidgets.BoundedIntText(
            max=len(self._pile.labels) - 1,
            description="number:",
            layout=ipywidgets.Layout(width="11em"),
            style=style,
        )
        self._values = ipywidgets.Checkbox(
            description="write the values into the pixels", indent=False
        )
        self._pile_choice.observe(self.reacting(self._open_pile), "value")
        self._class_choice.observe(self.reacting(self._open_class), "value")
        self._number.observe(self.reacting(self._open_number), "value")
        self._values.observe(self.reacting(self._open_values), "value")
        self._grid.on_msg(self._key)

    def _parts(self) -> list[ipywidgets.Widget]:
        wrapped = ipywidgets.Layout(flex_flow="row wrap")
        choices = [self._class_choice, self._number]
        if len(self._piles) > 1:
            choices.insert(0, self._pile_choice)
        buttons = []
        for name, move in self._moves.items():
            button = ipywidgets.Button(description=name, layout={"width": "auto"})
            button.on_click(self.reacting(move))
            buttons.append(button)
        return [
            ipywidgets.HBox(choices, layout=wrapped),
            ipywidgets.HBox(buttons, layout=wrapped),
            self._grid,
            self._values,
        ]

    def _class_options(self) -> list[tuple[str, int]]:
        present = self._pile.labels.unique().tolist()
        return [("any", ANY), *((self._pile.classes[i], i) for i in present)]

    def _open_pile(self) -> None:
        self._place = self._index = 0
        self._class_choice.options = self._class_options()  # chooses "any"
        self._number.max = len(self._pile.labels) - 1
        self._show(0)

    def _open_class(self) -> None:
        self._place = 0
        if self._class not in (None, self.label):
            self.next()

    def _open_number(self) -> None:
        if self._number.value != self._index:
            self._show(self._number.value)

    def _open_values(self) -> None:
        self._grid.numbers = self._values.value

    def _key(self, _: Any, content: dict[str, str], __: Any) -> None:
        self.reacting(self._moves[content["go"].capitalize()])()

    def _unusual_first(self) -> tuple[Tensor, Tensor]:
        name = self._pile_choice.value
        if name not in self._orders:
            self._orders[name] = most_unusual_first(self._pile)
        return self._orders[name]

    def _candidates(self) -> Tensor:
        if self._class is None:
            return torch.arange(len(self._pile.labels))
        return (self._pile.labels == self._class).nonzero().flatten()

    def _show(self, index: int, note: str = "") -> None:
        count = len(self._pile.labels)
        whole = isinstance(index, Integral) and not isinstance(index, bool)
        if not whole or not 0 <= index < count:
            raise ValueError(
                f"There is no digit {index!r}: give a whole number from 0 to "
                f"{count - 1:,}."
            )
        self._index = int(index)
        name = self._pile.classes[self.label]
        with self._grid.hold_sync():
            self._grid.pixels = self.pixels.flatten().tolist()
            self._grid.title = f"Digit {self._index:,} of {count:,}, label {name}"
            self._grid.note = note
        self._number.value = self._index
