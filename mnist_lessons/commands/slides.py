"""The command `python -m mnist_lessons slides`."""

import argparse

from mnist_lessons.teaching.notebooks import lessons_named


def run_slides(options: argparse.Namespace) -> int:
    """Write the slides of one lesson or all of them, and say where."""
    # here, because the imports take a second that the other commands need not wait for
    import nbformat

    from mnist_lessons.teaching.slides import make_deck

    for path in lessons_named(options.lesson):
        deck = make_deck(nbformat.read(path, as_version=4), path.name)
        options.out.mkdir(parents=True, exist_ok=True)
        file = options.out / f"{path.stem}.slides.html"
        file.write_text(deck, encoding="utf-8")
        print(f"{file}: {len(deck) / 1e6:.1f} MB. Open it in a browser; S shows notes.")
    return 0
