"""What a study found: its best trial, and which settings mattered."""

import warnings
from typing import TYPE_CHECKING, Any

from mnist_lessons.history import Score

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def finished_trials(study: "Study", at_least: int = 0) -> list["FrozenTrial"]:
    """Return the trials that were trained to the end.

    Raises:
        ValueError: there are fewer than `at_least`.
    """
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
    """Return the finished trial with the highest accuracy; the first one of equals.

    Raises:
        ValueError: no trial was finished.
    """
    return max(finished_trials(study, 1), key=lambda trial: trial.values[0])


def best_settings(study: "Study") -> dict[str, Any]:
    """Return the settings of the best finished trial, as `train_recipe` takes them.

    The best of many is partly the luckiest. Score its settings again, with other seeds:
    `train_recipe(model, best_settings(study), train.dataset, valid, seed=1)`.

    Raises:
        ValueError: no trial was finished, or `tune` did not make this study.
    """
    settings = best_trial(study).user_attrs.get("settings")
    if settings is None:
        raise ValueError(
            "tune did not make this study, so it does not say which settings of "
            "train_recipe its values are. study.best_params has the values."
        )
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def score_of(trial: "FrozenTrial") -> Score:
    """Return the score of a finished trial on the validation digits."""
    correct, count = trial.user_attrs["correct"], trial.user_attrs["count"]
    return Score(None, correct / count, correct, count)


def importances(study: "Study") -> dict[str, float]:
    """Return how much of the difference between trials goes with each setting.

    The shares sum to 1, the largest comes first. They compare the best tenth of the
    finished trials with the others (Watanabe et al., 2023, arXiv:2304.10255): after 20
    trials that is a hint, after 100 a finding.

    Raises:
        ValueError: fewer than two trials were finished, or none chose anything.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    trials = finished_trials(study, 2)
    if not any(trial.params for trial in trials):
        raise ValueError("The trials chose nothing, so nothing can have mattered.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental in Optuna 4
        evaluator = PedAnovaImportanceEvaluator()
        return get_param_importances(study, evaluator=evaluator)
