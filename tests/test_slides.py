"""Slides: what the rules make of cells, what prose is shown, and the file itself."""

import importlib.util
import io
import re
import runpy

import nbformat
import pytest
from lesson_cells import NOTEBOOKS, code_of, every_lesson, images_of, prose_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from mnist_lessons import plots
from mnist_lessons.history import History
from mnist_lessons.plots.picture import as_element
from mnist_lessons.teaching import slides
from mnist_lessons.teaching.notebooks import LessonError, tags_of
from mnist_lessons.teaching.outline import MOST_LINES, TYPES, outline, type_of
from mnist_lessons.teaching.prose import parts_of, sentences
from mnist_lessons.widgets import Predictions


def picture(alt="a digit", width=600, height=300):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, format="png")
    data = {"text/html": as_element(file.getvalue(), alt, width)}
    return new_output("display_data", data | {"text/plain": "<picture>"})


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def slides_of(*cells):
    title = new_markdown_cell("# Lesson 9: Title\n\nYou read.")
    return outline(new_notebook(cells=[title, *cells]))


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
def test_a_lesson_s_deck(path, run, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    stored = [c.metadata.get("slideshow", {}).get("slide_type") for c in notebook.cells]
    assert set(stored) <= set(TYPES), "run: uv run python tools/mark_slides.py"
    for cell in notebook.cells:
        if {"setup", "exercise", "check"} & set(tags_of(cell)):
            assert type_of(cell) == "skip"
    shown = outline(notebook)
    assert shown[0].title.startswith("Lesson ")
    sections = re.findall(r"^## (.+)$", prose_of(notebook.cells), re.MULTILINE)
    assert [slide.title for slide in shown if slide.opens][1:] == sections
    cells = [cell for cell in code_of(notebook.cells) if type_of(cell) != "skip"]
    blocks = [block for slide in shown for block in slide.blocks]
    alts = [block.alt for block in blocks if block.kind == "picture"]
    assert alts == images_of(*cells)
    # the file has its pictures (and asks for nothing: browser/test_slides.py)
    folder = tmp_path / "new" / "folder"
    status, out, _ = run(f"slides {path.stem} --out {folder}")
    (file,) = folder.iterdir()
    assert (status, file.name) == (0, f"{path.stem}.slides.html")
    assert str(file) in out
    page = file.read_text(encoding="utf-8")
    body = page[page.index('<div class="reveal">') : page.index("<script>")]
    sources = re.findall(r'\b(?:src|srcset|data|poster)="([^"]{0,30})', body)
    assert all(source.startswith("data:image/png") for source in sources)
    assert body.count("<section>") == len(shown) + len(sections) + 1
    assert "$$" not in body


def test_sentences_end_where_they_end():
    expected = ["About 92 %.", "See E. A. Poe et al. (1840), i.e. there."]
    expected += ["`x` is it!", "**B.** It is."]
    assert sentences(" ".join(expected)) == expected


def test_a_slide_shows_what_matters_and_the_notes_have_all():
    goals = "| | |\n|---|---|\n| **You will be able to** | read, write |"
    begin = ["You learn. Much.", "- read\n- write"]
    section = "How is a model judged at all? Nobody knows at first. Its price is the "
    section += "**loss**. (**Not** this.)\n\nMore words. And a **term**."
    judged = "How is a model judged at all? Its price is the **loss**."
    word = "It does. So it goes on, word by word."
    for source, shown in {
        f"# Lesson\n\nYou [learn](x). Much.\n\n{goals}": begin,
        f"## 1. A section\n\n{section}": [judged, "And a **term**."],
        f"{word} Never said.": [word],
        "## Recap\n\nOne is. Two are.": ["- One is.\n- Two are."],
        "## Further reading\n\nX.": [],
    }.items():
        (part,) = parts_of(source)
        assert [item.text for item in part.items] == shown
        assert source.endswith(part.notes)
    task = "One. " * 5 + "Write the function that returns the sum of the row."
    (part,) = parts_of(f"### Try it: sums\n\n{task}\n\n{'More words. ' * 60}")
    assert [len(item.text.split()) for item in part.items] == [15, 84]


def test_questions_formulas_tables_lists_and_code_keep_their_form():
    fence = "```python\nx = 1\n\ny = 2\n```"
    (part,) = parts_of(
        "Look at this one:\n\n$$a = b$$\n\n> **Predict first.** Which?\n>\n"
        f"> A. One \\\n> B. Two\n\n| a |\n|---|\n| b |\n\n{fence}\n\n"
        "Three **things** to do now:\n\n- one thing at a time. And not more.\n- two"
    )
    kinds = [item.kind for item in part.items]
    assert kinds == ["formula", "question", "table", "code", "list"]
    assert part.items[0].text.startswith("Look at this one:")
    assert part.items[1].text.endswith("A. One \\\nB. Two")
    assert part.items[3].text == fence
    assert part.items[4].text.endswith("now:\n\n- one thing at a time.\n- two")


def test_what_is_on_a_slide_together():
    seen = new_markdown_cell("It is a seven, as you can see. More.")
    question = new_markdown_cell("It is.\n\n> **Predict first.** Which?\n>\n> A. One")
    more = code("y")
    more.metadata["slideshow"] = {"slide_type": "fragment"}
    cases = [
        ([code("x"), more], ["source source"]),
        ([code("x"), question], ["source words-later", "question"]),
        ([question, code("y")], ["question", "source"]),
        ([code("x = 1\ny = 2", picture())], ["source picture"]),
        (
            [code("x = 1\n" * 20, new_output("stream", text="7"), picture())],
            ["source output", "picture"],
        ),
        ([code("x = 1", picture()), seen], ["source picture words-later"]),
        ([code("x = 1\n" * 6, picture()), seen], ["source", "picture words-later"]),
    ]
    for cells, expected in cases:
        for slide, kinds in zip(slides_of(*cells)[1:], expected, strict=True):
            shown = [block.kind + "-later" * block.later for block in slide.blocks]
            assert shown == kinds.split()
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


def test_what_is_only_for_the_speaker():
    tally = code("predictions.tally()", tags=["setup"])
    fold = "<details>the answer is 7</details>"
    cells = [new_markdown_cell(text) for text in ("All.", "Your answers.", fold)]
    cells[0].metadata["slideshow"] = {"slide_type": "notes"}
    (title,) = slides_of(cells[0], tally, *cells[1:])
    assert title.notes[1:] == ["All.", "Your answers.", fold]
    assert [block.text for block in title.blocks] == ["You read."]


def test_markdown_formulas_and_odd_signs_as_html():
    shown = slides.markdown("So $p_k$, $\\log$\n\n$$\\frac{a}{b}$$\n\n[![B](x.svg)](z)")
    assert '<msub><mi class="letter">p</mi><mi class="letter">k</mi></msub>' in shown
    assert all(part in shown for part in ("<mi>log</mi>", "<mfrac>", ">B</a>"))
    assert "<img" not in shown
    assert slides.heading("1. One `digit`") == "1. One <code>digit</code>"
    odd = new_output("stream", text="</script><b>&")
    cells = [new_markdown_cell("# <b>"), code("1 < 2", picture('a "7" <big>'), odd)]
    page = slides.make_deck(new_notebook(cells=cells), "x")
    assert 'alt="a &quot;7&quot; &lt;big&gt;"' in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page
    assert page.count("</script>") == 3


def test_what_is_missing_is_named(run, monkeypatch, tmp_path):
    notebook = new_notebook(cells=[code("x", tags=["setup"])])
    with pytest.raises(LessonError, match=r"^mine\.ipynb has no slides"):
        slides.make_deck(notebook, "mine.ipynb")
    find = importlib.util.find_spec
    for missing in ("sphinx_revealjs", "latex2mathml"):
        with monkeypatch.context() as patch:
            there = {"find_spec": lambda n, m=missing: None if n == m else find(n)}
            patch.setattr(importlib.util, "find_spec", there["find_spec"])
            status, _, error = run(f"slides 3 --out {tmp_path}")
        assert status == 1
        assert 'pip install -e ".[slides]"' in error
        assert list(tmp_path.iterdir()) == []


def test_what_answers_a_question_comes_with_the_next_key():
    predictions, source = Predictions(), 'predictions.compare("coin", A=True)'

    def compare(*shown):
        fold = predictions.compare("coin", *shown, A=True, B=False)
        return code(source, new_output("display_data", fold._repr_mimebundle_()[0]))

    shown = compare("4 < 5", plots.bars({"share": [1, 2]}), History([]))
    assert type_of(shown) == "subslide"
    assert type_of(compare()) == "skip"  # a verdict is about one reader
    blocks = [block for slide in slides_of(shown)[1:] for block in slide.blocks]
    kinds = [block.kind + "-later" * block.later for block in blocks]
    assert kinds == ["source", "output-later", "picture-later", "html-later"]
    assert blocks[1].text == "4 < 5"
    assert blocks[2].alt.startswith("Bar charts of share")
    notebook = new_notebook(cells=[new_markdown_cell("# A"), shown])
    page = slides.make_deck(notebook, "x").split('<div class="reveal">')[1]
    assert page.split("<script")[0].count("later fragment") == 3
    assert "The run says" not in page
