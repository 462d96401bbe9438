"""Search for good settings with Optuna, in one process or in many."""

import math
import tempfile
import time
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from mnist_lessons.data import load_mnist
from mnist_lessons.tuning.plans import Plan, check_seconds
from mnist_lessons.tuning.progress import Bar
from mnist_lessons.tuning.searching import Search, make_sampler, quiet_optuna
from mnist_lessons.tuning.settings import Model
from mnist_lessons.tuning.spaces import Space
from mnist_lessons.tuning.storages import StudyError, open_storage, open_study
from mnist_lessons.tuning.studies import best_settings, importances
from mnist_lessons.tuning.workers import run_workers

if TYPE_CHECKING:
    import optuna

__all__ = ["StudyError", "best_settings", "importances", "tune"]


def tune(
    model: Model = "cnn",
    *,
    space: Space | None = None,
    n_trials: int | None = None,
    seconds: float | None = None,
    epochs: int = 2,
    storage: "str | optuna.storages.BaseStorage | None" = None,
    study_name: str | None = None,
    workers: int = 1,
    seed: int = 0,
    data_dir: str | PathLike | None = None,
    limit: int | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    dataset: str = "MNIST",
) -> "optuna.Study":
    """Search for settings that give a high validation accuracy. Built in lesson 5.

    The first ten trials are random, the later ones near what did well so far (TPE). A
    trial whose accuracy after an epoch is below the median of the earlier ones is
    pruned: it ends there. Each trial trains with the same seed. That makes trials
    comparable, and the winner partly lucky: before you believe in it, train it again
    with other seeds, `train_recipe(model, best_settings(study), train.dataset, valid,
    seed=1)`. The test digits are never looked at.

    Ctrl-C (or the notebook's stop button) ends the search and keeps all finished
    trials. So does a kill, if there is a `storage`; the same call then goes on.

    Args:
        model: "linear", "mlp", "cnn", or a class or function that takes settings and
            returns a `DigitClassifier`.
        space: `space(trial)` chooses with `trial.suggest_float` and the like, and
            returns settings for `train_recipe`; `SPACES` has one for each named model.
        n_trials: how many trials to add, over all workers, pruned and failed ones
            included. Where neither this nor `seconds` is given: 20.
        seconds: begin no new trial after this time; each worker makes at least one.
        epochs: rounds through the digits in each trial, if `space` does not say.
        storage: where to keep the study. `None`: in memory. `"journal:///folder/name"`
            in a file, which any number of processes may work on at once, on all
            machines that see it. Or a database, `"sqlite:///study.db"`,
            `"mysql://user@host/name"`; or a storage of Optuna's.
        study_name: joins the study of this name, if the storage has it; the model's
            name where nothing is said.
        workers: how many processes to start; they share the cores and the trials.
        seed: start of all random numbers. With one worker, the same seed gives the
            same study.
        data_dir: see `load_mnist`.
        limit: train on so many digits only; see `load_mnist`.
        device: where to train; the fastest that is there where nothing is said.
        progress: show a progress bar and one line a trial.
        dataset: see `load_mnist`.

    Returns:
        The study. Its value is the validation accuracy after the last epoch;
        `trial.user_attrs` has `settings`, `parameters`, `seconds`, and `correct` of
        `count`. See `best_settings`, and `plots.trials`, `plots.importances`,
        `plots.parallel`.

    Raises:
        ValueError: an argument makes no sense, or a setting of the first trial.
        TypeError: the model is no class or function; processes could not import it.
        StudyError: the storage cannot be opened; its study is about something else;
            all workers failed.
        DataFileError: see `load_mnist`.
    """
    check_seconds(seconds)
    plan = Plan(
        model,
        space,
        n_trials,
        math.inf if seconds is None else time.time() + seconds,
        epochs,
        storage,
        study_name,
        workers,
        seed,
        data_dir,
        limit,
        device,
        progress,
        dataset,
    )
    return carry_out(plan).study


class Outcome(NamedTuple):
    """A study, and whether the search was stopped by hand."""

    study: "optuna.Study"
    stopped: bool


def carry_out(plan: Plan) -> Outcome:
    """Do what a plan says, in this process or in others; errors as in `tune`."""
    if plan.workers > 1:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            shared = plan.storage or f"journal://{folder}/study"
            study = begin(plan, shared)
            stopped = run_workers(plan, study, shared)
            _say_if(stopped)
            # what is in the folder goes with it
            return Outcome(study if plan.storage else in_memory(study), stopped)
    study = begin(plan, plan.storage)
    train, valid, _test = load_mnist(
        plan.data_dir, dataset=plan.dataset, limit=plan.limit, device=plan.device
    )
    assert plan.space is not None  # the plan has filled it in
    assert valid is not None  # load_mnist sets some apart, if not told not to
    search = Search(
        plan.model,
        plan.space,
        plan.epochs,
        plan.seed,
        train.dataset,  # type: ignore[arg-type]
        valid,
        plan.worker,
        plan.told_to_stop,
    )
    with quiet_optuna(), Bar(plan.n_trials, plan.progress) as bar:
        stopped = search.run(study, plan.n_trials, plan.until, bar)
    _say_if(stopped)
    return Outcome(study, stopped)


def _say_if(stopped: bool) -> None:
    if stopped:
        print("Stopped by hand; the trials that were finished are kept.")


def begin(plan: Plan, storage: Any) -> "optuna.Study":
    """Begin the study of a plan in this storage, or join it there."""
    from optuna.pruners import MedianPruner

    assert plan.study_name is not None  # the plan has filled it in
    with quiet_optuna():
        return open_study(
            open_storage(storage),
            plan.study_name,
            plan.about,
            sampler=make_sampler(plan.seed),
            pruner=MedianPruner(n_startup_trials=5),
        )


def in_memory(study: "optuna.Study") -> "optuna.Study":
    """Return a copy of a study that needs no file."""
    import optuna

    kept = optuna.storages.InMemoryStorage()
    name = study.study_name
    with quiet_optuna():
        optuna.copy_study(
            from_study_name=name, from_storage=study._storage, to_storage=kept
        )
        return optuna.load_study(
            study_name=name, storage=kept, sampler=study.sampler, pruner=study.pruner
        )
