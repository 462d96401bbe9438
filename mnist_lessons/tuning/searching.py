"""The loop of a search: ask for settings, train with them, tell how it went."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from mnist_lessons.data import Digits
from mnist_lessons.tuning.progress import Bar
from mnist_lessons.tuning.recipes import train_recipe
from mnist_lessons.tuning.settings import Model, split_settings
from mnist_lessons.tuning.spaces import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

RANDOM_TRIALS = 10  # before there is enough to learn from
PATIENCE = 3  # errors in a row that end a search


@dataclass
class Search:
    """What is the same in each trial of a search.

    Attributes:
        model, space, epochs, seed: as in `tune`.
        digits: what to train on.
        valid: what each trial is scored on.
        worker: which process this is; noted with each of its trials.
        told_to_stop: asked between epochs whether to end early.
    """

    model: Model
    space: Space
    epochs: int
    seed: int
    digits: Digits
    valid: DataLoader
    worker: str
    told_to_stop: Callable[[], bool]

    def run(self, study: "Study", n_trials: int | None, until: float, bar: Bar) -> bool:
        """Add trials to a study; at least one, and none that begins after `until`.

        An error in a trial is noted, and the search goes on, unless no trial has
        worked yet or `PATIENCE` fail in a row.

        Returns:
            Whether it was stopped by hand. The trial that this broke off has failed.
        """
        try:
            return self._run(study, n_trials, until, bar)
        except KeyboardInterrupt:
            self._break_off(study)
            return True

    def _run(
        self, study: "Study", n_trials: int | None, until: float, bar: Bar
    ) -> bool:
        from optuna.trial import TrialState

        worked, failed, begun = 0, 0, 0
        while begun != n_trials and (not begun or time.time() < until):
            if self.told_to_stop():
                return True
            begun += 1
            trial = study.ask()
            try:
                value = self.run_trial(trial)
                # a pruned trial keeps its last accuracy; the sampler learns from both
                state = TrialState.PRUNED if value is None else TrialState.COMPLETE
                study.tell(trial, value, state)
                worked, failed = worked + 1, 0
            except Exception as error:
                trial.set_user_attr("stopped", f"{type(error).__name__}: {error}")
                study.tell(trial, state=TrialState.FAIL)
                failed += 1
                if not worked or failed == PATIENCE:
                    error.add_note(f"This ended the search, in trial {trial.number}.")
                    raise
            bar.show(study.get_trials(deepcopy=False)[trial.number])
        return False

    def _break_off(self, study: "Study") -> None:
        """Note that the trial which this process was at will not be finished."""
        from optuna.trial import TrialState

        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get("worker") == self.worker:
                study.tell(trial.number, state=TrialState.FAIL)

    def run_trial(self, trial: "Trial") -> float | None:
        """Train once; return the validation accuracy, or `None` if it was cut short."""
        start = time.perf_counter()
        trial.set_user_attr("worker", self.worker)
        chosen = self.space(trial)
        if not isinstance(chosen, Mapping):
            raise TypeError(
                f"space returned {chosen!r}; it should return a dictionary, the name "
                "of each setting and its value."
            )
        settings = plain({"epochs": self.epochs, **chosen})
        trial.set_user_attr("settings", settings)
        epochs = split_settings(settings)[0]["epochs"]
        pruned = broken_off = False

        def after_epoch(record: dict[str, Any]) -> bool:
            nonlocal pruned, broken_off
            trial.report(record["valid_accuracy"], record["epoch"])
            if record["epoch"] < epochs:
                pruned, broken_off = trial.should_prune(), self.told_to_stop()
            return pruned or broken_off

        # every trial begins with the same seed: the same first weights where the shapes
        # agree, and the same order of digits, so that two trials differ by less luck
        with redirect_stdout(StringIO()) as said:
            model, history = train_recipe(
                self.model,
                settings,
                self.digits,
                self.valid,
                seed=self.seed,
                on_epoch_end=after_epoch,
            )
        # fit says why it stopped; here it is noted with the trial, and not in its way
        own_words = said.getvalue().replace(f"{history.stopped}\n", "")
        print(own_words, end="")
        if broken_off or history.by_hand:
            raise KeyboardInterrupt
        parameters = sum(weights.numel() for weights in model.parameters())
        trial.set_user_attr("parameters", parameters)
        trial.set_user_attr("seconds", time.perf_counter() - start)
        if history.stopped:
            trial.set_user_attr("stopped", history.stopped)
        if history.stopped or pruned:
            return None
        accuracy, count = history[-1]["valid_accuracy"], len(self.valid.dataset)  # type: ignore[arg-type]
        trial.set_user_attr("correct", round(accuracy * count))
        trial.set_user_attr("count", count)
        return accuracy


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as they come back from a file: tuples become lists.

    Raises:
        TypeError: a setting is neither a number, a word nor a list of these.
    """
    for name, value in settings.items():
        try:
            json.dumps(value, default=_without_numpy)
        except (TypeError, ValueError, AttributeError, RuntimeError):
            raise TypeError(
                f"The setting {name}={value!r} is a {type(value).__name__}; settings "
                "are plain numbers and words, or lists of these."
            ) from None
    return json.loads(json.dumps(settings, default=_without_numpy))


def _without_numpy(value: Any) -> Any:
    return value.item()  # one number of NumPy's or PyTorch's


def make_sampler(seed: int) -> "BaseSampler":
    """Return a sampler that learns from the trials so far (TPE, Bergstra et al., 2011).

    What it draws follows from the seed, the number of the trial and the trials before
    it. So no two processes draw the same, and a study that is gone on with is the one
    that an uninterrupted search would have found.
    """
    from optuna.samplers import TPESampler

    class Sampler(TPESampler):
        def before_trial(self, study: "Study", trial: "FrozenTrial") -> None:
            draws = (seed * 1_000_003 + trial.number) % 2**32
            super().__init__(seed=draws, n_startup_trials=RANDOM_TRIALS)
            super().before_trial(study, trial)

    return Sampler(seed=seed % 2**32, n_startup_trials=RANDOM_TRIALS)


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
