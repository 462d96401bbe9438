"""That nobody is shut out: alt texts, headings, tables, colours, contrast.

`tests/browser/test_access.py` looks at the same in a browser.
"""

import html
import itertools
import re
from pathlib import Path

import bleach
import nbformat
import numpy as np
import pytest
import torch
from lesson_cells import LESSONS, every_lesson
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.text import Text
from nbval.plugin import get_sanitize_patterns
from test_plots import EVERY, RUN

from mnist_lessons import plots
from mnist_lessons.history import History
from mnist_lessons.plots import picture
from mnist_lessons.plots.live import draw_live
from mnist_lessons.plots.picture import BLUE, GREEN, GREY, ORANGE, contrast
from mnist_lessons.widgets import Predictions

ROOT = Path(__file__).resolve().parent.parent

LIVE = {"training loss": [(0.1, 2.0), (0.2, 1.0)], "validation loss": [(1.0, 0.5)]}
LIVE |= {"training accuracy": [(0.1, 0.5)], "validation accuracy": [(1.0, 0.9)]}
FIGURES = EVERY | {
    "strong templates": lambda: plots.learning(
        {"before": [(1, 3.0), (2, 2.0)], "now": [(1, 2.5), (2, 1.0)]},
        torch.linspace(-1, 1, 10).repeat_interleave(784).reshape(10, 784),
    ),
    "a live chart": lambda: draw_live(LIVE, 2),
    "many mistakes": lambda: plots.confusion(
        torch.arange(1000) % 10, torch.arange(1000) // 10 % 10
    ),
}

# of an output's HTML, what code-hosting pages leave, after GitHub's html-pipeline
TAGS = (
    "a b br code details div em h1 h2 h3 h4 i img li ol p pre span strong sub summary"
)
TAGS += " sup table tbody td th thead tr ul"
ATTRIBUTES = {"*": ["alt", "open", "scope", "width"], "a": ["href"], "img": ["src"]}
LEFT = {"tags": TAGS.split(), "attributes": ATTRIBUTES, "strip": True}
LEFT["protocols"] = ["http", "https", "data"]


def pages_of(path):
    """Return the HTML of each output below the cells of a notebook."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            # stored twice, or bare, which JupyterLab shows without its alt text
            assert "image/png" not in data, cell.source
            yield data.get("text/html", "")


def says_too_little(alt):
    file_name = re.search(r"\.(png|svg|jpe?g)$", alt)
    return (
        len(alt) < 40 or file_name or re.match("(an? )?(image|picture) of", alt, re.I)
    )


@every_lesson
def test_every_stored_picture_says_what_it_shows_and_none_is_compared_by_bytes(path):
    images = re.findall(r"<img\b[^>]*>", "".join(pages_of(path)))
    assert len(images) >= 9
    alts = [re.search(r'\balt="([^"]*)"', image) for image in images]
    for alt, image in zip(alts, images, strict=True):
        assert alt, image
        assert not says_too_little(html.unescape(alt[1])), alt[1]
    rules = get_sanitize_patterns((ROOT / "tests" / "nbval.cfg").read_text())
    for page in pages_of(path):
        for regex, replacement in rules:
            page = re.sub(regex, replacement, page)
        assert "base64" not in page


@every_lesson
def test_what_a_page_strips_takes_no_picture_word_or_fold_away(path):
    for page in pages_of(path):
        left = bleach.clean(page, **LEFT)
        for kept in (r'<img alt="[^"]*" width="\d+"', r'src="[^"]*"', "</?details>"):
            assert re.findall(kept, left) == re.findall(kept, page)
        text, words = (re.sub(r"<[^>]*>", "", html) for html in (page, left))
        assert html.unescape(words) == html.unescape(text)
    assert (
        bleach.clean('<p id="a" style="x">b<script>c</script>', **LEFT) == "<p>bc</p>"
    )


@pytest.mark.parametrize("path", [*LESSONS, ROOT / "README.md"], ids=lambda p: p.stem)
def test_prose_has_one_title_no_skipped_level_named_columns_and_alt_texts(path):
    prose = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(prose, as_version=4).cells
        prose = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```$", "", prose, flags=re.M | re.S)
    assert re.findall(r"!\[\s*\]", prose) == []
    assert [i for i in re.findall(r"<img[^>]*>", prose) if 'alt="' not in i] == []
    levels = [len(marks) for marks in re.findall("^(#+) ", prose, re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    heads = re.findall(r"^\|(.*)\|\n\|[ :|-]+\|$", prose, re.M)
    assert heads
    for head in heads:
        assert all(name.strip() for name in head.split("|")), head


def test_tables_say_what_their_rows_and_columns_are():
    predictions = Predictions()
    predictions.ask("the coin", "AB").buttons.value = "A"
    predictions.compare("the coin", A=True, B=False)
    for table in (RUN, History(), predictions.tally()):
        heads = re.findall("<th[ >][^>]*", table._repr_html_())
        scopes = [re.search('scope="(col|row)"', head)[1] for head in heads]
        assert scopes.count("col") >= 3
        assert scopes.count("row") == len(getattr(table, "rows", table))


# Machado, Oliveira and Fernandes (2009), IEEE Trans. Vis. Comput. Graph. 15(6), for
# people who lack one kind of cone; they work on linear RGB
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "deuteranopia": [
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ],
}
TO_XYZ = np.array([0.4124564, 0.3575761, 0.1804375, 0.2126729, 0.7151522, 0.0721750])
TO_XYZ = np.append(TO_XYZ, [0.0193339, 0.1191920, 0.9503041]).reshape(3, 3)
APART = 20  # CIE76; about 2 is the least that people notice side by side


def as_seen(colour, vision):
    """Return a colour in CIE Lab, after what is lost on the way to the brain."""
    rgb = np.array(to_rgba(colour)[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (np.array(VISIONS[vision]) @ linear).clip(0, 1)
    xyz = TO_XYZ @ seen / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def too_close(colours, vision):
    """Return the pairs of colours that are hard to tell apart."""
    seen = {colour: as_seen(colour, vision) for colour in colours}
    pairs = itertools.combinations(colours, 2)
    return [(a, b) for a, b in pairs if np.linalg.norm(seen[a] - seen[b]) < APART]


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_used_together_can_be_told_apart(vision):
    for_and_against = ["#B35806", "#F7F7F7", "#542788"]
    for together in (picture.COLOURS, [BLUE, ORANGE, GREY], for_and_against):
        assert too_close(together, vision) == []
    # red and green are too close for some, and so are two of Okabe and Ito's own
    for pair in (["#D62728", "#2CA02C"], ["#CC79A7", "#009E73"]):
        if vision != "protanopia":
            assert bool(too_close(pair, vision)) is (vision == "deuteranopia")


def test_lines_can_be_told_apart_without_any_colour():
    for points in (5, 40):
        lines = dict.fromkeys("abcdefg", range(points))
        drawn = plots.curves(lines, xlabel="x", ylabel="y").figure.axes[0].lines
        assert [line.get_color() for line in drawn] == picture.COLOURS
        assert len({str(line._unscaled_dash_pattern) for line in drawn}) == 7
        assert len({line.get_marker() for line in drawn}) == (7 if points == 5 else 1)


def test_contrast_is_that_of_wcag_and_ink_can_be_read_on_every_ground():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)
    assert contrast("#777777", "white") == contrast("white", "#777777")
    for shade in np.linspace(0, 1, 64):
        for ground in ((shade, shade, shade), (shade, 0.5, 0), (0, shade, 1)):
            assert contrast(picture.ink_on(ground), ground) >= 4.5


def pixels_of(figure, texts, colour):
    """Draw a figure with all its texts in one colour; return it from the bottom up."""
    for text in texts:
        text.set_color(colour)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255


def hard_to_read(figure):
    """Return the texts whose contrast to the pixels behind them is below 4.5.

    A tenth of the pixels behind a text may be worse: a dotted line that it crosses.
    """
    for axis in figure.axes:
        if not axis.axison:  # its ticks are out of sight
            axis.set(xticks=[], yticks=[])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # or else nothing is where it was
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    colours = [text.get_color() for text in texts]
    with_texts = pixels_of(figure, texts, "magenta")
    without = pixels_of(figure, texts, (0, 0, 0, 0))  # but with the texts' own boxes
    unreadable = {}
    for text, box, colour in zip(texts, boxes, colours, strict=True):
        left, bottom = max(0, int(box.x0)), max(0, int(box.y0))
        here = slice(bottom, int(box.y1) + 1), slice(left, int(box.x1) + 1)
        if np.array_equal(with_texts[here], without[here]):
            continue  # the label of a tick that is out of sight
        shades, counts = np.unique(
            without[here].reshape(-1, 3), axis=0, return_counts=True
        )
        bad = [contrast(colour, shade) < 4.5 for shade in shades]
        if counts[bad].sum() > 0.1 * counts.sum():
            unreadable[text.get_text()] = colour
    return unreadable


def too_faint(figure):
    """Return the colours of lines, dots and bars whose contrast to white is below 3."""
    faint = set()
    for axis in [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]:
        for artist in [*axis.lines, *axis.patches, *axis.collections]:
            if isinstance(artist, Line2D):
                colours = [artist.get_color()]
            elif isinstance(artist, Collection):
                colours = artist.get_edgecolor()
            else:
                colours = [artist.get_facecolor()]
            alpha = artist.get_alpha() or 1.0
            for colour in colours:
                mixed = [1 - alpha * (1 - part) for part in to_rgba(colour)[:3]]
                if artist.get_visible() and contrast(mixed, "white") < 3:
                    faint.add(colour)
    return faint


@pytest.mark.parametrize("name", FIGURES)
def test_what_a_picture_says_and_draws_stands_out(name):
    drawn = FIGURES[name]()
    assert not says_too_little(drawn.alt), drawn.alt
    assert too_faint(drawn.figure) == set()
    assert hard_to_read(drawn.figure) == {}
    for axis in drawn.figure.axes:
        if axis.get_label() == "<colorbar>":
            continue
        across, up = axis.get_xlabel(), axis.get_ylabel() or axis.get_title()
        for side, says in ((axis.xaxis, across), (axis.yaxis, up)):
            numbers = [t for t in side.get_ticklabels() if t.get_text()[:1].isdigit()]
            assert says or not numbers, "what are these numbers?"


def test_faint_words_and_lines_are_noticed():
    figure = plots.curves({"a": [1, 2]}, xlabel="x", ylabel="faint").figure
    (axis,) = figure.axes
    axis.yaxis.label.set_color("#7F7F7F")
    axis.lines[0].set_color("#9A9A9A")
    axis.axvspan(0, 3, color=GREEN, alpha=0.3)
    axis.text(1.5, 1.5, "on a tint", color=GREY)
    assert hard_to_read(figure).keys() == {"faint", "on a tint"}
    assert len(too_faint(figure)) == 2
