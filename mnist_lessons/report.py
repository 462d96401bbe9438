"""What the tests of a program measured, as text and as a table. Used in lesson 7."""

import html
from typing import NamedTuple

from mnist_lessons.arguments import check_choice

MARKS = {True: "fine", False: "LOOK HERE", None: "could not run"}


class Result(NamedTuple):
    """One test; `fine` is `None` if it could not run, and `measured` says why."""

    test: str
    fine: bool | None
    measured: str
    expected: str = "-"
    mistakes: str = "-"  # that look like this


class Report(list[Result]):
    """What the tests measured; the last line of a cell shows it as a table."""

    @property
    def findings(self) -> list[str]:
        """The names of the tests that measured something else than they expect."""
        return [result.test for result in self if result.fine is False]

    def only(self, *tests: str) -> "Report":
        """Return the lines of these tests; raises a `ValueError` if there is none."""
        for test in tests:
            check_choice("test", test, [result.test for result in self])
        return Report(result for result in self if result.test in tests)

    def __repr__(self) -> str:
        text = f"{len(self.findings)} of {len(self)} tests found something."
        for test, fine, *rest in self:
            text += f"\n{test}: {MARKS[fine]}"
            for word, line in zip(Result._fields[2:], rest, strict=True):
                text += f"\n    {word}: {line}"
        return text

    def _repr_html_(self) -> str:
        rows = [(test, MARKS[fine], *rest) for test, fine, *rest in self]
        cells = [[f"<td>{html.escape(text)}</td>" for text in row] for row in rows]
        head = "".join(f'<th scope="col">{field}</th>' for field in Result._fields)
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
