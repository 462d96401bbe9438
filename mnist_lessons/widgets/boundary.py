"""A network on two measured features, and the boundary that it draws."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons import plots
from mnist_lessons.data import Digits
from mnist_lessons.plots.picture import Picture
from mnist_lessons.widgets.base import Redrawn, digits_of, menu, slider

UNITS = [1, 2, 4, 8, 16]
BENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda values: values,
    "ReLU": torch.relu,
    "tanh": torch.tanh,
}
SHOWN = 150  # digits of each class that are learned and drawn
SCORED = 500  # other digits of each class that are scored
STARTS, STEPS, RATE = 16, 300, 0.05
FEATURES = ("slant: columns to the right, a row up", "share of the ink, lower left")


class _Run(NamedTuple):
    """What one setting of the controls has led to."""

    picture: Picture
    right: int  # of the digits that were not learned
    scored: int


class Boundary(Redrawn):
    """Controls for a hidden layer, and the boundary that it draws between two classes.

    The classes are the first two, 0 and 1, and a digit is two numbers only: its slant,
    and the share of its ink in the lower left quarter. The network has one hidden layer
    of a few `units` with a `bend`. It is trained from 16 starts, and the one with the
    lowest training loss is drawn: a small network often gets stuck. Built in lesson 3.
    """

    about = "controls for hidden units and their bend"

    def __init__(
        self, train: Digits | DataLoader, units: int = 1, bend: str = "none"
    ) -> None:
        digits = digits_of(train)
        self._names = digits.classes[:2]
        places = [(digits.labels == k).nonzero().flatten() for k in (0, 1)]
        if min(len(place) for place in places) < 2:
            raise ValueError(
                "Give at least two digits of each of the first two classes."
            )
        # where there are few, as many are learned as are kept for scoring
        learned = [min(SHOWN, len(place) // 2) for place in places]
        parts = zip(places, learned, strict=True)
        chosen = [(place[:n], place[n : n + SCORED]) for place, n in parts]
        self._points, self._labels = _gather(digits, [first for first, _ in chosen])
        self._others, self._truth = _gather(digits, [rest for _, rest in chosen])
        self._runs: dict[tuple[int, str], _Run] = {}
        self.units = slider("hidden units", UNITS, units)
        self.bend = menu("bend", list(BENDS))
        self.bend.value = bend
        super().__init__(self.units, self.bend)
        train_again = self.reacting_soon(self.redraw, busy="Training ...")
        for control in (self.units, self.bend):
            control.observe(train_again, names="value")

    @property
    def accuracy(self) -> float:
        """The share of other digits that lie on their own side of the boundary."""
        run = self._run()
        return run.right / run.scored

    def draw(self) -> Picture:
        """Draw the digits as points, and the boundary between the classes."""
        return self._run().picture

    def caption(self) -> str:
        """Return how many digits that were not learned lie on their own side."""
        run = self._run()
        return (
            f"Of {run.scored:,} other digits {run.right:,} lie on the side of their "
            f"class: {run.right / run.scored:.0%}."
        )

    def _run(self) -> _Run:
        units, bend = self.units.value, self.bend.value
        if (units, bend) not in self._runs:
            self._runs[units, bend] = self._train(units, bend)
        return self._runs[units, bend]

    def _train(self, units: int, bend: str) -> _Run:
        middle, width = self._points.mean(dim=0), self._points.std(dim=0)
        answer = learn(
            (self._points - middle) / width, self._labels, units, BENDS[bend]
        )

        def logits(points: Tensor) -> Tensor:
            return answer((points - middle) / width)

        right = (logits(self._others) > 0) == self._truth.bool()
        points = {
            name: self._points[self._labels == k] for k, name in enumerate(self._names)
        }
        plural = "s" * (units > 1)
        title = f"{units} hidden unit{plural}, bend: {bend}"
        drawn = plots.boundary(points, logits, FEATURES, title)
        return _Run(drawn, int(right.sum()), len(right))


def learn(
    points: Tensor, labels: Tensor, units: int, bend: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Train networks with one hidden layer on points (n, 2); return the best one.

    They learn by Adam on all points at once, each from its own start, side by side.
    """
    generator = torch.Generator().manual_seed(0)

    def start(*shape: int) -> Tensor:
        return torch.randn(STARTS, *shape, generator=generator).requires_grad_()

    first, first_bias, second, bias = (
        start(2, units),
        start(1, units),
        start(units),
        start(1),
    )
    weights = [first, first_bias, second, bias]

    def logits(points: Tensor) -> Tensor:  # (starts, n)
        hidden = bend(points @ first + first_bias)
        return (hidden * second[:, None]).sum(dim=2) + bias

    optimizer = torch.optim.Adam(weights, lr=RATE)
    target = labels.float().expand(STARTS, -1)
    for _ in range(STEPS):
        loss = F.binary_cross_entropy_with_logits(logits(points), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        losses = F.binary_cross_entropy_with_logits(
            logits(points), target, reduction="none"
        )
        best = int(losses.mean(dim=1).argmin())

    @torch.no_grad()
    def answer(points: Tensor) -> Tensor:
        return logits(points)[best]

    return answer


def measured(images: Tensor) -> Tensor:
    """Return two features of images (n, 28, 28) whose ground is 0: (n, 2).

    The slant, in columns to the right for each row upwards, and the share of the ink
    that lies in the lower left quarter of the image.
    """
    ink = images.sum(dim=(1, 2)).clamp(min=1e-6)
    places = torch.arange(28.0)
    rows, columns = images.sum(dim=2), images.sum(dim=1)
    down = places - (rows @ places / ink)[:, None]  # from the centre of mass
    right = places - (columns @ places / ink)[:, None]
    together = torch.einsum("nrc,nr,nc->n", images, down, right) / ink
    slant = -together / ((rows * down**2).sum(dim=1) / ink).clamp(min=1e-6)
    corner = images[:, 14:, :14].sum(dim=(1, 2)) / ink
    return torch.stack([slant, corner], dim=1)


def _gather(digits: Digits, chosen: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the features of some digits, and which of the two lists they are from."""
    images = digits.images[torch.cat(chosen)].cpu()[:, 0]
    scaled = (images * digits.std + digits.mean).clamp(min=0)
    labels = [torch.full((len(part),), k) for k, part in enumerate(chosen)]
    return measured(scaled), torch.cat(labels)
