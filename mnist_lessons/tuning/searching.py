"""A search in this process: choose settings, train with them, note how it went."""

import json
import math
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mnist_lessons.data import load_mnist
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.recipes import train_recipe

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

RANDOM_TRIALS = 10  # before there is enough to learn from
PATIENCE = 3  # errors in a row that end a search


def new_name() -> str:
    """Return a name that no other search on any machine has."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


@dataclass
class Search:
    """A search in this process; `worker` is noted with each of its trials."""

    plan: Plan
    worker: str = field(default_factory=new_name)
    told_to_stop: Callable[[], bool] = bool  # asked after each epoch; bool() is False
    patience: int = 1  # what is wrong with the first trial is wrong with all of them

    def run(self, study: "Study") -> bool:
        """Add trials to a study, at least one; say whether it was stopped by hand."""
        plan = self.plan
        place: Any = {"limit": plan.limit, "device": plan.device}
        self.loaders: Any = plan.loaders or load_mnist(
            plan.data_dir, dataset=plan.dataset, **place
        )
        with Bar(total=plan.n_trials, disable=not plan.progress) as bar:

            def after_trial(study: "Study", trial: "FrozenTrial") -> None:
                if not self.patience:
                    raise self.error
                bar.show(trial)
                if time.time() >= plan.until or self.told_to_stop():
                    study.stop()

            options: Any = {"callbacks": [after_trial], "catch": Exception}
            try:
                study.optimize(self.run_trial, plan.n_trials, **options)
            except KeyboardInterrupt:  # the trial that it was at has failed
                return True
        return False

    def run_trial(self, trial: "Trial") -> float:
        """Choose settings and train once; return the accuracy after the last epoch.

        What is chosen follows from the seed, the number of the trial and the trials
        before it (TPE, Bergstra et al., 2011). So no two processes choose the same, and
        a study that is gone on with is the one of an uninterrupted search.
        """
        from optuna import TrialPruned
        from optuna.samplers import TPESampler

        draws = (self.plan.seed * 1_000_003 + trial.number) % 2**32
        trial.study.sampler = TPESampler(seed=draws, n_startup_trials=RANDOM_TRIALS)
        trial.set_user_attr("worker", self.worker)
        try:
            accuracy = self.train(trial)
        except Exception as error:
            trial.set_user_attr("stopped", f"{type(error).__name__}: {error}")
            self.patience, self.error = self.patience - 1, error
            if not self.patience:
                error.add_note(f"This ended the search, in trial {trial.number}.")
            raise
        self.patience = PATIENCE
        if accuracy is None:
            raise TrialPruned  # the sampler learns from its last accuracy, too
        return accuracy

    def train(self, trial: "Trial") -> float | None:
        """Train once; return the validation accuracy, or `None` if it was cut short."""
        start = time.perf_counter()
        space: Any = self.plan.space  # make_plan has filled it in
        settings = {"epochs": self.plan.epochs, **as_json(space(trial))}
        trial.set_user_attr("settings", settings)
        pruned = False

        def after_epoch(record: dict[str, Any]) -> bool:
            nonlocal pruned
            trial.report(record["valid_accuracy"], record["epoch"])
            if record["epoch"] < settings["epochs"]:
                if self.told_to_stop():
                    raise KeyboardInterrupt
                pruned = trial.should_prune()
            return pruned

        # every trial begins with the same seed: the same first weights where the shapes
        # agree, and the same order of digits, so that two trials differ by less luck
        with redirect_stdout(StringIO()) as output:
            model, history = train_recipe(
                self.plan.model,
                settings,
                self.loaders[0].dataset,
                self.loaders[1],
                seed=self.plan.seed,
                on_epoch_end=after_epoch,
            )
        # fit prints why it stopped; here that is noted with the trial instead
        print(output.getvalue().replace(f"{history.stopped}\n", ""), end="")
        if history.by_hand:
            raise KeyboardInterrupt
        parameters = sum(weights.numel() for weights in model.parameters())
        trial.set_user_attr("parameters", parameters)
        trial.set_user_attr("seconds", time.perf_counter() - start)
        if history.stopped:
            trial.set_user_attr("stopped", history.stopped)
        if history.stopped or pruned:
            return None
        accuracy = history[-1]["valid_accuracy"]
        count = len(self.loaders[1].dataset)
        trial.set_user_attr("correct", round(accuracy * count))
        trial.set_user_attr("count", count)
        return accuracy


def as_json(settings: Any) -> dict[str, Any]:
    """Return settings as they come back from a file: with plain numbers, and lists."""
    try:
        text = json.dumps(settings, default=lambda number: number.item())
        return dict(json.loads(text))
    except Exception:  # what has no item() says so in many ways
        raise TypeError(
            f"space returned {settings!r}; it should return a dictionary, the name of "
            "each setting and its value: a number, a word, or a list of these."
        ) from None


class Bar(tqdm):
    """The progress of a search: a bar, and one line a trial."""

    def __init__(self, **options: Any) -> None:
        super().__init__(leave=False, unit="trial", **options)
        self.best = -math.inf

    def show(self, trial: "FrozenTrial") -> None:
        """Count a trial that has ended, and say in one line how."""
        self.update()
        if trial.state.name == "COMPLETE":
            self.best = max(self.best, trial.values[0])
            self.set_postfix_str(f"best {self.best:.2%}")
        if not self.disable:
            self.write(describe(trial))


def describe(trial: "FrozenTrial") -> str:
    """Say in one line how a trial went."""
    about, outcome = trial.user_attrs, "broken off"
    if trial.state.name == "COMPLETE":
        outcome = f"{trial.value:.2%} right"
    elif "stopped" in about:
        outcome = about["stopped"].split(",")[0].splitlines()[0].rstrip(".")
    elif trial.state.name == "PRUNED":
        epoch, accuracy = max(trial.intermediate_values.items())
        outcome = f"pruned after epoch {epoch}, {accuracy:.2%} right"
    chosen = ", ".join(
        f"{name} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in trial.params.items()
    )
    seconds = f", {about['seconds']:.1f} s" if "seconds" in about else ""
    return f"trial {trial.number}: {outcome}{seconds} | {chosen}"
