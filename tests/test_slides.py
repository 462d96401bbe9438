"""Slides: what the rules make of cells, what prose is shown, and the file itself."""

import importlib.util
import io
import re
import runpy

import nbformat
import pytest
from lesson_cells import LESSONS, NOTEBOOKS, every_lesson
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from mnist_lessons.plots.picture import as_element
from mnist_lessons.teaching import slides
from mnist_lessons.teaching.notebooks import LessonError, picture_in, tags_of
from mnist_lessons.teaching.outline import MOST_LINES, TYPES, outline, type_of
from mnist_lessons.teaching.prose import parts_of, sentences


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


def test_cells_are_marked_by_what_they_are_and_marks_stay():
    expected = [
        (new_markdown_cell("# Lesson"), "slide"),
        (new_markdown_cell("So it is.\n\n## 2. Section\n\nText."), "slide"),
        (new_markdown_cell("## 2. Section\n\n### Below it"), "slide"),
        (new_markdown_cell("### Try it: a thing"), "subslide"),
        (new_markdown_cell("All of them are right."), "fragment"),
        (new_markdown_cell("<details>\n# no heading\n</details>"), "notes"),
        (new_markdown_cell("```python\n# no heading\n```\nText."), "fragment"),
        (code("x = 1", tags=["nbval-ignore-output"]), "subslide"),
        (code("x = 1", tags=["setup"]), "skip"),
        (code("answer = ...", tags=["exercise"]), "skip"),
        (code("checks.x(answer)", tags=["check"]), "skip"),
        (code('predictions.ask("x", "AB")'), "skip"),
        (code('a = 1\npredictions.compare("x", A=True)'), "skip"),
        (nbformat.v4.new_raw_cell("x"), "skip"),
        (new_markdown_cell("## Two"), "notes"),
    ]
    expected[-1][0].metadata["slideshow"] = {"slide_type": "notes"}
    skipped = [type_of(cell) == "skip" for cell, _ in expected]
    assert skipped == [kind == "skip" for _, kind in expected]
    tool = runpy.run_path(str(NOTEBOOKS.parent / "tools" / "mark_slides.py"))
    notebook = new_notebook(cells=[cell for cell, _ in expected])
    assert tool["mark"](notebook) == len(expected) - 1
    assert [type_of(cell) for cell in notebook.cells] == [kind for _, kind in expected]
    assert tool["mark"](notebook) == 0


@every_lesson
def test_a_lesson_s_deck(path):
    notebook = nbformat.read(path, as_version=4)
    stored = [c.metadata.get("slideshow", {}).get("slide_type") for c in notebook.cells]
    assert set(stored) <= set(TYPES), "run: uv run python tools/mark_slides.py"
    for cell in notebook.cells:
        if {"setup", "exercise", "check"} & set(tags_of(cell)):
            assert type_of(cell) == "skip"
    shown = outline(notebook)
    assert shown[0].title.startswith("Lesson ")
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    sections = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    assert [slide.title for slide in shown if slide.opens][1:] == sections
    outputs = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code" and type_of(cell) != "skip"
        for output in cell.outputs
    ]
    alts = [p.alt for output in outputs if (p := picture_in(output))]
    blocks = [block for slide in shown for block in slide.blocks]
    assert [block.alt for block in blocks if block.kind == "picture"] == alts
    # the file refers to nothing outside itself
    page = slides.make_deck(notebook, path.name)
    body = page[page.index('<div class="reveal">') : page.index("<script>")]
    sources = re.findall(r'\b(?:src|srcset|data|poster)="([^"]{0,30})', body)
    assert all(source.startswith("data:image/png") for source in sources)
    head = page[: page.index("</style>")]
    assert re.findall(r"<link\b[^>]*>", head) == ['<link rel="icon" href="data:,">']
    assert not re.search(r"<(?:link|iframe|object|embed)\b", body)
    assert not re.search(r"@import|url\((?!data:)", head)
    assert body.count("<section>") == len(shown) + len(sections) + 1
    assert "$$" not in body


def test_sentences_end_where_they_end():
    expected = [
        "About 92 %.",
        "See E. A. Poe et al. (1840), i.e. there.",
        "`x` is it!",
        "**B.** It is.",
    ]
    assert sentences(" ".join(expected)) == expected


def test_a_slide_shows_what_matters_and_the_notes_have_all():
    (part,) = parts_of(
        "## 1. A section\n\nHow is a model judged at all? Nobody knows at first. "
        "Its price is the **loss**. (**Not** this.)\n\nMore words. And a **term**."
    )
    assert part.heading == "1. A section"
    texts = [item.text for item in part.items]
    assert texts[0] == "How is a model judged at all? Its price is the **loss**."
    assert texts[1] == "And a **term**."
    assert "More words." in part.notes
    (part,) = parts_of("It does. So it goes on, word by word. Never said.")
    assert part.items[0].text == "It does. So it goes on, word by word."
    task = "One. " * 5 + "Write the function that returns the sum of the row."
    (part,) = parts_of(f"### Try it: sums\n\n{task}\n\n{'More words. ' * 60}")
    assert [len(item.text.split()) for item in part.items] == [15, 84]


def test_the_opening_shows_promise_and_goals_the_recap_its_sentences():
    goals = "| | |\n|---|---|\n| **You will be able to** | read, write |"
    (part,) = parts_of(f"# Lesson\n\nYou [learn](x). Much.\n\n{goals}")
    assert [item.text for item in part.items] == ["You learn. Much.", "- read\n- write"]
    (part, last) = parts_of("## Recap\n\nOne is. Two are.\n\n## Further reading\n\nX.")
    assert [item.text for item in part.items] == ["- One is.\n- Two are."]
    assert last.items == []


def test_questions_formulas_tables_lists_and_code_keep_their_form():
    fence = "```python\nx = 1\n\ny = 2\n```"
    (part,) = parts_of(
        "Look at this one:\n\n$$a = b$$\n\n> **Predict first.** Which?\n>\n"
        f"> A. One \\\n> B. Two\n\n| a |\n|---|\n| b |\n\n{fence}\n\n"
        "Three **things** to do now:\n\n- one thing at a time. And not more.\n- two"
    )
    assert [item.kind for item in part.items] == [
        *("formula", "question", "table", "code", "list")
    ]
    assert part.items[0].text.startswith("Look at this one:")
    assert part.items[1].text.endswith("A. One \\\nB. Two")
    assert part.items[3].text == fence
    assert part.items[4].text.endswith("now:\n\n- one thing at a time.\n- two")


def test_hints_and_solutions_are_only_in_the_notes():
    parts = slides_of(
        new_markdown_cell("### Try it: x\n\nWrite it."),
        new_markdown_cell("<details>the answer is 7</details>\n\n## Next\n\nOn we go."),
    )
    shown = " ".join(block.text for slide in parts for block in slide.blocks)
    assert "answer is 7" not in shown
    assert "answer is 7" in " ".join(note for slide in parts for note in slide.notes)


def test_what_is_on_a_slide_together():
    seen = new_markdown_cell("It is a seven, as you can see. More.")
    question = new_markdown_cell("It is.\n\n> **Predict first.** Which?\n>\n> A. One")
    cases = [
        ([code("x"), question], ["source words-later", "question"]),
        ([question, code("y")], ["question", "source"]),
        ([code("x = 1\ny = 2", picture())], ["source picture"]),
        ([code("x = 1\n" * 20, printed("7"), picture())], ["source output", "picture"]),
        ([code("x = 1", picture()), seen], ["source picture words-later"]),
        ([code("x = 1\n" * 6, picture()), seen], ["source", "picture words-later"]),
    ]
    for cells, expected in cases:
        found = [
            " ".join(block.kind + "-later" * block.later for block in slide.blocks)
            for slide in slides_of(*cells)[1:]
        ]
        assert found == expected
    (_, slide) = slides_of(new_markdown_cell("## 9. Two\n\n### One\n\nIt is so."))
    assert slide.title == "9. Two"
    assert [block.text for block in slide.blocks] == ["**One**", "It is so."]


def test_code_that_is_too_long_for_a_slide_is_cut_at_an_empty_line():
    block = "\n".join(f"x{n} = {n}" for n in range(10))
    parts = slides_of(code(f"{block}\n\n{block}\n\n{block}"))[1:]
    texts = [slide.blocks[0].text for slide in parts]
    assert texts == [f"{block}\n\n{block}", block]
    unbroken = slides_of(code("x = 1\n" * (MOST_LINES + 1)))[1:]
    assert [s.blocks[0].text.count("\n") + 1 for s in unbroken] == [MOST_LINES, 1]
    (alone,) = outline(new_notebook(cells=[code("x")]))
    assert alone.opens  # or it would stand in no column


def test_skipped_cells_are_gone_and_notes_are_for_the_speaker():
    tally = code("predictions.tally()", tags=["setup"])
    cells = [new_markdown_cell("All."), tally, new_markdown_cell("Your answers.")]
    cells[0].metadata["slideshow"] = {"slide_type": "notes"}
    (title,) = slides_of(*cells)
    assert title.notes[1:] == ["All.", "Your answers."]
    assert [block.text for block in title.blocks] == ["You read."]


def test_markdown_formulas_and_odd_signs_as_html():
    shown = slides.markdown("So $p_k$, $\\log$\n\n$$\\frac{a}{b}$$\n\n[![B](x.svg)](z)")
    assert '<msub><mi class="letter">p</mi><mi class="letter">k</mi></msub>' in shown
    assert "<mi>log</mi>" in shown
    assert "<mfrac>" in shown
    assert ">B</a>" in shown
    assert "<img" not in shown
    assert slides.heading("1. One `digit`") == "1. One <code>digit</code>"
    cells = [
        new_markdown_cell("# Lesson 9: <b>\n\nYou read."),
        code("1 < 2", picture('a "7" <big>'), printed("</script><b>&")),
    ]
    page = slides.make_deck(new_notebook(cells=cells), "x")
    assert 'alt="a &quot;7&quot; &lt;big&gt;"' in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page
    assert page.count("</script>") == 3


def test_the_command_writes_one_file_a_lesson(run, tmp_path):
    status, out, _ = run(f"slides all --out {tmp_path / 'new' / 'folder'}")
    assert status == 0
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [file.name for file in files] == [f"{p.stem}.slides.html" for p in LESSONS]
    assert all(str(file) in out for file in files)


@pytest.mark.parametrize("missing", ["sphinx_revealjs", "latex2mathml"])
def test_without_the_extra_the_message_says_what_to_install(
    run, monkeypatch, tmp_path, missing
):
    find = importlib.util.find_spec
    there = {"find_spec": lambda name: None if name == missing else find(name)}
    monkeypatch.setattr(importlib.util, "find_spec", there["find_spec"])
    status, _, error = run(f"slides 3 --out {tmp_path}")
    assert status == 1
    assert 'pip install -e ".[slides]"' in error
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_without_anything_to_show_is_refused_by_name():
    notebook = new_notebook(cells=[code("x", tags=["setup"])])
    with pytest.raises(LessonError, match=r"^mine\.ipynb has no slides"):
        slides.make_deck(notebook, "mine.ipynb")
