"""Saving a trained model and loading it again. Built in lesson 6.

A model file holds plain values and tensors, never code: loading one runs nothing.
"""

import errno
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from mnist_lessons.arguments import LessonsError
from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel

FORMAT = "mnist_lessons model, version 1"
KNOWN = {f"{c.__module__}.{c.__qualname__}": c for c in (LinearModel, MLP, CNN)}


class ModelFileError(LessonsError, ValueError):
    """The file is no model file, or holds another model than expected."""


def save_model(model: DigitClassifier, path: str | os.PathLike) -> None:
    """Write a model to a file: weights, arguments, and the scale of its digits.

    The new file takes the place of an old one only when it is complete, so that a crash
    or a full disk (an `OSError`) leaves the old one whole. Built in lesson 6.

    Args:
        model: derived from `DigitClassifier`, on any device, and built with arguments
            that are numbers, text, or lists of these; others raise a `ValueError`.
        path: the file to write; `.pth` is the usual ending.
    """
    kind = type(model)
    if not isinstance(model, DigitClassifier):
        raise TypeError(f"{kind.__name__} should be derived from DigitClassifier.")
    content = {
        "format": FORMAT,
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "arguments": model.arguments,
        **{name: getattr(model, name) for name in ("classes", "mean", "std")},
        # on the CPU, so that a machine without this one's GPU can read it
        "weights": {k: v.detach().cpu() for k, v in model.state_dict().items()},
    }
    buffer = io.BytesIO()
    try:
        torch.save(content, buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{kind.__name__} was built with {model.arguments}. A model file holds "
            "plain values alone: numbers, text, and lists or tuples of them."
        ) from error
    path = Path(path).resolve()  # a link stays one, and leads to the new file
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is a folder or a device")
        part.write_bytes(buffer.getvalue())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        advice = "A file that was there is still whole; make room, or a new folder."
        message = f"Cannot save {path}: {error.strerror}. {advice}"
        raise OSError(error.errno, message) from error


def load_model(
    path: str | os.PathLike, model_class: type[DigitClassifier] | None = None
) -> DigitClassifier:
    """Return the model that `save_model` wrote: on the CPU, in evaluation mode.

    No code from the file is run, whatever it holds. A file that is damaged, is none of
    ours, or does not fit the class raises a `ModelFileError`. Built in lesson 6.

    Args:
        path: the model file.
        model_class: the class of the model, if it is one of your own.
    """
    content = _read(Path(path))
    if not (model_class := model_class or KNOWN.get(content["class"])):
        name = content["class"].rsplit(".", 1)[-1]
        raise ModelFileError(
            f"{path} holds a model of a class of your own. Give load_model that class, "
            f"too: load_model(path, model_class={name})."
        )
    try:
        model = model_class(**content["arguments"])
        model.load_state_dict(content["weights"])
    except Exception as error:
        raise ModelFileError(
            f"{path} does not fit {model_class.__name__}(**{content['arguments']}): "
            f"{error} (A class of your own hands all arguments of __init__ on: "
            "super().__init__(name=value, ...).)"
        ) from error
    vars(model).update({name: content[name] for name in ("classes", "mean", "std")})
    return model.eval()


def _read(path: Path) -> dict[str, Any]:
    """Read what a model file holds, and make sure that it is one."""
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path.absolute()}.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # torch.load would take a changed byte
                raise zipfile.BadZipFile
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise ModelFileError(
                f"{path} holds code, not weights alone, as torch.save(model, path) "
                "writes it. Nothing in it was run: ask for a file of save_model."
            ) from error
        advice = "Get it again, or save the model anew with save_model."
        message = f"{path} is not a model file, or it is damaged. {advice}"
        raise ModelFileError(message) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        advice = "For a state dict use model.load_state_dict(torch.load(path))."
        raise ModelFileError(f"{path} was not written by save_model. {advice}")
    return content
