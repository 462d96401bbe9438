"""What every interactive piece has in common.

Python computes and draws; the browser shows, and says what was clicked. A piece shows
itself as the last line of a cell. Where nothing can react (a page that shows the file,
an export, paper) there stands a still picture instead, described in words.
"""

import asyncio
import functools
import html
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets

from mnist_lessons.data import Digits
from mnist_lessons.models import DigitClassifier
from mnist_lessons.plots.picture import Picture

VIEW = "application/vnd.jupyter.widget-view+json"
WAIT = 0.15  # seconds; somebody who holds an arrow key sends a change every 0.03


class Access(anywidget.AnyWidget):
    """Nothing to see: it makes the piece it is part of accessible.

    Arrow keys stay in the piece, where JupyterLab would change cells with them, and a
    slider gets its description as a name for screen readers.
    """

    _esm = Path(__file__).parent / "static" / "access.js"

    def __init__(self) -> None:
        super().__init__(layout={"display": "none"})


class Interactive:
    """A piece that reacts to its reader.

    Derive from it, build the controls in `__init__`, and pass them on. The error of a
    callback that is wrapped in `reacting` is shown below the piece: Jupyter itself
    would let it vanish.

    Attributes:
        view: the widget that the browser shows.
        picture: what is shown where nothing reacts.
    """

    about = "an interactive piece"

    def __init__(self, *parts: ipywidgets.Widget, picture: Picture) -> None:
        self.picture = picture
        self._message, self._said = ipywidgets.HTML(), ""
        self._timer: asyncio.TimerHandle | None = None
        self._loop, self._thread = _running_loop(), threading.get_ident()
        self.view = ipywidgets.VBox([*parts, Access(), self._message])
        self.view.add_class("mnist-lessons")

    def say(self, text: str, *, error: bool = False) -> None:
        """Show one line of text below the piece; screen readers read it out."""
        self._said = text
        role = "alert" if error else "status"
        mark = "<b>✗</b> " if error else ""
        line = f'<div role="{role}">{mark}{html.escape(text)}</div>' if text else ""
        self._message.value = line

    def in_turn(self, function: Callable[..., None]) -> Callable[..., None]:
        """Turn a function into a callback that waits until no cell is running.

        JupyterLab answers clicks in another thread while a cell runs. A model that is
        asked while that cell trains it would spoil the training; a slider that trains
        would use up its random numbers.
        """

        @functools.wraps(function)
        def callback(*args: Any) -> None:
            if self._loop is None or threading.get_ident() == self._thread:
                function(*args)
            else:
                self._loop.call_soon_threadsafe(function, *args)

        return callback

    def reacting(
        self, function: Callable[[], Any], busy: str = ""
    ) -> Callable[..., None]:
        """Turn a function into a callback that shows what goes wrong in it.

        Like `in_turn`, it waits until no cell is running. The `busy` text shows until
        the function is done.
        """

        def react() -> None:
            self.say(busy)
            try:
                function()
            except Exception as error:
                self.say(f"{type(error).__name__}: {error}", error=True)
            else:
                if self._said == busy:  # the function had nothing to say
                    self.say("")

        in_turn = self.in_turn(react)

        def callback(*_: Any) -> None:
            self.say(busy)
            in_turn()

        return callback

    def reacting_soon(
        self, function: Callable[[], Any], busy: str = ""
    ) -> Callable[..., None]:
        """Do the same, but only for the last of several quick changes.

        Whoever holds an arrow key would otherwise wait for a training run a step. The
        `busy` text shows meanwhile.
        """
        react = self.reacting(function, busy)

        def wait() -> None:
            if self._timer:
                self._timer.cancel()
            if loop := _running_loop():
                self._timer = loop.call_later(WAIT, react)
            else:  # no kernel, so nothing that could wait
                react()

        in_turn = self.in_turn(wait)

        def callback(*_: Any) -> None:
            self.say(busy)
            in_turn()

        return callback

    def __repr__(self) -> str:
        return f"<{self.about}; where it cannot react: {self.picture!r}>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, about = self.picture._repr_mimebundle_()
        if "google.colab" in sys.modules:
            del bundle["text/html"]  # Colab might show it instead of the live piece
        bundle["text/plain"] = repr(self)
        bundle[VIEW] = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": self.view.model_id,
        }
        return bundle, about


class Shown(ipywidgets.HTML):
    """A picture inside a piece; `show` replaces it."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.show(picture)

    def show(self, picture: Picture) -> None:
        """Show another picture, with its description as alt text."""
        self.value = as_image(picture)


def as_image(picture: Picture) -> str:
    """Return a picture as an element of a page, never wider than the page."""
    return picture._repr_mimebundle_()[0]["text/html"]


def slider(name: str, values: Sequence[Any], start: Any) -> ipywidgets.SelectionSlider:
    """Return a slider over some values, which reports when it is let go.

    Raises:
        ValueError: `start` is not among the values.
    """
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


def digits_of(source: Any) -> Digits:
    """Return the digits of a loader, or the digits themselves.

    Raises:
        TypeError: they are neither.
        ValueError: there are none.
    """
    digits = getattr(source, "dataset", source)
    if not isinstance(digits, Digits):
        raise TypeError(
            f"expected digits, got {type(source).__name__}. Give a loader, such as "
            "train of `train, valid, test = load_mnist()`, or its dataset."
        )
    if not len(digits):
        raise ValueError("There are no digits in it; give at least one.")
    return digits


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def named_models(models: Any) -> dict[str, DigitClassifier]:
    """Return models by name; a single one gets the name of its class.

    Raises:
        TypeError: they are no models.
        ValueError: there is none.
    """
    if isinstance(models, DigitClassifier):
        return {type(models).__name__: models}
    if not isinstance(models, Mapping):
        raise TypeError(
            f"models is a {type(models).__name__}; expected a trained model, or "
            'several by name, such as {"linear": linear, "MLP": mlp}.'
        )
    if not models:
        raise ValueError("models is empty: give at least one trained model.")
    for name, model in models.items():
        if not isinstance(model, DigitClassifier):
            raise TypeError(
                f"models[{name!r}] is a {type(model).__name__}; expected a model whose "
                "class derives from DigitClassifier, such as LinearModel()."
            )
    return {str(name): model for name, model in models.items()}
