"""The chart that `fit` redraws while it trains, if it is told `live=True`."""

import time
from typing import Any

from IPython import get_ipython
from IPython.display import DisplayHandle, display
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mnist_lessons.plots.picture import BLUE, ORANGE, Picture, grid, in_one_style

SHARE = 0.06  # of the time, so that it stays below a tenth on a busy machine, too
POINTS = 20  # of the training curve, for each epoch
GUESS = 0.15  # seconds for a drawing, before the first one is measured


class LiveChart:
    """Loss and accuracy against the epoch, drawn again and again in the cell's output.

    The training curve has a point each twentieth of an epoch, the mean of the batches
    since the point before; the validation curve one point an epoch. It is drawn only
    when this drawing and the last one will together with those before take less than a
    tenth of the time; a run of a second or two is drawn just once, at its end. Outside
    a notebook nothing is drawn.
    """

    def __init__(self, epochs: int, batches: int) -> None:
        """Begin the chart of a run of so many epochs, of so many batches each."""
        self._epochs, self._batches = epochs, batches
        self._every = max(1, batches // POINTS)
        self._step = 0
        self._recent: list[tuple[float, float | None]] = []
        self._curves: dict[str, list[tuple[float, float]]] = {
            f"{digits} {value}": []
            for digits in ("training", "validation")
            for value in ("loss", "accuracy")
        }
        self._cost, self._spent, self._start = GUESS, 0.0, time.perf_counter()
        self._handle: DisplayHandle | None = None
        self._in_notebook = hasattr(get_ipython(), "kernel")

    def after_batch(self, loss: float, share_right: float | None) -> None:
        """Add a batch, and draw if it is time."""
        self._step += 1
        self._recent.append((loss, share_right))
        if self._step % self._every:
            return
        losses, shares = zip(*self._recent, strict=True)
        self._recent.clear()
        self._add("training loss", sum(losses) / len(losses))
        if None not in shares:
            self._add("training accuracy", sum(shares) / len(shares))
        elapsed = time.perf_counter() - self._start
        if self._spent + 2 * self._cost < SHARE * elapsed:  # this one and the last
            self.draw()

    def after_epoch(self, record: dict[str, Any]) -> None:
        """Add the scores of an epoch, if there are any."""
        for name in ("loss", "accuracy"):
            if record[f"valid_{name}"] is not None:
                self._add(f"validation {name}", record[f"valid_{name}"])

    def _add(self, name: str, height: float) -> None:
        self._curves[name].append((self._step / self._batches, height))

    def draw(self) -> None:
        """Draw what there is so far, in the place of the drawing before."""
        if not self._in_notebook or not self._curves["training loss"]:
            return
        start = time.perf_counter()
        bundle, about = draw_live(self._curves, self._epochs)._repr_mimebundle_()
        bundle["text/plain"] = "<live chart of loss and accuracy>"
        if self._handle:
            self._handle.update(bundle, metadata=about, raw=True)
        else:
            self._handle = display(bundle, metadata=about, raw=True, display_id=True)
        self._cost = time.perf_counter() - start
        self._spent += self._cost


@in_one_style
def draw_live(curves: dict[str, list[tuple[float, float]]], epochs: int) -> Picture:
    """Draw training as lines and validation as squares, against the epoch."""
    figure, axes = grid(2, 4.5, 3.3)
    looks: dict[str, dict[str, Any]] = {"training": {"color": BLUE}}
    looks["validation"] = {"color": ORANGE, "marker": "s", "linestyle": "--"}
    ends = []
    for axis, value in zip(axes, ("loss", "accuracy"), strict=True):
        for name, look in looks.items():
            if points := curves[f"{name} {value}"]:
                axis.plot(*zip(*points, strict=True), label=name, **look)
                ends.append(f"{name} {value} {points[0][1]:.3g} to {points[-1][1]:.3g}")
        axis.set(xlabel="epoch", ylabel=value, xlim=(0, epochs))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="y")
        if axis.lines:
            axis.legend()
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    return Picture(
        figure,
        f"Two charts, loss and accuracy while the model trains. {'; '.join(ends)}.",
    )
