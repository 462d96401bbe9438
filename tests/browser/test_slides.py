"""The exported slides in Chromium, opened from the file system: nothing overflows."""

import nbformat
import pytest

from browser.server import LESSONS
from mnist_lessons.teaching.deck import make_deck

NAMES = sorted(path.stem for path in LESSONS.glob("[0-9][0-9]_*.ipynb"))
TEXT, CODE = 20, 17.9  # the smallest type that the last row reads, in pixels of 720
WIDE, HIGH = 1100, 200  # a picture is at least so wide, or so high

# walks through all slides, with all that appears later, and measures each
MEASURE = """() => {
  const visible = e => e.checkVisibility();
  const sizes = (page, selector) => [...page.querySelectorAll(selector)]
    .filter(e => e.textContent.trim() && visible(e))
    .map(e => parseFloat(getComputedStyle(e).fontSize));
  return Reveal.getSlides().map((slide, number) => {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v);
    const page = slide.querySelector('.page');
    return {
      number: number + 1,
      title: page.querySelector('h1, h2').innerText,
      overflow: [page, ...page.querySelectorAll('.block')]
        .filter(e => e.scrollHeight > e.clientHeight || e.scrollWidth > e.clientWidth)
        .map(e => e.className),
      outside: [...page.querySelectorAll('*')].filter(visible)
        .map(e => e.getBoundingClientRect())
        .filter(r => r.left < 0 || r.top < 0 || r.right > innerWidth + 1
          || r.bottom > innerHeight + 1).length,
      text: Math.min(...sizes(page, 'h1, h2, p, li, td, th')),
      code: Math.min(...sizes(page, 'pre, code')),
      pictures: [...page.querySelectorAll('img')].map(e => {
        const box = e.getBoundingClientRect();
        const across = box.width / e.naturalWidth;
        const scale = Math.min(across, box.height / e.naturalHeight);
        return {
          alt: e.alt,
          width: scale * e.naturalWidth,
          height: scale * e.naturalHeight,
          loaded: e.naturalWidth > 1,
        };
      }),
      formulas: [...page.querySelectorAll('math')].map(e =>
        e.getBoundingClientRect().height),
    };
  });
}"""


@pytest.fixture(scope="module")
def open_deck(browser, tmp_path_factory):
    """`open_deck(name)` opens the slides of a lesson, and notes what they ask for."""
    folder = tmp_path_factory.mktemp("slides")
    opened = []

    def open_one(name):
        notebook = nbformat.read(LESSONS / f"{name}.ipynb", as_version=4)
        file = folder / f"{name}.html"
        file.write_text(make_deck(notebook, name), encoding="utf-8")
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        opened.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.asked = []
        page.trouble = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("Reveal.isReady()")
        return page

    yield open_one
    for context in opened:
        context.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_slide_fits_and_can_be_read_from_the_last_row(open_deck, name):
    page = open_deck(name)
    slides = page.evaluate(MEASURE)
    assert len(slides) > 30
    bad = []
    for slide in slides:
        where = f"slide {slide['number']} ({slide['title']}): "
        if slide["overflow"] or slide["outside"]:
            bad.append(f"{where}overflows: {slide['overflow']}")
        if (slide["text"] or 99) < TEXT:
            bad.append(f"{where}text of {slide['text']} px")
        if (slide["code"] or 99) < CODE:
            bad.append(f"{where}code of {slide['code']} px")
        if any(height < 15 for height in slide["formulas"]):
            bad.append(f"{where}an empty formula")
        for picture in slide["pictures"]:
            if not (picture["loaded"] and picture["alt"]):
                bad.append(f"{where}a picture without {picture}")
            if picture["width"] < WIDE and picture["height"] < HIGH:
                bad.append(f"{where}a small picture, {picture}")
    assert bad == []
    assert page.trouble == []
    hosts = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    assert hosts == []
    assert len([url for url in page.asked if url.startswith("file:")]) == 1


def test_keys_go_through_all_slides_and_back(open_deck):
    page = open_deck("03_mlp")
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


def test_the_speaker_sees_the_prose_in_a_window_of_its_own(open_deck):
    page = open_deck("01_data")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("makes sure that they are there and undamaged").wait_for()
