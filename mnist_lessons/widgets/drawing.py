"""A pad to draw a digit on, answered by every model while one draws."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier
from mnist_lessons.photos.filtering import resize
from mnist_lessons.photos.opening import ImageError, read_grey
from mnist_lessons.photos.recognition import SIZE, steps_of
from mnist_lessons.plots.picture import Picture
from mnist_lessons.widgets.base import Interactive, digits_of, named_models
from mnist_lessons.widgets.pngs import as_png
from mnist_lessons.widgets.steps import (
    PEN,
    SIDE,
    Answer,
    Step,
    as_grey,
    in_words,
    percent,
    prepared,
    still,
    unprepared,
)

STATIC = Path(__file__).parent / "static"
LARGEST = 280  # pixels a side of a picture that the browser shows on the pad
COMPARED = 4000  # training digits among which the nearest one is looked for
# small and off the middle, so that each step of its preprocessing does something
SEVEN = [
    [0.13, 0.16, 0.24, 0.15, 0.34, 0.15, 0.44, 0.14, 0.39, 0.29, 0.34, 0.44, 0.3, 0.57]
]


class Pad(anywidget.AnyWidget):
    """The pad in the browser.

    Traits that the browser sets: `strokes`, each `[x0, y0, x1, y1, ...]` from 0 to 1;
    `prepare`, whether a drawing is prepared as MNIST was made; `backdrop`, a data URL
    of the picture that is shown instead of strokes, or empty; `request`, another number
    with each message that wants an answer. Python answers in `answer`, whose "request"
    says to which message. A file comes as `{"name": ..., "data": base64}`.
    """

    _esm = STATIC / "drawing.js"
    _css = STATIC / "drawing.css"
    pen = traitlets.Float(PEN).tag(sync=True)
    strokes = traitlets.List(traitlets.List()).tag(sync=True)
    backdrop = traitlets.Unicode().tag(sync=True)
    prepare = traitlets.Bool(True).tag(sync=True)
    request = traitlets.Float(0.0).tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)


class DrawingPad(Interactive):
    """Draw a digit, see what preprocessing makes of it, and what every model answers.

    Beside the steps stands the training digit that is most like the drawing. It starts
    with a 7; where nothing reacts, that 7 stands there with its answers.

    Args:
        models: trained models by name, or a single one. They are asked anew for each
            drawing, so that one that is trained further answers as it is now.
        digits: the digits that they were trained on, or a loader that serves them. A
            model that has no `mean` and `std` of its own gets images on their scale.
        picture: what is shown where nothing reacts, instead of the 7.

    Raises:
        TypeError: `models` or `digits` is none of these.
        ValueError: there is no model.
    """

    about = "a pad to draw a digit on"

    def __init__(
        self,
        models: Mapping[str, DigitClassifier] | DigitClassifier,
        digits: Digits | DataLoader,
        *,
        picture: Picture | None = None,
    ) -> None:
        self._models, self._digits = named_models(models), digits_of(digits)
        some, self._labels = (part[:COMPARED].cpu() for part in self._digits.tensors)
        grey = (some * self._digits.std + self._digits.mean).flatten(1)
        self._real = (255 * grey).round().to(torch.uint8)  # bytes: pads are never freed
        self._opened: Tensor | None = None  # the picture that is shown, if one is
        self._answers: list[Answer] = []
        self.pad = Pad(strokes=SEVEN)
        seen = prepared(as_grey(SEVEN))
        said = self._ask(seen[-1].image)
        steps = [*seen, *self._nearest(seen[-1].image, said)]
        super().__init__(
            self.pad, picture=picture or still(steps, said, self._digits.classes)
        )
        self._update()
        self.pad.observe(self.in_turn(self._requested), "request")
        self.pad.on_msg(self.in_turn(self._received))

    @property
    def answers(self) -> dict[str, Tensor]:
        """The probabilities by model for what is shown now: (classes,), summing to 1.

        Empty where nothing is drawn; a model that failed is left out.
        """
        return {
            answer.name: answer.probabilities
            for answer in self._answers
            if answer.probabilities is not None
        }

    def draw(self, strokes: Sequence[Sequence[float]]) -> None:
        """Show these strokes, as if they had been drawn.

        Args:
            strokes: each a flat list x0, y0, x1, y1, ... from 0 (left, top) to 1.

        Raises:
            ValueError: a stroke is no such list.
        """
        self._show([_checked(stroke) for stroke in strokes])

    def clear(self) -> None:
        """Empty the pad."""
        self._show([])

    def undo(self) -> None:
        """Take the last stroke back, or the picture that was opened."""
        shown = self.pad.strokes
        self._show(shown if self._picture is not None else shown[:-1])

    def read(self, source: Any) -> None:
        """Show a picture of a digit, as if it had been drawn.

        Args:
            source: the name of a picture file, a `PIL.Image.Image`, grey values of
                shape (height, width) from 0 to 1 or from 0 to 255, or 784 of them.

        Raises:
            ImageError: the source is no picture, or shows no digit. What the pad shows
                stays; the message stands below it, too.
        """
        try:
            source = _unfolded(source)
            grey = steps_of(source).grey if self.pad.prepare else read_grey(source)
        except ImageError as error:
            self.say(str(error), error=True)
            raise
        self._opened = grey
        self.pad.backdrop = as_png(resize(grey, LARGEST))
        self._update()

    @property
    def _picture(self) -> Tensor | None:
        return self._opened if self.pad.backdrop else None

    def _show(self, strokes: list[list[float]]) -> None:
        with self.pad.hold_sync():
            self.pad.backdrop, self.pad.strokes = "", strokes
        self._update()

    def _requested(self, _: Any) -> None:
        self._update()

    def _received(self, _: Any, content: dict[str, str], __: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(base64.b64decode(content["data"]))
            try:
                self.read(path)
            except ImageError as error:
                name = content["name"]
                self.say(str(error).replace(str(path), name), error=True)

    def _update(self) -> None:
        """Answer what is on the pad; whatever happens, the browser waits for it."""
        told: dict[str, Any] = {"summary": "There is no answer."}
        self._answers = []
        try:
            self.reacting(lambda: told.update(self._answered()))()
        finally:
            self.pad.answer = told | {"request": self.pad.request}

    def _answered(self) -> dict[str, Any]:
        strokes, picture = self.pad.strokes, self._picture
        if picture is None and not strokes:
            return {"summary": "Nothing is drawn yet, so there is nothing to answer."}
        grey = as_grey(strokes) if picture is None else picture
        try:
            seen = prepared(grey) if self.pad.prepare else unprepared(grey)
        except ImageError as error:
            self.say(str(error), error=True)
            return {"summary": "No digit is found, so there is nothing to answer."}
        image = seen[-1].image
        self._answers = self._ask(image)
        failed = [
            f"{a.name} cannot answer. {a.error}" for a in self._answers if a.error
        ]
        if failed:
            self.say(" ".join(failed), error=True)
        classes = self._digits.classes
        return {
            "steps": [_shown(step) for step in seen],
            "like": [_shown(step) for step in self._nearest(image, self._answers)],
            "classes": classes,
            "models": [_told(answer) for answer in self._answers],
            "summary": ", ".join(in_words(a, classes) for a in self._answers),
        }

    def _ask(self, image: Tensor) -> list[Answer]:
        """Let every model answer an image (28, 28), from 0 to 1."""
        answers = []
        for name, model in self._models.items():
            try:
                answers.append(Answer(name, self._probabilities(model, image)))
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                answers.append(Answer(name, None, message))
        return answers

    def _probabilities(self, model: DigitClassifier, image: Tensor) -> Tensor:
        mean = self._digits.mean if model.mean is None else model.mean
        std = self._digits.std if model.std is None else model.std
        weights = next(model.parameters(), image)
        scaled = ((image[None, None] - mean) / std).to(weights.device)
        probabilities = model.predict_proba(scaled)[0].float().cpu()
        if len(probabilities) != len(self._digits.classes):
            raise ValueError(
                f"it tells {len(probabilities)} classes apart, but the digits have "
                f"{len(self._digits.classes)}. Give the digits that it was trained on."
            )
        if not probabilities.isfinite().all():
            raise ValueError(
                "its probabilities are not numbers, since its training diverged. Build "
                "it anew and train it with a smaller learning rate."
            )
        return probabilities

    def _nearest(self, image: Tensor, answers: list[Answer]) -> list[Step]:
        """Return the training digit most like an image, with the last answer's label.

        An empty list, if no model answers, or if no digit has that label.
        """
        said = [a.probabilities for a in answers if a.probabilities is not None]
        if not said:
            return []
        label = int(said[-1].argmax())
        same = self._real[self._labels == label] / 255
        if not len(same):
            return []
        best = int((same - image.flatten()).square().sum(dim=1).argmin())
        name = self._digits.classes[label]
        return [
            Step(
                f"a real {name}, the most similar",
                f"A real {name}: the training image that is most like it.",
                same[best].reshape(SIZE, SIZE),
            )
        ]


def _shown(step: Step) -> dict[str, Any]:
    height, width = step.image.shape
    return {
        "caption": step.caption,
        "alt": step.alt,
        "data": as_png(resize(step.image, SIDE)),
        "boxed": [width, height] if max(width, height) <= SIZE else None,
    }


def _told(answer: Answer) -> dict[str, Any]:
    if answer.probabilities is None:
        return {"name": answer.name, "error": answer.error}
    shares = [round(share, 3) for share in answer.probabilities.tolist()]
    return {
        "name": answer.name,
        "top": int(answer.probabilities.argmax()),
        "shares": shares,
        "texts": [percent(share) for share in answer.probabilities.tolist()],
    }


def _checked(stroke: Any) -> list[float]:
    values = list(stroke) if isinstance(stroke, Sequence) else []
    fine = all(isinstance(v, Real) and 0 <= float(v) <= 1 for v in values)
    if not values or len(values) % 2 or not fine:
        raise ValueError(
            f"{stroke!r} is no stroke; expected a list x0, y0, x1, y1, ... of numbers "
            "from 0 (left, top) to 1 (right, bottom). Several strokes are a list of "
            "such lists: pad.draw([[0.3, 0.2, 0.7, 0.2], [0.7, 0.2, 0.5, 0.8]])."
        )
    return [round(float(value), 3) for value in values]


def _unfolded(source: Any) -> Any:
    """Turn 784 values in a row into 28x28; leave everything else as it is."""
    if isinstance(source, list | tuple) and len(source) == SIZE * SIZE:
        source = torch.tensor(source) if all(map(_is_number, source)) else source
    if isinstance(source, Tensor | np.ndarray) and tuple(source.shape) == (SIZE**2,):
        return source.reshape(SIZE, SIZE)
    return source


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)
