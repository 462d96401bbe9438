"""One HTML file with all that the slides need: it opens without a network."""

import html
import importlib.util
import re
from pathlib import Path
from typing import Any

import jinja2
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from mnist_lessons.teaching.outline import Block, outline
from mnist_lessons.teaching.slides import SlidesError

INSTALL = (
    "Slides need two more packages, latex2mathml and sphinx-revealjs (it brings "
    "reveal.js). Get them, in the project's folder, with "
    '`pip install -e ".[slides]"`, or with `uv sync --extra slides`.'
)
TEMPLATE = "deck.html.j2"


class _Formulas(IPythonRenderer):
    """Formulas as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        """Turn what stands between single dollars into MathML."""
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        """Turn what stands between double dollars into MathML."""
        return _mathml(body, "block")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Leave out, but for its words, what would have to be fetched: a badge."""
        return super().image(text, url, title) if url.startswith("data:") else text


def make_deck(notebook: NotebookNode, name: str) -> str:
    """Return the slides of a lesson as an HTML page.

    Args:
        notebook: a lesson with its stored outputs, as `nbformat` reads it.
        name: what errors call it.

    Raises:
        SlidesError: if the packages of the extra `slides` are missing, or if no cell
            of the notebook is to be shown.
    """
    reveal = find_reveal()
    try:
        slides = outline(notebook)
    except ValueError as error:
        raise SlidesError(f"{name} has no slides: {error}.") from error
    columns: list[list[Any]] = []
    for slide in slides:
        if slide.opens or not columns:
            columns.append([])
        columns[-1].append(slide)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": markdown, "heading": heading, "show": show}
    return environment.get_template(TEMPLATE).render(
        title=re.sub(r"[*`$]", "", slides[0].title),
        columns=columns,
        code_style=HtmlFormatter(style="friendly").get_style_defs(".source"),
        style="".join(_read(reveal / "dist" / f"{n}.css") for n in ("reset", "reveal")),
        reveal=_read(reveal / "dist" / "reveal.js"),
        notes=_read(reveal / "plugin" / "notes" / "notes.js"),
    )


def find_reveal() -> Path:
    """Return the folder of reveal.js, which the package sphinx-revealjs brings.

    Raises:
        SlidesError: if it is not installed.
    """
    try:
        found = importlib.util.find_spec("sphinx_revealjs")
        formulas = importlib.util.find_spec("latex2mathml")
    except ValueError:
        found = formulas = None
    if not (found and found.submodule_search_locations and formulas):
        raise SlidesError(INSTALL)
    folder = Path(found.submodule_search_locations[0]) / "_static" / "revealjs"
    if not (folder / "dist" / "reveal.js").is_file():
        raise SlidesError(f"{folder} has no reveal.js. {INSTALL}")
    return folder


def markdown(text: str) -> str:
    """Return Markdown as HTML, its formulas as MathML."""
    renderer = _Formulas(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(text)


def heading(text: str) -> str:
    """Return a heading's Markdown as HTML, without the paragraph around it."""
    # as a heading: alone, "1. One digit" would be a list
    return re.sub(r"^<h1>|</h1>$", "", markdown(f"# {text}").strip())


def show(block: Block) -> str:
    """Return the HTML of a block."""
    if block.kind == "source":
        return highlight(block.text, PythonLexer(), HtmlFormatter(cssclass="source"))
    if block.kind == "output":
        return f"<pre>{html.escape(block.text)}</pre>"
    if block.kind == "picture":
        alt = html.escape(block.alt)
        return f'<img alt="{alt}" src="data:image/png;base64,{block.text}">'
    return block.text if block.kind == "html" else markdown(block.text)


def _mathml(body: str, display: str) -> str:
    from latex2mathml.converter import convert

    return convert(body, display=display)


def _read(path: Path) -> str:
    # a script element ends at the first </script, even inside a string
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")
