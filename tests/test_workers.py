"""`tune` in several processes: nothing is lost, nothing is done twice."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from mnist_lessons import tune
from mnist_lessons.tuning import workers
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.progress import Bar
from mnist_lessons.tuning.storages import StudyError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals, runs sh")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path, loaders):
    """`loaders` unpacks the digits first, so that no worker has to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(monkeypatch):
    """The workers, as they are started."""
    real, found = workers.start, []

    def start(*arguments):
        found.append(real(*arguments))
        return found[-1]

    monkeypatch.setattr(workers, "start", start)
    return found


@pytest.fixture
def at_trial(monkeypatch):
    """`at_trial(3, act)` calls `act(trial)` when the third trial has ended."""

    def plan(count, act):
        real, seen = Bar.show, []

        def show(self, trial):
            real(self, trial)
            seen.append(trial)
            if len(seen) == count:
                act(trial)

        monkeypatch.setattr(Bar, "show", show)

    return plan


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
    given = {"epochs": 1, "limit": 300, "progress": False, "device": "cpu"}
    return tune("linear", workers=2, **{**given, **options})


def alone(**options):
    given = {"epochs": 1, "limit": 300, "progress": False, "device": "cpu"}
    return tune("linear", **{**given, **options})


# copies of this process: they need not import everything again
FORK = multiprocessing.get_context("fork") if os.name == "posix" else None


def unfinished(study):
    return [trial.number for trial in study.trials if not trial.state.is_finished()]


def test_workers_share_the_trials_and_the_study_outlives_them(started, capsys):
    study = quick(n_trials=15, progress=True)
    names = [trial.user_attrs["worker"] for trial in study.trials]
    assert [worker.share for worker in started] == [8, 7]
    assert [names.count(worker.name) for worker in started] == [8, 7]
    assert [trial.number for trial in study.trials] == list(range(15))
    # each draws numbers of its own, the ones that a single process would have drawn
    draws = [trial.params["lr"] for trial in study.trials]
    assert len(set(draws)) == 15
    one = alone(n_trials=10)
    assert [trial.params for trial in one.trials] == [
        trial.params for trial in study.trials[:10]
    ]
    # the folder of its journal is gone, and yet it can be gone on with
    study.tell(study.ask(), 0.5)
    assert len(study.trials) == 16
    assert study.user_attrs["model"] == "linear"
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("trial")]
    assert len(lines) == 15


def test_a_killed_worker_loses_no_finished_trial(started, at_trial, capsys):
    kept = {}

    def kill(trial):
        (worker,) = [w for w in started if w.name == trial.user_attrs["worker"]]
        os.kill(worker.process.pid, signal.SIGKILL)
        kept.update(number=trial.number, value=trial.value, worker=worker)

    at_trial(3, kill)
    address = "journal://study.log"
    # a trial takes longer than it takes to see that the one before has ended
    study = quick(n_trials=14, storage=address, limit=5_000, epochs=3)
    assert study.trials[kept["number"]].value == kept["value"]
    dead, (other,) = kept["worker"], [w for w in started if w is not kept["worker"]]
    ended = workers.finished(study, [other])
    assert len(ended) == 7
    assert {trial.state.name for trial in ended} <= {"COMPLETE", "PRUNED"}
    assert len(workers.finished(study, [dead])) < 7
    assert unfinished(study) == []
    said = capsys.readouterr().err
    assert f"Worker {dead.number} ended early (killed by signal 9) with" in said
    states = [trial.state.name for trial in workers.finished(study, [dead])]
    done = len(states) - states.count("FAIL")
    assert states.count("FAIL") <= 1  # the one that it was at
    assert f"with {done} of its 7 trials done; they are kept. It said:\n" in said
    # and it goes on
    before = [(trial.number, trial.value) for trial in study.trials]
    more = alone(n_trials=2, storage=address, limit=5_000, epochs=3)
    assert [(trial.number, trial.value) for trial in more.trials[:-2]] == before
    assert [trial.number for trial in more.trials] == list(range(len(before) + 2))


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(started, at_trial, capsys):
    at_trial(2, lambda trial: signal.raise_signal(signal.SIGINT))
    study = quick(n_trials=5_000)
    assert "Stopped by hand" in capsys.readouterr().out
    # each was told to end, and did; none had to be killed
    assert [worker.process.returncode for worker in started] == [130, 130]
    states = [trial.state.name for trial in study.trials]
    assert 2 <= len(states) < 5_000
    assert states.count("FAIL") <= 2
    assert unfinished(study) == []


def test_a_worker_ends_when_its_parent_is_gone(tmp_path):
    parent = FORK.Process(
        target=quick, kwargs={"n_trials": 9999, "storage": "journal://a.log"}
    )
    parent.start()
    log = tmp_path / "a.log"

    def wait_for(change):
        until = time.monotonic() + 60
        while not change():
            assert time.monotonic() < until
            time.sleep(0.2)

    def size():
        return log.stat().st_size if log.exists() else 0

    wait_for(lambda: size() > 20_000)  # they are at work
    parent.kill()
    parent.join()

    def quiet():
        before = size()
        time.sleep(1.5)
        return size() == before

    wait_for(quiet)


def test_two_processes_work_on_one_study():
    options = {"n_trials": 6, "storage": "journal://a.log"}
    both = [FORK.Process(target=alone, kwargs=options) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(90)
        assert process.exitcode == 0
    trials = alone(n_trials=1, storage="journal://a.log").trials
    assert [trial.number for trial in trials] == list(range(13))
    assert len({trial.params["lr"] for trial in trials}) == 13
    assert len({trial.user_attrs["worker"] for trial in trials}) == 3


@pytest.mark.parametrize(
    ("n_trials", "count", "shares"),
    [(7, 3, [3, 2, 2]), (2, 4, [1, 1]), (4, 2, [2, 2]), (None, 2, [None, None])],
)
def test_shares_add_up(n_trials, count, shares):
    plan = Plan("linear", n_trials=n_trials, workers=count, until=1.0)
    assert workers.share_out(plan) == shares


def test_when_all_workers_fail_it_says_why(fake_python, monkeypatch):
    fake_python('echo "$OMP_NUM_THREADS threads; $*" >&2; head -n 1 >&2; exit 3')
    monkeypatch.setattr(workers, "cores", lambda: 9)
    with pytest.raises(StudyError) as caught:
        quick(n_trials=4, storage="journal://a.log", seed=5)
    said = str(caught.value)
    assert said.startswith("All workers failed:\n  4 threads; -m mnist_lessons tune li")
    assert "--trials 2 --limit 300" in said
    assert "--epochs 1 --seed 5 --study=linear --device cpu" in said
    # an address may hold a password, so it goes another way than the command line
    assert "--storage" not in said
    assert '"storage": "journal://a.log"' in said


def test_workers_start_with_the_data_set_of_the_search(fake_python, monkeypatch):
    unpacked = []
    monkeypatch.setattr(workers, "find_digits", lambda *given: unpacked.append(given))
    fake_python('echo "$*" >&2; exit 3')
    with pytest.raises(StudyError, match="--dataset KMNIST"):
        quick(n_trials=2, dataset="KMNIST")
    assert unpacked == [(None, "KMNIST")]


def test_there_is_at_least_one_thread(fake_python, monkeypatch):
    fake_python('echo "threads: $OMP_NUM_THREADS" >&2; exit 3')
    monkeypatch.setattr(workers, "cores", lambda: 1)
    with pytest.raises(StudyError, match="threads: 1"):
        quick(n_trials=4)


def test_one_worker_that_fails_does_not_stop_the_other(fake_python, capsys):
    python = sys.executable
    fake_python(
        f'case "$*" in *"--worker 1"*) echo oh no >&2; exit 3;; esac\n{python} "$@"'
    )
    study = quick(n_trials=4)
    assert len(study.trials) == 2
    said = capsys.readouterr().err
    assert "Worker 1 ended early (status 3) with 0 of its 2 trials done" in said
    assert said.endswith("It said:\n  oh no\n")


def test_a_worker_that_does_not_end_is_killed(fake_python, started, monkeypatch):
    fake_python("trap '' INT TERM; exec sleep 60")
    monkeypatch.setattr(workers, "GRACE", 0.2)
    monkeypatch.setattr(workers, "watch", lambda *_: signal.raise_signal(signal.SIGINT))
    assert quick(n_trials=4).trials == []
    assert [worker.process.returncode for worker in started] == [-9, -9]
