"""A search in many processes: each is a `python -m mnist_lessons tune` of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_lessons.data import find_digits
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.progress import Bar
from mnist_lessons.tuning.searching import quiet_optuna
from mnist_lessons.tuning.storages import StudyError

if TYPE_CHECKING:
    from optuna import Study

LOOK = 0.2  # seconds between two looks at the study
GRACE = 30.0  # seconds that a worker has to finish its epoch when it is told to stop


@dataclass
class Worker:
    """A process that works on a study.

    Attributes:
        number: from 1.
        name: noted with each of its trials.
        share: how many trials it is to do; `None` for as many as it can.
        process: what runs.
        errors: the file with its error messages.
    """

    number: int
    name: str
    share: int | None
    process: subprocess.Popen
    errors: Path

    def last_lines(self, count: int = 5) -> str:
        """Return the end of what it said on its way out."""
        lines = self.errors.read_text("utf-8", "replace").strip().splitlines()
        return "\n".join(f"  {line}" for line in lines[-count:])


def run_workers(plan: Plan, study: "Study", storage: str) -> bool:
    """Start the workers of a plan, and watch the study until they have ended.

    Returns:
        Whether it was stopped by hand; the workers have ended then, too.

    Raises:
        StudyError: all of them failed, and none finished a trial.
        DataFileError: see `load_mnist`.
    """
    # unpacked once, before several want to do it
    find_digits(plan.data_dir, plan.dataset)
    workers: list[Worker] = []
    stopped = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            with quiet_optuna(), Bar(plan.n_trials, plan.progress) as bar:
                for number, share in enumerate(share_out(plan), 1):
                    workers.append(start(plan, storage, number, share, Path(folder)))
                watch(study, workers, bar)
        except KeyboardInterrupt:
            stopped = True
        finally:
            stop(workers)
            close(study, workers)
        failed = [] if stopped else [w for w in workers if w.process.returncode]
        for worker in failed:
            status, count = worker.process.returncode, len(worked(study, [worker]))
            how = f"killed by signal {-status}" if status < 0 else f"status {status}"
            print(
                f"Worker {worker.number} ended early ({how}) with {count} of its "
                f"{worker.share or 'many'} trials done; they are kept. It said:\n"
                f"{worker.last_lines() or '  (nothing)'}",
                file=sys.stderr,
            )
        if workers and len(failed) == len(workers) and not worked(study, workers):
            raise StudyError(f"All workers failed:\n{failed[0].last_lines()}")
    return stopped


def share_out(plan: Plan) -> list[int | None]:
    """Return how many trials each worker does; no more workers than trials."""
    if plan.n_trials is None:
        return [None] * plan.workers
    workers = min(plan.workers, plan.n_trials)
    shared, left = divmod(plan.n_trials, workers)
    return [shared + (number < left) for number in range(workers)]


def start(
    plan: Plan, storage: str, number: int, share: int | None, folder: Path
) -> Worker:
    """Start a process, with its share of the trials and of the processor cores."""
    name = f"{plan.worker}-{number}"
    words = ["tune", str(plan.model), "--worker", str(number)]
    words += ["--epochs", str(plan.epochs), "--seed", str(plan.seed)]
    words += [f"--study={plan.study_name}", "--device", str(plan.device)]
    words += ["--dataset", plan.dataset]
    words += [] if share is None else ["--trials", str(share)]
    words += [] if plan.limit is None else ["--limit", str(plan.limit)]
    words += [] if plan.data_dir is None else ["--data-dir", str(plan.data_dir)]
    threads = str(max(1, cores() // plan.workers))
    errors = folder / f"{number}.txt"
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mnist_lessons", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            # Ctrl-C reaches this process alone, which then tells the workers
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    # not on the command line, which every user of the machine may read: an address can
    # hold a password
    job = {"storage": storage, "until": plan.until, "worker": name, "n_trials": share}
    assert process.stdin is not None
    with suppress(OSError):  # if it has ended at once, its last lines will say why
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
    return Worker(number, name, share, process, errors)


def watch(study: "Study", workers: list[Worker], bar: Bar) -> None:
    """Show each trial of the workers as it ends, until all have ended."""
    shown: set[int] = set()
    running = True
    while running:
        running = any(worker.process.poll() is None for worker in workers)
        for trial in finished(study, workers):
            if trial.number not in shown:
                shown.add(trial.number)
                bar.show(trial)
        time.sleep(LOOK if running else 0)


def finished(study: "Study", workers: list[Worker]) -> list[Any]:
    """Return the trials of these workers that have ended."""
    return [trial for trial in trials_of(study, workers) if trial.state.is_finished()]


def worked(study: "Study", workers: list[Worker]) -> list[Any]:
    """Return the trials of these workers that ended with a result."""
    return [trial for trial in finished(study, workers) if trial.state.name != "FAIL"]


def trials_of(study: "Study", workers: list[Worker]) -> list[Any]:
    """Return all trials of these workers."""
    names = {worker.name for worker in workers}
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.user_attrs.get("worker") in names]


def stop(workers: list[Worker]) -> None:
    """Let each worker end, by closing its input; kill the ones that do not."""
    for worker in workers:
        assert worker.process.stdin is not None
        with suppress(OSError):
            worker.process.stdin.close()
    until = time.monotonic() + GRACE
    for worker in workers:
        try:
            worker.process.wait(max(0.0, until - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            worker.process.kill()
            worker.process.wait()


def close(study: "Study", workers: list[Worker]) -> None:
    """Note that what a killed worker was at will not be finished."""
    from optuna.trial import TrialState

    with quiet_optuna():
        for trial in trials_of(study, workers):
            if not trial.state.is_finished():
                study.tell(trial.number, state=TrialState.FAIL)


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
