"""A lesson cut into slides: what is on each, and what its speaker reads.

The `slide_type` that the notebook stores says of a cell whether it is shown ("skip" is
not), only for the speaker ("notes"), or may go on the slide before ("fragment", "-").

Sizes are in pixels of a slide of 1280 x 720. They only decide what is put together; the
page itself measures, and sets type as large as there is room for (`deck.html.j2`).
"""

import base64
import html
import io
import math
import re
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode
from PIL import Image

from mnist_lessons.teaching.notebooks import (
    LessonError,
    StoredPicture,
    page_of,
    picture_in,
    tags_of,
)
from mnist_lessons.teaching.prose import Item, Part, parts_of

TYPES = ("slide", "subslide", "fragment", "notes", "skip", "-")
SKIPPED_TAGS = {"setup", "exercise", "check"}
PREDICTIONS = re.compile(r"^predictions\.(?!compare)\w+\(", re.MULTILINE)
COMPARE = "predictions.compare("
FOLD = re.compile(r"^<details[^>]*><summary>.*?</summary>(.*)</details>$", re.DOTALL)
FOLDED = re.compile(r"(<img [^>]*>|<pre>.*?</pre>|<p role=.*?</p>)", re.DOTALL)
TALLY = "predictions.tally("

ROOM = 570  # height below the title
WIDTH = 1160
CODE_LINE, TEXT_LINE, GAP = 25, 42, 20
LETTERS = 74  # of text in a line
LARGER = 1.25  # a picture is at least so much larger than in the notebook ...
TALLEST = 450  # ... as long as that leaves room for a sentence below it
MOST_LINES = 24  # of code, set as small as it may be
RESULTS = {"source", "output", "picture", "html"}


def type_of(cell: NotebookNode) -> str:
    """Return what the notebook says about a cell; by rule, where it says nothing."""
    stored = cell.metadata.get("slideshow", {}).get("slide_type")
    if stored in TYPES:
        return stored
    # buttons and verdicts are for one reader, and without a kernel they are only a line
    left_out = bool(SKIPPED_TAGS & set(tags_of(cell)))
    left_out |= bool(PREDICTIONS.search(cell.source))
    if COMPARE in cell.source and cell.cell_type == "code":
        left_out |= not any(_results_of(output) for output in cell.outputs)
    return "skip" if left_out or cell.cell_type == "raw" else "subslide"


@dataclass
class Block:
    """One thing on a slide."""

    kind: str  # a kind of `prose.Item`, or "source", "output", "picture", "html"
    text: str  # Markdown, code, printed text, a picture as base64, or HTML
    alt: str = ""  # what a picture shows, in words
    size: tuple[int, int] = (0, 0)  # width and height of a picture in the notebook
    later: bool = False  # whether it appears with the next press of a key

    @property
    def height(self) -> int:
        """About how many pixels it takes."""
        if self.kind == "picture":
            return self.least + GAP
        if self.kind in {"source", "output", "code"}:
            return CODE_LINE * (self.text.count("\n") + 1) + GAP
        if self.kind in {"formula", "html"}:
            lead = len(self.text.split("$$")[0])
            return 120 + TEXT_LINE * math.ceil(lead / LETTERS)
        rows = [math.ceil(len(row) / LETTERS) for row in self.text.splitlines() if row]
        return TEXT_LINE * sum(rows) + GAP

    @property
    def least(self) -> int:
        """How many pixels high a picture must be: larger than in the notebook."""
        width, height = self.size
        larger = height * min(LARGER, WIDTH / width) if width else 0
        return math.ceil(min(larger, TALLEST))


@dataclass
class Slide:
    """One slide."""

    title: str  # the heading, as Markdown
    level: int  # 1 for the lesson's title, 2 for a section, 3 for what is below it
    opens: bool = False  # whether it starts a column of slides, as sections do
    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for the speaker, as Markdown

    @property
    def is_prose(self) -> bool:
        """Whether there is nothing but prose on it, which is then set larger."""
        return not any(block.kind in RESULTS for block in self.blocks)

    def has_room(self, *blocks: Block) -> bool:
        """Tell whether the blocks fit below what is there."""
        return sum(block.height for block in [*self.blocks, *blocks]) <= ROOM


def outline(notebook: NotebookNode) -> list[Slide]:
    """Return the slides of a lesson in order; a `LessonError` says there are none."""
    slides: list[Slide] = []
    tallied = False
    for cell in notebook.cells:
        kind = type_of(cell)
        if kind == "skip":
            tallied = cell.source.startswith(TALLY)
            continue
        if kind == "notes":
            if slides:
                slides[-1].notes.append(cell.source)
        elif cell.cell_type == "code":
            _add_code(slides, cell, kind)
        else:
            for part in parts_of(cell.source):
                if tallied and not part.heading:
                    part.items.clear()  # it speaks about each reader's own answers
                _add_prose(slides, part)
        tallied = False
    if not slides:
        raise LessonError("every cell is skipped or only for the speaker")
    slides[0].opens = True
    return slides


def _next(slides: list[Slide]) -> Slide:
    """Add a slide that goes on with the same heading, and return it."""
    before = slides[-1] if slides else Slide("", 2)
    slides.append(Slide(before.title, max(before.level, 2)))
    return slides[-1]


def _add_prose(slides: list[Slide], part: Part) -> None:
    items = part.items
    last = slides[-1] if slides else None
    only_a_title = last and last.opens and last.level == 2 and not last.blocks
    if part.level > 2 and items and only_a_title:
        items = [Item("words", f"**{part.heading}**"), *items]
    elif part.heading and (items or part.level <= 2):
        slides.append(Slide(part.heading, part.level, part.level <= 2))
    elif not slides:
        _next(slides)
    noted = slides[-1]
    is_comment = not part.heading and noted.blocks and noted.blocks[-1].kind in RESULTS
    for item in items:
        slide = slides[-1]
        block = Block(item.kind, item.text, later=bool(is_comment and slide is noted))
        if part.level == 1 and item.kind == "list":
            slide = _next(slides)
            slide.title = "You will be able to"
        elif not _takes(slide, block):
            slide = _next(slides)
            kinds = [shown.kind for shown in noted.blocks]
            is_seen = "source" in kinds and kinds[-1] == "picture"
            block.later &= is_seen and slide.has_room(noted.blocks[-1], block)
            if block.later:  # the picture goes with what is said about it
                slide.blocks.append(noted.blocks.pop())
        slide.blocks.append(block)
    if not part.heading and not is_comment and part.items:
        noted = slides[-1]
    noted.notes.append(part.notes)


def _takes(slide: Slide, block: Block) -> bool:
    """Tell whether a piece of prose may stand on a slide, and finds room there."""
    kinds = {shown.kind for shown in slide.blocks}
    if "question" in kinds or (kinds and block.kind in {"question", "table"}):
        return False
    appears_in_turn = block.kind == "words" or not any(b.later for b in slide.blocks)
    return appears_in_turn and slide.has_room(block)


def _add_code(slides: list[Slide], cell: NotebookNode, kind: str) -> None:
    blocks = [Block("source", piece) for piece in _pieces_of(cell.source.strip("\n"))]
    blocks += [block for output in cell.outputs for block in _results_of(output)]
    continues = kind in {"-", "fragment"} and slides and slides[-1].has_room(*blocks)
    slide = slides[-1] if continues else _next(slides)
    for block in blocks:
        # code and its picture are then apart, so that both are large; printed text goes
        # with either
        if slide.blocks and not slide.has_room(block):
            slide = _next(slides)
        slide.blocks.append(block)


def _pieces_of(code: str) -> list[str]:
    """Cut code that is too long for a slide, if possible at an empty line."""
    lines = code.split("\n")
    if len(lines) <= MOST_LINES:
        return [code]
    empty = [n for n in range(1, MOST_LINES + 1) if not lines[n].strip()]
    cut = empty[-1] if empty else MOST_LINES
    rest = "\n".join(lines[cut:]).strip("\n")
    return ["\n".join(lines[:cut]).rstrip("\n"), *_pieces_of(rest)]


def _results_of(output: Any) -> list[Block]:
    """Return what a cell's output shows: a picture, a table, or printed text."""
    if output.output_type == "stream":
        return [Block("output", output.text.strip("\n"))]
    data, page = output.get("data", {}), page_of(output)
    if fold := FOLD.match(page):
        return [block for part in FOLDED.split(fold[1]) for block in _answer_in(part)]
    if picture := picture_in(page):
        return [_drawn(picture)]
    kinds = {"text/markdown": "table", "text/html": "html", "text/plain": "output"}
    return [Block(kinds[kind], data[kind]) for kind in kinds if kind in data][:1]


def _drawn(picture: StoredPicture) -> Block:
    width, height = Image.open(io.BytesIO(base64.b64decode(picture.png))).size
    size = (picture.width, round(picture.width * height / width))
    return Block("picture", picture.png, picture.alt, size)


def _answer_in(part: str) -> list[Block]:
    """Return what answers a question, from its fold: it comes with the next key."""
    if picture := picture_in(part):
        blocks = [_drawn(picture)]
    elif part.startswith("<pre>"):
        blocks = [Block("output", html.unescape(part[5:-6]))]
    else:  # the verdict is about one reader's prediction
        blocks = [Block("html", part)] * (part != "" and not part.startswith("<p role"))
    for block in blocks:
        block.later = True
    return blocks
