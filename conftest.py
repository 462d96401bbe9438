"""How a test session executes the lessons, and shares the work among processes.

nbval runs each lesson once and compares every stored output with a fresh one. In the
same run, after each check, the exercise's folded solution is tried where later cells
run: the check must say "right", and what comes after must still come out as stored.
"""

import os
import re
from pathlib import Path, PurePosixPath

import pytest
from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell, IPyNbFile

ROOT = Path(__file__).resolve().parent
OPENS_THE_TEST_DIGITS = "06_report.ipynb"
# files of tests that start many processes, or share what is built for them
TOGETHER = {
    "test_distributed.py": "processes",
    "test_workers.py": "processes",
    "test_packaging.py": "installed",
    "test_colab.py": "installed",
    "browser/test_keyboard.py": "lessons in a browser",
    "browser/test_lessons.py": "lessons in a browser",
}

# kernels compute side by side: `spare_the_machine` obeys the first, PyTorch the second
os.environ |= {"MNIST_LESSONS_THREADS": "1", "OMP_NUM_THREADS": "1"}

# what the kernel is told before the first cell; nothing in it draws a random number
TRY_SOLUTION = '''
def _try_solution(solution, check):
    """Run both where later cells run; then the random numbers go on as before."""
    import random
    import numpy, torch

    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    exec(compile(solution, "<solution>", "exec"), globals())
    answer = repr(eval(check, globals()))
    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.set_rng_state(states[2])
    if on_gpus:
        torch.cuda.set_rng_state_all(on_gpus)
    assert answer.startswith("✓ Right."), answer
'''
SHUT_THE_TEST_DIGITS = '''
def _shut_the_test_digits():
    """Let every load_mnist return a third loader that refuses to be used."""
    import mnist_lessons.data

    class Shut:
        def refuse(self, *_):
            raise AssertionError("nothing may look at the test digits yet")

        __iter__ = __len__ = __getattr__ = refuse

    def load_mnist(*args, load=mnist_lessons.data.load_mnist, **kwargs):
        return load(*args, **kwargs)._replace(test=Shut())

    mnist_lessons.load_mnist = mnist_lessons.data.load_mnist = load_mnist

_shut_the_test_digits()
'''


class Lesson(IPyNbFile):
    """A notebook's cells, as nbval tests them, and its solutions in between."""

    def collect(self):
        """Yield nbval's items, and after each check one that is called a solution."""
        # imported here, since it takes seconds, and not every process collects
        from mnist_lessons.teaching.notebooks import exercises_of

        cells = list(super().collect())  # reads the notebook
        exercises = {id(found.check): found for found in exercises_of(self.nb.cells)}
        if exercises:
            guard = self.path.name != OPENS_THE_TEST_DIGITS
            begin = TRY_SOLUTION + SHUT_THE_TEST_DIGITS * guard
            yield self._extra("before the lesson", begin)
        for item in cells:
            yield item
            if exercise := exercises.get(id(item.cell)):
                check = exercise.check.source
                call = f"_try_solution({exercise.solution!r}, {check!r})"
                name = re.search(r"\.(\w+)\(", check)[1]
                yield self._extra(f"solution of {name}", call, item.cell_num)

    def _extra(self, name, source, number=-1):
        # never executed in the file, so nbval compares nothing: only errors count
        cell, options = new_code_cell(source), dict.fromkeys(("skip", "check"), False)
        options["check_exception"] = False
        return IPyNbCell.from_parent(
            self, name=name, cell_num=number, cell=cell, options=options
        )

    def seconds(self):
        """Return how long the lesson says that it runs."""
        stated = re.search(r"Time to run\*\* \| (\d+) seconds", str(self.nb.cells[:1]))
        return int(stated[1]) if stated else 0


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent):
    """Take a `Lesson` where nbval has taken a notebook."""
    return [
        Lesson.from_parent(parent, path=collected.path)
        if isinstance(collected, IPyNbFile)
        else collected
        for collected in (yield)
    ]


def pytest_configure(config):
    """Tell nbval what to leave out of its comparisons, wherever it is started."""
    if not config.getoption("nbval_sanitize_with", "no nbval"):
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval.cfg")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Start a process for each core; more than six would wait for the longest lesson.

    A core is what the system calls one: two threads of one core count twice.
    """
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return min(6, len(allowed(0)))


def group_of(nodeid):
    """Return the name of what stays in one process: mostly the tests of one file.

    One kernel runs the cells of a lesson, in order; one JupyterLab serves the tests of
    lessons in a browser, another one all others there.
    """
    file = PurePosixPath(nodeid.split("::")[0])
    in_browser = "browser/" * ("browser" in file.parts)
    return TOGETHER.get(in_browser + file.name, in_browser or file.name)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out groups (xdist 3.8 cannot read its own marker with pytest 9.2)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest: lessons, the browser, other groups of files."""
    items.sort(key=turn)


def turn(item):
    """Return a key to sort by; tests that name a lesson to open stand together."""
    if isinstance(item.parent, Lesson):
        return 0, -item.parent.seconds(), item.path.name
    group = group_of(item.nodeid)
    if "browser" in group:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return 1, -len(group), params.get("lesson", "")
    return (2, 0, group) if group in TOGETHER.values() else (3, 0, "")
