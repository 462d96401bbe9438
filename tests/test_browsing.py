"""That the digit browser shows the digit it says it shows."""

import base64
import io
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from mnist_lessons.data import Digits
from mnist_lessons.widgets.base import VIEW
from mnist_lessons.widgets.browsing import DigitBrowser
from mnist_lessons.widgets.piles import unusualness
from mnist_lessons.widgets.pngs import as_png

LABELS = [0, 1, 0, 1, 2, 0]


def torchvision_like(labels=LABELS):
    """Digit i has the value 40 * i everywhere, but for a 255 in its row i."""
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    for number, image in enumerate(images):
        image += 40 * number
        image[number, 20] = 255
    classes = ["0 - zero", "1 - one", "2 - two"]
    return SimpleNamespace(data=images, targets=torch.tensor(labels), classes=classes)


@pytest.fixture
def browser():
    return DigitBrowser(torchvision_like())


def press(browser, name):
    buttons = browser.view.children[1].children
    next(button for button in buttons if button.description == name).click()


def test_it_begins_with_the_first_digit(browser):
    assert (browser.index, browser.label) == (0, 0)
    assert browser._grid.title == "Digit 0 of 6, label 0"
    assert browser._grid.pixels == browser.pixels.flatten().tolist()


def test_show_gives_the_digit_with_that_number(browser):
    browser.show(3)
    assert (browser.index, browser.label, browser._number.value) == (3, 1, 3)
    assert browser.pixels.dtype == torch.uint8
    assert browser.pixels[3, 20] == 255
    assert browser.pixels[0, 0] == 120
    assert browser._grid.pixels[3 * 28 + 20] == 255
    assert browser._grid.title == "Digit 3 of 6, label 1"


@pytest.mark.parametrize("index", [-1, 6, 1.5, True, "3", None])
def test_a_digit_that_is_not_there_is_refused(browser, index):
    with pytest.raises(ValueError, match="whole number from 0 to 5"):
        browser.show(index)
    assert browser.index == 0


def test_next_and_previous_go_round(browser):
    seen = [browser.next() or browser.index for _ in range(6)]
    assert seen == [1, 2, 3, 4, 5, 0]
    seen = [browser.previous() or browser.index for _ in range(6)]
    assert seen == [5, 4, 3, 2, 1, 0]


def test_a_chosen_label_restricts_all_buttons(browser):
    browser._class_choice.value = 1
    assert browser.index == 1
    press(browser, "Next")
    assert browser.index == 3
    press(browser, "Next")
    assert browser.index == 1
    press(browser, "Previous")
    assert browser.index == 3
    for name in ["Random", "Most unusual"] * 10:
        press(browser, name)
        assert browser.label == 1


def test_random_reaches_every_digit_and_leaves_the_lessons_numbers_alone(browser):
    state = torch.get_rng_state()
    seen = {browser.random() or browser.index for _ in range(200)}
    assert seen == set(range(6))
    assert torch.equal(torch.get_rng_state(), state)


def test_only_present_labels_are_offered(browser):
    browser = DigitBrowser(torchvision_like([2, 0, 2]))
    assert browser._class_choice.options == (("any", -1), ("0", 0), ("2", 2))


def test_the_number_box_shows_that_digit_and_cannot_leave_the_pile(browser):
    browser._number.value = 4
    assert browser.index == 4
    browser._number.value = 999
    assert (browser.index, browser._number.value) == (5, 5)


def test_keys_in_the_picture_move_on(browser):
    browser._grid._handle_custom_msg({"go": "next"}, [])
    assert browser.index == 1
    browser._grid._handle_custom_msg({"go": "previous"}, [])
    assert browser.index == 0
    browser._grid._handle_custom_msg({"go": "random"}, [])


def test_the_box_writes_numbers_into_the_pixels(browser):
    browser._values.value = True
    assert browser._grid.numbers


def test_a_digit_far_from_its_class_is_unusual():
    images = torch.zeros(6, 28, 28)
    images[[0, 2], 0, 0] = torch.tensor([3.0, -3.0])
    images[5, 0, 1] = 60.0
    ratios = unusualness(images, torch.tensor([0, 1, 0, 1, 2, 0]))
    # the mean has 20 in the second pixel: distances of sqrt(409), sqrt(409) and 40
    assert ratios.tolist() == pytest.approx([1, 0, 1, 0, 0, 40 / 409**0.5])


def test_most_unusual_takes_the_first_of_each_class_then_the_second():
    digits = torchvision_like([0] * 6 + [1] * 6)
    heights = [0, 0, 200, 0, 240, 0, 0, 10, 0, 10, 0, 14]
    digits.data[:] = 0
    digits.data[:, 5, 5] = torch.tensor(heights, dtype=torch.uint8)
    browser = DigitBrowser(digits)
    seen = [browser.unusual() or browser.index for _ in range(12)]
    # 240 and 200 lie 2.3 and 1.7 times as far from their mean as usual, 14 1.5 times
    assert seen[:3] == [4, 11, 2]
    assert sorted(seen) == list(range(12))
    browser.unusual()
    assert browser.index == 4  # round again


def test_the_caption_says_how_unusual(browser):
    browser._class_choice.value = 0
    browser.unusual()
    ratios = unusualness(torchvision_like().data, torch.tensor(LABELS))
    assert browser._grid.note == (
        "Number 1 of the unusual ones: its pixels are "
        f"{ratios[browser.index]:.1f} times as far from the average 0 as those of "
        "a typical 0."
    )
    browser.next()
    assert browser._grid.note == ""


def test_another_label_begins_with_its_most_unusual_digit(browser):
    browser.unusual()
    browser.unusual()
    browser._class_choice.value = 0
    browser.unusual()
    assert "Number 1 of" in browser._grid.note


def test_the_real_ones_begin_with_a_strange_one_within_a_second(loaders):
    browser = DigitBrowser(loaders.train)
    browser.unusual()
    assert browser.label == 1
    assert browser.index == 4066  # a 1 with a flag and a base


def test_normalised_digits_get_their_pixels_back():
    source = torchvision_like()
    images = source.data.unsqueeze(1) / 255
    normalised = Digits(
        (images - 0.13) / 0.31, source.targets, ["a", "b", "c"], 0.13, 0.31
    )
    browser = DigitBrowser(normalised)
    for index in range(6):
        browser.show(index)
        assert torch.equal(browser.pixels, source.data[index])
    assert browser._grid.title == "Digit 5 of 6, label a"


def test_several_piles_can_be_chosen():
    browser = DigitBrowser(
        {"training": torchvision_like(), "validation": torchvision_like([2, 1])}
    )
    browser._class_choice.value = 0
    browser.show(5)
    browser._pile_choice.value = "validation"
    assert (browser.index, browser.label) == (0, 2)
    assert browser._grid.title == "Digit 0 of 2, label 2"
    assert browser._number.max == 1
    assert browser._class_choice.value == -1
    assert browser._pile_choice in browser.view.children[0].children
    browser.unusual()
    browser._pile_choice.value = "training"
    assert (browser.index, browser._number.max) == (0, 5)
    browser.unusual()
    assert "Number 1 of" in browser._grid.note


def test_a_single_pile_needs_no_choice(browser):
    assert browser._pile_choice not in browser.view.children[0].children


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        (torch.zeros(3, 28, 28), "digits is of type Tensor; give a Digits set"),
        ({"mine": [1, 2]}, "mine is of type list; give a Digits set"),
        ({}, "digits is empty"),
        (torchvision_like([]), "count at least 1"),
        (
            SimpleNamespace(
                data=torch.zeros(2, 32, 32), targets=torch.zeros(2), classes=["0"]
            ),
            r"images of shape \(2, 32, 32\)",
        ),
        (
            SimpleNamespace(
                data=torch.zeros(3, 28, 28), targets=torch.zeros(2), classes=["0"]
            ),
            "2 labels",
        ),
    ],
)
def test_what_is_no_digits_is_refused(digits, message):
    with pytest.raises(ValueError, match=message):
        DigitBrowser(digits)


def test_without_a_live_kernel_there_are_the_most_unusual_digits(browser):
    bundle, about = browser._repr_mimebundle_()
    assert VIEW in bundle
    assert bundle["image/png"].startswith(b"\x89PNG")
    told = "6 images of digits: 0, 1, 2, 0, 1, 0. Bright strokes on a dark ground."
    assert about["image/png"]["alt"] == told
    assert bundle["text/plain"] == repr(DigitBrowser(torchvision_like()))


def test_an_error_is_shown_to_the_reader(browser, monkeypatch):
    monkeypatch.setattr(browser._dice, "randrange", lambda *_: 1 / 0)
    press(browser, "Random")
    assert "ZeroDivisionError" in browser._message.value


def test_a_png_holds_the_grey_levels():
    image = torch.tensor([[0.0, 0.5, 1.0], [-1.0, 2.0, 0.2]])
    head, data = as_png(image).split(",")
    assert head == "data:image/png;base64"
    read = Image.open(io.BytesIO(base64.b64decode(data)))
    assert read.mode == "L"
    assert list(read.tobytes()) == [0, 128, 255, 0, 255, 51]
    with pytest.raises(ValueError, match=r"\(1, 28, 28\)"):
        as_png(torch.zeros(1, 28, 28))
