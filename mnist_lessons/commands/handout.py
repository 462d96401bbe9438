"""`python -m mnist_lessons handout`: which lessons, what of them, and where to."""

import argparse
import sys
import tempfile
from pathlib import Path

from mnist_lessons.teaching.notebooks import LessonError, lessons_named

HELP = """\
Write what you give to a class, or take to the front, made from the lessons:

  (no option)   the lesson without solutions; hints and checks stay
  --solutions   the lesson with the solutions in their cells, executed
  --skeleton    the lesson to type live: the cells meant for that hold one comment, all
                solutions and outputs are gone, and a cue sheet says for each such cell
                what to type, the minutes it takes and the output to expect

LESSON is 03, 3 or 03_mlp; several, or all. The lessons themselves stay as they are."""

EXAMPLES = """\
examples:
  python -m mnist_lessons handout all --out handouts
  python -m mnist_lessons handout 03 --no-outputs
  python -m mnist_lessons handout 03 --solutions     about as long as the lesson runs
  python -m mnist_lessons handout 03 --skeleton
"""


def run_handout(options: argparse.Namespace) -> int:
    """Write the files that were asked for; return the exit status."""
    named = [path for name in options.lessons for path in lessons_named(name)]
    lessons = list(dict.fromkeys(named))  # each once
    ready(options.out)
    made = {path: options.out / f"{path.stem}_{options.kind}.ipynb" for path in lessons}
    sheets = {path: options.out / f"{path.stem}_cues.md" for path in lessons}
    targets = [*made.values(), *(sheets.values() if options.kind == "skeleton" else [])]
    for target in targets:
        if target.exists() and not options.force:
            raise LessonError(
                f"{target} is there already, perhaps with changes of yours. Nothing "
                "was written; --force replaces it, --out FOLDER writes elsewhere."
            )
    # here, because the import takes a second that the other commands need not wait for
    from mnist_lessons.teaching.handouts import convert, cue_sheet, read_lesson

    for path in lessons:
        if options.kind == "solved" and options.outputs:
            print(f"Running {path.stem} with its solutions ...", file=sys.stderr)
        try:
            text = convert(path, options.kind, options.outputs)
            sheet = cue_sheet(read_lesson(path)) if options.kind == "skeleton" else ""
        except LessonError as error:
            raise LessonError(f"{path.name}: {error}.") from error
        made[path].write_text(text, encoding="utf-8")
        if sheet:  # before anything is printed, in case nobody reads that to its end
            sheets[path].write_text(sheet, encoding="utf-8")
        print(f"Wrote {made[path]}")
        if sheet:
            print(f"Wrote {sheets[path]}\n\n{sheet}")
    return 0


def ready(folder: Path) -> None:
    """Make a folder if it is missing, and make sure that files can be written there.

    Raises:
        LessonError: if it is a file, or cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except FileExistsError as error:
        raise LessonError(f"{folder} is a file; --out needs a folder.") from error
    except OSError as error:
        raise LessonError(
            f"{folder.absolute()} cannot be written to ({error.strerror}); "
            "--out FOLDER writes elsewhere."
        ) from error
