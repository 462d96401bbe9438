"""That the run of a lesson bites: what is planted in a copy fails, and nothing else."""

import copy
import os
import re
import subprocess
import sys

import nbformat
from lesson_cells import LESSONS, ROOT, code_of
from nbformat.v4 import new_code_cell, new_output

from mnist_lessons.teaching.notebooks import exercises_of

STATES = "str([random.getstate(), numpy.random.get_state(), torch.get_rng_state()])"
BEFORE = f"import random, numpy\nbefore = {STATES}"
DRAW = "random.random(), numpy.random.rand(), torch.rand(1)"
RIGHT = "type('Right', (), {'__repr__': lambda _: '✓ Right.'})()"


class Copy:
    """Lesson 1 up to its centre of mass, to plant something in."""

    def __init__(self):
        self.notebook = nbformat.read(LESSONS[0], as_version=4)
        exercises = exercises_of(self.notebook.cells)
        (self.exercise,) = [e for e in exercises if "def centre_of" in e.stub.source]
        self.solution, self.answer = self.exercise.solution, self.exercise.answer
        del self.notebook.cells[self.notebook.cells.index(self.answer) + 1 :]
        for slow in ("DigitBrowser(", "histograms(", "broadcasting(", "guess = "):
            self.notebook.cells.remove(self.cell(slow))  # and nothing depends on them

    def cell(self, text):
        (cell,) = [c for c in code_of(self.notebook.cells) if text in c.source]
        return cell

    def change(self, old, new, cell=None):
        cell = cell or self.cell(old)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    def append(self, source, *printed):
        """Add a cell that prints this, or shows nothing."""
        outputs = [new_output("stream", name="stdout", text=t + "\n") for t in printed]
        cell = new_code_cell(source, execution_count=1, outputs=outputs)
        self.notebook.cells.append(cell)


def test_the_run_of_a_lesson_notices_what_is_planted(tmp_path):
    lesson = Copy()  # as it is, but for a solution that draws random numbers
    lesson.change("def centre_of_mass", f"{BEFORE}\n\n\ndef centre_of_mass")
    lesson.change(lesson.solution, f"{DRAW}\n{lesson.solution}", lesson.answer)
    lesson.append(f"print(before == {STATES})", "True")

    changed = Copy()
    printed = changed.cell("pixels.max()").outputs[0]
    assert "255" in printed.text
    printed.text = printed.text.replace("255", "254")
    changed.change('f"label: {label}"', 'f"label: {label + 1}"')
    changed.change("amax(dim=2) > 0", "amax(dim=2) > 100")
    again = copy.deepcopy(changed.exercise)
    for cell in again[:3]:
        cell.id += "-again"
    wrong = "def centre_of_mass(image):\n    return 0.0, 0.0"
    changed.change(changed.solution, wrong, changed.answer)
    # then a check that always says "right", and a solution that spoils a later cell
    changed.append(f"checks.centre_of_mass = lambda answer: {RIGHT}")
    changed.notebook.cells += [again.stub, again.check, again.answer]
    changed.change(again.solution, "digits.targets[0] = 9", again.answer)
    changed.append("print(int(digits.targets[0]))", "5")
    changed.append("import mnist_lessons\nlen(mnist_lessons.load_mnist(limit=9).test)")

    code = code_of(changed.notebook.cells)
    planted = [changed.cell(text) for text in ("pixels.max()", "+ 1}", "> 100")]
    planted += [again.check, code[-2], code[-1]]
    numbers = [n for n, cell in enumerate(code) if any(cell is p for p in planted)]
    assert len(numbers) == len(planted)
    expected = {("changed", f"Cell {number}") for number in numbers}
    expected |= {("changed", "solution of centre_of_mass")}
    for name, notebook in (("lesson", lesson), ("changed", changed)):
        nbformat.write(notebook.notebook, tmp_path / f"{name}.ipynb")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + ["-p", "conftest", "--nbval", "--nbval-current-env", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    failed = re.findall(r"^FAILED (\w+)\.ipynb::(.*?)(?: - .*)?$", run.stdout, re.M)
    assert set(failed) == expected, run.stdout + run.stderr
    assert "nothing may look at the test digits yet" in run.stdout
    assert "passed" in run.stdout
