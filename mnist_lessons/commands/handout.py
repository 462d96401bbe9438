"""Write what you give to a class, or take to the front, made from the lessons.

  (no option)   the lesson without solutions; hints and checks stay
  --solutions   the lesson with the solutions in their cells, executed
  --skeleton    the lesson to type live: the cells meant for that hold one comment, all
                solutions and outputs are gone, and a cue sheet says for each such cell
                what to type, the minutes it takes and the output to expect

LESSON is 03, 3 or 03_mlp; several, or all. The lessons themselves stay as they are.

options:
  lessons LESSON  see above
  --solutions     write NN_name_solved.ipynb instead of NN_name_handout.ipynb
  --skeleton      write NN_name_skeleton.ipynb and NN_name_cues.md, and print the cue
                  sheet
  --no-outputs    leave the outputs out (with --solutions nothing is executed then)
  --out FOLDER    write into this folder, made if it is missing (the current one)
  --force         replace files that are there already

examples:
  python -m mnist_lessons handout all --out handouts
  python -m mnist_lessons handout 03 --no-outputs
  python -m mnist_lessons handout 03 --solutions     about as long as the lesson runs
  python -m mnist_lessons handout 03 --skeleton
"""

import argparse
import itertools
import sys

from mnist_lessons.arguments import LessonsError
from mnist_lessons.commands.shared import CommandError, make_folder
from mnist_lessons.teaching.notebooks import lessons_named, read_lesson

USAGE = "LESSON [LESSON ...] [options]"
SUMMARY = "write a lesson without or with its solutions"
KIND = {"dest": "kind", "action": "store_const", "default": "handout"}
OPTIONS = {
    "lessons": {"nargs": "+"},
    "--solutions": {**KIND, "const": "solved"},
    "--skeleton": {**KIND, "const": "skeleton"},
    "--no-outputs": {"dest": "outputs", "action": "store_false"},
    "--force": {"action": "store_true"},
}


def run(options: argparse.Namespace) -> int:
    """Write the files that were asked for."""
    kind, skeleton = options.kind, options.kind == "skeleton"
    lessons = [path for name in options.lessons for path in lessons_named(name)]
    make_folder(options.out)
    endings = [f"_{kind}.ipynb", *["_cues.md"] * skeleton]
    files = {path: [options.out / (path.stem + e) for e in endings] for path in lessons}
    for file in itertools.chain(*files.values()):
        if file.exists() and not options.force:
            raise CommandError(
                f"{file} is there already, perhaps with changes of yours. Nothing "
                "was written; --force replaces it, --out FOLDER writes elsewhere."
            )
    # here, because the import takes a second that the other commands need not wait for
    from mnist_lessons.teaching.handouts import convert, cue_sheet

    for path, (notebook, *sheets) in files.items():  # each lesson once
        if kind == "solved" and options.outputs:
            print(f"Running {path.stem} with its solutions ...", file=sys.stderr)
        try:
            text = convert(path, kind, options.outputs)
            cues = cue_sheet(read_lesson(path)) if skeleton else ""
        except LessonsError as error:
            raise CommandError(f"{path.name}: {error}.") from error
        notebook.write_text(text, encoding="utf-8")
        for sheet in sheets:  # before anything is printed, in case nobody reads that
            sheet.write_text(cues, encoding="utf-8")
        print(f"Wrote {notebook}")
        for sheet in sheets:
            print(f"Wrote {sheet}\n\n{cues}")
    return 0
