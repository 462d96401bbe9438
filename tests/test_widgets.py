"""The interactive pieces without a browser: what they compute, draw and say."""

import asyncio

import pytest
import torch

from mnist_lessons import CNN, MLP, plots, widgets
from mnist_lessons.widgets import base, training
from mnist_lessons.widgets.base import VIEW, Shown


class Counter(widgets.Interactive):
    """A piece that counts, and fails at 3."""

    about = "a slider that counts"

    def __init__(self):
        self.slider = base.slider("count", [1, 2, 3, 4], 1)
        self.drawn = []
        super().__init__(self.slider, picture=plots.curves({"a": [1]}, **AXES))
        count = self.reacting_soon(self.count, busy="Counting ...")
        self.slider.observe(count, names="value")

    def count(self):
        if self.slider.value == 3:
            raise ArithmeticError("3 <is> too many")
        self.drawn.append(self.slider.value)


AXES = {"xlabel": "x", "ylabel": "y"}


def alt_of(piece):
    return piece._repr_mimebundle_()[1]["image/png"]["alt"]


def message_of(piece):
    return piece.view.children[-1].value


# what every piece has


def test_a_piece_shows_itself_live_as_a_picture_and_in_words():
    counter = Counter()
    bundle, about = counter._repr_mimebundle_()
    assert bundle[VIEW]["model_id"] == counter.view.model_id
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert about["image/png"]["alt"] == counter.picture.alt
    assert bundle["text/plain"] == repr(counter) == repr(Counter())
    assert "a slider that counts" in repr(counter)


def test_a_shown_picture_has_its_description_as_alt_text():
    picture = plots.curves({'a"b': [1, 2]}, **AXES)
    shown = Shown(picture)
    assert 'alt="Line chart of y against x. a&quot;b from 1 to 2."' in shown.value
    assert 'src="data:image/png;base64,' in shown.value


def test_an_error_in_a_reaction_is_shown_and_the_piece_goes_on():
    counter = Counter()
    counter.slider.value = 3
    assert 'role="alert"' in message_of(counter)
    assert "ArithmeticError: 3 &lt;is&gt; too many" in message_of(counter)
    counter.slider.value = 4
    assert counter.drawn == [4]
    assert message_of(counter) == ""


def test_of_quick_changes_only_the_last_counts():
    async def hold_the_arrow_key(counter):
        for value in (2, 3, 4):
            counter.slider.value = value
            assert "Counting ..." in message_of(counter)
        await asyncio.sleep(base.WAIT / 2)
        assert counter.drawn == []
        await asyncio.sleep(base.WAIT)

    counter = Counter()
    asyncio.run(hold_the_arrow_key(counter))
    assert counter.drawn == [4]
    assert message_of(counter) == ""


def test_a_start_that_is_not_on_the_slider_is_refused():
    with pytest.raises(ValueError, match="rate: 0.5 is not on the slider.*0.1, 1"):
        base.slider("rate", [0.1, 1], 0.5)


def test_what_is_no_digits_is_refused(loaders):
    assert base.digits_of(loaders.valid) is loaders.valid.dataset
    assert base.digits_of(loaders.valid.dataset) is loaders.valid.dataset
    with pytest.raises(TypeError, match="These are no digits, but list"):
        base.digits_of([1, 2])


# the pieces


@pytest.fixture
def rates(some):
    return widgets.LearningRate(some(2_000), some(500))


def test_the_learning_rate_trains_anew_and_redraws(rates):
    assert "rate 0.03: from" in alt_of(rates)
    assert "Learning rate 0.03: " in message_of(rates)
    before = rates.view.children[1].value
    rates.slider.value = 0.3
    assert rates.view.children[1].value != before
    assert "rate 0.03: from" in alt_of(rates)  # the run before stays to compare with
    assert "rate 0.3: from" in alt_of(rates)
    assert "of 500" in message_of(rates)
    rates.slider.value = 1
    assert "rate 0.03: from" not in alt_of(rates)


def test_too_small_good_and_too_large_a_rate_can_be_told_apart(rates):
    scores = {}
    for rate in (0.0001, 0.03, 10):
        rates.slider.value = rate
        scores[rate] = rates._runs[rate]["score"]
    assert scores[0.0001].accuracy < 0.3  # measured: 7 %
    assert scores[0.03].accuracy > 0.7  # measured: 86 %
    assert scores[10].loss > 5 > 10 * scores[0.03].loss / 2


def test_a_rate_is_trained_once_and_gives_the_same_again(rates, some, monkeypatch):
    first = rates._runs[0.03]
    rates.slider.value = 0.1
    monkeypatch.setattr(training, "fit", None)
    rates.slider.value = 0.03
    assert "Learning rate 0.03" in message_of(rates)
    monkeypatch.undo()
    again = widgets.LearningRate(some(2_000), some(500))._runs[0.03]
    assert torch.equal(first["weights"], again["weights"])


def test_a_piece_leaves_the_random_numbers_of_the_notebook_alone(some):
    torch.manual_seed(3)
    expected = torch.rand(5)
    torch.manual_seed(3)
    widgets.LearningRate(some(600), some(500)).slider.value = 1
    widgets.FittingCurves(some(600), some(500)).size.value = 100
    widgets.BatchExplorer(some(600)).next.click()
    assert torch.equal(torch.rand(5), expected)


@pytest.fixture
def curves(some, monkeypatch):
    monkeypatch.setattr(training, "ROUNDS", 8)
    return widgets.FittingCurves(some(4_000), some(1_000, start=4_000))


def last_run(curves):
    return curves._runs[list(curves._runs)[-1]]


def test_more_digits_bring_training_and_validation_together(curves):
    gaps = {}
    for size in (100, 3_000):
        curves.size.value = size
        run = last_run(curves)
        gaps[size] = run["train_accuracy"][-1] - run["valid_accuracy"][-1]
        assert len(run["train_loss"]) == len(run["valid_loss"]) == 8
    assert gaps[100] > 0.25 > 0.12 > gaps[3_000] > 0  # measured: 0.34 and 0.06


def test_each_slider_of_the_fitting_curves_reaches_the_network(curves, monkeypatch):
    built = []

    class Watched(MLP):
        def __init__(self, *arguments):
            built.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(training, "MLP", Watched)
    curves.width.value, curves.depth.value = 16, 3
    curves.dropout.value = 0.5
    assert built[-1] == ((16, 16, 16), 0.5, 10)
    assert "3 hidden layers of 16, dropout 0.5, 1,000 digits" in alt_of(curves)
    curves.depth.value = 0
    assert built[-1] == ((), 0.5, 10)


def test_few_digits_come_again_until_the_round_is_full(some):
    served = torch.cat([labels for _, labels in training._rounds(some(100).dataset)])
    assert len(served) == training.ROUND
    assert torch.equal(
        served[:100].bincount(minlength=10), some(100).dataset.labels.bincount()
    )


def test_dropout_is_off_when_training_digits_are_scored(curves, monkeypatch):
    modes = []

    def watch(model, loader, evaluate=training.evaluate):
        score = evaluate(model, loader)
        modes.append(score.count)
        return score

    monkeypatch.setattr(training, "evaluate", watch)
    curves.dropout.value = 0.7
    assert set(modes) == {1_000}
    # with dropout on, the training score would stay far below 0.9 here
    assert last_run(curves)["train_accuracy"][-1] > 0.9


@pytest.mark.parametrize(
    ("scaling", "low", "high"),
    [
        ("standardised", -0.43, 2.83),
        ("(0.5, 0.5)", -1, 1),
        ("0 to 1", 0, 1),
        ("0 to 255", 0, 255),
    ],
)
def test_the_batch_is_scaled_as_chosen(some, scaling, low, high):
    explorer = widgets.BatchExplorer(some(600))
    explorer.scaling.value = scaling
    assert explorer.batch.min().item() == pytest.approx(low, abs=0.01)
    assert explorer.batch.max().item() == pytest.approx(high, rel=0.01)
    assert scaling in alt_of(explorer)


def test_the_batch_is_as_large_as_chosen_and_the_next_one_differs(some):
    explorer = widgets.BatchExplorer(some(600))
    assert explorer.batch.shape == (128, 1, 28, 28)
    assert "5 batches an epoch" in message_of(explorer)
    assert "392 KiB" in message_of(explorer)
    first = explorer.batch
    explorer.next.click()
    assert not torch.equal(explorer.batch, first)
    for _ in range(4):  # 600 digits are four batches of 128 and a smaller one
        explorer.next.click()
    assert torch.equal(explorer.batch, first)
    explorer.size.value = 8
    assert "Shape (8, 1, 28, 28)" in message_of(explorer)
    assert "75 batches" in message_of(explorer)


def test_a_kernel_is_taken_from_the_list_or_typed(some):
    workshop = widgets.FilterWorkshop(some(20))
    assert workshop.kernel.tolist() == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    before = alt_of(workshop)
    workshop.preset.value = "outline"
    assert workshop.kernel[1, 1] == 8
    assert alt_of(workshop) != before
    workshop.numbers.set_state({"values": [0, 0, 0, 0, 3, 0, 0, 0, 0]})
    assert workshop.preset.value == "your own"
    assert workshop.kernel.sum() == 3
    assert "The map goes from 0 to 3" in alt_of(workshop)


def test_learned_kernels_can_be_chosen_and_not_edited(some):
    model = CNN(channels=(4, 8))
    workshop = widgets.FilterWorkshop(some(20), model, index=7)
    workshop.preset.value = "learned 3"
    first = model.features[0]
    assert torch.equal(workshop.kernel, first.weight[2, 0])
    assert not workshop.numbers.editable
    image = some(20).dataset.images[7:8]
    lowest = first(image)[0, 2].min().item()
    assert f"The map goes from {lowest:.2g}" in alt_of(workshop)
    workshop.preset.value = "blur"
    assert workshop.numbers.editable


def test_another_digit_gives_another_map(some):
    workshop = widgets.FilterWorkshop(some(20))
    before = alt_of(workshop)
    workshop.number.value = 3
    assert alt_of(workshop) != before


def test_a_model_without_convolutions_has_no_kernels(some):
    with pytest.raises(ValueError, match="MLP has no convolution.*Give a CNN"):
        widgets.FilterWorkshop(some(20), MLP())
