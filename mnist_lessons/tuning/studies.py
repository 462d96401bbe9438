"""Studies: how one begins or goes on, its best trial, and which settings mattered."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mnist_lessons.history import Score
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.recipes import with_tuples
from mnist_lessons.tuning.storages import StudyError, open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def begin(plan: Plan, storage: Any) -> "Study":
    """Begin the study of a plan in this storage, or join it there."""
    import optuna

    study = optuna.create_study(
        storage=open_storage(storage),
        study_name=plan.study_name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    name, known = study.study_name, study.user_attrs
    if study.direction.name != "MAXIMIZE" or ("model" not in known and study.trials):
        raise StudyError(
            f"The study {name!r} was not made by tune; give another study_name."
        )
    for key, value in plan.about.items():
        if key not in known:
            study.set_user_attr(key, value)
        elif known[key] != value:
            raise StudyError(
                f"The study {name!r} was begun with {key}={known[key]!r}, not "
                f"{value!r}: its trials could not be compared. Give the same, or "
                "another study_name."
            )
    return study


def in_memory(study: "Study") -> "Study":
    """Return a copy of a study that needs no file."""
    import optuna

    memory, name = optuna.storages.InMemoryStorage(), study.study_name
    optuna.copy_study(
        from_study_name=name, from_storage=study._storage, to_storage=memory
    )
    return optuna.load_study(study_name=name, storage=memory, pruner=study.pruner)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging each trial; afterwards it is as talkative as before."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def finished_trials(study: "Study", at_least: int = 0) -> list["FrozenTrial"]:
    """Return the trials that were trained to the end, `at_least` so many."""
    trials = study.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if len(finished) < at_least:
        pruned = sum(trial.state.name == "PRUNED" for trial in trials)
        raise ValueError(
            f"The study has {len(finished)} finished trials (of {len(trials)}; "
            f"{pruned} were pruned), and this needs at least {at_least}. Tune longer."
        )
    return finished


def best_trial(study: "Study") -> "FrozenTrial":
    """Return the finished trial with the highest accuracy; the first one of equals."""
    return max(finished_trials(study, 1), key=lambda trial: trial.values[0])


def best_settings(study: "Study") -> dict[str, Any]:
    """Return the settings of the best finished trial, as `train_recipe` takes them.

    The best of many is partly the luckiest. Score its settings again, with other seeds:
    `train_recipe(model, best_settings(study), train.dataset, valid, seed=1)`.
    """
    settings = best_trial(study).user_attrs.get("settings")
    if settings is None:
        raise ValueError(
            "tune did not make this study, so it does not say which settings of "
            "train_recipe its values are. study.best_params has the values."
        )
    return with_tuples(settings)


def score_of(trial: "FrozenTrial") -> Score:
    """Return the score of a finished trial on the validation digits."""
    correct, count = trial.user_attrs["correct"], trial.user_attrs["count"]
    return Score(None, correct / count, correct, count)


def importances(study: "Study") -> dict[str, float]:
    """Return how much of the difference between trials goes with each setting.

    The shares sum to 1, the largest comes first. They compare the best tenth of the
    finished trials with the others (Watanabe et al., 2023, arXiv:2304.10255): after 20
    trials that is a hint, after 100 a finding.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if not any(trial.params for trial in finished_trials(study, 2)):
        raise ValueError("The trials chose nothing, so nothing can have mattered.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental in Optuna 4
        evaluator = PedAnovaImportanceEvaluator()
        return get_param_importances(study, evaluator=evaluator)
