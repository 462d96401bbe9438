"""A search in many processes. Each does its share of the trials of one study."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from mnist_lessons.arguments import LessonsError
from mnist_lessons.data import find_digits
from mnist_lessons.tuning.plans import Plan, make_plan
from mnist_lessons.tuning.searching import Bar, Search, new_name
from mnist_lessons.tuning.storages import StudyError
from mnist_lessons.tuning.studies import begin, quiet_optuna

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LOOK = 0.2  # seconds between two looks at the study
GRACE = 30.0  # seconds that a worker has to finish its epoch when it is told to stop


def work() -> None:
    """Do a share of a search, in a process of its own; its input says which.

    When the input ends, it is time to stop: the process that began the search has
    closed it, or is gone. So no worker is left behind. An interrupt would not do: it
    could break off what is being written.
    """
    name, arguments = json.loads(sys.stdin.readline())
    closed = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=wait, daemon=True).start()
    try:
        with quiet_optuna():
            plan = make_plan(**arguments)
            Search(plan, name, closed.is_set).run(begin(plan, plan.storage))
    except (LessonsError, OSError) as error:
        sys.exit(str(error))


class Worker:
    """A process that does a share of a search; its name is noted with its trials."""

    def __init__(self, plan: Plan, number: int, threads: int) -> None:
        self.plan, self.number, self.name = plan, number, f"{new_name()}-{number}"
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (open while it runs)
        program = "from mnist_lessons.tuning.workers import work; work()"
        process: Any = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            # Ctrl-C reaches this process alone, which then tells the workers
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        # not on the command line, which every user of the machine may read: the address
        # of a storage can hold a password
        job = json.dumps([self.name, asdict(replace(plan, loaders=None))], default=str)
        with suppress(OSError):  # if it has ended at once, its last lines will say why
            process.stdin.write(job.encode() + b"\n")
            process.stdin.flush()
        self.process = process

    def trials(self, study: "Study") -> "list[FrozenTrial]":
        """Return its trials."""
        every = study.get_trials(deepcopy=False)
        return [trial for trial in every if trial.user_attrs.get("worker") == self.name]

    def stop(self, study: "Study", seconds: float) -> None:
        """Wait until it has ended, or kill it; what it was at then, has failed."""
        from optuna.trial import TrialState

        try:
            self.process.wait(max(0.0, seconds))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.process.kill()
            self.process.wait()
        for trial in self.trials(study):
            if not trial.state.is_finished():
                study.tell(trial.number, state=TrialState.FAIL)

    def failure(self, done: int) -> str:
        """Say how it ended early, and what it wrote on its way out."""
        status = self.process.returncode
        how = f"killed by signal {-status}" if status < 0 else f"status {status}"
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        return (
            f"Worker {self.number} ended early ({how}) with {done} of its "
            f"{self.plan.n_trials or 'many'} trials done; they are kept. It said:\n  "
            + "\n  ".join(lines[-5:] or ["(nothing)"])
        )


def run_workers(plan: Plan, study: "Study", storage: str) -> bool:
    """Let workers carry out a plan; say whether they were stopped by hand."""
    # unpacked once, before several want to do it
    find_digits(plan.data_dir, plan.dataset)
    part = replace(plan, storage=storage, space=None, workers=1, progress=False)
    threads = max(1, torch.get_num_threads() // plan.workers)
    workers: list[Worker] = []
    with Bar(total=plan.n_trials, disable=not plan.progress) as bar:
        try:
            for number, share in enumerate(shares(plan.n_trials, plan.workers), 1):
                workers.append(Worker(replace(part, n_trials=share), number, threads))
            watch(study, workers, bar)
        except KeyboardInterrupt:
            return True
        finally:
            for worker in workers:
                with suppress(OSError):
                    worker.process.stdin.close()  # which tells it to end
            until = time.monotonic() + GRACE
            for worker in workers:
                worker.stop(study, until - time.monotonic())
    done = {w: sum(t.state.name != "FAIL" for t in w.trials(study)) for w in workers}
    failures = [w.failure(n) for w, n in done.items() if w.process.returncode]
    for failure in failures:
        print(failure, file=sys.stderr)
    if len(failures) == len(workers) and not any(done.values()):
        raise StudyError("All workers failed; what they said stands above.")
    return False


def shares(n_trials: int | None, workers: int) -> list[int | None]:
    """Return how many trials each worker does; no more workers than trials."""
    if n_trials is None:
        return [None] * workers
    counts = [len(range(first, n_trials, workers)) for first in range(workers)]
    return [count for count in counts if count]


def watch(study: "Study", workers: list[Worker], bar: Bar) -> None:
    """Show each trial of the workers as it ends, until all have ended."""
    shown: set[int] = set()
    running = True
    while running:
        running = any(worker.process.poll() is None for worker in workers)
        for trial in itertools.chain(*(worker.trials(study) for worker in workers)):
            if trial.state.is_finished() and trial.number not in shown:
                shown.add(trial.number)
                bar.show(trial)
        time.sleep(LOOK if running else 0)
