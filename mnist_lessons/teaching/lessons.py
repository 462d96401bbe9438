"""Finding a lesson's notebook by its number or its name."""

from pathlib import Path

from mnist_lessons.teaching.lab import NO_LESSONS, find_lessons


class LessonError(ValueError):
    """No lesson is called so; the message says which there are."""


def lessons_named(name: str) -> list[Path]:
    """Return the notebooks of a lesson: one, or with "all" each of them, in order.

    Args:
        name: "03", "3", "03_mlp", "03_mlp.ipynb", or "all".

    Raises:
        LessonError: if there is no such lesson, or no lessons at all.
    """
    folder = find_lessons()
    if folder is None:
        raise LessonError(NO_LESSONS)
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if name == "all":
        return paths
    stem = Path(name).name.removesuffix(".ipynb")
    number = stem.zfill(2) if stem.isdecimal() else None
    found = [path for path in paths if stem == path.stem or number == path.stem[:2]]
    if not found:
        raise LessonError(
            f"There is no lesson {name}. Give a number or a name: "
            f"{', '.join(path.stem for path in paths)}."
        )
    return found
