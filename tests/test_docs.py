"""The pages for learners and instructors agree with the lessons they speak of."""

import re

import nbformat
import pytest
from lesson_cells import LESSONS, ROOT, cells_of, every_lesson, prose_of, read

from mnist_lessons import checks
from mnist_lessons.teaching.notebooks import tags_of

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"]
LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


def prose_in(path):
    return prose_of(cells_of(path)) if path.suffix == ".ipynb" else read(path)


def sections_of(text, marks):
    """Return the text below each heading of this level, by its title."""
    parts = re.split(rf"^{marks} (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


GLOSSARY = sections_of(read("docs/glossary.md"), "###")


def anchors(page):
    """The name by which a code host links each heading: words joined by dashes."""
    names = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.MULTILINE):
        words = re.sub(r"[^\w -]", "", LINK.sub(r"\1", heading).lower())
        names.append(words.strip().replace(" ", "-"))
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{n}-{b}" if b else n for n, b in zip(names, before, strict=True)]


def broken_links(text, page):
    """Yield links that lead to no file or heading, here or at Colab and Binder."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        file, _, heading = target.partition("#")
        if online := re.search(r"(?:/blob/main/|/lab/tree/)(\S+\.ipynb)$", file):
            linked = ROOT / online[1]
        elif re.match(r"[a-z]+:", file):
            continue
        else:
            linked = (page.parent / file).resolve() if file else page
        if not linked.exists() or (heading and heading not in anchors(linked)):
            yield target


def terms_linked(text):
    """Return the anchors in the glossary that a lesson's text links to."""
    return re.findall(r"\[[^\]\n]+\]\(\.\./docs/glossary\.md#([^)\s]+)\)", text)


@pytest.mark.parametrize("page", [*PAGES, *LESSONS], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = prose_in(page)
    assert "](" in text or page.suffix == ".md"
    assert list(broken_links(text, page)) == []


def test_a_broken_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A b\n\n## A b\n\n`c` [d](page.md#a-b-1)\n", encoding="utf-8")
    text = "[x](page.md#a-b) [y](page.md#c) [z](none.md) [`v`](#a-b-1) [w](http://a.b)"
    text += " [c](https://a.b/blob/main/README.md.ipynb)"
    *broken, online = broken_links(read(page) + text, page)
    assert broken == ["page.md#c", "none.md"]
    assert online.startswith("https:")


def test_entries_of_the_glossary_are_sorted_short_and_name_sections_that_exist():
    assert len(GLOSSARY) > 60
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.casefold)
    prose = {path.name: prose_in(path) for path in LESSONS}
    place = r"esson (\d)\]\(\.\./notebooks/(\w+\.ipynb)\),\s+sections? ([\d and]+)"
    for term, entry in GLOSSARY.items():
        text = re.split(r"^\[[Ll]esson \d\]\(\.\./notebooks", entry, flags=re.M)[0]
        assert 1 <= len(re.findall(r"[.:](?:\s|$)", text)) <= 5, f"{term}: too long"
        named = re.findall(place, entry)
        assert named, f"{term}: where is it explained?"
        for lesson, file, numbers in named:
            assert file == LESSONS[int(lesson) - 1].name, term
            for number in re.findall(r"\d+", numbers):
                assert f"\n## {number}. " in prose[file], term


def test_each_term_is_linked_once_in_the_running_text_of_the_lessons():
    linked = []
    for path in LESSONS:
        opening, *rest = [c.source for c in cells_of(path) if c.cell_type == "markdown"]
        running = terms_linked("\n".join(rest))
        (row,) = re.findall(r"^\| \*\*You need\*\* .*$", opening, re.MULTILINE)
        needed = terms_linked(opening)
        assert terms_linked(row) == needed, path.name
        assert set(needed) <= set(linked)  # an earlier lesson has explained it
        assert bool(needed) == (path != LESSONS[0])
        linked += running
        # but not in headings, formulas, folds and code
        code = r"(?<!\[)`[^`\n]+`(?!\])"
        parts = r"^#+ .*$|\$[^$\n]+\$|(?s:<details>.*?</details>)|" + code
        for part in re.findall(parts, prose_in(path), re.MULTILINE):
            assert not terms_linked(part), part
    assert sorted(linked) == sorted(term.lower().replace(" ", "-") for term in GLOSSARY)


def section_on(path):
    """Return the title and the text of a lesson's section in INSTRUCTORS.md."""
    sections = sections_of(read("INSTRUCTORS.md"), "##").items()
    start = f"Lesson {int(path.name[:2])}: "
    (section,) = [section for section in sections if section[0].startswith(start)]
    return section


def rows_of(text, header):
    """Return the cells of each row of the table whose header begins as given."""
    lines = text[text.index(f"| {header} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@every_lesson
def test_instructors_read_the_titles_times_exercises_and_predictions(path):
    title, text = section_on(path)
    prose = prose_in(path)
    assert prose.startswith(f"# {title}\n")
    minutes = re.search(r"work through\*\* \| (\d+) minutes", prose)[1]
    seconds = re.search(r"Time to run\*\* \| (\d+) seconds", prose)[1]
    times = f"Runs in {seconds} seconds. Taught in {minutes} minutes."
    assert text.lstrip().startswith(times)
    assert f"](notebooks/{path.name})" in text
    *rows, (_, total, _) = rows_of(text, "section")
    sections = sections_of(prose, "##")
    assert [name for name, _, _ in rows] == list(sections)
    assert total == f"**{minutes}**"
    assert sum(int(minutes) for _, minutes, _ in rows) == int(minutes)
    exercises = re.compile(r"^### (Try it: .*)$", re.MULTILINE)
    assert len(exercises.findall(prose)) >= 3
    for name, _, note in rows:
        for exercise in exercises.findall(sections[name]):
            assert f"*{exercise}*" in note
    # and what each wrong prediction reveals
    revealed, name = {}, None
    for first, options, _ in rows_of(text, "prediction"):
        name = re.sub(r" \(.*\)$", "", first) or name
        revealed.setdefault(name, set()).update(options.split(", "))
    wrong = {}
    for cell in cells_of(path):
        if asked := re.search(r'predictions\.ask\("(.+)", "([A-Z]+)"\)', cell.source):
            wrong[asked[1]] = set(asked[2])
        if name := re.search(r'predictions\.compare\(\s*"(.+?)"', cell.source):
            outcome = cell.outputs[0]["data"]["text/plain"]
            wrong[name[1]] -= {re.search(r"The run says ([A-Z])\.", outcome)[1]}
    assert len(wrong) >= 2
    assert revealed == wrong


def test_the_script_for_nbgrader_marks_every_exercise(tmp_path, monkeypatch):
    fences = FENCE.findall(read("INSTRUCTORS.md"))
    (script,) = [code for code in fences if "TESTS" in code]
    lines = [line[3:] for line in script.splitlines()[1:-1]]
    source = tmp_path / "source.ipynb"
    monkeypatch.setattr("sys.argv", ["grade.py", str(LESSONS[1]), str(source)])
    exec(compile("\n".join(lines), "grade.py", "exec"), {})
    before, after = (nbformat.read(p, as_version=4).cells for p in (LESSONS[1], source))
    assert "<summary>Solution</summary>" not in "".join(c.source for c in after)
    for old, new in zip(before, after, strict=True):
        marks = new.metadata.get("nbgrader")
        if "check" in tags_of(old):
            assert marks["grade"]
            assert marks["locked"]
            assert old.source in new.source
            name = re.search(r"\((\w+)\)", old.source)[1]
            with pytest.raises(AssertionError, match="Not tried yet"):
                exec(new.source, {"checks": checks, name: ...})
        elif "exercise" in tags_of(old):
            assert marks["solution"]
            assert new.source == old.source
        else:
            assert not marks
