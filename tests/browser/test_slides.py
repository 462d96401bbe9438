"""The exported slides in Chromium, opened as files, in two sets of fonts."""

import os
import sys
from pathlib import Path

import nbformat
import pytest

from browser.server import LESSONS, find_browsers
from mnist_lessons.teaching.slides import make_deck

NAMES = sorted(path.stem for path in LESSONS.glob("[0-9][0-9]_*.ipynb"))
# DejaVu is wide. Open Sans reaches over its lines, and neither it nor Noto Mono has the
# mathematical alphabet. They are fonts-dejavu-core, -open-sans and -noto-mono.
FONTS = {
    "DejaVu": ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold"]
    + ["DejaVuSerif", "DejaVuSerif-Bold"],
    "Open Sans": ["OpenSans-Regular", "OpenSans-Bold", "OpenSans-Italic"]
    + ["NotoMono-Regular"],
}
# elsewhere Chromium does not ask fontconfig
SETS = list(FONTS) if sys.platform == "linux" else ["this machine's"]
TEXT, CODE = 21.9, 17.9  # the smallest type that the last row reads, in pixels of 720
WIDE, HIGH = 1100, 200  # a picture is at least so wide, or so high

# walks through all slides, with all that appears later, and measures each
MEASURE = """() => {
  const shown = (page, selector) => [...page.querySelectorAll(selector)]
    .filter(e => e.textContent.trim() && e.checkVisibility());
  return Reveal.getSlides().map((slide, number) => {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v, 99);
    const page = slide.querySelector('.page');
    const sheet = page.getBoundingClientRect();
    const scale = sheet.width / page.offsetWidth;
    const smallest = selector => Math.min(99, ...shown(page, selector)
      .map(e => scale * parseFloat(getComputedStyle(e).fontSize)));
    return {
      where: `slide ${number + 1} (${page.querySelector('h1, h2').innerText})`,
      scale,
      tooLarge: [
        ...page.lastElementChild.getBoundingClientRect().bottom > sheet.bottom + 3
          ? ['too high'] : [],
        ...[page, ...page.children].filter(e => e.scrollWidth > e.clientWidth + 1)
          .map(e => `${e.className} is too wide`),
        ...[...page.querySelectorAll('*')].map(e => e.getBoundingClientRect())
          .filter(r => r.left < 0 || r.top < 0 || r.right > innerWidth + 1
            || r.bottom > innerHeight + 1).map(() => 'outside'),
      ],
      text: smallest('h1, h2, p, li, td, th'),
      code: smallest('pre, code'),
      // a letter of the mathematical alphabet, or nothing at all
      unseen: [...page.querySelectorAll('mi, mn, mtext')].filter(e =>
        getComputedStyle(e).textTransform === 'math-auto' && e.innerHTML.length === 1
        || e.getBoundingClientRect().width < 3).map(e => e.outerHTML),
      pictures: [...page.querySelectorAll('img')].map(e => {
        const box = e.getBoundingClientRect();
        const [width, height] = [e.naturalWidth, e.naturalHeight];
        const scale = Math.min(box.width / width, box.height / height);
        return [e.alt, scale * width, scale * height];
      }),
    };
  });
}"""


@pytest.fixture(scope="module", params=SETS)
def open_deck(request, browser, tmp_path_factory):
    """`open_deck(name)` opens the slides of a lesson, and notes what they ask for."""
    folder = tmp_path_factory.mktemp("slides")
    own = None
    if request.param in FONTS:
        config = with_fonts(request.param, folder)
        own = browser.browser_type.launch(
            executable_path=(find_browsers() or [None])[0],
            env={**os.environ, "FONTCONFIG_FILE": str(config)},
        )
    context = (own or browser).new_context(viewport={"width": 1280, "height": 720})
    context.set_offline(True)

    def open_one(name):
        notebook = nbformat.read(LESSONS / f"{name}.ipynb", as_version=4)
        file = folder / f"{name}.html"
        file.write_text(make_deck(notebook, name), encoding="utf-8")
        page = context.new_page()
        page.asked, page.trouble = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("Reveal.isReady()")
        return page

    yield open_one
    context.close()
    if own:
        own.close()


def with_fonts(name, folder):
    """Write a configuration of fontconfig with these fonts alone; return its path."""
    places = [Path("/usr/share/fonts"), Path.home() / ".local" / "share" / "fonts"]
    files = {path.stem: path for place in places for path in place.rglob("*.ttf")}
    missing = [font for font in FONTS[name] if font not in files]
    if missing:
        absent = pytest.fail if os.getenv("MNIST_LESSONS_NEED_BROWSER") else pytest.skip
        absent(f"fonts are not installed: {', '.join(missing)}")
    for font in FONTS[name]:
        (folder / files[font].name).symlink_to(files[font])
    config = folder / "fonts.conf"
    config.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir>"
        '<include ignore_missing="yes">/etc/fonts/conf.d</include></fontconfig>'
    )
    return config


@pytest.mark.parametrize("name", NAMES)
def test_every_slide_fits_and_can_be_read_from_the_last_row(open_deck, name):
    page = open_deck(name)
    slides = page.evaluate(MEASURE)
    assert len(slides) > 30
    bad = []
    for slide in slides:
        problems = slide["tooLarge"]
        if slide["text"] < TEXT or slide["code"] < CODE:
            problems.append(f"text of {slide['text']} px, code of {slide['code']} px")
        problems += [f"an empty formula: {letter}" for letter in slide["unseen"]]
        for alt, width, height in slide["pictures"]:
            if not alt or not width or (width < WIDE and height < HIGH):
                problems.append(f"a small picture of {width} x {height} px: {alt!r}")
        bad += [f"{slide['where']}: {problem}" for problem in problems]
    assert bad == []
    assert page.trouble == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page.asked[0]]
    assert page.asked[0].startswith("file:")


def test_keys_go_through_all_slides_and_open_the_speakers_notes(open_deck):
    page = open_deck("01_data")
    total = page.evaluate("Reveal.getTotalSlides()")
    takeaways = page.locator(".fragment").count()
    assert takeaways > 10
    for _ in range(total + takeaways - 2):
        page.keyboard.press("ArrowRight")
    assert not page.evaluate("Reveal.isLastSlide()")
    page.keyboard.press("Space")
    assert page.evaluate("Reveal.isLastSlide()")
    page.keyboard.press("ArrowLeft")
    assert not page.evaluate("Reveal.isLastSlide()")
    page.keyboard.press("Escape")
    assert page.evaluate("Reveal.isOverview()")
    assert page.evaluate("[...document.querySelectorAll('.page')].every(fits)")
    # the speaker sees the prose in a window of its own
    page = open_deck("01_data")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("makes sure that they are there and undamaged").wait_for()
    popup.value.close()


def test_every_slide_fits_when_it_is_printed(open_deck):
    page = open_deck("04_cnn")
    page.goto(page.url.split("#")[0] + "?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length > 30")
    fitted = "[...document.querySelectorAll('.pdf-page .page')].every(fits)"
    page.wait_for_function(fitted)


def test_a_font_that_is_wider_than_any_makes_all_of_it_smaller(open_deck):
    page = open_deck("01_data")
    page.add_style_tag(content="* { letter-spacing: 0.45em; }")
    page.evaluate("window.dispatchEvent(new Event('resize'))")  # it measures again
    slides = page.evaluate(MEASURE)
    assert [slide["where"] for slide in slides if slide["tooLarge"]] == []
    assert min(slide["scale"] for slide in slides) < 0.95
