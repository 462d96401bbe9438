"""That the confusion explorer counts right, and shows the digits behind a count."""

import pytest
import torch
from torch import Tensor

from mnist_lessons import CNN, LinearModel
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.models import DigitClassifier
from mnist_lessons.widgets.base import VIEW
from mnist_lessons.widgets.confusion import ConfusionExplorer
from mnist_lessons.widgets.pngs import as_png

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2])
ANSWERS = torch.tensor([0, 1, 1, 2, 2, 2, 2, 2, 0])
SURENESS = torch.tensor([5, 5, 5, 1, 3, 2, 4, 3, 5.0])


class Reader(DigitClassifier):
    """Reads its answer from the first pixel, how sure it is from the second."""

    def __init__(self, classes=3):
        super().__init__()
        self.number, self.calls = classes, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        first = (images[:, 0, 0, 0] * 10).round().long() % self.number
        return torch.eye(self.number)[first] * images[:, 0, 0, 1:2] * 10


def some_digits(answers=ANSWERS, labels=LABELS, classes=("cat", "dog", "emu")):
    images = torch.zeros(len(labels), 1, 28, 28)
    images[:, 0, 0, 0] = answers / 10
    images[:, 0, 0, 1] = SURENESS[: len(labels)] / 10
    return Digits(images, labels, list(classes), 0.0, 1.0)


@pytest.fixture
def explorer():
    return ConfusionExplorer(Reader(), some_digits())


def test_the_counts_have_a_row_for_each_label(explorer):
    expected = [[1, 1, 0], [0, 1, 2], [1, 0, 3]]
    assert explorer.counts.tolist() == expected
    assert explorer._table.counts == expected
    assert explorer._table.summary.startswith("9 digits, 4 mistakes (44.44%)")


def test_it_begins_with_the_most_frequent_mistake(explorer):
    assert explorer._table.selected == [1, 2]
    assert explorer._table.told == "Label dog, answer emu: 2 digits"


def test_a_perfect_model_has_a_matrix_too():
    explorer = ConfusionExplorer(Reader(), some_digits(answers=LABELS))
    assert explorer.counts.diag().sum() == 9
    assert explorer._table.cards


def test_the_most_confident_come_first(explorer):
    assert explorer.indices.tolist() == [4, 3]
    explorer.select(2, 2)
    assert explorer.indices.tolist() == [6, 7, 5]
    assert [card["index"] for card in explorer._table.cards] == [6, 7, 5]
    assert explorer._table.told == "Label emu, answer emu: 3 digits"


def test_a_card_has_the_picture_and_the_three_best_answers(explorer):
    explorer.select(2, 0)
    (card,) = explorer._table.cards
    (probabilities,) = Reader().predict_proba(some_digits().images[8:])
    assert card["png"] == as_png(some_digits().images[8, 0])
    assert card["best"][0] == ["cat", pytest.approx(float(probabilities[0]))]
    assert {name for name, _ in card["best"]} == {"cat", "dog", "emu"}
    assert sum(share for _, share in card["best"]) == pytest.approx(1)
    assert explorer._table.told.endswith(": 1 digit")


def test_pictures_are_not_normalised():
    plain = some_digits()
    digits = Digits((plain.images - 0.1) / 0.3, LABELS, plain.classes, 0.1, 0.3)
    explorer = ConfusionExplorer(Reader(), digits)
    index = explorer.indices[0]
    assert explorer._table.cards[0]["png"] == as_png(plain.images[index, 0])


def test_an_empty_cell_says_so(explorer):
    explorer.select(0, 2)
    assert explorer.indices.tolist() == explorer._table.cards == []
    assert explorer._table.told == "Label cat, answer emu: 0 digits"


def test_a_click_in_the_browser_selects(explorer):
    explorer._table.set_state({"start": 0, "selected": [2, 0]})
    assert explorer.indices.tolist() == [8]
    assert explorer._table.told.startswith("Label emu, answer cat")


def test_ten_are_shown_at_a_time():
    zeros = torch.zeros(30, dtype=torch.int64)
    digits = Digits(torch.zeros(30, 1, 28, 28), zeros, ["a", "b", "c"], 0.0, 1.0)
    explorer = ConfusionExplorer(Reader(), digits)
    explorer.select(0, 0)
    assert [card["index"] for card in explorer._table.cards] == list(range(10))
    explorer._table.set_state({"start": 20})
    assert [card["index"] for card in explorer._table.cards] == list(range(20, 30))
    explorer.select(0, 1)
    assert explorer._table.start == 0


@pytest.mark.parametrize("cell", [(3, 0), (-1, 0), (0, 3), ("cat", 0), (0, 1.0)])
def test_a_cell_that_is_not_there_is_refused(explorer, cell):
    with pytest.raises(ValueError, match="whole number from 0 to 2"):
        explorer.select(*cell)


def test_several_models_are_each_asked_once_and_keep_the_cell():
    good, bad = Reader(), Reader()
    bad.forward = lambda images: torch.eye(3)[[0] * len(images)]
    explorer = ConfusionExplorer({"good": good, "bad": bad}, some_digits())
    explorer.select(2, 0)
    for _ in range(2):
        explorer._choice.value = "bad"
        assert explorer.counts[:, 0].tolist() == [2, 3, 4]
        assert explorer._table.counts == explorer.counts.tolist()
        assert explorer.indices.tolist() == [5, 6, 7, 8]
        assert explorer._table.selected == [2, 0]
        explorer._choice.value = "good"
        assert explorer.indices.tolist() == [8]
    assert good.calls == 1
    assert explorer._choice in explorer.view.children


def test_one_model_needs_no_choice(explorer):
    assert explorer._choice not in explorer.view.children


def test_a_loader_serves_as_well(explorer):
    loader = make_loader(some_digits(), 4, shuffle=True)
    other = ConfusionExplorer(Reader(), loader)
    assert other.counts.tolist() == explorer.counts.tolist()
    assert other.indices.tolist() == explorer.indices.tolist()


def test_a_cnn_and_a_linear_model_fit_the_real_digits(some):
    explorer = ConfusionExplorer({"CNN": CNN(), "linear": LinearModel()}, some(200))
    assert explorer.counts.shape == (10, 10)
    assert explorer.counts.sum() == 200
    assert len(explorer._table.cards[0]["best"]) == 3


@pytest.mark.parametrize(
    ("models", "digits", "message"),
    [
        ({}, some_digits(), "models is empty"),
        (
            {"mine": torch.nn.Linear(2, 2)},
            some_digits(),
            r"models\['mine'\] is a Linear; expected",
        ),
        ("cnn", some_digits(), "models is a str; expected a trained model"),
        (Reader(), LABELS, "expected digits, got Tensor"),
        (Reader(4), some_digits(), "Reader chooses among 4 classes, the digits have 3"),
    ],
)
def test_what_does_not_fit_is_refused(models, digits, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ConfusionExplorer(models, digits)


def test_a_model_that_fails_later_says_so_below():
    models = {"good": Reader(), "four": Reader(4)}
    explorer = ConfusionExplorer(models, some_digits())
    explorer._choice.value = "four"
    assert "four chooses among 4 classes" in explorer._message.value
    assert 'role="alert"' in explorer._message.value


def test_without_a_live_kernel_there_is_a_still_matrix(explorer):
    bundle, about = explorer._repr_mimebundle_()
    assert VIEW in bundle
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert "dog read as emu, 2 times" in about["image/png"]["alt"]
    assert bundle["text/plain"] == (
        "<confusion explorer; where it cannot react: "
        "<picture: Confusion matrix of 9 digits>>"
    )


def test_a_model_that_cannot_answer_leaves_no_other_matrix_on_show():
    explorer = ConfusionExplorer(
        {"good": Reader(), "other": Reader(4), "broken": Diverged()}, some_digits()
    )
    for name, message in (("other", "among 4 classes"), ("broken", "not numbers")):
        explorer._choice.value = name
        assert message in explorer._message.value
        assert sum(map(sum, explorer._table.counts)) == 0
        assert explorer._table.cards == []
        assert explorer._table.summary == f"{name} has no answers."
    explorer._choice.value = "good"
    assert explorer._message.value == ""
    assert sum(map(sum, explorer._table.counts)) == 9
    assert explorer._table.cards


class Diverged(Reader):
    def forward(self, images):
        return super().forward(images) * float("nan")
