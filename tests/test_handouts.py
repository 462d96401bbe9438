"""`python -m mnist_lessons handout`: what is left out of a lesson, and what is not.

The solved lessons are executed in `test_lessons.py`, all five. Of the handouts and the
skeletons one each is executed here. The others need not be: their code is that of the
lesson, cell by cell, as the tests below say, and nbval executes that.
"""

import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from lesson_cells import LESSONS, cells_of, code_of, every_lesson, prose_of

from mnist_lessons.teaching import handouts as conversion
from mnist_lessons.teaching import lessons
from mnist_lessons.teaching.cues import expected
from mnist_lessons.teaching.execution import execute, picture_in
from mnist_lessons.teaching.exercises import exercises_of, tags_of

LAST = re.compile(r"<details><summary>Solution</summary>.*?</details>", re.DOTALL)

every_kind = pytest.mark.parametrize("kind", ["handout", "solved", "skeleton"])


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Files that are written without --out land here."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def changed(monkeypatch, tmp_path):
    """`changed(change)` lets the command find a lesson with other cells."""

    def write(change, path=LESSONS[0]):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = change(notebook.cells) or notebook.cells
        (tmp_path / "lessons").mkdir()
        nbformat.write(notebook, tmp_path / "lessons" / path.name)
        monkeypatch.setattr(lessons, "find_lessons", lambda: tmp_path / "lessons")

    return write


def refilled(stem):
    """Type what the cue sheet says into the skeleton, cue by cue."""
    notebook = nbformat.read(f"{stem}_skeleton.ipynb", as_version=4)
    sheet = Path(f"{stem}_cues.md").read_text(encoding="utf-8")
    codes = re.findall(r"```python\n(.*?)\n```", sheet, re.DOTALL)
    live = [cell for cell in notebook.cells if "live" in tags_of(cell)]
    for cell, code in zip(live, codes, strict=True):
        assert re.fullmatch(r"# Live: \w.{,79}", cell.source)
        cell.source = code
    return notebook


@every_lesson
def test_a_handout_has_all_cells_and_no_solution(path, run):
    assert run(f"handout {path.stem}")[:2] == (0, f"Wrote {path.stem}_handout.ipynb\n")
    old, new = cells_of(path), cells_of(f"{path.stem}_handout.ipynb")
    assert [cell.id for cell in new] == [cell.id for cell in old]
    assert code_of(new) == code_of(old)
    before, after = prose_of(old), prose_of(new)
    assert after.count("<summary>Hint") == before.count("<summary>Hint") >= 3
    assert not re.search(r"\bsolutions?\b", after, re.IGNORECASE)
    for exercise in exercises_of(old):
        kept = exercise.stub.source.splitlines()
        for line in exercise.solution.splitlines():
            assert line in kept or line not in after


@every_lesson
@every_kind
def test_only_folds_links_and_the_badge_change_in_the_prose(path, kind, run):
    option = {"handout": "", "solved": "--solutions", "skeleton": "--skeleton"}[kind]
    assert run(f"handout {path.stem} {option} --no-outputs")[0] == 0
    old, new = cells_of(path), cells_of(f"{path.stem}_{kind}.ipynb")
    prose, keeps = prose_of(old), kind == "solved"
    if not keeps:
        prose = LAST.sub("", prose)
        prose = prose.replace("hints and a solution are folded", "hints are folded")
    prose = re.sub(r"^.*colab-badge.*$", "", prose, flags=re.MULTILINE)
    link = re.compile(r"\]\([^)]+\)")
    assert link.sub("]", prose_of(new)).split() == link.sub("]", prose).split()
    assert "colab" not in prose_of(new)
    assert bool(LAST.search(prose_of(new))) == keeps


@every_kind
def test_links_work_where_the_rest_of_the_project_is_missing(kind):
    for path in LESSONS:
        prose = prose_of(
            nbformat.reads(conversion.convert(path, kind, outputs=False), 4).cells
        )
        names = {f"{other.stem}_{kind}.ipynb" for other in LESSONS}
        for target in re.findall(r"\]\(([^)#]+)", prose):
            assert target.startswith("https://") or target in names, target
        if path.name.startswith("05"):
            badge = nbformat.read(path, as_version=4).cells[0].source
            owner = re.search(
                r"colab.research.google.com/github/(.*?)/notebooks", badge
            )
            home = f"https://github.com/{owner[1]}"
            assert f"({home}/docs/scale.md)" in prose
            assert f"({home}/benchmarks/results/record.md)" in prose


@every_lesson
def test_without_outputs_there_are_none_and_nothing_is_executed(path, run, monkeypatch):
    monkeypatch.setattr(conversion, "execute", None)
    assert run(f"handout {path.stem} --no-outputs")[0] == 0
    assert run(f"handout {path.stem} --solutions --no-outputs")[0] == 0
    old = code_of(cells_of(path))
    handout = code_of(cells_of(f"{path.stem}_handout.ipynb"))
    solved = code_of(cells_of(f"{path.stem}_solved.ipynb"))
    for cell in handout + solved:
        assert cell.outputs == []
        assert cell.execution_count is None
    assert [cell.source for cell in handout] == [cell.source for cell in old]
    solutions = [exercise.solution for exercise in exercises_of(cells_of(path))]
    for before, after in zip(old, solved, strict=True):
        is_exercise = "exercise" in tags_of(before)
        assert after.source == (solutions.pop(0) if is_exercise else before.source)


@every_lesson
def test_a_skeleton_refilled_from_its_cue_sheet_is_the_lesson_again(path, run):
    status, out, _ = run(f"handout {path.stem} --skeleton")
    assert status == 0
    sheet = Path(f"{path.stem}_cues.md").read_text(encoding="utf-8")
    assert sheet in out
    old = cells_of(path)
    live = [cell for cell in old if "live" in tags_of(cell)]
    empty = code_of(cells_of(f"{path.stem}_skeleton.ipynb"))
    assert not any(cell.outputs for cell in empty)
    assert sum(cell.source.startswith("# Live: ") for cell in empty) == len(live)
    full = code_of(refilled(path.stem).cells)
    assert [cell.source for cell in full] == [cell.source for cell in code_of(old)]
    assert [cell.metadata for cell in full] == [cell.metadata for cell in code_of(old)]


@every_lesson
def test_the_cue_sheet_says_section_minutes_and_the_stored_output(path, run):
    run(f"handout {path.stem} --skeleton")
    sheet = Path(f"{path.stem}_cues.md").read_text(encoding="utf-8")
    head, *cues = re.split(r"^## Cue \d+: ", sheet, flags=re.MULTILINE)
    old = cells_of(path)
    live = [cell for cell in old if "live" in tags_of(cell)]
    assert 5 <= len(live) == len(cues) <= 8
    total = 0
    for cell, cue in zip(live, cues, strict=True):
        told = cell.metadata["mnist_lessons"]["live"]
        total += told["minutes"]
        # two characters a second, and the run: no promise that nobody can keep
        assert len(cell.source) <= 120 * told["minutes"] <= len(cell.source) + 150
        assert cue.startswith(told["prompt"] + "\n")
        headings = re.findall(r"^## (.+)$", prose_of(old[: old.index(cell)]), re.M)
        minutes = re.search(
            rf"Section {re.escape(headings[-1])} \((\d+) minutes?\)", cue
        )
        assert int(minutes[1]) == told["minutes"]
        assert cell.outputs
        for output in cell.outputs:
            picture = picture_in(output)
            text = output.get("text") or output.data["text/plain"]
            assert (picture.alt if picture else text).strip() in cue
        varies = "nbval-ignore-output" in tags_of(cell)
        assert varies == ("varies from run to run" in cue)
    assert f"{len(live)} cells to type live, {total} minutes" in head


def test_a_handout_runs_from_top_to_bottom(run, tmp_path):
    run("handout 01")
    notebook = nbformat.read("01_data_handout.ipynb", as_version=4)
    execute(notebook, tmp_path, timeout=300)
    checks = [cell for cell in notebook.cells if "check" in tags_of(cell)]
    assert len(checks) >= 3
    for cell in checks:
        assert cell.outputs[0].data["text/plain"].startswith("… Not tried yet")


def test_a_refilled_skeleton_runs_and_shows_what_the_cue_sheet_expects(run, tmp_path):
    run("handout 02 --skeleton")
    notebook = refilled("02_linear_model")
    execute(notebook, tmp_path, timeout=300)
    sheet = Path("02_linear_model_cues.md").read_text(encoding="utf-8")
    for cell in notebook.cells:
        if "live" in tags_of(cell) and "nbval-ignore-output" not in tags_of(cell):
            assert expected(cell).split("picture: ")[0] in sheet


@pytest.mark.parametrize("name", ["3", "03", "03_mlp", "03_mlp.ipynb"])
def test_a_lesson_has_several_names(name, run):
    status, out, _ = run(f"handout {name} 3 --out a/b")
    assert (status, out.count("Wrote")) == (0, 1)
    assert [path.name for path in Path("a/b").iterdir()] == ["03_mlp_handout.ipynb"]


def test_all_means_all(run):
    assert run("handout all")[0] == 0
    names = sorted(path.name for path in Path.cwd().glob("*"))
    assert names == [f"{path.stem}_handout.ipynb" for path in LESSONS]


@pytest.mark.parametrize("name", ["7", "003", "mlp", "0", "03_cnn"])
def test_a_lesson_that_is_not_there_is_named_with_those_that_are(name, run):
    status, out, err = run(f"handout 1 {name}")
    assert (status, out) == (1, "")
    there = ", ".join(path.stem for path in LESSONS)
    assert err == f"There is no lesson {name}. Give a number or a name: {there}.\n"
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("there", ["02_linear_model_skeleton.ipynb", "01_data_cues.md"])
def test_no_file_is_replaced_unless_told(there, run):
    Path(there).write_text("notes of mine", encoding="utf-8")
    status, out, err = run("handout 1 2 --skeleton")
    assert (status, out) == (1, "")
    assert err.startswith(f"{there} is there already")
    assert "--force" in err
    assert [path.name for path in Path.cwd().iterdir()] == [there]
    assert Path(there).read_text(encoding="utf-8") == "notes of mine"
    assert run("handout 1 2 --skeleton --force")[0] == 0
    assert "Lesson" in Path(there).read_text(encoding="utf-8")


def test_a_cue_sheet_of_before_does_not_stop_a_handout(run):
    Path("01_data_cues.md").write_text("notes of mine", encoding="utf-8")
    assert run("handout 1")[0] == 0


def test_a_folder_that_cannot_be_written_to_is_named(run, monkeypatch, tmp_path):
    Path("taken").write_text("", encoding="utf-8")
    _, _, err = run("handout 1 --out taken")
    assert err == "taken is a file; --out needs a folder.\n"

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    status, out, err = run("handout 1")
    assert (status, out) == (1, "")
    assert err == (
        f"{tmp_path} cannot be written to (Permission denied); "
        "--out FOLDER writes elsewhere.\n"
    )


def test_without_the_lessons_the_message_says_where_they_are(run, monkeypatch):
    monkeypatch.setattr(lessons, "find_lessons", lambda: None)
    status, _, err = run("handout 1")
    assert status == 1
    assert "Get the project as its README says" in err


def without_fold(cells):
    (cell,) = [
        c for c in cells if "def centre_of_mass" in c.source and "<d" in c.source
    ]
    cell.source = LAST.sub("", cell.source)


def with_another_name(cells):
    for cell in cells:
        cell.source = cell.source.replace(">Solution<", ">The solution<")


def without_fence(cells):
    for cell in cells:
        cell.source = cell.source.replace("```python", "```")


def without_check(cells):
    return [cell for cell in cells if "check" not in tags_of(cell)]


def with_another_cell_between(cells):
    for cell in cells:
        if "check" in tags_of(cell):
            cell.metadata.tags.remove("check")


def cut_off(cells):
    number = next(n for n, cell in enumerate(cells) if "exercise" in tags_of(cell))
    return cells[: number + 1]


@pytest.mark.parametrize("option", ["", "--solutions", "--skeleton"])
@pytest.mark.parametrize(
    "change",
    [
        without_fold,
        with_another_name,
        without_fence,
        without_check,
        with_another_cell_between,
        cut_off,
    ],
)
def test_an_exercise_without_a_solution_is_named(change, option, changed, run):
    changed(change)
    status, out, err = run(f"handout 1 {option}")
    assert (status, out) == (1, "")
    *_, told = err.splitlines()
    begin = "01_data.ipynb: the exercise that begins with `def centre_of_mass(image):`"
    assert told.startswith(begin)
    assert "one fold called Solution with one python fence" in told
    assert not list(Path.cwd().glob("*.*"))


def untag(cells):
    for cell in cells:
        cell.metadata.pop("tags", None)


def forget_minutes(cells):
    for cell in cells:
        cell.metadata.pop("mnist_lessons", None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (untag, "no cell is tagged live"),
        (forget_minutes, "cell 3589a010 is tagged live, but give it the metadata"),
    ],
)
def test_a_live_cell_has_to_say_what_to_type(change, problem, changed, run):
    changed(change)
    status, out, err = run("handout 1 --skeleton")
    assert (status, out) == (1, "")
    assert err.startswith(f"01_data.ipynb: {problem}")
    assert not list(Path.cwd().glob("*.*"))


def test_a_solution_that_fails_is_reported_and_nothing_is_written(changed, run):
    def break_first_cell(cells):
        setup = next(cell for cell in cells if "setup" in tags_of(cell))
        setup.source = "print('begun')\nraise KeyError('no such\\nthing')"
        return cells

    changed(break_first_cell)
    status, out, err = run("handout 1 --solutions")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith(
        "01_data.ipynb: a cell fails with KeyError: "
    )
    assert not list(Path.cwd().glob("*.*"))


def test_a_damaged_lesson_is_named(run, monkeypatch, tmp_path):
    (tmp_path / "01_data.ipynb").write_text("{", encoding="utf-8")
    monkeypatch.setattr(lessons, "find_lessons", lambda: tmp_path)
    status, _, err = run("handout 1")
    assert status == 1
    assert err == "01_data.ipynb: the file is damaged, or no notebook.\n"
