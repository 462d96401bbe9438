"""What goes on around the loop of `fit`, so that the loop itself stays short.

Sums of losses and right answers, the progress bar, the live chart, and the early end of
a run that is stopped by hand or has diverged.
"""

import math
import time
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from mnist_lessons.history import Epoch, History, Score
from mnist_lessons.models import DigitClassifier


class Recorder:
    """A context manager around a training loop, which fills `history`.

    It turns Ctrl-C, and a loss that is not finite, into an early end that keeps what
    was measured so far.
    """

    def __init__(
        self,
        model: DigitClassifier,
        epochs: int,
        batches: int,
        log_every: int | None,
        progress: bool,
        live: bool,
    ) -> None:
        self.history = History()
        self._model, self._epochs, self._batches = model, epochs, epochs * batches
        self._log_every, self._progress = log_every, progress
        self._batch = 0
        self._recent_losses: list[float] = []
        self._logits: Tensor | None = None
        self._chart = None
        if live:
            from mnist_lessons.plots.live import LiveChart  # matplotlib is slow to load

            self._chart = LiveChart(epochs, batches)

    def __enter__(self) -> "Recorder":
        # training_step returns the loss alone; the hook keeps the logits it computed on
        # the way, so that right answers are counted without computing them twice
        self._hook = self._model.register_forward_hook(self._keep_logits)
        self._bar = tqdm(total=self._batches, leave=False, disable=not self._progress)
        self._start_epoch()
        return self

    def _keep_logits(self, _model: Any, _inputs: Any, logits: Tensor) -> None:
        self._logits = logits.detach()

    def _start_epoch(self) -> None:
        self._start, self._loss_sum = time.perf_counter(), 0.0
        self._count, self._correct = 0, 0.0
        self._logits = None  # not those of the validation before

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self._hook.remove()
        self._bar.close()
        if self._chart:
            self._chart.draw()
        if isinstance(error, KeyboardInterrupt):
            finished = f"{len(self.history)} of {self._epochs}"
            self.history.stopped = f"Stopped by hand; finished epochs: {finished}."
            self.history.by_hand = True
        elif isinstance(error, FloatingPointError):
            self.history.stopped = str(error)
        else:
            return False
        print(self.history.stopped)
        return True

    def after_batch(self, loss: Tensor, labels: Tensor) -> None:
        """Add a batch to the sums of the epoch; `FloatingPointError` ends the run."""
        value = loss.item()
        self._batch += 1
        if not math.isfinite(value):
            raise FloatingPointError(
                f"The loss became {value} in batch {self._batch}, so training stopped. "
                "Try a learning rate ten times smaller; look for inputs that are not "
                "normalised or not finite; build the model anew before the next run."
            )
        correct = math.nan  # unknown, if training_step does not call the model once
        if self._logits is not None and len(self._logits) == len(labels):
            correct = (self._logits.argmax(dim=1) == labels).sum().item()
        self._logits = None
        self._loss_sum += value * len(labels)
        self._correct += correct
        self._count += len(labels)
        if self._chart:
            known = math.isfinite(correct)
            self._chart.after_batch(value, correct / len(labels) if known else None)
        self._bar.update()
        self._recent_losses.append(value)
        if self._log_every and self._batch % self._log_every == 0:
            mean = sum(self._recent_losses) / len(self._recent_losses)
            self.history.batches.append((self._batch, mean))
            self._recent_losses.clear()
            self._write(f"batch {self._batch}/{self._batches}  train loss {mean:.4f}")

    def after_epoch(self, valid: Score | None, lr: float) -> Epoch:
        """Note the epoch, print it in one line, and return it."""
        known = math.isfinite(self._correct)
        epoch: Epoch = {
            "epoch": len(self.history) + 1,
            "train_loss": self._loss_sum / self._count,
            "train_accuracy": self._correct / self._count if known else None,
            "valid_loss": valid.loss if valid else None,
            "valid_accuracy": valid.accuracy if valid else None,
            "lr": lr,
            "seconds": time.perf_counter() - self._start,
        }
        self.history.append(epoch)
        if self._chart:
            self._chart.after_epoch(epoch)
        line = f"epoch {epoch['epoch']}/{self._epochs}"
        line += f"  train loss {epoch['train_loss']:.4f}"
        if known:
            line += f", {epoch['train_accuracy']:.2%} right"
        if valid:
            line += f" | valid loss {valid.loss:.4f}, {valid.accuracy:.2%} right "
            line += f"({valid.correct:,} of {valid.count:,})"
        self._write(f"{line} | {epoch['seconds']:.1f} s")
        self._start_epoch()
        return epoch

    def _write(self, line: str) -> None:
        if self._progress:
            self._bar.write(line)
