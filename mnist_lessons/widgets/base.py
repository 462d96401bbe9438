"""What every interactive piece has in common.

Python computes and draws; the browser shows, and says what was clicked. A piece shows
itself as the last line of a cell. Where nothing can react (a page that shows the file,
an export, paper, a kernel that is gone) there stands a still picture instead, described
in words.
"""

import asyncio
import base64
import html
import io
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import torch
from IPython.display import display
from PIL import Image
from torch import Tensor

from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier
from mnist_lessons.plots.picture import Picture

STATIC = Path(__file__).parent / "static"
VIEW = "application/vnd.jupyter.widget-view+json"
WAIT = 0.15  # seconds; whoever holds an arrow key sends a change every 0.03
NOTE = (
    '<p class="mnist-lessons-still">Nothing reacts here? Then this piece has no kernel '
    "(any more): run its cell again, after the cells above it.</p>"
)


class Access(anywidget.AnyWidget):
    """Nothing to see: it makes the piece it is part of accessible.

    Arrow keys stay in the piece, where JupyterLab would change cells with them, and a
    slider gets its description as a name for screen readers. What stands in for the
    piece is hidden, and when the kernel is gone, a line says so.
    """

    _esm = STATIC / "access.js"

    def __init__(self) -> None:
        super().__init__(layout={"display": "none"})


class Live:
    """What shows itself as a widget, and as something still where no widget can be.

    These are two outputs, as JupyterLab shows one form of each output only: without the
    kernel that made it, a widget is an error message. `view` is the widget.
    """

    def __init__(self, *parts: ipywidgets.Widget) -> None:
        self.view = ipywidgets.VBox([*parts, Access()])
        self.view.add_class("mnist-lessons")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": repr(self)}, {}

    def _ipython_display_(self) -> None:
        model = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        still, about = self._repr_mimebundle_()
        if "google.colab" in sys.modules:
            still.pop("text/html", None)  # Colab might show it instead of the widget
            display({**still, VIEW: model}, metadata=about, raw=True)
        else:
            display(still, metadata=about, raw=True)
            display({VIEW: model}, raw=True)


class Interactive(Live):
    """A piece that reacts to its reader.

    Derive from it, build the controls in `__init__`, and pass them on, with the
    `picture` that is shown where nothing reacts. The error of a callback that is
    wrapped in `reacting` is shown below the piece: Jupyter would let it vanish.
    """

    about = "an interactive piece"

    def __init__(self, *parts: ipywidgets.Widget, picture: Picture) -> None:
        self.picture = picture
        self._message, self._text = ipywidgets.HTML(), ""
        self._timer: asyncio.TimerHandle | None = None
        self._loop, self._thread = _running_loop(), threading.get_ident()
        super().__init__(*parts, self._message)

    def say(self, text: str, *, error: bool = False) -> None:
        """Show one line of text below the piece; screen readers read it out."""
        self._text = text
        role = "alert" if error else "status"
        mark = "<b>✗</b> " if error else ""
        line = f'<div role="{role}">{mark}{html.escape(text)}</div>' if text else ""
        self._message.value = line

    def in_turn(
        self, function: Callable[..., None], busy: str = ""
    ) -> Callable[..., None]:
        """Turn a function into a callback that waits until no cell is running.

        JupyterLab answers clicks in another thread while a cell runs. A model that is
        asked while that cell trains it would spoil the training; a slider that trains
        would use up its random numbers. The `busy` text shows at once.
        """

        def callback(*args: Any) -> None:
            self.say(busy)
            if self._loop is None or threading.get_ident() == self._thread:
                function(*args)
            else:
                self._loop.call_soon_threadsafe(function, *args)

        return callback

    def reacting(
        self, function: Callable[[], Any], busy: str = ""
    ) -> Callable[..., None]:
        """Turn a function into a callback that shows what goes wrong in it.

        Like `in_turn`, it waits; the `busy` text shows until the function is done.
        """

        def react(*_: Any) -> None:
            self.say(busy)
            try:
                function()
            except Exception as error:
                self.say(f"{type(error).__name__}: {error}", error=True)
            else:
                if self._text == busy:  # the function had nothing to say
                    self.say("")

        return self.in_turn(react, busy)

    def reacting_soon(
        self, function: Callable[[], Any], busy: str = ""
    ) -> Callable[..., None]:
        """Do the same, but only for the last of several quick changes."""
        react = self.reacting(function, busy)

        def wait(*_: Any) -> None:
            if self._timer:
                self._timer.cancel()
            if loop := _running_loop():
                self._timer = loop.call_later(WAIT, react)
            else:  # no kernel, so nothing that could wait
                react()

        return self.in_turn(wait, busy)

    def __repr__(self) -> str:
        return f"<{self.about}; where it cannot react: {self.picture!r}>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        still, about = self.picture._repr_mimebundle_()
        still["text/html"] += NOTE
        return still | {"text/plain": repr(self)}, about


class Redrawn(Interactive):
    """A piece whose controls change one picture, and a line below it.

    Derive from it, set what `draw` and `caption` need, then call this `__init__`.
    """

    def __init__(self, *controls: ipywidgets.Widget) -> None:
        self._image = ipywidgets.HTML()
        super().__init__(*controls, self._image, picture=self.draw())
        self._show()

    def draw(self) -> Picture:
        """Return the picture that belongs to the state of the controls."""
        raise NotImplementedError

    def caption(self) -> str:
        """Return the line below the picture."""
        return ""

    def redraw(self) -> None:
        """Show what belongs to the controls now."""
        self.picture = self.draw()
        self._show()

    def _show(self) -> None:
        self._image.value = self.picture._repr_mimebundle_()[0]["text/html"]
        self.say(self.caption())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def slider(name: str, values: Sequence[Any], start: Any) -> ipywidgets.SelectionSlider:
    """Return a slider over some values, which reports when it is let go."""
    if start not in values:
        choice = ", ".join(f"{value:g}" for value in values)
        raise ValueError(f"{name}: {start!r} is not on the slider; choose of {choice}.")
    return ipywidgets.SelectionSlider(
        options=[(f"{value:,}", value) for value in values],
        value=start,
        description=name,
        continuous_update=False,
        style={"description_width": "7.5em"},
        layout={"width": "30em", "max_width": "100%"},
    )


def menu(name: str, options: Sequence[Any]) -> ipywidgets.Dropdown:
    """Return a drop-down list that is as wide as its longest option."""
    return ipywidgets.Dropdown(
        options=options,
        description=name,
        style={"description_width": "initial"},
        layout={"width": "max-content", "min_width": "9em", "flex": "0 0 auto"},
    )


def as_png(image: Tensor) -> str:
    """Return a grey image, (height, width) from 0 to 1, as a PNG in a data URL."""
    levels = image.detach().cpu().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.numpy()).save(file, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def digits_of(source: Any) -> Digits:
    """Return the digits of a loader, or the digits themselves."""
    digits = getattr(source, "dataset", source)
    if not isinstance(digits, Digits):
        raise TypeError(
            f"expected digits, got {type(source).__name__}. Give a loader, such as "
            "train of `train, valid, test = load_mnist()`, or its dataset."
        )
    return digits


def named_models(models: Any) -> dict[str, DigitClassifier]:
    """Return models by name; a single one gets the name of its class."""
    named = models if isinstance(models, Mapping) else {type(models).__name__: models}
    for name, model in named.items() or [("models", models)]:
        if not isinstance(model, DigitClassifier):
            raise TypeError(
                f"{name} is a {type(model).__name__}: give a trained model whose class "
                "derives from DigitClassifier, or several by name, such as "
                '{"linear": linear, "MLP": mlp}.'
            )
    return {str(name): model for name, model in named.items()}


def ask(
    name: str, model: DigitClassifier, images: Tensor, classes: Sequence[str]
) -> Tensor:
    """Return a model's probabilities: (count, classes), on the CPU.

    A `ValueError` says that it has other classes, or that its training diverged.
    """
    probabilities = model.predict_proba(images).float().cpu()
    if probabilities.shape[1] != len(classes):
        raise ValueError(
            f"{name} tells {probabilities.shape[1]} classes apart, the digits have "
            f"{len(classes)}. Give the digits that it was trained on."
        )
    if not probabilities.isfinite().all():
        raise ValueError(
            f"The probabilities of {name} are not numbers, since its training "
            "diverged. Build it anew and train it with a smaller learning rate."
        )
    return probabilities
