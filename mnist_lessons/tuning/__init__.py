"""Search for good settings with Optuna, in one process or in many."""

import tempfile
from os import PathLike
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader

from mnist_lessons.tuning import studies
from mnist_lessons.tuning.plans import Plan, make_plan
from mnist_lessons.tuning.recipes import Model
from mnist_lessons.tuning.searching import Search
from mnist_lessons.tuning.spaces import Space
from mnist_lessons.tuning.storages import StudyError
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
    loaders: tuple[DataLoader, DataLoader] | None = None,
) -> "optuna.Study":
    """Search for settings that give a high validation accuracy. Built in lesson 5.

    The first ten trials are random, the later ones near what did well so far (TPE). A
    trial whose accuracy after an epoch is below the median of the earlier ones is
    pruned: it ends there. Each trial trains with the same seed. That makes trials
    comparable, and the winner partly lucky: before you believe in it, train it again
    with other seeds, `train_recipe(model, best_settings(study), train.dataset, valid,
    seed=1)`. The test digits are never looked at.

    Ctrl-C (or the notebook's stop button) ends the search and keeps all finished
    trials. So does a kill, if there is a `storage`; the same call then goes on. A
    `StudyError` says that the storage cannot be opened, that its study is about
    something else, or that all workers failed.

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
        data_dir: as in `load_mnist`.
        limit: as in `load_mnist`.
        device: where to train; the fastest that is there where nothing is said.
        progress: show a progress bar and one line a trial.
        dataset: as in `load_mnist`.
        loaders: training and validation digits that this process has loaded already,
            in place of a second copy; workers load their own.

    Returns:
        The study. A trial's value is the validation accuracy after its last epoch;
        `trial.user_attrs` has `settings`, `parameters`, `seconds`, and `correct` of
        `count`. See `best_settings`, and the pictures in `tuning.pictures`.
    """
    plan = make_plan(**locals())  # all arguments above, by name
    return carry_out(plan)[0]


def carry_out(plan: Plan) -> tuple["optuna.Study", bool]:
    """Do what a plan says; return the study, and whether it was stopped by hand."""
    with studies.quiet_optuna(), tempfile.TemporaryDirectory() as folder:
        if plan.workers == 1:
            study = studies.begin(plan, plan.storage)
            stopped = Search(plan).run(study)
        else:
            shared = plan.storage or f"journal://{folder}/study"
            study = studies.begin(plan, shared)
            stopped = run_workers(plan, study, shared)
            if not plan.storage:  # what is in the folder goes with it
                study = studies.in_memory(study)
    if stopped:
        print("Stopped by hand; the trials that were finished are kept.")
    return study, stopped
