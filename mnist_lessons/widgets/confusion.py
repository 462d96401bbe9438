"""A confusion matrix to click on: each cell shows its digits."""

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons import plots
from mnist_lessons.arguments import check_whole
from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier
from mnist_lessons.widgets import base

SHOWN = 10  # digits at a time


class ConfusionTable(anywidget.AnyWidget):
    """The matrix and the digits of one cell in the browser.

    The browser sets `selected`, [label, answer], and `start`, the position of the first
    digit to show; it gets `cards`, what to show of each, and the line `heading`.
    """

    _esm = base.STATIC / "confusion.js"
    _css = base.STATIC / "confusion.css"
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    counts: traitlets.List = traitlets.List().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    selected = traitlets.List(traitlets.Int(), [0, 0], 2, 2).tag(sync=True)
    start = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(SHOWN).tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)
    cards: traitlets.List = traitlets.List().tag(sync=True)


class ConfusionExplorer(base.Interactive):
    """Show a model's confusion matrix, and the digits behind each of its cells.

    It begins with the most frequent mistake. A model is asked once, when it is first
    on show: after more training, build a new explorer. Used in lessons 4 and 6.

    Attributes:
        counts: how often each label got each answer: int64, (classes, classes).
        indices: the positions of the selected cell's digits in `digits`, the most
            confident answer first: int64, (count,).
    """

    about = "confusion explorer"

    def __init__(
        self,
        models: DigitClassifier | Mapping[str, DigitClassifier],
        digits: Digits | DataLoader,
    ) -> None:
        self._models, self._digits = base.named_models(models), base.digits_of(digits)
        self._labels = self._digits.labels.cpu()
        self._known: dict[str, Tensor] = {}
        self._choice = base.menu("model:", list(self._models))
        self._table = ConfusionTable(classes=list(map(str, self._digits.classes)))
        answers = self._probabilities.argmax(dim=1)
        still = plots.confusion(self._labels, answers, self._digits.classes)
        parts = [self._choice, self._table][len(self._models) == 1 :]
        super().__init__(*parts, picture=still)
        self._open_model()
        self._choice.observe(self.reacting(self._open_model), "value")
        self._table.observe(self.reacting(self._show_digits), ["selected", "start"])
        mistakes = self.counts - self.counts.diag().diag()
        self.select(*divmod(int(mistakes.argmax()), len(mistakes)))

    def select(self, label: int, answer: int) -> None:
        """Show the digits with one label that got one answer, both as numbers."""
        last = len(self._digits.classes) - 1
        cell = [check_whole("label", label, 0, last)]
        cell.append(check_whole("answer", answer, 0, last))
        with self._table.hold_trait_notifications():
            self._table.start = 0
            self._table.selected = cell

    @property
    def _probabilities(self) -> Tensor:
        """What the chosen model thinks of each digit: (count, classes)."""
        name = self._choice.value
        if name not in self._known:
            model, digits = self._models[name], self._digits
            self._known[name] = base.ask(name, model, digits.images, digits.classes)
        return self._known[name]

    def _open_model(self) -> None:
        classes = len(self._digits.classes)
        with self._table.hold_sync():  # if the model fails, no other's answers stay
            self._table.counts = [[0] * classes] * classes
            self._table.summary = f"{self._choice.value} has no answers."
            self._table.cards, self._table.heading = [], ""
        pairs = self._labels * classes + self._probabilities.argmax(dim=1)
        self.counts = pairs.bincount(minlength=classes**2).reshape(classes, classes)
        count = len(self._labels)
        wrong = count - int(self.counts.trace())
        self._table.counts = self.counts.tolist()
        self._table.summary = (
            f"{count:,} digits, {wrong:,} mistakes ({wrong / count:.2%}). "
            "Click a number, or use the arrow keys and Enter, to see those digits."
        )
        self._table.start = 0
        self._show_digits()

    def _show_digits(self) -> None:
        label, answer = self._table.selected
        probabilities = self._probabilities
        in_cell = (self._labels == label) & (probabilities.argmax(dim=1) == answer)
        here = in_cell.nonzero().flatten()
        confidence = probabilities[here, answer]
        self.indices = here[confidence.argsort(descending=True, stable=True)]
        names, first = self._table.classes, self._table.start
        shown = self.indices[first : first + SHOWN]
        count = len(self.indices)
        with self._table.hold_sync():
            self._table.heading = (
                f"Label {names[label]}, answer {names[answer]}: "
                f"{count:,} digit{'s' * (count != 1)}"
            )
            self._table.cards = [self._card(index) for index in shown.tolist()]

    def _card(self, index: int) -> dict[str, Any]:
        """Describe a digit for the browser: picture, position, three best answers."""
        image = self._digits.images[index, 0] * self._digits.std + self._digits.mean
        best = self._probabilities[index].topk(min(3, len(self._digits.classes)))
        names = [self._table.classes[answer] for answer in best.indices.tolist()]
        return {
            "index": index,
            "png": base.as_png(image),
            "best": list(map(list, zip(names, best.values.tolist(), strict=True))),
        }
