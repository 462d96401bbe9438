"""Slides of the lessons, from the same notebooks: `python -m mnist_lessons slides`.

`rules.py` says what each cell is on a slide, `prose.py` which of its sentences are
shown, `outline.py` what fits on a slide together, `deck.py` makes the HTML file.
"""


class SlidesError(ValueError):
    """Slides cannot be made of this; the message says why, and what to do."""
