"""Slides: what the rules make of cells, what prose is shown, and the file itself."""

import io
import re
import sys

import nbformat
import pytest
from lesson_cells import LESSONS, every_lesson
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from mnist_lessons.plots.picture import as_element
from mnist_lessons.teaching import deck
from mnist_lessons.teaching.execution import picture_in
from mnist_lessons.teaching.outline import MOST_LINES, outline
from mnist_lessons.teaching.prose import parts_of, sentences
from mnist_lessons.teaching.rules import EXCEPTIONS, TYPES, mark, slide_type, type_of
from mnist_lessons.teaching.slides import SlidesError


def picture(alt="a digit", width=600, height=300):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, format="png")
    data = {"text/html": as_element(file.getvalue(), alt, width)}
    return new_output("display_data", data | {"text/plain": "<picture>"})


def printed(text):
    return new_output("stream", name="stdout", text=text)


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def slides_of(*cells):
    title = new_markdown_cell("# Lesson 9: Title\n\nYou read.")
    return outline(new_notebook(cells=[title, *cells]))


def kinds(slide):
    return [block.kind for block in slide.blocks]


# the rules


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (new_markdown_cell("# Lesson"), "slide"),
        (new_markdown_cell("So it is.\n\n## 2. Section\n\nText."), "slide"),
        (new_markdown_cell("## 2. Section\n\n### Below it"), "slide"),
        (new_markdown_cell("### Try it: a thing"), "subslide"),
        (new_markdown_cell("All of them are right."), "fragment"),
        (new_markdown_cell("<details>\n# no heading\n</details>"), "notes"),
        (new_markdown_cell("```python\n# no heading\n```\nText."), "fragment"),
        (code("x = 1"), "subslide"),
        (code("x = 1", tags=["nbval-ignore-output"]), "subslide"),
        (code("x = 1", tags=["setup"]), "skip"),
        (code("answer = ...", tags=["exercise"]), "skip"),
        (code("checks.x(answer)", tags=["check"]), "skip"),
        (code('predictions.ask("x", "AB")'), "skip"),
        (code('a = 1\npredictions.compare("x", A=True)'), "skip"),
        (nbformat.v4.new_raw_cell("x"), "skip"),
    ],
)
def test_the_type_of_a_cell_follows_from_what_it_is(cell, expected):
    assert slide_type(cell) == expected


def test_marking_keeps_the_types_that_are_there():
    cells = [new_markdown_cell("## One"), new_markdown_cell("## Two")]
    cells[0].metadata["slideshow"] = {"slide_type": "notes"}
    notebook = new_notebook(cells=cells)
    assert mark(notebook) == 1
    assert [c.metadata.slideshow.slide_type for c in cells] == ["notes", "slide"]
    assert mark(notebook) == 0


@every_lesson
def test_every_cell_of_a_lesson_has_a_slide_type(path):
    cells = nbformat.read(path, as_version=4).cells
    told = [c.metadata.get("slideshow", {}).get("slide_type") for c in cells]
    missing = [c.id for c, kind in zip(cells, told, strict=True) if kind not in TYPES]
    assert missing == [], "run: uv run python tools/mark_slides.py"
    assert told[0] == "slide"
    for cell in cells:
        if {"setup", "exercise", "check"} & set(cell.metadata.get("tags", [])):
            assert type_of(cell) == "skip"


def test_exceptions_from_the_rules_name_cells_that_exist():
    ids = {c.id for path in LESSONS for c in nbformat.read(path, as_version=4).cells}
    assert set(EXCEPTIONS) <= ids


# prose


def test_sentences_end_where_they_end():
    text = (
        "About 92 %. See E. A. Poe et al. (1840), i.e. there. `x` is it! **B.** It is."
    )
    assert sentences(text) == [
        "About 92 %.",
        "See E. A. Poe et al. (1840), i.e. there.",
        "`x` is it!",
        "**B.** It is.",
    ]


def test_a_slide_shows_the_first_sentence_and_new_terms_the_notes_have_all():
    text = (
        "## 1. A section\n\nHow is a model judged at all? Nobody knows at first. "
        "Its price is the **loss**. (**Not** this.)\n\nMore words here. And more."
    )
    (part,) = parts_of(text)
    assert part.heading == "1. A section"
    assert [item.text for item in part.items] == [
        "How is a model judged at all? Its price is the **loss**."
    ]
    assert "And more." in part.notes


def test_a_task_is_shown_whole():
    task = "One. " * 5 + "Write the function that returns the sum of the row."
    (part,) = parts_of(f"### Try it: sums\n\n{task}")
    assert part.items[0].text == task


def test_questions_formulas_tables_and_lists_keep_their_form():
    text = (
        "Look at this one:\n\n$$a = b$$\n\n> **Predict first.** Which?\n>\n"
        "> A. One \\\n> B. Two\n\n| a |\n|---|\n| b |\n\n"
        "Three things to do now:\n\n- one\n- two"
    )
    (part,) = parts_of(text)
    assert [item.kind for item in part.items] == [
        "formula",
        "question",
        "table",
        "list",
    ]
    assert part.items[0].text.startswith("Look at this one:")
    assert part.items[1].text.endswith("A. One \\\nB. Two")


def test_hints_and_solutions_are_on_no_slide():
    slides = slides_of(
        new_markdown_cell("### Try it: x\n\nWrite it."),
        new_markdown_cell("<details>the answer is 7</details>\n\n## Next\n\nOn we go."),
    )
    shown = " ".join(block.text for slide in slides for block in slide.blocks)
    assert "answer is 7" not in shown
    assert "answer is 7" in " ".join(note for slide in slides for note in slide.notes)


# what is on a slide together


def test_a_question_has_a_slide_of_its_own():
    question = new_markdown_cell("It is.\n\n> **Predict first.** Which?\n>\n> A. One")
    (_, before, alone, after) = slides_of(code("x"), question, code("y"))
    assert kinds(before) == ["source", "words"]
    assert kinds(alone) == ["question"]
    assert kinds(after) == ["source"]


def test_a_section_without_prose_shares_its_slide_with_the_heading_below():
    (_, slide) = slides_of(new_markdown_cell("## 9. Two\n\n### One\n\nIt is so."))
    assert slide.title == "9. Two"
    assert [block.text for block in slide.blocks] == ["**One**", "It is so."]


def test_short_code_and_its_picture_share_a_slide_long_code_does_not():
    (_, short) = slides_of(code("x = 1\ny = 2", picture()))
    assert kinds(short) == ["source", "picture"]
    (_, first, second) = slides_of(code("x = 1\n" * 20, printed("7"), picture()))
    assert kinds(first) == ["source", "output"]
    assert kinds(second) == ["picture"]


def test_what_is_seen_appears_below_the_picture_it_speaks_of():
    seen = new_markdown_cell("It is a seven, as you can see. More.")
    (_, alone) = slides_of(code("x = 1", picture()), seen)
    assert kinds(alone) == ["source", "picture", "words"]
    assert [block.later for block in alone.blocks] == [False, False, True]
    (_, first, second) = slides_of(code("x = 1\n" * 6, picture()), seen)
    assert kinds(first) == ["source"]
    assert kinds(second) == ["picture", "words"]


def test_code_that_is_too_long_for_a_slide_is_cut_at_an_empty_line():
    block = "\n".join(f"x{n} = {n}" for n in range(10))
    slides = slides_of(code(f"{block}\n\n{block}\n\n{block}"))[1:]
    texts = [slide.blocks[0].text for slide in slides]
    assert texts == [f"{block}\n\n{block}", block]
    assert max(text.count("\n") + 1 for text in texts) <= MOST_LINES


def test_skipped_cells_are_gone_and_notes_are_for_the_speaker():
    cells = [new_markdown_cell("All."), code("skipped", tags=["setup"])]
    cells[0].metadata["slideshow"] = {"slide_type": "notes"}
    (title,) = slides_of(*cells)
    assert title.notes[-1] == "All."
    assert "All." not in [block.text for block in title.blocks]


@every_lesson
def test_a_deck_starts_with_the_title_and_each_section_opens_a_column(path):
    notebook = nbformat.read(path, as_version=4)
    slides = outline(notebook)
    assert slides[0].title.startswith("Lesson ")
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    sections = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    assert [slide.title for slide in slides if slide.opens][1:] == sections


@every_lesson
def test_every_picture_of_a_lesson_is_on_a_slide_with_its_alt_text(path):
    notebook = nbformat.read(path, as_version=4)
    alts = [
        picture.alt
        for cell in notebook.cells
        if type_of(cell) != "skip"
        for output in cell.get("outputs", [])
        if (picture := picture_in(output))
    ]
    blocks = [block for slide in outline(notebook) for block in slide.blocks]
    assert [block.alt for block in blocks if block.kind == "picture"] == alts


# the file


@every_lesson
def test_a_deck_refers_to_nothing_outside_itself(path):
    page = deck.make_deck(nbformat.read(path, as_version=4), path.name)
    body = page[page.index('<div class="reveal">') : page.index("<script>")]
    sources = re.findall(r'\b(?:src|srcset|data|poster)="([^"]{0,30})', body)
    assert all(source.startswith("data:image/png") for source in sources)
    head = page[: page.index("</style>")]
    assert re.findall(r"<link\b[^>]*>", head) == ['<link rel="icon" href="data:,">']
    assert not re.search(r"<(?:link|iframe|object|embed)\b", body)
    assert not re.search(r"@import|url\((?!data:)", head)
    assert "$$" not in body
    assert body.count("<math") >= body.count("</math>")


def test_formulas_become_mathml_and_a_badge_its_words():
    shown = deck.markdown(
        "So $p_k$ and\n\n$$\\frac{a}{b}$$\n\n[![Badge](https://x/y.svg)](z)"
    )
    assert "<msub>" in shown
    assert "<mfrac>" in shown
    assert "Badge" in shown
    assert "<img" not in shown


def test_headings_with_a_number_stay_headings():
    assert deck.heading("1. One `digit`") == "1. One <code>digit</code>"


def test_a_picture_keeps_its_alt_text_and_odd_signs_do_no_harm():
    cells = [
        new_markdown_cell("# Lesson 9: <b>\n\nYou read."),
        code("1 < 2", picture('a "7" <big>'), printed("</script><b>&")),
    ]
    page = deck.make_deck(new_notebook(cells=cells), "x")
    assert 'alt="a &quot;7&quot; &lt;big&gt;"' in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page


# the command


def test_the_command_writes_one_file_a_lesson(run, tmp_path):
    status, out, _ = run(f"slides 3 --out {tmp_path / 'new' / 'folder'}")
    assert status == 0
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name == "03_mlp.slides.html"
    assert str(file) in out
    assert run(f"slides all --out {tmp_path}")[0] == 0
    names = sorted(file.name for file in tmp_path.glob("*.html"))
    assert names == [f"{path.stem}.slides.html" for path in LESSONS]


@pytest.mark.parametrize("name", ["03", "3", "03_mlp", "03_mlp.ipynb"])
def test_a_lesson_is_found_by_number_and_by_name(name):
    from mnist_lessons.teaching.lessons import lessons_named

    assert [path.name for path in lessons_named(name)] == ["03_mlp.ipynb"]


def test_a_lesson_that_is_not_there_is_named_with_those_that_are(run):
    status, _, error = run("slides 9")
    assert status == 1
    assert "no lesson 9" in error
    assert "05_tuning" in error


@pytest.mark.parametrize("missing", ["sphinx_revealjs", "latex2mathml"])
def test_without_the_extra_the_message_says_what_to_install(
    run, monkeypatch, tmp_path, missing
):
    monkeypatch.setitem(sys.modules, missing, None)
    status, _, error = run(f"slides 3 --out {tmp_path}")
    assert status == 1
    assert 'pip install -e ".[slides]"' in error
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_without_anything_to_show_is_refused_by_name():
    notebook = new_notebook(cells=[code("x", tags=["setup"])])
    with pytest.raises(SlidesError, match=r"^mine\.ipynb has no slides"):
        deck.make_deck(notebook, "mine.ipynb")
