"""`python -m mnist_lessons handout`: what is left out of a lesson, and what is not.

Nothing is executed here but a short notebook: nbval runs the lessons and their
solutions, and the code of handouts and refilled skeletons is that of the lesson.
"""

import re
import tempfile
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
from lesson_cells import LESSONS, cells_of, code_of, every_lesson, prose_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnist_lessons.teaching import notebooks
from mnist_lessons.teaching.notebooks import (
    exercises_of,
    page_of,
    picture_in,
    tags_of,
)
from mnist_lessons.widgets.base import NOTE, VIEW

SOLUTION = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n</details>"
FOLD = re.compile(r"<details><summary>Solution</summary>.*?</details>", re.DOTALL)
KINDS = {"handout": "", "solved": "--solutions", "skeleton": "--skeleton"}


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Files that are written without --out land here."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lesson(monkeypatch, tmp_path):
    """`lesson(cells)` lets the command find a first lesson with these cells."""
    folder = tmp_path / "lessons"
    folder.mkdir()
    monkeypatch.setattr(notebooks, "find_lessons", lambda: folder)
    return lambda cells: nbformat.write(
        new_notebook(cells=cells), folder / "01_data.ipynb"
    )


def exercise(solution="answer = 1"):
    return [
        new_markdown_cell("# Lesson 1"),
        new_code_cell("answer = ...", metadata={"tags": ["exercise"]}),
        new_code_cell("print(answer)", metadata={"tags": ["check"]}),
        new_markdown_cell(SOLUTION.format(solution)),
    ]


@every_lesson
def test_what_is_made_of_a_lesson(path, run, monkeypatch):
    monkeypatch.setattr(notebooks, "execute", None)
    old, links = cells_of(path), re.compile(r"\]\([^)]+\)")
    exercises = exercises_of(old)
    badge = re.search(r"com/github/(.*?)/notebooks", old[0].source)
    for kind, option in KINDS.items():
        file = f"{path.stem}_{kind}.ipynb"
        # the outputs of solved ones would come from running them
        outputs = "--no-outputs" if kind == "solved" else ""
        status, out, _ = run(f"handout {path.stem} {option} {outputs}")
        assert (status, out.splitlines()[0]) == (0, f"Wrote {file}")
        new = cells_of(file)
        # the prose: solutions are gone from all but the solved, and links work
        expected = re.sub(r"^.*colab-badge.*$", "", prose_of(old), flags=re.MULTILINE)
        if kind != "solved":
            expected = FOLD.sub("", expected)
            expected = expected.replace("hints and a solution are", "hints are")
            assert not re.search(r"\bsolutions?\b", prose_of(new), re.IGNORECASE)
        assert links.sub("", prose_of(new)).split() == links.sub("", expected).split()
        names = {f"{other.stem}_{kind}.ipynb" for other in LESSONS}
        for target in re.findall(r"\]\(([^)#]+)", prose_of(new)):
            assert target.startswith("https://") or target in names, target
        home = f"(https://github.com/{badge[1]}/"
        pages = re.findall(r"\]\(\.\./([^)]+)\)", prose_of(old))
        assert all(f"{home}{page})" in prose_of(new) for page in pages)
        # the code
        assert [cell.id for cell in new] == [cell.id for cell in old]
        solutions = [exercise.solution for exercise in exercises]
        for before, after in zip(code_of(old), code_of(new), strict=True):
            source = before.source
            if kind == "solved" and "exercise" in tags_of(before):
                source = solutions.pop(0)
            if kind == "skeleton" and "live" in tags_of(before):
                source = f"# Live: {before.metadata.mnist_lessons.live.prompt}"
                assert len(source) <= 88
            assert after.source == source
            assert after.metadata == before.metadata
            kept = (before.outputs, before.execution_count)
            shown = (after.outputs, after.execution_count)
            assert shown == (kept if kind == "handout" else ([], None))


@every_lesson
def test_the_cue_sheet_says_code_section_minutes_and_the_stored_output(path, run):
    out = run(f"handout {path.stem} --skeleton")[1]
    sheet = Path(f"{path.stem}_cues.md").read_text(encoding="utf-8")
    assert sheet in out
    head, *cues = re.split(r"^## Cue \d+: ", sheet, flags=re.MULTILINE)
    old = cells_of(path)
    live = [cell for cell in old if "live" in tags_of(cell)]
    assert 5 <= len(live) == len(cues) <= 8
    total = sum(cell.metadata.mnist_lessons.live.minutes for cell in live)
    assert f"{len(live)} cells to type live, {total} minutes in all" in head
    for cell, cue in zip(live, cues, strict=True):
        prompt = cell.metadata.mnist_lessons.live.prompt
        minutes = cell.metadata.mnist_lessons.live.minutes
        # two characters a second, and the run: no promise that nobody can keep
        assert len(cell.source) <= 120 * minutes <= len(cell.source) + 150
        headings = re.findall(r"^## (.+)$", prose_of(old[: old.index(cell)]), re.M)
        unit = "minute" if minutes == 1 else "minutes"
        varies = " (or close to it, as this varies from run to run)"
        expect = f"Expect{varies * ('nbval-ignore-output' in tags_of(cell))}:"
        begin = f"{prompt}\n\nSection {headings[-1]} ({minutes} {unit}). Type:\n\n"
        assert cue.startswith(f"{begin}```python\n{cell.source}\n```\n\n{expect}\n")
        assert cell.outputs
        for output in cell.outputs:
            picture = picture_in(page_of(output))
            text = output.get("text") or output.data["text/plain"]
            assert (picture.alt if picture else text).strip() in cue


def test_a_solved_lesson_is_executed(lesson, run):
    lesson(exercise("import os\n\nanswer = os.listdir()"))
    assert run("handout 1 --solutions")[0] == 0
    solved = cells_of("01_data_solved.ipynb")
    assert solved[1].source == "import os\n\nanswer = os.listdir()"
    assert solved[2].outputs[0].text == "['01_data.ipynb']\n"
    lesson(exercise("raise KeyError('no such\\nthing')"))
    status, out, err = run("handout 1 --solutions --force")
    assert (status, out) == (1, "")
    assert "01_data.ipynb: a cell fails with KeyError: " in err
    assert code_of(cells_of("01_data_solved.ipynb")) == code_of(solved)


def test_what_jupyterlab_saved_of_a_piece_is_its_picture(lesson, run):
    image = '<img alt="A picture" width="9" src="data:image/png;base64,AAAA">'
    outputs = [
        new_output("display_data", {"text/html": image + NOTE}),
        new_output("display_data", {VIEW: {"model_id": "gone"}}),
    ]
    lesson([*exercise(), new_code_cell("piece", outputs=outputs)])
    run("handout 1")  # the slides read it in the same way
    (output,) = cells_of("01_data_handout.ipynb")[-1].outputs
    assert output.data == {"text/html": image}


def test_which_files_are_written_and_where(run, monkeypatch):
    status, out, _ = run("handout 3 03_mlp --out a/b")
    assert (status, out.count("Wrote")) == (0, 1)
    assert [path.name for path in Path("a/b").iterdir()] == ["03_mlp_handout.ipynb"]
    assert run("handout all")[0] == 0
    names = sorted(path.name for path in Path.cwd().glob("*.ipynb"))
    assert names == [f"{path.stem}_handout.ipynb" for path in LESSONS]
    Path("taken").write_text("", encoding="utf-8")
    assert run("handout 1 --out taken")[2].startswith("taken is a file")
    refuse = Mock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    status, out, err = run("handout 2 --skeleton")
    assert (status, out) == (1, "")
    assert "cannot be written to (Permission denied)" in err


@pytest.mark.parametrize("there", ["02_linear_model_skeleton.ipynb", "01_data_cues.md"])
def test_no_file_is_replaced_unless_told(there, run):
    Path(there).write_text("notes of mine", encoding="utf-8")
    status, _, err = run("handout 1 2 --skeleton")
    assert status == 1
    assert err.startswith(f"{there} is there already")
    assert "--force" in err
    assert [path.name for path in Path.cwd().iterdir()] == [there]
    assert Path(there).read_text(encoding="utf-8") == "notes of mine"
    assert run("handout 1 2 --skeleton --force")[0] == 0
    assert "Lesson" in Path(there).read_text(encoding="utf-8")


def test_a_lesson_that_breaks_the_rules_is_named(lesson, run):
    title, stub, check, answer = exercise()
    plain = new_code_cell("x")
    empty = "<details><summary>Solution</summary></details>"
    live = new_code_cell("x", metadata={"tags": ["live"]})
    rule = "the exercise that begins with `answer = ...` needs a check"
    for option, cells, problem in [
        *((option, [title, stub], rule) for option in KINDS.values()),
        ("", [title, stub, plain, answer], rule),
        ("", [title, stub, check, new_markdown_cell("Hints.")], rule),
        ("", [title, stub, check, new_markdown_cell(answer.source * 2)], rule),
        ("", [title, stub, check, new_markdown_cell(answer.source + empty)], rule),
        ("--skeleton", exercise(), "no cell is tagged live"),
        ("--skeleton", [title, live], f"cell {live.id} is tagged live, but give it"),
    ]:
        lesson(cells)
        status, out, err = run(f"handout 1 {option}")
        assert (status, out) == (1, "")
        assert err.splitlines()[-1].startswith(f"01_data.ipynb: {problem}")
        assert not list(Path.cwd().glob("*.*"))
    Path("lessons/01_data.ipynb").write_text("{", encoding="utf-8")
    status, _, err = run("handout 1")
    assert (status, err) == (1, "01_data.ipynb: the file is damaged, or no notebook.\n")
