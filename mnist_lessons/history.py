"""What a run leaves behind: the score of a model, the history of a training run."""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from mnist_lessons.plots.picture import Picture

Epoch = dict[str, Any]
COLUMNS = {  # of a history's table, and how each is written
    "epoch": "d",
    "train_loss": ".4f",
    "train_accuracy": ".2%",
    "valid_loss": ".4f",
    "valid_accuracy": ".2%",
    "lr": ".2g",
    "seconds": ".2f",
}


@dataclass(frozen=True)
class Score:
    """How good a model is on one set of images.

    `score.accuracy`, `score["accuracy"]` and `dict(score)` all work.

    Attributes:
        loss: mean cross-entropy an image, 0 or more; log(10) = 2.30 for pure guessing;
            `None` for a rule that gives answers without probabilities.
        accuracy: the fraction that is right, in [0, 1].
        correct, count: how many of how many.
    """

    loss: float | None
    accuracy: float
    correct: int
    count: int

    @classmethod
    def of(cls, answers: Tensor, labels: Tensor) -> "Score":
        """Score answers against labels, both whole numbers of shape (count,)."""
        correct = int((answers == labels).sum())
        return cls(None, correct / len(labels), correct, len(labels))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy (Wilson, 1927, JASA 22:209-212).

        In 95 of 100 draws of other images from the same source it holds the true one.
        """
        z, n, share = 1.96, self.count, self.accuracy
        middle = (self.correct + z**2 / 2) / (n + z**2)
        spread = math.sqrt(share * (1 - share) / n + (z / n / 2) ** 2)
        half = z * spread / (1 + z**2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def keys(self) -> list[str]:
        """Return the names that `score[name]` knows."""
        return [*vars(self), "interval"]

    def __getitem__(self, name: str) -> Any:
        return {**vars(self), "interval": self.interval}[name]

    def __repr__(self) -> str:
        low, high = self.interval
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        right = f"{self.accuracy:.2%} right ({self.correct:,} of {self.count:,}"
        return f"{right}; 95 % interval {low:.2%} to {high:.2%}){loss}"


class History(list[Epoch]):
    """What a training run measured: a list with one dictionary an epoch.

    `history[-1]["valid_accuracy"]` is one number, `history["valid_loss"]` a list.
    The last line of a cell shows it as a table; `history.plot()` draws it.

    An epoch has `epoch` (from 1), `train_loss` and `train_accuracy` (running means
    while the weights changed, with dropout, augmentation and label smoothing on),
    `valid_loss` and `valid_accuracy` (after the epoch, in evaluation mode), `lr` (of
    its last batch), `seconds`. `None` is what was not measured.

    Attributes:
        batches: pairs (batch number from 1, mean training loss of the batches since the
            entry before), if `fit` was told `log_every`.
        stopped: why the run ended early, or `None`.
        by_hand: whether that was Ctrl-C, or the notebook's stop button.
    """

    def __init__(self, epochs: Iterable[Epoch] = ()) -> None:
        super().__init__(epochs)
        self.batches: list[tuple[int, float]] = []
        self.stopped: str | None = None
        self.by_hand = False

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [epoch[key] for epoch in self]
        return super().__getitem__(key)

    def plot(self) -> "Picture":
        """Draw loss and accuracy against the epoch."""
        from mnist_lessons import plots  # matplotlib is slow to load

        return plots.history(self)

    def _columns(self) -> list[list[str]]:
        columns = []
        for name, style in COLUMNS.items():
            cells = ["-" if v is None else format(v, style) for v in self[name]]
            columns.append([name.replace("_", " "), *cells])
        return columns

    def __repr__(self) -> str:
        columns = self._columns()
        padded = [[c.rjust(max(map(len, col))) for c in col] for col in columns]
        lines = ["  ".join(row) for row in zip(*padded, strict=True)]
        return "\n".join(lines + ([self.stopped] if self.stopped else []))

    def _repr_html_(self) -> str:
        titles, *rows = zip(*self._columns(), strict=True)
        head = "".join(f'<th scope="col">{title}</th>' for title in titles)
        body = ""
        for epoch, *cells in rows:
            body += f'<tr><th scope="row">{epoch}</th>'
            body += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        note = f"<p>{html.escape(self.stopped)}</p>" if self.stopped else ""
        return f"<table>{table}</table>{note}"
