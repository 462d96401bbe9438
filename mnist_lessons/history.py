"""What a run leaves behind: the score of a model, the history of a training run."""

import html
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm.auto import tqdm

from mnist_lessons.models import DigitClassifier

if TYPE_CHECKING:
    from mnist_lessons.plots.live import LiveChart
    from mnist_lessons.plots.picture import Picture

Record = dict[str, Any]


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

        Other images from the same source would have given another accuracy; in 95 of
        100 such draws the interval holds the true one.
        """
        z = 1.96
        shrunk = (self.correct + z**2 / 2) / (self.count + z**2)
        spread = math.sqrt(
            self.accuracy * (1 - self.accuracy) / self.count + (z / self.count / 2) ** 2
        )
        half = z * spread / (1 + z**2 / self.count)
        return max(0.0, shrunk - half), min(1.0, shrunk + half)

    def keys(self) -> list[str]:
        """Return the names that `score[name]` knows."""
        return ["loss", "accuracy", "correct", "count", "interval"]

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(f"{name!r}: a score has {', '.join(self.keys())}")
        return getattr(self, name)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.accuracy:.2%} right ({self.correct:,} of {self.count:,}; 95 % "
            f"interval {low:.2%} to {high:.2%})"
            + ("" if self.loss is None else f", loss {self.loss:.4f}")
        )

    __repr__ = __str__


@dataclass
class History:
    """The record of a training run, one entry an epoch.

    `history[-1]["valid_accuracy"]` is one number, `history["valid_loss"]` a list.
    The last line of a cell shows it as a table; `history.plot()` draws it.

    Attributes:
        records: one dictionary an epoch, with `epoch` (from 1), `train_loss` and
            `train_accuracy` (running means while the weights changed, with dropout,
            augmentation and label smoothing on; the accuracy is `None` if
            `training_step` does not call the model once), `valid_loss` and
            `valid_accuracy` (after the epoch, in evaluation mode; `None` without a
            validation loader),
            `lr` (of the epoch's last batch), `seconds` (training and validation).
        batches: pairs (batch number from 1, mean training loss of the batches since the
            entry before), if `fit` was told `log_every`.
        stopped: why the run ended early, or `None`.
        by_hand: whether that was Ctrl-C, or the notebook's stop button.
        autocast: whether the run computed in bfloat16.
    """

    records: list[Record] = field(default_factory=list)
    batches: list[tuple[int, float]] = field(default_factory=list)
    stopped: str | None = None
    by_hand: bool = False
    autocast: bool = False

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return [record[key] for record in self.records]
        return self.records[key]

    def plot(self) -> "Picture":
        """Draw loss and accuracy against the epoch."""
        from mnist_lessons import plots

        return plots.history(self)

    def _table(self) -> list[list[str]]:
        def cell(name: str, value: Any) -> str:
            if value is None:
                return "-"
            if name.endswith("accuracy"):
                return f"{value:.2%}"
            if name.endswith("loss"):
                return f"{value:.4f}"
            return f"{value:.2g}" if name == "lr" else f"{value:.2f}"

        names = ["train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr"]
        names += ["seconds"]
        head = ["epoch", *(name.replace("_", " ") for name in names)]
        return [
            head,
            *(
                [str(record["epoch"]), *(cell(name, record[name]) for name in names)]
                for record in self.records
            ),
        ]

    def __repr__(self) -> str:
        rows = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join(lines + ([self.stopped] if self.stopped else []))

    def _repr_html_(self) -> str:
        head, *rows = self._table()

        titles = "".join(f'<th scope="col">{text}</th>' for text in head)
        body = ""
        for epoch, *values in rows:
            body += f'<tr><th scope="row">{epoch}</th>'
            body += "".join(f"<td>{value}</td>" for value in values) + "</tr>"
        table = f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody>"
        note = f"<p>{html.escape(self.stopped)}</p>" if self.stopped else ""
        return f"<table>{table}</table>{note}"


def _live_chart(epochs: int, batches: int) -> "LiveChart":
    from mnist_lessons.plots.live import LiveChart  # matplotlib is slow to load

    return LiveChart(epochs, batches)


class DivergenceError(ArithmeticError):
    """The loss is no longer a finite number. Caught by the `Recorder`."""


class Recorder:
    """The bookkeeping around a training loop, kept apart so that the loop stays short.

    As a context manager it shows the progress bar, watches the model's logits, and
    turns Ctrl-C and `DivergenceError` into an early end that keeps the history.
    """

    def __init__(
        self,
        model: DigitClassifier,
        *,
        epochs: int,
        batches: int,
        log_every: int | None,
        progress: bool,
        live: bool,
    ) -> None:
        self.history = History()
        self._model, self._epochs, self._batches = model, epochs, batches
        self._log_every, self._progress = log_every, progress
        self._step = 0
        self._recent: list[float] = []
        self._logits: Tensor | None = None
        self._chart = _live_chart(epochs, batches) if live else None

    def __enter__(self) -> "Recorder":
        # training_step returns the loss alone; the hook keeps the logits it computed on
        # the way, so that right answers are counted without computing them twice
        self._hook = self._model.register_forward_hook(self._keep_logits)
        self._bar = tqdm(
            total=self._epochs * self._batches, leave=False, disable=not self._progress
        )
        return self

    def _keep_logits(self, _model: Any, _inputs: Any, logits: Tensor) -> None:
        self._logits = logits.detach()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self._hook.remove()
        self._bar.close()
        if isinstance(error, KeyboardInterrupt):
            self.history.by_hand = True
            self.history.stopped = (
                f"Stopped by hand; finished epochs: {len(self.history)} "
                f"of {self._epochs}."
            )
        elif isinstance(error, DivergenceError):
            self.history.stopped = str(error)
        if self._chart:
            self._chart.draw()
        if self.history.stopped is None:
            return False
        print(self.history.stopped)
        return True

    def start_epoch(self) -> None:
        """Set the sums of the epoch to zero."""
        self._start = time.perf_counter()
        self._loss_sum, self._count = 0.0, 0
        self._correct: int | None = 0
        self._logits = None  # those of the validation before are not this epoch's

    def after_batch(self, loss: Tensor, labels: Tensor) -> None:
        """Add a batch to the sums, or raise `DivergenceError`."""
        value = loss.item()
        self._step += 1
        if not math.isfinite(value):
            raise DivergenceError(
                f"The loss became {value} in batch {self._step}, so training stopped. "
                "Try a learning rate ten times smaller; look for inputs that are not "
                "normalised or not finite; build the model anew before the next run."
            )
        self._loss_sum += value * len(labels)
        self._count += len(labels)
        correct = self._correct_of(labels)
        if correct is None or self._correct is None:
            self._correct = None
        else:
            self._correct += correct
        if self._chart:
            share = None if correct is None else correct / len(labels)
            self._chart.after_batch(value, share)
        self._bar.update()
        self._recent.append(value)
        if self._log_every and self._step % self._log_every == 0:
            mean = sum(self._recent) / len(self._recent)
            self.history.batches.append((self._step, mean))
            self._recent.clear()
            self._say(f"batch {self._step}/{self._bar.total}  train loss {mean:.4f}")

    def _correct_of(self, labels: Tensor) -> int | None:
        logits, self._logits = self._logits, None
        if logits is None or len(logits) != len(labels):
            return None  # this training_step does not call the model just once
        return int((logits.argmax(dim=1) == labels).sum())

    def after_epoch(self, valid: Score | None, lr: float) -> Record:
        """Write the record of the epoch, say it in one line, and return it."""
        record: Record = {
            "epoch": len(self.history) + 1,
            "train_loss": self._loss_sum / self._count,
            "train_accuracy": None
            if self._correct is None
            else self._correct / self._count,
            "valid_loss": valid.loss if valid else None,
            "valid_accuracy": valid.accuracy if valid else None,
            "lr": lr,
            "seconds": time.perf_counter() - self._start,
        }
        self.history.records.append(record)
        if self._chart:
            self._chart.after_epoch(record)
        line = f"epoch {record['epoch']}/{self._epochs}"
        line += f"  train loss {record['train_loss']:.4f}"
        if record["train_accuracy"] is not None:
            line += f", {record['train_accuracy']:.2%} right"
        if valid:
            line += (
                f" | valid loss {valid.loss:.4f}, {valid.accuracy:.2%} right "
                f"({valid.correct:,} of {valid.count:,})"
            )
        self._say(f"{line} | {record['seconds']:.1f} s")
        return record

    def _say(self, line: str) -> None:
        if self._progress:
            self._bar.write(line)
