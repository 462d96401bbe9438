"""A lesson cut into slides: what is on each, and what its speaker reads.

Sizes are in pixels of a slide of 1280 x 720. They only decide what is put together; the
page itself measures, and sets type as large as there is room for (`deck.html.j2`).
"""

import base64
import math
import struct
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from mnist_lessons.teaching.execution import picture_in
from mnist_lessons.teaching.prose import Item, Part, parts_of
from mnist_lessons.teaching.rules import type_of

ROOM = 570  # height below the title
WIDTH = 1160
CODE_LINE, TEXT_LINE, GAP = 25, 42, 20
LETTERS = 74  # of text in a line
LARGER = 1.25  # a picture is at least so much larger than in the notebook ...
TALLEST = 450  # ... as long as that leaves room for a sentence below it
MOST_LINES = 24  # of code, set as small as it may be
RESULTS = {"source", "output", "picture", "html"}
TALLY = "predictions.tally("


@dataclass
class Block:
    """One thing on a slide.

    Attributes:
        kind: a kind of `prose.Item`, or "source", "output", "picture", "html".
        text: Markdown, code, printed text, a picture as base64, or HTML.
        alt: what a picture shows, in words.
        size: width and height that a picture has in the notebook.
        later: whether it appears with the next press of a key.
    """

    kind: str
    text: str
    alt: str = ""
    size: tuple[int, int] = (0, 0)
    later: bool = False

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
    """One slide.

    Attributes:
        title: the heading, as Markdown.
        level: 1 for the lesson's title, 2 for a section, 3 for what is below it.
        opens: whether it starts a column of slides, as sections do.
        blocks: what is on it.
        notes: what the speaker sees, as Markdown.
    """

    title: str
    level: int
    opens: bool = False
    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_prose(self) -> bool:
        """Whether there is nothing but prose on it, which is then set larger."""
        return not any(block.kind in RESULTS for block in self.blocks)

    @property
    def is_bare(self) -> bool:
        """Whether it is a section's title and nothing else."""
        return self.opens and self.level == 2 and not self.blocks

    def has_room(self, *blocks: Block) -> bool:
        """Tell whether the blocks fit below what is there."""
        return sum(block.height for block in [*self.blocks, *blocks]) <= ROOM


def outline(notebook: NotebookNode) -> list[Slide]:
    """Return the slides of a lesson, in order.

    Raises:
        ValueError: if no cell is to be shown.
    """
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
        raise ValueError("every cell is skipped or only for the speaker")
    slides[0].opens = True
    return slides


def _next(slides: list[Slide]) -> Slide:
    """Add a slide that goes on with the same heading, and return it."""
    before = slides[-1] if slides else Slide("", 2)
    slides.append(Slide(before.title, before.level if before.level > 1 else 2))
    return slides[-1]


def _add_prose(slides: list[Slide], part: Part) -> None:
    items = part.items
    if part.level > 2 and items and slides and slides[-1].is_bare:
        items = [Item("words", f"**{part.heading}**"), *items]
    elif part.heading and (items or part.level <= 2):
        slides.append(Slide(part.heading, part.level, part.level <= 2))
    elif not slides:
        _next(slides)
    noted = slides[-1]
    after = not part.heading and _shows_a_result(noted)
    for item in items:
        slide = slides[-1]
        block = Block(item.kind, item.text, later=after and slide is noted)
        if part.level == 1 and item.kind == "list":
            slide = _next(slides)
            slide.title = "You will be able to"
        elif not _goes_there(slide, item, block):
            slide = _next(slides)
            block.later = block.later and _has_code_and_picture(noted)
            block.later = block.later and slide.has_room(noted.blocks[-1], block)
            if block.later:  # the picture goes with what is said about it
                slide.blocks.append(noted.blocks.pop())
        slide.blocks.append(block)
    if not part.heading and not after and part.items:
        noted = slides[-1]
    noted.notes.append(part.notes)


def _shows_a_result(slide: Slide) -> bool:
    return bool(slide.blocks) and slide.blocks[-1].kind in RESULTS


def _has_code_and_picture(slide: Slide) -> bool:
    kinds = [block.kind for block in slide.blocks]
    return "source" in kinds and kinds[-1] == "picture"


def _goes_there(slide: Slide, item: Item, block: Block) -> bool:
    """Tell whether a piece of prose may stand on a slide, and finds room there."""
    kinds = [there.kind for there in slide.blocks]
    alone = item.kind in {"question", "table"} and kinds
    later = any(there.later for there in slide.blocks)
    ended = "question" in kinds or (later and item.kind != "words")
    return not alone and not ended and slide.has_room(block)


def _add_code(slides: list[Slide], cell: NotebookNode, kind: str) -> None:
    results = [block for output in cell.outputs for block in _results_of(output)]
    pieces = _pieces_of(cell.source.strip("\n"))
    blocks = [*(Block("source", piece) for piece in pieces), *results]
    continues = kind in {"-", "fragment"} and slides and slides[-1].has_room(*blocks)
    slide = slides[-1] if continues else _next(slides)
    if slide.has_room(*blocks):
        slide.blocks += blocks
        return
    for block in blocks:
        # code and its picture apart, so that both are large; printed text goes with
        # either
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
    data = output.get("data", {})
    if picture := picture_in(output):
        width, height = _pixels(picture.png)
        size = (picture.width, round(picture.width * height / width))
        return [Block("picture", picture.png, picture.alt, size)]
    if "text/markdown" in data:
        return [Block("table", "".join(data["text/markdown"]))]
    if "text/html" in data:
        return [Block("html", "".join(data["text/html"]))]
    if "text/plain" in data:
        return [Block("output", "".join(data["text/plain"]))]
    return []


def _pixels(png: str) -> tuple[int, int]:
    """Return width and height of a PNG file, from its header."""
    width, height = struct.unpack(">II", base64.b64decode(png[:32])[16:24])
    return width, height
