"""`tune` in several processes: nothing is lost, nothing is done twice."""

import io
import json
import multiprocessing
import os
import signal
import sys

import pytest
import torch

from mnist_lessons import tune
from mnist_lessons.tuning import plans, searching, studies, workers
from mnist_lessons.tuning.storages import StudyError

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="sends signals, runs sh"),
    pytest.mark.xdist_group("processes"),
]


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path, loaders):
    """`loaders` unpacks the digits first, so that no worker has to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(monkeypatch):
    """The workers, as they are started."""
    every, start = [], workers.Worker

    def watch(*job):
        every.append(start(*job))
        return every[-1]

    monkeypatch.setattr(workers, "Worker", watch)
    return every


@pytest.fixture
def fake_python(monkeypatch, tmp_path):
    """`fake_python("exit 3")` runs a shell script where Python should be."""

    def write(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr(workers.sys, "executable", str(path))

    return write


def quick(**options):
    usual = {"epochs": 1, "limit": 300, "progress": False, "device": "cpu"}
    return tune("linear", **{**usual, **options})


def states(trials):
    return [trial.state.name for trial in trials]


def test_workers_share_the_trials_and_the_study_outlives_them(started, capsys):
    study = quick(workers=2, n_trials=5, progress=True)
    assert workers.shares(7, 3) == [3, 2, 2]
    assert workers.shares(2, 4) == [1, 1]
    assert workers.shares(None, 2) == [None, None]
    assert [worker.plan.n_trials for worker in started] == [3, 2]
    assert [len(worker.trials(study)) for worker in started] == [3, 2]
    assert [trial.number for trial in study.trials] == list(range(5))
    # each draws numbers of its own, the ones that a single process would have drawn
    draws = [trial.params for trial in study.trials]
    assert draws == [trial.params for trial in quick(n_trials=5).trials]
    # the folder of its journal is gone, and yet it can be gone on with
    study.tell(study.ask(), 0.5)
    assert len(study.trials) == 6
    assert study.user_attrs["model"] == "linear"
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("trial")]
    assert len(lines) == 5


DIES = """
import itertools, os, signal, sys
from mnist_lessons.tuning.workers import Search, work

train, count = Search.train, itertools.count(1)
def train_or_die(search, trial):
    if search.worker.endswith("-1") and next(count) == 3:
        print("the power is gone", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return train(search, trial)

Search.train = train_or_die
work()
"""


def test_a_killed_worker_loses_no_trial(started, fake_python, tmp_path, capsys):
    (tmp_path / "dies.py").write_text(DIES, encoding="utf-8")
    fake_python(f"exec {sys.executable} dies.py")
    study = quick(workers=2, n_trials=8, storage="journal://study.log")
    dead, other = started
    # the third trial of the first worker began, and will not be finished
    assert [state == "FAIL" for state in states(dead.trials(study))] == [0, 0, 1]
    assert [state == "FAIL" for state in states(other.trials(study))] == [0] * 4
    assert other.process.returncode == 0
    assert capsys.readouterr().err == (
        "Worker 1 ended early (killed by signal 9) with 2 of its 4 trials done; they "
        "are kept. It said:\n  the power is gone\n"
    )
    before = study.trials  # and it goes on
    assert quick(n_trials=2, storage="journal://study.log").trials[:-2] == before


def press_ctrl_c(*_):
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_workers_and_keeps_their_trials(started, monkeypatch, capsys):
    monkeypatch.setattr(searching.Bar, "show", press_ctrl_c)
    study = quick(workers=2, n_trials=5_000)
    assert "Stopped by hand" in capsys.readouterr().out
    # each was told to end, and did; none had to be killed
    assert [worker.process.returncode for worker in started] == [0, 0]
    assert 1 <= len(study.trials) < 5_000
    assert states(study.trials).count("FAIL") <= 2
    assert all(trial.state.is_finished() for trial in study.trials)


def test_a_worker_ends_when_its_input_does_as_when_its_parent_is_gone():
    arguments = {"model": "linear", "limit": 300, "n_trials": 9999}
    arguments |= {"storage": "journal://a.log", "progress": False}
    job, plan = json.dumps(["me", arguments]), plans.make_plan(**arguments)
    reading, writing = os.pipe()

    def work():
        os.close(writing)
        sys.stdin = os.fdopen(reading)
        workers.work()

    # a copy of this process: it need not import everything again
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    os.write(writing, job.encode() + b"\n")
    study = studies.begin(plan, plan.storage)
    while not any(trial.state.is_finished() for trial in study.trials):
        assert worker.is_alive()  # and it will end its first trial
        worker.join(0.2)
    os.close(writing)
    worker.join(90)
    assert worker.exitcode == 0
    assert {trial.user_attrs["worker"] for trial in study.trials} == {"me"}
    assert all(trial.state.is_finished() for trial in study.trials)


def test_when_all_workers_fail_it_says_why(fake_python, monkeypatch, capsys):
    unpacked = []
    monkeypatch.setattr(workers, "find_digits", lambda *place: unpacked.append(place))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    fake_python('echo "$OMP_NUM_THREADS threads; $*" >&2; head -n 1 >&2; exit 3')
    options = {"storage": "journal://a.log", "seed": 5, "dataset": "KMNIST"}
    with pytest.raises(StudyError, match="All workers failed"):
        quick(workers=2, n_trials=4, **options)
    err = capsys.readouterr().err
    assert err.count("ended early (status 3) with 0 of its 2 trials done") == 2
    # the address of the storage may hold a password, so it is not on the command line
    assert "\n  4 threads; -c from mnist_lessons.tuning.workers import work;" in err
    job = json.loads(err[err.index("[") : err.index("]") + 1])[1]
    options |= {"n_trials": 2, "epochs": 1, "limit": 300, "device": "cpu"}
    assert options.items() <= job.items()
    assert unpacked == [(None, "KMNIST")]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with pytest.raises(StudyError):
        quick(workers=2, n_trials=4)
    assert "\n  1 threads; " in capsys.readouterr().err


def test_a_worker_says_in_one_line_what_is_wrong(monkeypatch):
    job = json.dumps(["me", {"model": "linear", "storage": "journal://nowhere/a"}])
    monkeypatch.setattr(sys, "stdin", io.StringIO(job))
    with pytest.raises(SystemExit, match="There is no folder"):
        workers.work()


def test_a_worker_that_does_not_end_is_killed(fake_python, started, monkeypatch):
    fake_python("trap '' INT TERM; exec sleep 60")
    monkeypatch.setattr(workers, "GRACE", 0.2)
    monkeypatch.setattr(workers, "watch", press_ctrl_c)
    assert quick(workers=2, n_trials=4).trials == []
    assert [worker.process.returncode for worker in started] == [-9, -9]
