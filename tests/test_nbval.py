"""That the run of a lesson bites: what is planted in a copy fails, and nothing else."""

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
    """Lesson 1 up to its first exercise, to plant something in."""

    def __init__(self):
        self.notebook = nbformat.read(LESSONS[0], as_version=4)
        (first, *_) = exercises_of(self.notebook.cells)
        del self.notebook.cells[self.notebook.cells.index(first.answer) + 1 :]
        for slow in ("DigitBrowser(", "average_ink = "):  # and nothing depends on them
            self.notebook.cells.remove(self.cell(slow))
        self.solution, self.answer = first.solution, first.answer

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
    changed.change("digits.targets[:40])", "(digits.targets[:40] + 1) % 10)")
    changed.change("amax(dim=2) > 0", "amax(dim=2) > 100")
    wrong = "def centre_of_mass(image):\n    return 0.0, 0.0"
    changed.change(changed.solution, wrong, changed.answer)
    changed.append("import mnist_lessons\nlen(mnist_lessons.load_mnist(limit=9).test)")

    rude = Copy()
    always = f"checks.centre_of_mass = lambda answer: {RIGHT}"
    rude.change("seed_everything(0)", f"seed_everything(0)\n{always}")
    rude.change(rude.solution, "digits.targets[0] = 9", rude.answer)
    rude.append("print(int(digits.targets[0]))", "5")

    expected = {("changed", "solution of centre_of_mass")}
    for name, copy, planted in (
        ("lesson", lesson, []),
        ("changed", changed, ["pixels.max()", "% 10", "> 100", "len(mnist"]),
        ("rude", rude, ["checks.centre_of_mass(c", "print(int(digits.t"]),
    ):
        nbformat.write(copy.notebook, tmp_path / f"{name}.ipynb")
        code = code_of(copy.notebook.cells)
        for text in planted:
            expected.add((name, f"Cell {code.index(copy.cell(text))}"))

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
