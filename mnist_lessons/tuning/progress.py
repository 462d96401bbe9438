"""How far a search is: a bar, and one line a trial."""

import math
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Bar:
    """The progress of a search: a bar, and one line a trial.

    Args:
        n_trials: how many there will be; `None` if only time will tell.
        shown: whether to show anything.
    """

    def __init__(self, n_trials: int | None, shown: bool) -> None:
        self.best = -math.inf
        self._bar = tqdm(total=n_trials, leave=False, disable=not shown, unit="trial")
        self._shown = shown

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, trial: "FrozenTrial") -> None:
        """Count a trial that has ended, and say in one line how."""
        self._bar.update()
        if trial.state.name == "COMPLETE":
            assert trial.value is not None
            self.best = max(self.best, trial.value)
            self._bar.set_postfix_str(f"best {self.best:.2%}")
        if self._shown:
            self._bar.write(describe(trial))


def describe(trial: "FrozenTrial") -> str:
    """Say in one line how a trial went."""
    about = trial.user_attrs
    if trial.state.name == "COMPLETE":
        how = f"{trial.value:.2%} right"
    elif "stopped" in about:
        how = about["stopped"].split(",")[0].splitlines()[0].rstrip(".")
    elif trial.state.name == "PRUNED":
        last = max(trial.intermediate_values)
        how = f"pruned after epoch {last}, {trial.intermediate_values[last]:.2%} right"
    else:
        how = "broken off"
    chosen = ", ".join(
        f"{name} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in trial.params.items()
    )
    seconds = f", {about['seconds']:.1f} s" if "seconds" in about else ""
    return f"trial {trial.number}: {how}{seconds} | {chosen}"
