"""What the tests of a program measured, as text and as a table. Used in lesson 7."""

import html
import textwrap
from typing import NamedTuple

from mnist_lessons.arguments import check_choice

COLUMNS = ("test", "result", "measured", "expected", "mistakes that look like it")
WRAP = textwrap.TextWrapper(72, initial_indent=4 * " ", subsequent_indent=8 * " ")
MARKS = {True: "fine", False: "LOOK HERE", None: "could not run"}


class Result(NamedTuple):
    """One test; `fine` is `None` if it could not run, and `measured` says why."""

    test: str
    fine: bool | None
    measured: str
    expected: str = "-"
    mistakes: str = ""  # that look like this; none where all is fine


class Report(list[Result]):
    """What the tests measured; the last line of a cell shows it as a table."""

    @property
    def findings(self) -> list[str]:
        """The names of the tests that measured something else than they expect."""
        return [result.test for result in self if result.fine is False]

    def only(self, *tests: str) -> "Report":
        """Return the lines of these tests, and leave the mistakes to the reader.

        Raises:
            ValueError: if there is no such test.
        """
        for test in tests:
            check_choice("test", test, [result.test for result in self])
        lines = [result for result in self if result.test in tests]
        return Report(result._replace(mistakes="") for result in lines)

    def __repr__(self) -> str:
        text = f"{len(self.findings)} of {len(self)} tests found something."
        for test, fine, *rest in self:
            text += f"\n{test}: {MARKS[fine]}"
            for word, line in zip(Result._fields[2:], rest, strict=True):
                text += f"\n{WRAP.fill(f'{word}: {line}')}" if line else ""
        return text

    def _repr_html_(self) -> str:
        left = 'style="text-align: left"'  # JupyterLab's tables are set to the right
        count = 5 if any(result.mistakes for result in self) else 4
        rows = [(test, MARKS[fine], *rest)[:count] for test, fine, *rest in self]
        cells = [[f"<td {left}>{html.escape(text)}</td>" for text in x] for x in rows]
        head = "".join(
            f'<th scope="col" {left}>{name}</th>' for name in COLUMNS[:count]
        )
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
