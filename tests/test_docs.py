"""The pages for learners and instructors agree with the lessons they speak of."""

import re
from pathlib import Path

import nbformat
import pytest
from lesson_cells import LESSONS, every_lesson

from mnist_lessons import checks

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"]
GLOSSARY = ROOT / "docs" / "glossary.md"
LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


def read(path):
    return path.read_text(encoding="utf-8")


def cells_of(path, kind="markdown"):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == kind]


def anchors(page):
    """The name by which a code host links each heading: words joined by dashes."""
    found = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.MULTILINE):
        words = re.sub(r"[^\w -]", "", LINK.sub(r"\1", heading).lower())
        name = words.strip().replace(" ", "-")
        before = sum(re.sub(r"-\d+$", "", other) == name for other in found)
        found.append(f"{name}-{before}" if before else name)
    return found


def broken_links(text, page):
    """Return the relative links of a text that lead to no file or no heading."""
    broken = []
    for _, target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if not linked.exists() or (heading and heading not in anchors(linked)):
            broken.append(target)
    return broken


def glossary():
    """Return the text of each term's entry."""
    parts = re.split(r"^### (.*)\n", read(GLOSSARY), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def slug(term):
    return term.lower().replace(" ", "-")


def glossary_links(text):
    """Return the anchors in the glossary that a lesson's text links to."""
    prefix = "../docs/glossary.md#"
    targets = [target for _, target in LINK.findall(text)]
    return [target.removeprefix(prefix) for target in targets if prefix in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_a_page_lead_somewhere(page):
    assert broken_links(read(page), page) == []


@every_lesson
def test_links_in_a_lesson_lead_somewhere(path):
    links = "\n".join(cells_of(path))
    assert broken_links(links, path) == []
    assert glossary_links(links)


def test_a_broken_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A b\n\n## A b\n\n`c` [d](page.md#a-b-1)\n", encoding="utf-8")
    text = "[x](page.md#a-b) [y](page.md#c) [z](none.md) [`v`](#a-b-1) [w](http://a.b)"
    assert broken_links(read(page), page) == []
    assert broken_links(text, page) == ["page.md#c", "none.md"]


# the glossary


def test_the_glossary_is_in_alphabetical_order():
    terms = list(glossary())
    assert len(terms) > 60
    assert terms == sorted(terms, key=str.casefold)


@pytest.mark.parametrize(("term", "entry"), glossary().items(), ids=list(glossary()))
def test_an_entry_is_short_and_names_sections_that_exist(term, entry):
    told, *places = re.split(
        r"^(?=\[[Ll]esson \d\]\(\.\./notebooks)", entry, flags=re.M
    )
    assert 1 <= len(re.findall(r"[.:](?:\s|$)", told)) <= 5, "one to three sentences"
    named = re.findall(
        r"esson (\d)\]\(\.\./notebooks/(\w+\.ipynb)\),\s+sections? ([\d and]+)",
        "".join(places),
    )
    assert named, "the entry says where the term is explained"
    for lesson, file, sections in named:
        assert file == LESSONS[int(lesson) - 1].name
        prose = "\n".join(cells_of(LESSONS[int(lesson) - 1]))
        for section in re.findall(r"\d+", sections):
            assert re.search(rf"^## {section}\. ", prose, re.MULTILINE), section


def test_each_term_is_linked_once_in_the_running_text_of_the_lessons():
    openings, running = [], []
    for path in LESSONS:
        opening, *rest = cells_of(path)
        openings += glossary_links(opening)
        running += glossary_links("\n".join(rest))
    assert sorted(running) == sorted(map(slug, glossary()))
    assert set(openings) <= set(running)


@every_lesson
def test_a_lesson_opens_with_links_to_the_terms_that_it_needs(path):
    opening, *rest = cells_of(path)
    (row,) = re.findall(r"^\| \*\*You need\*\* .*$", opening, re.MULTILINE)
    assert glossary_links(row) == glossary_links(opening)
    assert bool(glossary_links(row)) == (path != LESSONS[0])
    # what a lesson needs was explained in an earlier one
    assert not set(glossary_links(row)) & set(glossary_links("\n".join(rest)))


@every_lesson
def test_terms_are_linked_outside_headings_folds_code_and_formulas(path):
    for source in cells_of(path):
        for pattern in (r"^#+ .*$", r"\$[^$\n]+\$", r"(?<!\[)`[^`\n]+`(?!\])"):
            for part in re.findall(pattern, source, re.MULTILINE):
                assert not glossary_links(part), part
        for fold in re.findall(r"<details>.*?</details>", source, re.DOTALL):
            assert not glossary_links(fold), fold


# INSTRUCTORS.md


def section_on(path):
    """Return the title and the text of a lesson's section in INSTRUCTORS.md."""
    number = int(path.name[:2])
    parts = re.split(r"^## (.*)\n", read(ROOT / "INSTRUCTORS.md"), flags=re.MULTILINE)
    (found,) = [
        (title, text)
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
        if title.startswith(f"Lesson {number}: ")
    ]
    return found


def rows_of(text, header):
    """Return the cells of each row of the table whose header begins as given."""
    lines = text[text.index(f"| {header} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@every_lesson
def test_instructors_get_a_lesson_under_its_own_title_and_times(path):
    title, text = section_on(path)
    opening = cells_of(path)[0]
    assert opening.startswith(f"# {title}\n")
    minutes = re.search(r"work through\*\* \| (\d+) minutes", opening)[1]
    seconds = re.search(r"Time to run\*\* \| (\d+) seconds", opening)[1]
    times = f"Runs in {seconds} seconds. Taught in {minutes} minutes."
    assert text.lstrip().startswith(times)
    assert f"](notebooks/{path.name})" in text


@every_lesson
def test_the_minutes_of_the_sections_add_up(path):
    _, text = section_on(path)
    *sections, (_, total, _) = rows_of(text, "section")
    headings = re.findall(r"^## (.*)$", "\n".join(cells_of(path)), re.MULTILINE)
    assert [section for section, _, _ in sections] == headings
    assert f"**{sum(int(minutes) for _, minutes, _ in sections)}**" == total
    assert f"Taught in {total.strip('*')} minutes" in text


@every_lesson
def test_instructors_are_told_of_every_exercise_in_its_section(path):
    _, text = section_on(path)
    notes = {name: note for name, _, note in rows_of(text, "section")}
    heading, found = None, 0
    for line in "\n".join(cells_of(path)).splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        if line.startswith("### Try it: "):
            found += 1
            assert f"*{line.removeprefix('### ')}*" in notes[heading]
    assert found >= 3


@every_lesson
def test_instructors_are_told_what_each_wrong_prediction_reveals(path):
    _, text = section_on(path)
    told, name = {}, None
    for first, options, _ in rows_of(text, "prediction"):
        name = re.sub(r" \(.*\)$", "", first) or name
        told.setdefault(name, set()).update(options.split(", "))
    cells = nbformat.read(path, as_version=4).cells
    wrong = {}
    for cell in cells:
        if asked := re.search(r'predictions\.ask\("(.+)", "([A-Z]+)"\)', cell.source):
            wrong[asked[1]] = set(asked[2])
        if found := re.search(r'predictions\.compare\(\s*"(.+?)"', cell.source):
            said = cell.outputs[0]["data"]["text/plain"]
            wrong[found[1]] -= {re.search(r"The run says ([A-Z])\.", said)[1]}
    assert len(wrong) >= 2
    assert told == wrong


def test_the_script_for_nbgrader_marks_every_exercise(tmp_path, monkeypatch):
    (script,) = [
        code for code in FENCE.findall(read(ROOT / "INSTRUCTORS.md")) if "TESTS" in code
    ]
    lines = script.splitlines()[1:-1]
    source = tmp_path / "source.ipynb"
    monkeypatch.setattr("sys.argv", ["grade.py", str(LESSONS[1]), str(source)])
    exec(compile("\n".join(line[3:] for line in lines), "grade.py", "exec"), {})
    before, after = (nbformat.read(p, as_version=4).cells for p in (LESSONS[1], source))
    assert "<summary>Solution</summary>" not in "".join(c.source for c in after)
    for old, new in zip(before, after, strict=True):
        tags = set(old.metadata.get("tags", [])) & {"exercise", "check"}
        marks = new.metadata.get("nbgrader")
        assert bool(tags) == bool(marks)
        if tags == {"check"}:
            assert marks["grade"]
            assert marks["locked"]
            assert old.source in new.source
            with pytest.raises(AssertionError, match="Not tried yet"):
                untouched = {"checks": checks, "answer": ..., "my_softmax": ...}
                exec(new.source, untouched)
        elif tags:
            assert marks["solution"]
            assert new.source == old.source
