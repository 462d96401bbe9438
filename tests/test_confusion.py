"""That the confusion explorer counts right, and shows the digits behind a count."""

import pytest
import torch
from torch import Tensor

from mnist_lessons.data import Digits, make_loader
from mnist_lessons.models import DigitClassifier
from mnist_lessons.widgets.base import as_png
from mnist_lessons.widgets.confusion import ConfusionExplorer

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])
ANSWERS = torch.tensor([0, 1, 1, 2, 2, 2, 2, 2, 0])
SURENESS = torch.tensor([5, 5, 5, 1, 3, 2, 4, 3, 5.0])
COUNTS = [[1, 1, 0], [0, 1, 2], [1, 0, 3]]


class Reader(DigitClassifier):
    """Reads its answer from the first pixel, how sure it is from the second."""

    def __init__(self, classes=3, factor=10.0):
        super().__init__()
        self.number, self.factor, self.calls = classes, factor, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        first = (images[:, 0, 0, 0] * 10).round().long() % self.number
        return torch.eye(self.number)[first] * images[:, 0, 0, 1:2] * self.factor


def some_digits(answers=ANSWERS, mean=0.0, std=1.0):
    images = torch.zeros(9, 1, 28, 28)
    images[:, 0, 0, 0] = answers / 10
    images[:, 0, 0, 1] = SURENESS / 10
    return Digits((images - mean) / std, LABELS, ["cat", "dog", "emu"], mean, std)


@pytest.fixture
def explorer():
    return ConfusionExplorer(Reader(), some_digits())


def cards(explorer):
    return [card["index"] for card in explorer._table.cards]


def test_it_counts_by_label_and_begins_with_the_most_frequent_mistake(explorer):
    assert explorer.counts.tolist() == explorer._table.counts == COUNTS
    assert explorer._table.summary.startswith("9 digits, 4 mistakes (44.44%)")
    assert explorer._choice not in explorer.view.children  # one model, no choice
    served = ConfusionExplorer(Reader(), make_loader(some_digits(), 4, shuffle=True))
    assert served.indices.tolist() == explorer.indices.tolist()
    assert explorer._table.selected == [1, 2]
    assert explorer._table.heading == "Label dog, answer emu: 2 digits"
    assert "dog read as emu, 2 times" in explorer.picture.alt
    perfect = ConfusionExplorer(Reader(), some_digits(answers=LABELS))
    assert perfect._table.cards


def test_a_cell_shows_its_digits_the_most_confident_first(explorer):
    assert explorer.indices.tolist() == [4, 3]
    for cell, digits, heading in (
        ((2, 2), [6, 7, 5], "Label emu, answer emu: 3 digits"),
        ((2, 0), [8], "Label emu, answer cat: 1 digit"),
        ((0, 2), [], "Label cat, answer emu: 0 digits"),
    ):
        explorer.select(*cell)
        assert explorer.indices.tolist() == cards(explorer) == digits
        assert explorer._table.heading == heading
    explorer._table.set_state({"start": 0, "selected": [2, 0]})  # a click
    assert explorer.indices.tolist() == [8]
    for cell in ((-1, 0), (0, 3), ("cat", 0)):
        with pytest.raises(ValueError, match=r"(label|answer)=.* 0 to 2"):
            explorer.select(*cell)


def test_a_card_has_the_picture_and_the_three_best_answers(explorer):
    explorer.select(2, 0)
    (card,) = explorer._table.cards
    (probabilities,) = Reader().predict_proba(some_digits().images[8:])
    assert card["png"] == as_png(some_digits().images[8, 0])
    assert card["best"][0] == ["cat", pytest.approx(float(probabilities[0]))]
    assert {name for name, _ in card["best"]} == {"cat", "dog", "emu"}
    assert sum(share for _, share in card["best"]) == pytest.approx(1)
    normalised = some_digits(mean=0.1, std=0.3)
    explorer = ConfusionExplorer(Reader(), normalised)  # pictures are not normalised
    index = explorer.indices[0]
    assert explorer._table.cards[0]["png"] == as_png(some_digits().images[index, 0])


def test_ten_are_shown_at_a_time():
    zeros = torch.zeros(30, dtype=torch.int64)
    digits = Digits(torch.zeros(30, 1, 28, 28), zeros, ["a", "b", "c"], 0.0, 1.0)
    explorer = ConfusionExplorer(Reader(), digits)
    explorer.select(0, 0)
    assert cards(explorer) == list(range(10))
    explorer._table.set_state({"start": 20})
    assert cards(explorer) == list(range(20, 30))
    explorer.select(0, 1)
    assert explorer._table.start == 0


def test_several_models_are_each_asked_once_and_one_that_cannot_answer_says_so():
    models = {"good": Reader(), "bad": Reader()}
    models |= {"four": Reader(4), "broken": Reader(3, float("nan"))}
    models["bad"].forward = lambda images: torch.eye(3)[[0] * len(images)]
    explorer = ConfusionExplorer(models, some_digits())
    assert explorer._choice in explorer.view.children
    explorer.select(2, 0)
    for _ in range(2):
        explorer._choice.value = "bad"
        assert explorer.counts[:, 0].tolist() == [2, 3, 4]
        assert explorer._table.counts == explorer.counts.tolist()
        assert explorer.indices.tolist() == [5, 6, 7, 8]
        assert explorer._table.selected == [2, 0]
        explorer._choice.value = "good"
        assert explorer.indices.tolist() == [8]
    assert models["good"].calls == 1
    for name, message in (  # and no other's matrix stays on show
        ("four", "four tells 4 classes apart, the digits have 3"),
        ("broken", "The probabilities of broken are not numbers"),
    ):
        explorer._choice.value = name
        assert message in explorer._message.value
        assert sum(map(sum, explorer._table.counts)) == 0
        assert explorer._table.cards == []
        assert explorer._table.summary == f"{name} has no answers."
        with pytest.raises(ValueError, match=message.replace(name, "Reader")):
            ConfusionExplorer(models[name], some_digits())
    explorer._choice.value = "good"
    assert explorer._message.value == ""
    assert explorer._table.counts == COUNTS
    assert explorer._table.cards
