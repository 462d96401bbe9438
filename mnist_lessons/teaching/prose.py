"""What of a lesson's prose is shown on a slide; the speaker's notes have all of it."""

import re
from typing import NamedTuple

HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
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


class Item(NamedTuple):
    """A piece of prose that is shown, as Markdown."""

    kind: str  # "words", "list", "formula", "question", "table" or "code"
    text: str


class Part(NamedTuple):
    """A heading with the prose below it, or the prose above a cell's first heading."""

    heading: str  # without its marks; "" if there is none
    level: int  # 1 to 6, or 0 if there is no heading
    items: list[Item]  # what is shown
    notes: str  # the whole text, for the speaker


def blanked(source: str) -> str:
    """Blank out fences and folds: what stands in them is no heading."""
    for hidden in (FOLD, FENCE):
        source = hidden.sub(lambda text: re.sub(r"[^\n]", " ", text[0]), source)
    return source


def parts_of(source: str) -> list[Part]:
    """Cut a Markdown cell at its headings, and choose what is shown of each part."""
    heads = list(HEADING.finditer(blanked(source)))
    ends = [head.start() for head in heads] + [len(source)]
    parts = [_part("", 0, source[: ends[0]])] if source[: ends[0]].strip() else []
    for head, end in zip(heads, ends[1:], strict=True):
        parts.append(_part(head[2], len(head[1]), source[head.end() : end]))
    return parts


def _part(heading: str, level: int, text: str) -> Part:
    text = text.strip()
    plain = LINK.sub(r"\1", FOLD.sub("", text))
    items: list[Item] = []
    if level == 1:
        items = [Item("words", promise) for promise in _blocks(plain)[:1]]
        if goals := GOALS.search(text):
            items.append(Item("list", "- " + goals[1].replace(", ", "\n- ")))
    elif heading == "Recap":
        items = [Item("list", "- " + "\n- ".join(sentences(_blocks(plain)[0])))]
    elif heading != "Further reading":
        items = _choose(plain, bool(TASK.match(heading)))
    return Part(heading, level, items, text)


def _choose(text: str, is_task: bool) -> list[Item]:
    items: list[Item] = []
    words_left = WORDS_OF_A_TASK if is_task else WORDS_SHOWN
    for number, block in enumerate(_blocks(text)):
        if block.startswith("$$"):
            _append(items, "formula", block)
        elif block.startswith(">"):
            items.append(Item("question", re.sub(r"^> ?", "", block, flags=re.M)))
        elif block.startswith(("|", "```")):
            items.append(Item("table" if block[0] == "|" else "code", block))
        elif re.match(r"- |\d\. ", block):
            points = map(sentences, re.split(r"\n(?=- |\d+\. )", block))
            shown = [_that_fit(_opening_and_terms(p), WORDS_OF_A_POINT) for p in points]
            _append(items, "list", "\n".join(shown))
        else:
            shown = [s for s in sentences(block) if not s.startswith("(")]
            if number > 0 and not is_task:
                shown = [sentence for sentence in shown if BOLD.search(sentence)]
            elif words_left <= WORDS_SHOWN:  # a task is shown whole while there is room
                shown = _opening_and_terms(shown)
            if words := _that_fit(shown, words_left):
                words_left -= len(words.split())
                items.append(Item("words", words))
    return items


def _append(items: list[Item], kind: str, text: str) -> None:
    """Add a list or a formula, together with the words that lead to it."""
    if items and items[-1].kind == "words" and items[-1].text.endswith(":"):
        text = f"{items.pop().text}\n\n{text}"
    items.append(Item(kind, text))


def _opening_and_terms(paragraph: list[str]) -> list[str]:
    """Return the first sentence, or two, and those with a new term, which is bold."""
    first = paragraph[0] if paragraph else ""
    # an answer needs its reason, and "It does." what comes after
    needs_next = re.match(r"\*\*[A-E]\b", first) or len(first.split()) <= SHORT
    opening = 2 if needs_next else 1
    terms = [sentence for sentence in paragraph[opening:] if BOLD.search(sentence)]
    return paragraph[:opening] + terms


def _that_fit(wanted: list[str], words: int) -> str:
    """Join the sentences for which there are words enough; the first always fits."""
    chosen: list[str] = []
    for sentence in wanted if words > 0 else []:
        if not chosen or len(" ".join([*chosen, sentence]).split()) <= words:
            chosen.append(sentence)
    return " ".join(chosen)


def _blocks(text: str) -> list[str]:
    """Cut at blank lines, and around formulas that stand on lines of their own."""
    text = FORMULA.sub(lambda formula: f"\n\n{formula[0]}\n\n", text)
    text = FENCE.sub(lambda code: code[0].replace("\n", "\0"), text)  # keep it whole
    blocks = re.split(r"\n\s*\n", text)
    return [b.replace("\0", "\n").strip() for b in blocks if b.strip(" \n.,")]


def sentences(paragraph: str) -> list[str]:
    """Cut into sentences; one that is all bold ("**B.**") goes with the next."""
    cut: list[str] = []
    for piece in SENTENCE_END.split(" ".join(paragraph.split())):
        if cut and BOLD.fullmatch(cut[-1]):
            cut[-1] += f" {piece}"
        else:
            cut.append(piece)
    return cut
