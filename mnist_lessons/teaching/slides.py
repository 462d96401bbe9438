"""Slides of a lesson: one HTML file with all they need, which opens without a network.

`prose.py` says which sentences are shown, `outline.py` what stands on a slide together.
"""

import html
import importlib.util
import re
from pathlib import Path

import jinja2
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from mnist_lessons.arguments import LessonsError
from mnist_lessons.teaching.notebooks import LessonError
from mnist_lessons.teaching.outline import Block, outline

INSTALL = (
    "Slides need two more packages, latex2mathml and sphinx-revealjs (it brings "
    "reveal.js). Get them, in the project's folder, with "
    '`pip install -e ".[slides]"`, or with `uv sync --extra slides`.'
)


def make_deck(notebook: NotebookNode, name: str) -> str:
    """Return the slides of a lesson as an HTML page.

    A `LessonsError` says that packages are missing, or that the lesson of that name has
    nothing to show.
    """
    reveal = find_reveal()
    try:
        slides = outline(notebook)
    except LessonError as error:
        raise LessonError(f"{name} has no slides: {error}.") from error
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"markdown": markdown, "heading": heading, "show": show}
    return environment.get_template("deck.html.j2").render(
        title=re.sub(r"[*`$]", "", slides[0].title),
        slides=slides,
        code_style=HtmlFormatter(style="friendly").get_style_defs(".source"),
        style="".join(_read(reveal / "dist" / f"{n}.css") for n in ("reset", "reveal")),
        reveal=_read(reveal / "dist" / "reveal.js"),
        notes=_read(reveal / "plugin" / "notes" / "notes.js"),
    )


def find_reveal() -> Path:
    """Return the folder of reveal.js; a `LessonsError` says what is to be installed."""
    package = importlib.util.find_spec("sphinx_revealjs")
    folder = Path(package and package.origin or "").parent / "_static" / "revealjs"
    has_reveal = (folder / "dist" / "reveal.js").is_file()
    if not has_reveal or importlib.util.find_spec("latex2mathml") is None:
        raise LessonsError(INSTALL)
    return folder


def _read(path: Path) -> str:
    # a script element ends at the first </script, even inside a string
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


class _Renderer(IPythonRenderer):
    """Formulas as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        # a badge would have to be fetched; its words need not
        return super().image(text, url, title) if url.startswith("data:") else text


def mathml(formula: str, display: str) -> str:
    """Return a formula of LaTeX as MathML, display "inline" or "block"."""
    from latex2mathml.converter import convert

    # Browsers would take a lone letter from the mathematical alphabet, and draw nothing
    # where no font of the machine has that; the page has it in italics.
    letter = r'<mi class="letter">\1</mi>'
    return re.sub(r"<mi>(.)</mi>", letter, convert(formula, display=display))


def markdown(text: str) -> str:
    """Return Markdown as HTML, its formulas as MathML."""
    renderer = _Renderer(escape=False, exclude_anchor_links=True)
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
