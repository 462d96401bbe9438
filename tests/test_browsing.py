"""That the digit browser shows the digit it says it shows."""

from types import SimpleNamespace

import pytest
import torch

from mnist_lessons.data import Digits
from mnist_lessons.widgets.browsing import ANY, DigitBrowser, most_unusual_first

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


def test_it_shows_the_digit_with_that_number_as_it_is_in_the_file():
    file = torchvision_like()
    images = (file.data.unsqueeze(1) / 255 - 0.13) / 0.31
    for digits in (file, Digits(images, file.targets, list("012"), 0.13, 0.31)):
        browser = DigitBrowser(digits)
        for index, label in enumerate(LABELS):
            browser.show(index)
            assert (browser.index, browser.label) == (index, label)
            assert browser._number.value == index
            assert torch.equal(browser.pixels, file.data[index])
            assert browser._grid.pixels == browser.pixels.flatten().tolist()
            assert browser._grid.title == f"Digit {index} of 6, label {label}"
    for index in (-1, 6, "3"):
        with pytest.raises(ValueError, match=r"index=.* 0 to 5"):
            browser.show(index)
        assert browser.index == 5


def test_next_and_previous_go_round_and_a_chosen_label_restricts_them(browser):
    assert [browser.next() or browser.index for _ in range(6)] == [1, 2, 3, 4, 5, 0]
    assert [browser.previous() or browser.index for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    browser._class_choice.value = 1
    seen = [browser.index]
    for name in ("Next", "Next", "Previous"):
        press(browser, name)
        seen.append(browser.index)
    assert seen == [1, 3, 1, 3]
    for name in ["Random", "Most unusual"] * 10:
        press(browser, name)
        assert browser.label == 1


def test_box_checkbox_keys_and_random_move_on(browser, monkeypatch):
    browser._number.value = 4
    assert browser.index == 4
    browser._number.value = 999  # it cannot leave the pile
    assert (browser.index, browser._number.value) == (5, 5)
    for key, indices in (("next", {0}), ("previous", {5}), ("random", set(range(6)))):
        browser._grid._handle_custom_msg({"go": key}, [])
        assert browser.index in indices
    browser._values.value = True
    assert browser._grid.numbers
    state = torch.get_rng_state()
    seen = {browser.random() or browser.index for _ in range(200)}
    assert seen == set(range(6))
    assert torch.equal(torch.get_rng_state(), state)  # the lesson's own
    monkeypatch.setattr(browser._dice, "randrange", lambda *_: 1 / 0)
    press(browser, "Random")
    assert "ZeroDivisionError" in browser._message.value


def test_a_digit_far_from_its_class_is_unusual():
    digits = torchvision_like()
    digits.data = torch.zeros(6, 28, 28)
    digits.data[[0, 2], 0, 0] = torch.tensor([3.0, -3.0])
    digits.data[5, 0, 1] = 60.0
    _, ratios = most_unusual_first(DigitBrowser(digits)._pile)
    # the mean has 20 in the second pixel: distances of sqrt(409), sqrt(409) and 40
    assert ratios.tolist() == pytest.approx([1, 0, 1, 0, 0, 40 / 409**0.5])


def test_most_unusual_takes_the_first_of_each_class_then_the_second(loaders):
    digits = torchvision_like([0] * 6 + [1] * 6)
    heights = [0, 0, 200, 0, 240, 0, 0, 10, 0, 10, 0, 14]
    digits.data[:] = 0
    digits.data[:, 5, 5] = torch.tensor(heights, dtype=torch.uint8)
    browser = DigitBrowser(digits)
    seen = [browser.unusual() or browser.index for _ in range(12)]
    # 240 and 200 lie 2.3 and 1.7 times as far from their mean as usual, 14 1.5 times
    assert seen[:3] == [4, 11, 2]
    assert sorted(seen) == list(range(12))
    _, ratios = most_unusual_first(browser._pile)
    assert browser._grid.note.startswith("Number 12 of the unusual ones: ")
    browser.unusual()
    assert browser.index == 4  # round again
    assert browser._grid.note == (
        f"Number 1 of the unusual ones: its pixels are {ratios[4]:.1f} times as far "
        "from the average 0 as those of a typical 0."
    )
    browser._class_choice.value = 1
    assert browser._grid.note == ""
    browser.unusual()  # another label begins with its own most unusual one
    assert (browser.index, browser._grid.note[:12]) == (11, "Number 1 of ")
    browser = DigitBrowser(loaders.train)
    browser.unusual()
    assert (browser.label, browser.index) == (1, 4066)  # a 1 with a flag and a base


def test_several_piles_can_be_chosen(browser):
    assert browser._pile_choice not in browser.view.children[0].children
    alt = "6 images of digits: 0, 1, 2, 0, 1, 0. Bright strokes on a dark ground."
    assert browser.picture.alt == alt
    piles = {"training": torchvision_like(), "validation": torchvision_like([2, 1])}
    browser = DigitBrowser(piles)
    assert browser._pile_choice in browser.view.children[0].children
    assert browser._class_choice.options[:2] == (("any", ANY), ("0", 0))
    browser._class_choice.value = 0
    browser.show(5)
    browser._pile_choice.value = "validation"
    assert browser._number.max == 1
    assert browser._grid.title == "Digit 0 of 2, label 2"
    assert browser._class_choice.value == ANY
    assert browser._class_choice.options == (("any", ANY), ("1", 1), ("2", 2))
    browser.unusual()
    browser._pile_choice.value = "training"
    assert (browser.index, browser._number.max) == (0, 5)
    browser.unusual()
    assert "Number 1 of" in browser._grid.note


def test_what_is_no_digits_is_refused():
    large = SimpleNamespace(data=torch.zeros(2, 32, 32), targets=[0, 0], classes=["0"])
    for digits, message in (
        (torch.zeros(3, 28, 28), "digits is of type Tensor; give a Digits set"),
        ({"mine": [1, 2]}, "mine is of type list; give a Digits set"),
        ({}, "digits is empty"),
        (torchvision_like([]), "count at least 1"),
        (large, r"images of shape \(2, 32, 32\)"),
    ):
        with pytest.raises(ValueError, match=message):
            DigitBrowser(digits)
