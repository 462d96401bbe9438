"""What every lesson promises its readers. `notebooks/*.ipynb` are executed by nbval."""

import ast
import re
import runpy
import statistics

import nbformat
import torch
from lesson_cells import (
    LESSONS,
    ROOT,
    cells_of,
    code_of,
    every_lesson,
    images_of,
    prose_of,
)

from mnist_lessons import checks, evaluate, fit
from mnist_lessons.checks.asking import Verdict
from mnist_lessons.checks.lesson_7 import UNCHANGED
from mnist_lessons.teaching.notebooks import exercises_of, tags_of

TAGS = {"setup", "exercise", "check", "live", "nbval-ignore-output"}
PIECES = {
    "01": ["DigitBrowser", "BatchExplorer"],
    "02": ["Descent", "LearningRate", "DrawingPad"],
    "03": ["Boundary", "FittingCurves", "DrawingPad"],
    "04": ["FilterWorkshop", "ConfusionExplorer", "DrawingPad"],
    "05": [],
    "06": ["ConfusionExplorer", "DrawingPad"],
    "07": [],
}
# lesson 5 asks about one network, 7 about programs; that of the whole series is in 6
NO_LADDER = ("05_tuning", "07_clinic")


def nodes_of(cell):
    """Walk through a cell; a line for the notebook itself (%pip) counts as `pass`."""
    source = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
    return list(ast.walk(ast.parse(source)))


def test_lessons_are_numbered_and_begin_with_the_same_code():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(1, len(LESSONS) + 1))
    openings = [code_of(cells_of(path))[:2] for path in LESSONS]
    assert len({setup.source for setup, _ in openings}) == 1
    for setup, second in openings:
        assert tags_of(setup) == ["setup"]
        assert images_of(second), "the second code cell shows a digit"


@every_lesson
def test_a_lesson_opens_with_its_promise_and_a_table(path):
    first = cells_of(path)[0].source
    title, promise, badge, *_ = first.split("\n\n")
    assert re.fullmatch(rf"# Lesson {int(path.name[:2])}: \S.*", title)
    assert re.fullmatch(r"You .*\.", promise, re.DOTALL)
    assert "colab-badge.svg" in badge
    assert badge.endswith(f"/notebooks/{path.name})")
    table = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", first, re.MULTILINE))
    assert re.search(r"^\d+ minutes", table["Time to work through"])
    assert re.search(r"^\d+ seconds", table["Time to run"])
    assert table["You will be able to"].count(",") >= 3
    assert table["You need"]


@every_lesson
def test_cells_are_short_and_the_parts_of_a_lesson_all_there(path):
    cells = cells_of(path)
    lines = [re.findall(r".*\S.*", cell.source) for cell in code_of(cells)]
    lengths = [len(cell) for cell in lines]
    assert 25 <= len(cells) <= 99
    assert max(lengths) <= 25
    assert statistics.median(lengths) <= 8
    assert sum(n <= 15 for n in lengths) >= 0.9 * len(lengths)
    assert max(len(line) for cell in lines for line in cell) <= 88
    words = len(re.findall(r"[A-Za-z][A-Za-z'-]*", prose_of(cells)))
    assert 40 <= words / len(lengths) <= 85
    # all its parts are there
    prose, code = prose_of(cells), "\n".join(c.source for c in code_of(cells))
    for text, parts in (
        (prose, ("**Predict first.**", "Common mistake", "### Try it")),
        (cells[-1].source, ("\n## Recap\n", "\n### Further reading\n")),
        (code, ("HARD_DIGITS",) * (path.stem != "07_clinic")),
        (prose, ("The ladder",) * (path.stem not in NO_LADDER)),
        (code, ("plots.ladder(", "plots.answer_sheet(") * (path.stem not in NO_LADDER)),
    ):
        assert [part for part in parts if part not in text] == []
    levels = [len(h) for h in re.findall(r"^(#+) ", prose, re.MULTILINE)]
    assert levels[0] == 1
    assert all(1 < b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
    written = re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.DOTALL)
    assert re.findall(r"\b(?:[A-Z]{2,}_[A-Z_]+|TODO|FIXME|XXX|TBD)\b", written) == []


@every_lesson
def test_stored_outputs_are_those_of_one_run_and_most_are_compared(path):
    cells = cells_of(path)
    code = code_of(cells)
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    for output in (output for cell in code for output in cell.outputs):
        assert output.output_type != "error"
        assert not any("widget-view" in kind for kind in output.get("data", {}))
    assert sum(bool(cell.outputs) for cell in code) > len(code) / 2
    assert path.stat().st_size < 600 * 1024
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    words = [len(alt.split()) for alt in images_of(*code)]
    assert len(words) >= 5
    assert min(words) >= 5
    assert "![](" not in prose_of(cells)
    # most are compared, and figures that vary are bounded
    ignored = [cell for cell in code if "nbval-ignore-output" in tags_of(cell)]
    compared = [cell for cell in code if cell.outputs and cell not in ignored]
    assert len(compared) > sum(bool(cell.outputs) for cell in ignored)
    assert {tag for cell in code for tag in tags_of(cell)} <= TAGS
    for cell in ignored:
        if re.search(r"\b(one_epoch|evaluate|fit|rung)\(|:\.\d%\}", cell.source):
            assert "assert " in cell.source, cell.source


@every_lesson
def test_the_test_digits_are_opened_once_and_in_lesson_6(path):
    code = code_of(cells_of(path))
    opened = []
    for number, cell in enumerate(code):
        for node in nodes_of(cell):
            match node:
                case ast.Name("test", ast.Load()):
                    opened.append(number)
                # torchvision's is MNIST(folder, train=False)
                case ast.Attribute(attr="test") | ast.keyword("train"):
                    raise AssertionError(cell.source)
                case ast.Call(ast.Name("MNIST"), arguments):
                    assert len(arguments) == 1, cell.source
    if path.stem != "06_report":
        assert opened == []
        return
    (opened,) = opened  # once, and nothing is chosen afterwards
    sources = [cell.source for cell in code]
    assert "evaluate(reloaded, test)" in sources[opened]
    assert any("save_model(final, " in source for source in sources[:opened])
    chosen = re.compile(r"fit\(|result\.\w+ *[<>] *\w*score|max\(.*result")
    assert [source for source in sources[opened:] if chosen.search(source)] == []


def test_the_model_written_in_lesson_2_works_with_the_package(some):
    built = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    for cell in code_of(cells_of(LESSONS[1])):
        if re.search(r"^class Linear\(|^Steps\.", cell.source, re.MULTILINE):
            exec(cell.source, built)
    model = built["Linear"]()
    record = fit(model, some(600), some(600), epochs=1, lr=0.1, progress=False)
    score = evaluate(model, some(600))
    assert record[-1]["valid_accuracy"] == score.accuracy > 0.3
    assert score.count == 600


@every_lesson
def test_a_head_states_honest_minutes_and_each_exercise_its_kind(path):
    tool = runpy.run_path(str(ROOT / "tools" / "lesson_minutes.py"))
    notebook = nbformat.read(path, as_version=4)
    minutes = tool["minutes_of"](notebook)
    assert not minutes.too_long
    stated = rf"\*\*Time to work through\*\* \| {minutes.stated} minutes"
    assert re.search(stated, notebook.cells[0].source)
    kinds = [
        stub.metadata.get("mnist_lessons", {}).get("exercise")
        for stub, *_ in exercises_of(notebook.cells)
    ]
    assert set(kinds) <= set(tool["EXERCISE"])
    assert len(kinds) >= 4
    assert kinds.count("write") + kinds.count("complete") >= 2


@every_lesson
def test_each_prediction_is_asked_before_the_run_and_compared_after_it(path):
    cells = cells_of(path)
    asked, compared, letters = {}, {}, []
    for number, cell in enumerate(cells):
        ask = re.search(r'^predictions\.ask\("(.+)", "(A\w+)"\)$', cell.source)
        if ask:
            question = cells[number - 1].source
            assert "> **Predict first.**" in question
            options = "".join(re.findall(r"^> ([A-Z])\. ", question, re.MULTILINE))
            assert options == ask[2], question
            asked[ask[1]] = number
        name = r'^predictions\.compare\(\s*"(.+?)",'
        if compare := re.search(name, cell.source, re.M):
            compared[compare[1]] = number
            letters.append(letter_of(cell))
            after = cells[number + 1]
            answer = rf"\*\*{letters[-1]}\W?\*\*"
            # nothing that is in sight gives it away
            answer = rf"<details><summary>Why</summary>\n\n{answer}"
            assert re.match(answer, after.source)
    assert prose_of(cells).count("> **Predict first.**") == len(asked) >= 2
    assert list(asked) == list(compared)
    assert all(asked[name] < compared[name] for name in asked)
    (tally,) = [n for n, c in enumerate(cells) if c.source == "predictions.tally()"]
    assert tally > max(compared.values())
    assert len(set(letters)) > 1
    assert "The run says" not in str([c.source for c in cells] + cells[tally].outputs)


def letter_of(cell):
    """Return what the run says; all that the cell shows must be folded."""
    (output,) = cell.outputs
    verdict = r"You made no prediction\. The run says ([A-Z])\."
    assert re.fullmatch(r"<details><summary>.*</details>", output.data["text/html"])
    return re.search(rf"(?:^|\n){verdict}$", output.data["text/plain"])[1]


@every_lesson
def test_each_piece_is_explained_and_leaves_a_still_picture(path):
    cells, pieces = cells_of(path), []
    for number, cell in enumerate(cells):
        if piece := re.search(r"^widgets\.([A-Z]\w+)\(", cell.source, re.MULTILINE):
            pieces.append(piece[1])
            assert cells[number - 1].cell_type == "markdown"
            assert set(cell.outputs[-1].data) == {"text/html", "text/plain"}
            assert len(images_of(cell)[-1].split()) >= 5
    assert pieces == PIECES[path.name[:2]]


@every_lesson
def test_an_exercise_has_a_stub_a_check_and_a_folded_solution(path):
    cells = cells_of(path)
    code = code_of(cells)
    exercises = exercises_of(cells)
    assert len(exercises) >= 3
    assert len(exercises) == sum("check" in tags_of(cell) for cell in cells)
    for stub, check, answer, solution in exercises:
        task = cells[cells.index(stub) - 1].source.rpartition("### Try it: ")[2]
        mend = task.startswith("mend ") and "Edit one line." in task
        assert mend or "..." in stub.source
        assert tags_of(check) == ["check"]
        assert hasattr(checks, re.fullmatch(r"checks\.(\w+)\(\w+\)", check.source)[1])
        (output,) = check.outputs
        untried = repr(Verdict("not tried", UNCHANGED) if mend else checks.NOT_TRIED)
        assert output.data["text/plain"] == untried
        assert answer.source.startswith("<details><summary>Hint")
        assert "..." not in solution
        # nothing later depends on the answer
        (statement,) = nodes_of(stub)[0].body
        name = getattr(statement, "name", None) or statement.targets[0].id
        for cell in code[code.index(check) + 1 :]:
            if not {"exercise", "check"} & set(tags_of(cell)):
                used = {getattr(node, "id", "") for node in nodes_of(cell)}
                assert name not in used, cell.source
