"""A pad to draw a digit on, answered by every model while one draws."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier
from mnist_lessons.photos.filtering import resize
from mnist_lessons.photos.opening import ImageError, read_grey
from mnist_lessons.photos.recognition import SIZE, steps_of
from mnist_lessons.widgets import base
from mnist_lessons.widgets.steps import PEN, Answer, Step, as_grey, steps_to, still

LARGEST = 280  # pixels a side of a picture that the browser shows on the pad
COMPARED = 4000  # training digits among which the nearest one is looked for
# small and off the middle, so that each step of its preprocessing does something
SEVEN = [
    [0.13, 0.16, 0.24, 0.15, 0.34, 0.15, 0.44, 0.14, 0.39, 0.29, 0.34, 0.44, 0.3, 0.57]
]


class Pad(anywidget.AnyWidget):
    """The pad in the browser.

    It sets `strokes`, each `[x0, y0, x1, y1, ...]` from 0 to 1; `prepare`, whether a
    drawing is prepared as MNIST was made; `backdrop`, a data URL of the picture that is
    shown instead of strokes, or empty; `request`, another number with each message that
    wants an `answer`, which says so. A file comes as `{"name": ..., "data": base64}`.
    """

    _esm = base.STATIC / "drawing.js"
    _css = base.STATIC / "drawing.css"
    pen = traitlets.Float(PEN).tag(sync=True)
    strokes = traitlets.List(traitlets.List()).tag(sync=True)
    backdrop = traitlets.Unicode().tag(sync=True)
    prepare = traitlets.Bool(True).tag(sync=True)
    request = traitlets.Float(0.0).tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)


class DrawingPad(base.Interactive):
    """Draw a digit, see what preprocessing makes of it, and what every model answers.

    Beside the steps stands the training digit that is most like the drawing. It starts
    with a 7; where nothing reacts, that 7 stands there with its answers. The models are
    asked anew for each drawing, so that one that is trained further answers as it is
    now. A model without a `mean` and `std` of its own gets images on the digits' scale.
    """

    about = "a pad to draw a digit on"

    def __init__(
        self,
        models: Mapping[str, DigitClassifier] | DigitClassifier,
        digits: Digits | DataLoader,
    ) -> None:
        self._models, self._digits = base.named_models(models), base.digits_of(digits)
        some, self._labels = (part[:COMPARED].cpu() for part in self._digits.tensors)
        pixels = (some * self._digits.std).add_(self._digits.mean).mul_(255).round_()
        self._real = pixels.flatten(1).to(torch.uint8)  # bytes: pads are never freed
        self._opened: Tensor | None = None  # the picture that is shown, if one is
        self.pad = Pad(strokes=SEVEN)
        steps = steps_to(as_grey(SEVEN))
        self._answers = self._ask(steps[-1].image)
        steps += self._nearest(steps[-1].image)
        seven = still(steps, self._answers, self._digits.classes)
        super().__init__(self.pad, picture=seven)
        self._update()
        self.pad.observe(self.in_turn(lambda _: self._update()), "request")
        self.pad.on_msg(self.in_turn(self._open_file))

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
        """Draw strokes, each x0, y0, x1, y1, ... from 0 (left, top) to 1."""
        self._show([[round(float(v), 3) for v in stroke] for stroke in strokes])

    def clear(self) -> None:
        """Empty the pad."""
        self._show([])

    def undo(self) -> None:
        """Take the last stroke back, or the picture that was opened."""
        shown = self.pad.strokes
        self._show(shown if self.pad.backdrop else shown[:-1])

    def read(self, source: Any) -> None:
        """Show a picture of a digit, as if it had been drawn.

        It is a file's name, a `PIL.Image.Image`, or grey values (height, width) from 0
        to 1 or to 255. After an `ImageError` the pad shows what it showed before.
        """
        try:
            grey = steps_of(source).grey if self.pad.prepare else read_grey(source)
        except ImageError as error:
            self.say(str(error), error=True)
            raise
        self._opened = grey
        self.pad.backdrop = base.as_png(resize(grey, LARGEST))
        self._update()

    def _show(self, strokes: list[list[float]]) -> None:
        with self.pad.hold_sync():
            self.pad.backdrop, self.pad.strokes = "", strokes
        self._update()

    def _open_file(self, _: Any, content: dict[str, str], __: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(base64.b64decode(content["data"]))
            try:
                self.read(path)
            except ImageError as error:
                message = str(error).replace(str(path), content["name"])
                self.say(message, error=True)

    def _update(self) -> None:
        """Answer what is on the pad; whatever happens, the browser waits for it."""
        answer: dict[str, Any] = {"summary": "There is no answer."}
        self._answers = []
        try:
            self.reacting(lambda: answer.update(self._answer()))()
        finally:
            self.pad.answer = answer | {"request": self.pad.request}

    def _answer(self) -> dict[str, Any]:
        if self.pad.backdrop and self._opened is not None:
            grey = self._opened
        elif self.pad.strokes:
            grey = as_grey(self.pad.strokes)
        else:
            return {"summary": "Nothing is drawn yet, so there is nothing to answer."}
        try:
            steps = steps_to(grey, self.pad.prepare)
        except ImageError as error:
            self.say(str(error), error=True)
            return {"summary": "No digit is found, so there is nothing to answer."}
        image, classes = steps[-1].image, self._digits.classes
        self._answers = self._ask(image)
        failed = [
            f"{a.name} cannot answer. {a.error}" for a in self._answers if a.error
        ]
        if failed:
            self.say(" ".join(failed), error=True)
        return {
            "steps": [step.message() for step in steps],
            "like": [step.message() for step in self._nearest(image)],
            "classes": classes,
            "models": [answer.message() for answer in self._answers],
            "summary": ", ".join(a.in_words(classes) for a in self._answers),
        }

    def _ask(self, image: Tensor) -> list[Answer]:
        """Let every model answer an image (28, 28), from 0 to 1."""
        answers = []
        for name, model in self._models.items():
            mean = self._digits.mean if model.mean is None else model.mean
            std = self._digits.std if model.std is None else model.std
            device = next(model.parameters(), image).device
            scaled = ((image[None, None] - mean) / std).to(device)
            try:
                probabilities = base.ask(name, model, scaled, self._digits.classes)[0]
                answers.append(Answer(name, probabilities))
            except Exception as error:
                answers.append(Answer(name, None, f"{type(error).__name__}: {error}"))
        return answers

    def _nearest(self, image: Tensor) -> list[Step]:
        """Return the training digit most like an image among those of its label."""
        if not self.answers:
            return []
        label = int(list(self.answers.values())[-1].argmax())
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
