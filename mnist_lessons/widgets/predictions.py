"""Questions that are answered before the run, and a tally of the answers."""

import html
import json
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from mnist_lessons.widgets.base import VIEW, Access


@dataclass
class _Question:
    """One question: what was predicted before the run, and what the run said."""

    options: str
    answer: str | None = None
    counted: str | None = None  # the answer when the run first decided it
    outcome: str | None = None
    decided: bool = False  # whether the newest run has an outcome
    shown: list["_Line"] = field(default_factory=list)


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
        """Show a button for each option; the question itself stands above.

        Args:
            name: what the question is about, in a few words.
            options: one letter each, such as "ABC".

        Raises:
            TypeError: `options` is no text.
            ValueError: there are fewer than two options, or one of them twice.
        """
        if not isinstance(options, str):
            raise TypeError(f"options={options!r}: give a text, such as 'ABC'.")
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError(
                f"options={options!r}: give one letter for each option, such as 'ABC'."
            )
        asked = self._questions.get(name)
        # running the cell again, as Shift+Enter does after a click, keeps the answer
        if asked is None or asked.options != options:
            asked = self._questions[name] = _Question(options)
        return _Prompt(self, name, options, asked.answer)

    def answer(self, name: str, letter: str) -> None:
        """Give an answer without a button.

        Raises:
            ValueError: there is no such question, or no such option.
        """
        question = self._questions.get(name)
        if question is None:
            asked = ", ".join(map(repr, self._questions)) or "none yet"
            raise ValueError(f"There is no question {name!r}. Asked so far: {asked}.")
        options = {option.upper(): option for option in question.options}
        if str(letter).upper() not in options:
            raise ValueError(
                f"{letter!r} is not among the options {', '.join(question.options)}."
            )
        question.answer = options[str(letter).upper()]
        for line in question.shown:
            line.value = self._told(question)

    def compare(self, name: str, **holds: Any) -> "_Line":
        """Show the prediction beside what the run says.

        Args:
            name: the question.
            holds: for each option, whether the run bears it out.

        Where not exactly one of them holds, it says so, and the tally leaves the
        question out: something was changed, or the run is an unusual one.

        Raises:
            ValueError: the options are others than those of the question.
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
        if len(true) != 1:
            question.decided = False
            found = " and ".join(true) or "none of the options"
            return _Line(f"The run says {found}, so it does not decide the question.")
        if question.outcome is None:
            question.counted = question.answer
        question.outcome, question.decided = true[0], True
        line = _Line(self._told(question))
        question.shown.append(line)
        return line

    def tally(self) -> "_Tally":
        """Show all questions whose outcome is known, and how many were right."""
        rows = [
            (name, question.counted or "-", str(question.outcome))
            for name, question in self._questions.items()
            if question.decided
        ]
        return _Tally(rows)

    @staticmethod
    def _told(question: _Question) -> str:
        said, true = question.counted, question.outcome
        if said is None:
            late = f" (You said {question.answer} afterwards.)"
            late = late if question.answer else ""
            return f"You made no prediction. The run says {true}.{late}"
        if said == true:
            return f"✓ You predicted {said}, and so says the run."
        return f"✗ You predicted {said}. The run says {true}."


class _AsText:
    """A widget that looks like one line of text where no widget can be shown."""

    def __init__(self, view: ipywidgets.Widget, text: str) -> None:
        self.view, self._text = view, text
        view.add_class("mnist-lessons")

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        model = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        return {"text/plain": repr(self), VIEW: model}


class _Prompt(_AsText):
    """The buttons of one question."""

    def __init__(
        self, predictions: Predictions, name: str, options: str, answer: str | None
    ) -> None:
        self.buttons = ipywidgets.RadioButtons(options=list(options), value=answer)
        self.buttons.layout.width = "auto"
        label = ipywidgets.Label(f"Your prediction, {name}:")
        self.buttons.observe(
            lambda change: predictions.answer(name, change["new"]), names="value"
        )
        row = ipywidgets.HBox([label, self.buttons, Access()])
        letters = f"{', '.join(options[:-1])} or {options[-1]}"
        super().__init__(
            row,
            f"Your prediction, {name}: {letters}?\n"
            "Without buttons: predictions.answer("
            f"{json.dumps(name, ensure_ascii=False)}, {json.dumps(options[0])})",
        )


class _Line(_AsText):
    """What was predicted, beside what came out."""

    def __init__(self, text: str) -> None:
        self._html = ipywidgets.HTML()
        super().__init__(self._html, text)
        self.value = text

    @property
    def value(self) -> str:
        return self._text

    @value.setter
    def value(self, text: str) -> None:
        self._text = text
        self._html.value = f'<div role="status">{html.escape(text)}</div>'


class _Tally:
    """All predictions of a lesson in a table."""

    def __init__(self, rows: list[tuple[str, str, str]]) -> None:
        self._rows = rows

    @property
    def _summary(self) -> str:
        made = [row for row in self._rows if row[1] != "-"]
        if not made:
            return "You made no predictions. Try it: a guess first makes a run stick."
        right = sum(said == true for _, said, true in made)
        return f"{right} of {len(made)} predictions right."

    def __repr__(self) -> str:
        lines = [f"{n}: you {said}, the run {true}" for n, said, true in self._rows]
        return "\n".join([self._summary, *lines])

    def _repr_html_(self) -> str:
        names = ("question", "you", "the run")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        body = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th>'
            f"<td>{said}</td><td>{true}</td></tr>"
            for name, said, true in self._rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{html.escape(self._summary)}</p>{table}"
