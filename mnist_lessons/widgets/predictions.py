"""Questions that are answered before the run, and a tally of the answers."""

import html
import json
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from mnist_lessons.arguments import check_choice
from mnist_lessons.widgets.base import Live


@dataclass
class _Question:
    """One question: what was predicted before the run, and what the run said."""

    options: str
    answer: str | None = None
    counted: str | None = None  # the answer when the run first decided it
    outcome: str | None = None
    decided: bool = False  # whether the newest run has an outcome
    lines: list["_Line"] = field(default_factory=list)

    def in_words(self) -> str:
        if self.counted is None:
            late = f" (You said {self.answer} afterwards.)" if self.answer else ""
            return f"You made no prediction. The run says {self.outcome}.{late}"
        if self.counted == self.outcome:
            return f"✓ You predicted {self.counted}, and so says the run."
        return f"✗ You predicted {self.counted}. The run says {self.outcome}."


class Predictions:
    """The predictions of one lesson: `ask` before a run, `compare` after it.

    An answer counts if it was given before `compare` was run. Without buttons, in a
    terminal for one, `answer` gives it.

    Example:
        predictions.ask("coin", "AB")
        ...
        predictions.compare("coin", A=heads > tails, B=heads <= tails)
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
        for line in question.lines:
            line.show(question.in_words())

    def compare(self, name: str, **holds: Any) -> "_Line":
        """Show the prediction beside what the run says.

        `holds` says for each option whether the run bears it out. Where not exactly one
        does, the line says so, and the tally leaves the question out: something was
        changed, or the run is an unusual one.
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
            return _Line(f"The run says {letters}, so it does not decide the question.")
        if question.outcome is None:
            question.counted = question.answer
        question.outcome = true[0]
        question.lines.append(_Line(question.in_words()))
        return question.lines[-1]

    def tally(self) -> "_Tally":
        """Show all questions whose outcome is known, and how many were right."""
        rows = [
            (name, question.counted or "-", str(question.outcome))
            for name, question in self._questions.items()
            if question.decided
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


class _Line(Live):
    """What was predicted, beside what came out."""

    def __init__(self, text: str) -> None:
        self.line = ipywidgets.HTML()
        self.show(text)
        super().__init__(self.line)

    def show(self, text: str) -> None:
        """Replace the text; screen readers read it out."""
        self._text = text
        self.line.value = f'<div role="status">{html.escape(text)}</div>'

    def __repr__(self) -> str:
        return self._text


@dataclass(repr=False)
class _Tally:
    """All predictions of a lesson in a table: the question, you, the run."""

    rows: list[tuple[str, str, str]]

    @property
    def _summary(self) -> str:
        made = [row for row in self.rows if row[1] != "-"]
        if not made:
            return "You made no predictions. Try it: a guess first makes a run stick."
        right = sum(predicted == outcome for _, predicted, outcome in made)
        return f"{right} of {len(made)} predictions right."

    def __repr__(self) -> str:
        lines = [f"{name}: you {you}, the run {run}" for name, you, run in self.rows]
        return "\n".join([self._summary, *lines])

    def _repr_html_(self) -> str:
        names = ("question", "you", "the run")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>'
            f"<td>{predicted}</td><td>{outcome}</td></tr>"
            for name, predicted, outcome in self.rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{html.escape(self._summary)}</p>{table}"
