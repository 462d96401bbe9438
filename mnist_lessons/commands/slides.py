"""Make slides of a lesson with its stored outputs: one HTML file that needs no network.

Open it in a browser. Space and the arrow keys move, Esc shows all slides, S opens the
speaker's view: the lesson's text, slide by slide. F fills the screen.

options:
  lesson LESSON  its number or name: 03, 3, 03_mlp; or all
  --out FOLDER   folder for the files; it is made if need be (the current folder)

examples:
  python -m mnist_lessons slides 03
  python -m mnist_lessons slides all --out lecture
"""

import argparse

from mnist_lessons.commands.shared import make_folder
from mnist_lessons.teaching.notebooks import lessons_named, read_lesson

USAGE = "LESSON [--out FOLDER]"
SUMMARY = "make slides of a lesson"
OPTIONS: dict = {}


def run(options: argparse.Namespace) -> int:
    """Write the slides of one lesson or all of them, and say where."""
    lessons = lessons_named(options.lesson)
    make_folder(options.out)
    # here, because the imports take a second that the other commands need not wait for
    from mnist_lessons.teaching.slides import make_deck

    for path in lessons:
        deck = make_deck(read_lesson(path), path.name)
        file = options.out / f"{path.stem}.slides.html"
        file.write_text(deck, encoding="utf-8")
        print(f"{file}: {len(deck) / 1e6:.1f} MB. Open it in a browser; S shows notes.")
    return 0
