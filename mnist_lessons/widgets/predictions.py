"""Questions that are answered before the run, and a tally of the answers."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from mnist_lessons.arguments import check_choice
from mnist_lessons.widgets.base import Live

FIRST = "Predict first; or open this without."


@dataclass
class _Question:
    """One question: what was predicted before the run, and what the run said."""

    options: str
    answer: str | None = None
    counted: str | None = None  # the answer when the run first decided it
    outcome: str | None = None
    decided: bool = False  # whether the newest run has an outcome
    outcomes: list["_Outcome"] = field(default_factory=list)

    def verdict(self) -> str:
        if self.counted is None:
            late = f" (You said {self.answer} afterwards.)" if self.answer else ""
            return f"You made no prediction. The run says {self.outcome}.{late}"
        if self.counted == self.outcome:
            return f"✓ You predicted {self.counted}, and so says the run."
        return f"✗ You predicted {self.counted}. The run says {self.outcome}."


class Predictions:
    """The predictions of one lesson: `ask` before a run, `compare` after it.

    What `compare` shows is folded until there is a prediction. An answer counts if it
    was given before `compare` was run. Without buttons, in a terminal for one, `answer`
    gives it.

    Example:
        predictions.ask("coin", "AB")
        ...
        predictions.compare("coin", picture, A=heads > tails, B=heads <= tails)
        predictions.tally()
    """

    def __init__(self) -> None:
        self._questions: dict[str, _Question] = {}

    def ask(self, name: str, options: str) -> "_Prompt":
        """Show a button for each option, a letter; the question itself stands above.

        The name says in a few words what the question is about.
        """
        if not isinstance(options, str) or len(set(options)) < max(2, len(options)):
            raise ValueError(
                f"options={options!r}: give one letter for each option, such as 'ABC'."
            )
        question = self._questions.get(name)
        # running the cell again, as Shift+Enter does after a click, keeps the answer
        if question is None or question.options != options:
            question = self._questions[name] = _Question(options)
        return _Prompt(self, name, question)

    def answer(self, name: str, letter: str) -> None:
        """Give an answer without a button."""
        if name not in self._questions:
            asked = ", ".join(map(repr, self._questions)) or "none yet"
            raise ValueError(f"There is no question {name!r}. Asked so far: {asked}.")
        question = self._questions[name]
        letters = {option.upper(): option for option in question.options}
        question.answer = letters[check_choice(name, str(letter).upper(), letters)]
        for outcome in question.outcomes:
            outcome.unfold(question.verdict())

    def compare(self, name: str, *shown: Any, **holds: Any) -> "_Outcome":
        """Show what came out of the run, and the prediction beside what it says.

        What is `shown` (texts, pictures, whatever shows itself in a notebook) answers
        the question, so a fold hides it as long as there is no prediction. `holds` says
        for each option whether the run bears it out. Where not exactly one does, the
        verdict says so, and the tally leaves the question out: something was changed,
        or the run is an unusual one.
        """
        options = "".join(holds)
        # whoever skipped the question may still see the outcome
        question = self._questions.setdefault(name, _Question(options))
        if sorted(options) != sorted(question.options):
            raise ValueError(
                f"{name!r} has the options {', '.join(question.options)}, "
                f"not {', '.join(options)}."
            )
        true = [letter for letter, is_so in holds.items() if is_so]
        question.decided = len(true) == 1
        if not question.decided:
            letters = " and ".join(true) or "none of the options"
            verdict = f"The run says {letters}, so it does not decide the question."
            return _Outcome(shown, verdict, question.answer is not None)
        if question.outcome is None:
            question.counted = question.answer
        question.outcome = true[0]
        outcome = _Outcome(shown, question.verdict(), question.answer is not None)
        question.outcomes.append(outcome)
        return outcome

    def tally(self) -> "_Tally":
        """Show the predictions whose outcome is known, and how many were right."""
        rows = [
            (name, question.counted, str(question.outcome))
            for name, question in self._questions.items()
            if question.decided and question.counted
        ]
        return _Tally(rows)


class _Prompt(Live):
    """The buttons of one question."""

    def __init__(
        self, predictions: Predictions, name: str, question: _Question
    ) -> None:
        self._name, self._options = name, question.options
        self.buttons = ipywidgets.RadioButtons(
            options=list(question.options),
            value=question.answer,
            layout={"width": "auto"},
        )
        self.buttons.observe(
            lambda change: predictions.answer(name, change["new"]), names="value"
        )
        label = ipywidgets.Label(f"Your prediction, {name}:")
        super().__init__(ipywidgets.HBox([label, self.buttons]))

    def __repr__(self) -> str:
        letters = f"{', '.join(self._options[:-1])} or {self._options[-1]}"
        name = json.dumps(self._name, ensure_ascii=False)
        return (
            f"Your prediction, {self._name}: {letters}?\nNo buttons? Run this cell, or "
            f'predictions.answer({name}, "{self._options[0]}")'
        )


class _Outcome(Live):
    """What came out of a run, and the verdict on the prediction: a fold."""

    def __init__(self, shown: Sequence[Any], verdict: str, unfolded: bool) -> None:
        self._shown, self._verdict, self._unfolded = shown, verdict, unfolded
        self._content = "".join(map(_as_html, shown))
        self.fold = ipywidgets.HTML(self._page())
        super().__init__(self.fold)

    def unfold(self, verdict: str) -> None:
        """Open the fold on another verdict."""
        self._verdict, self._unfolded = verdict, True
        self.fold.value = self._page()

    def _page(self) -> str:
        summary = "What came out" if self._unfolded else f"What came out? {FIRST}"
        verdict = f'<p role="status">{html.escape(self._verdict)}</p>'
        return (
            f"<details{' open' * self._unfolded}><summary>{summary}</summary>"
            f"{self._content}{verdict}</details>"
        )

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": repr(self), "text/html": self._page()}, {}

    def __repr__(self) -> str:
        texts = [t if isinstance(t, str) else repr(t) for t in self._shown]
        return "\n".join([*texts, self._verdict])


def _as_html(shown: Any) -> str:
    """Return what a notebook would show of something, as HTML."""
    if hasattr(shown, "_repr_mimebundle_"):
        return shown._repr_mimebundle_()[0]["text/html"]
    if hasattr(shown, "_repr_html_"):
        return shown._repr_html_()
    return f"<pre>{html.escape(str(shown))}</pre>"


@dataclass(repr=False)
class _Tally:
    """All predictions of a lesson in a table: the question, you, the run."""

    rows: list[tuple[str, str, str]]

    @property
    def _summary(self) -> str:
        if not self.rows:
            return "You made no predictions. Try it: a guess first makes a run stick."
        right = sum(predicted == outcome for _, predicted, outcome in self.rows)
        return f"{right} of {len(self.rows)} predictions right."

    def __repr__(self) -> str:
        lines = [f"{name}: you {you}, the run {run}" for name, you, run in self.rows]
        return "\n".join([self._summary, *lines])

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{self._summary}</p>"
        names = ("question", "you", "the run")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>'
            f"<td>{predicted}</td><td>{outcome}</td></tr>"
            for name, predicted, outcome in self.rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{html.escape(self._summary)}</p>{table}"
