"""Saving a trained model and loading it again. Built in lesson 3.

A model file holds a dictionary of plain values and tensors, never code: the weights,
what the model's class was called with, and how its training digits were scaled. So
loading one cannot run anything (`weights_only=True`).
"""

import errno
import io
import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from mnist_lessons.models import CNN, MLP, DigitClassifier, LinearModel

FORMAT = "mnist_lessons model, version 1"
KNOWN = {f"{c.__module__}.{c.__qualname__}": c for c in (LinearModel, MLP, CNN)}
CONTENT = {
    "format": str,
    "class": str,
    "arguments": dict,
    "classes": list | None,
    "mean": float | None,
    "std": float | None,
    "weights": dict,
}


class ModelFileError(ValueError):
    """The file is no model file, or holds another model than expected."""


def save_model(model: DigitClassifier, path: str | os.PathLike) -> None:
    """Write a model to a file: weights, arguments, and the scale of its digits.

    The new file takes the place of an old one only when it is complete, so that a crash
    or a full disk leaves the old one whole. Built in lesson 3.

    Args:
        model: derived from `DigitClassifier`, on any device.
        path: the file to write; `.pth` is the usual ending.

    Raises:
        TypeError: `model` is not a `DigitClassifier`.
        ValueError: an argument of the model is not a plain value (numbers, text, lists
            of these), so that no file without code could hold it; or `classes`, `mean`
            or `std` are not names and numbers.
        OSError: the folder does not exist or is protected, or the disk is full.
    """
    if not isinstance(model, DigitClassifier):
        raise TypeError(
            f"{type(model).__name__} is not a DigitClassifier; derive it from that "
            "class, or save model.state_dict() with torch.save."
        )
    buffer = io.BytesIO()
    content = {
        "format": FORMAT,
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "arguments": model.arguments,
        **_digits_of(model),
        # on the CPU, so that a machine without this one's GPU can read it
        "weights": {k: v.detach().cpu() for k, v in model.state_dict().items()},
    }
    try:
        torch.save(content, buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{type(model).__name__} was built with {model.arguments}. A model file "
            "holds plain values alone: numbers, text, and lists or tuples of them."
        ) from error
    _replace(Path(path), buffer.getvalue())


def load_model(
    path: str | os.PathLike, model_class: type[DigitClassifier] | None = None
) -> DigitClassifier:
    """Return the model that `save_model` wrote: on the CPU, in evaluation mode.

    No code from the file is run, whatever it holds. Built in lesson 3.

    Args:
        path: the model file.
        model_class: the class of the model, if it is one of your own.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is damaged, is something else, holds code, or does not
            fit the class; the message says which.
    """
    path = Path(path)
    content = _read(path)
    name, arguments, weights = (content[k] for k in ("class", "arguments", "weights"))
    if model_class is None:
        if name not in KNOWN:
            raise ModelFileError(
                f"{path} holds a model of the class {name}, which is not part of "
                "mnist_lessons. Give load_model that class: "
                f"load_model(path, model_class={name.rsplit('.', 1)[-1]})."
            )
        model_class = KNOWN[name]
    # shapes alone, so that a lying file costs no memory; a class of your own may need
    # real numbers to be built
    place = "meta" if model_class in KNOWN.values() else "cpu"
    try:
        with torch.device(place):
            expected = model_class(**arguments).state_dict(keep_vars=True)
    except Exception as error:
        raise ModelFileError(
            f"{path} was saved with the arguments {arguments}, from which "
            f"{model_class.__name__} cannot be built ({error}). Does its __init__ hand "
            "all of its arguments on, super().__init__(name=value, ...)?"
        ) from error
    shapes, found = _shapes(expected), _shapes(weights)
    if shapes != found:
        raise ModelFileError(
            f"The weights in {path} do not fit {model_class.__name__}: "
            f"{_difference(found, shapes)}."
        )
    # two layers may share one tensor, which is then in the file once
    tensors = {id(t): t for t in expected.values() if isinstance(t, torch.Tensor)}
    numbers = sum(tensor.numel() for tensor in tensors.values())
    if numbers > path.stat().st_size:
        raise ModelFileError(
            f"{path} claims {numbers:,} weights and has fewer bytes than that: it is "
            "damaged, or made to fill the memory. It was not loaded."
        )
    model = model_class(**arguments)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelFileError(
            f"The weights in {path} do not fit {model_class.__name__}: {error}"
        ) from error
    model.classes, model.mean, model.std = (
        content[k] for k in ("classes", "mean", "std")
    )
    return model.eval()


def _digits_of(model: DigitClassifier) -> dict[str, Any]:
    """Return what is known about the digits, as a data set of any kind may tell it."""
    classes, mean, std = model.classes, model.mean, model.std
    try:
        return {
            "classes": None if classes is None else [str(name) for name in classes],
            "mean": None if mean is None else float(mean),
            "std": None if std is None else float(std),
        }
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The model has classes={classes!r}, mean={mean!r}, std={std!r}; expected "
            "a list of names and two numbers, or None. fit takes them from the data "
            "set; set them by hand before you save."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file completely under another name, then give it its own."""
    path = path.resolve()  # a link stays one, and leads to the new file
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot save {path}: there is no folder {path.parent}. Make it first."
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is a folder or a device, not a file")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot save {path}: {error.strerror}. A file that was there before is "
            "still whole. Save to another place, or make room, and try again.",
        ) from error
    finally:
        with suppress(OSError):  # it was never made, or could not even be named
            part.unlink()


def _read(path: Path) -> dict[str, Any]:
    """Read what a model file holds, and make sure that it is one."""
    if not path.exists():
        raise FileNotFoundError(
            f"There is no model file {path.absolute()}. Is the name right, and the "
            "folder? save_model(model, path) and `train --save path` write one."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        _check_archive(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise ModelFileError(
                f"{path} holds code, not weights alone, so it was not loaded; nothing "
                "in it was run. torch.save(model, path) writes such files: ask for one "
                "that save_model wrote."
            ) from error
        raise ModelFileError(
            f"{path} is not a model file, or it is damaged. Get it again, or train the "
            "model anew and save it with save_model."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} was not written by save_model. If it holds a state dict, build "
            "the model yourself and use model.load_state_dict(torch.load(path))."
        )
    complete = set(content) == set(CONTENT) and all(
        isinstance(content[key], kind) for key, kind in CONTENT.items()
    )
    if not complete or not all(isinstance(c, str) for c in content["classes"] or []):
        raise ModelFileError(f"{path} is not complete. Save the model again.")
    return content


def _check_archive(data: bytes) -> None:
    """Refuse what torch.load would take: a changed byte, or packed zeros.

    Raises:
        zipfile.BadZipFile: a part is compressed, or does not fit its checksum.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return  # torch.load says what else it is
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = any(part.compress_type for part in archive.infolist())
        if packed or archive.testzip():
            raise zipfile.BadZipFile


def _shapes(weights: dict[str, Any]) -> dict[str, list[int]]:
    return {name: list(getattr(value, "shape", [])) for name, value in weights.items()}


def _difference(found: dict[str, list[int]], expected: dict[str, list[int]]) -> str:
    name = next(n for n in {**expected, **found} if found.get(n) != expected.get(n))
    if name not in found:
        return f"{name} is missing"
    if name not in expected:
        return f"{name} has no place in it"
    return f"{name} has the shape {found[name]}, expected {expected[name]}"
