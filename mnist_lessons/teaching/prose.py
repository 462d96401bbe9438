"""What of a lesson's prose is shown on a slide; the speaker's notes have all of it."""

import re
from dataclasses import dataclass

from mnist_lessons.teaching.rules import FENCE, FOLD, HEADING

# between two sentences: after . ? ! and perhaps a closing mark, before a capital
SENTENCE_END = re.compile(
    r"(?:(?<=[.?!])|(?<=[.?!][)\"*])|(?<=[.?!]\*\*))(?<! al\.)(?<! [A-Z]\.)\s+"
    r"(?=[A-Z0-9`\"*$(\[\u201c])"
)
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
BOLD = re.compile(r"\*\*[^*]+\*\*")
GOALS = re.compile(r"^\| \*\*You will be able to\*\* \| (.+?) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
TASK = re.compile(r"^Try it\b", re.IGNORECASE)
WORDS_SHOWN = 45  # of a section's prose; a task may be longer, for all must read it
WORDS_OF_A_TASK = 100
WORDS_OF_A_POINT = 30  # of a list
SHORT = 5  # words: such a sentence says little alone


@dataclass
class Item:
    """A piece of prose that is shown.

    Attributes:
        kind: "words", "list", "formula", "question", "table" or "code".
        text: its Markdown.
    """

    kind: str
    text: str


@dataclass
class Part:
    """A heading with the prose below it, or the prose above a cell's first heading.

    Attributes:
        heading: without its marks; "" if there is none.
        level: 1 to 6, or 0 if there is no heading.
        items: what is shown.
        notes: the whole text, for the speaker.
    """

    heading: str
    level: int
    items: list[Item]
    notes: str


def parts_of(source: str) -> list[Part]:
    """Cut a Markdown cell at its headings, and choose what is shown of each part."""
    # what stands in a fence or a fold is no heading, so there it is blanked out
    blank = source
    for hidden in (FOLD, FENCE):
        blank = hidden.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), blank)
    heads = list(HEADING.finditer(blank))
    ends = [head.start() for head in heads] + [len(source)]
    parts = [_part("", 0, source[: ends[0]])] if source[: ends[0]].strip() else []
    for head, end in zip(heads, ends[1:], strict=True):
        parts.append(_part(head[2], len(head[1]), source[head.end() : end]))
    return parts


def _part(heading: str, level: int, text: str) -> Part:
    text = text.strip()
    if level == 1:
        return Part(heading, level, _opening(text), text)
    if heading == "Further reading":
        return Part(heading, level, [], text)
    plain = LINK.sub(r"\1", FOLD.sub("", text))
    if heading == "Recap":
        recap = "\n".join(f"- {said}" for said in sentences(_blocks(plain)[0]))
        return Part(heading, level, [Item("list", recap)], text)
    limit = WORDS_OF_A_TASK if TASK.match(heading) else WORDS_SHOWN
    return Part(heading, level, _choose(plain, limit), text)


def _opening(text: str) -> list[Item]:
    """The lesson's promise, and its goals as a list."""
    promise = next(iter(_blocks(LINK.sub(r"\1", text))), "")
    items = [Item("words", promise)] if promise else []
    if goals := GOALS.search(text):
        rows = goals[1].split(", ")
        items.append(Item("list", "\n".join(f"- {goal}" for goal in rows)))
    return items


def _choose(text: str, limit: int) -> list[Item]:
    items: list[Item] = []
    words = 0
    for number, block in enumerate(_blocks(text)):
        if block.startswith("$$"):
            _append(items, "formula", block)
        elif block.startswith(">"):
            items.append(Item("question", re.sub(r"^> ?", "", block, flags=re.M)))
        elif block.startswith("|"):
            items.append(Item("table", block))
        elif block.startswith("```"):
            items.append(Item("code", block))
        elif re.match(r"- |\d\. ", block):
            points = re.split(r"\n(?=- |\d+\. )", block)
            short = [" ".join(_key(p, WORDS_OF_A_POINT, False)) for p in points]
            _append(items, "list", "\n".join(short))
        elif chosen := _key(block, limit - words, number > 0 and limit == WORDS_SHOWN):
            said = " ".join(chosen)
            words += len(said.split())
            items.append(Item("words", said))
    return items


def _append(items: list[Item], kind: str, text: str) -> None:
    """Add a list or a formula, together with the words that lead to it."""
    if items and items[-1].kind == "words" and items[-1].text.endswith(":"):
        text = f"{items.pop().text}\n\n{text}"
    items.append(Item(kind, text))


def _blocks(text: str) -> list[str]:
    """Cut at blank lines, and around formulas that stand on lines of their own."""
    text = FORMULA.sub(lambda found: f"\n\n{found[0]}\n\n", text)
    fences: list[str] = []

    def keep(found: re.Match[str]) -> str:
        fences.append(found[0])
        return f"\0{len(fences) - 1}\0"

    blocks = re.split(r"\n\s*\n", FENCE.sub(keep, text))
    whole = [re.sub("\0(\\d+)\0", lambda n: fences[int(n[1])], b) for b in blocks]
    return [b.strip() for b in whole if b.strip(" \n.,")]


def sentences(paragraph: str) -> list[str]:
    """Cut into sentences; one that is all bold ("**B.**") goes with the next."""
    found: list[str] = []
    for piece in SENTENCE_END.split(" ".join(paragraph.split())):
        if found and BOLD.fullmatch(found[-1]):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def _key(paragraph: str, limit: int, only_bold: bool) -> list[str]:
    """Return the first sentence and those with a new term, as far as words allow."""
    said = [s for s in sentences(paragraph) if not s.startswith("(")]
    # an answer needs its reason, and "It does." what comes after
    opening = 2 if re.match(r"\*\*[A-E]\b", paragraph) else 1
    opening = 2 if said and len(said[0].split()) <= SHORT else opening
    if limit > WORDS_SHOWN:
        opening = len(said)
    chosen: list[str] = []
    for number, sentence in enumerate(said):
        new_term = bool(BOLD.search(sentence))
        wanted = new_term or (number < opening and not only_bold)
        words = sum(len(one.split()) for one in [*chosen, sentence])
        if wanted and limit > 0 and (not chosen or words <= limit):
            chosen.append(sentence)
    return chosen
