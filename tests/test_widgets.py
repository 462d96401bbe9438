"""The interactive pieces without a browser: what they compute, draw and say."""

import asyncio
import functools
import math
import sys
import threading

import pytest
import torch

from mnist_lessons import CNN, MLP, plots, widgets
from mnist_lessons.data import Digits
from mnist_lessons.widgets import base
from mnist_lessons.widgets import curves as training
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
        self.message = message_of(self)
        self.thread = threading.get_ident()


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


def test_in_colab_there_is_no_html_that_could_take_the_place_of_a_piece(monkeypatch):
    assert "<img alt=" in Counter()._repr_mimebundle_()[0]["text/html"]
    monkeypatch.setitem(sys.modules, "google.colab", object())
    bundle, _ = Counter()._repr_mimebundle_()
    assert set(bundle) == {VIEW, "image/png", "text/plain"}


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


def test_the_busy_text_shows_until_the_work_is_done():
    counter = Counter()
    counter.slider.value = 2
    assert "Counting ..." in counter.message
    assert message_of(counter) == ""


def test_a_reaction_waits_for_the_running_cell_and_then_runs_in_its_thread():
    async def cell():
        counter = Counter()
        answer = counter.reacting(counter.count)
        for what in ((setattr, counter.slider, "value", 2), (answer,)):
            click = threading.Thread(target=what[0], args=what[1:])
            click.start()
            click.join()
        assert counter.drawn == []  # both were asked for while the cell runs
        assert "Counting ..." not in message_of(counter)
        await asyncio.sleep(2 * base.WAIT)
        assert counter.drawn == [2, 2]
        assert counter.thread == threading.get_ident()

    asyncio.run(cell())


def test_a_reaction_to_the_cell_itself_comes_at_once():
    async def cell():
        counter = Counter()
        counter.reacting(counter.count)()
        return list(counter.drawn)

    assert asyncio.run(cell()) == [1]


def test_a_slider_reports_when_it_is_let_go():
    slider = base.slider("size", [1, 2_000], 1)
    assert not slider.continuous_update
    assert slider.options == (("1", 1), ("2,000", 2_000))


def test_every_piece_carries_its_class_for_styles_and_keys():
    counter = Counter()
    assert "mnist-lessons" in counter.view._dom_classes
    assert any(isinstance(part, base.Access) for part in counter.view.children)


def test_a_start_that_is_not_on_the_slider_is_refused():
    with pytest.raises(ValueError, match="rate: 0.5 is not on the slider.*0.1, 1"):
        base.slider("rate", [0.1, 1], 0.5)


def test_what_is_no_digits_is_refused(loaders):
    assert base.digits_of(loaders.valid) is loaders.valid.dataset
    assert base.digits_of(loaders.valid.dataset) is loaders.valid.dataset
    with pytest.raises(TypeError, match="expected digits, got list. Give a loader"):
        base.digits_of([1, 2])
    with pytest.raises(ValueError, match="no digits in it"):
        base.digits_of(training._first(loaders.valid.dataset, 0))


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
        scores[rate] = rates._runs[f"rate {rate:g}"]["score"]
    assert scores[0.0001].accuracy < 0.3  # measured: 7 %
    assert scores[0.03].accuracy > 0.7  # measured: 86 %
    assert scores[10].loss > 5 > 10 * scores[0.03].loss / 2


def test_a_rate_is_trained_once_and_gives_the_same_again(rates, some, monkeypatch):
    first = rates._runs["rate 0.03"]
    rates.slider.value = 0.1
    monkeypatch.setattr(training, "fit", None)
    rates.slider.value = 0.03
    assert "Learning rate 0.03" in message_of(rates)
    monkeypatch.undo()
    again = widgets.LearningRate(some(2_000), some(500))._runs["rate 0.03"]
    assert torch.equal(first["weights"], again["weights"])


def test_a_piece_leaves_the_random_numbers_of_the_notebook_alone(some):
    torch.manual_seed(3)
    expected = torch.rand(5)
    torch.manual_seed(3)
    widgets.LearningRate(some(600), some(500)).slider.value = 1
    widgets.FittingCurves(some(600), some(500)).size.value = 100
    widgets.BatchExplorer(some(600)).next.click()
    assert torch.equal(torch.rand(5), expected)


def test_a_run_that_diverges_is_told_and_drawn_without_a_loss(some):
    digits = some(600).dataset
    images = digits.images.clone()  # the same tensor serves the other tests
    images[3] = math.nan
    broken = Digits(images, digits.labels, digits.classes, digits.mean, digits.std)
    rates = widgets.LearningRate(broken, some(200))
    assert "The loss became nan in batch" in message_of(rates)
    assert "rate 0.03: " in alt_of(rates)
    rates.slider.value = 0.1
    assert "Learning rate 0.1: The loss became nan" in message_of(rates)


def test_a_rate_means_sgd_from_the_same_weights_in_the_same_order(some, monkeypatch):
    calls = []
    monkeypatch.setattr(
        training,
        "fit",
        lambda model, loader, fit=training.fit, **options: (
            calls.append((model.linear.weight.clone(), [*loader], options))
            or fit(model, loader, **options)
        ),
    )
    rates = widgets.LearningRate(some(400), some(200))
    torch.manual_seed(5)
    rates.slider.value = 0.1
    (start, batches, options), (other_start, other_batches, others) = calls
    assert torch.equal(start, other_start)
    assert all(
        torch.equal(labels, others)
        for (_, labels), (_, others) in zip(batches, other_batches, strict=True)
    )
    assert options["optimizer"] is others["optimizer"] is torch.optim.SGD
    assert (options["lr"], others["lr"], options["epochs"]) == (0.03, 0.1, 1)


def test_a_piece_takes_as_many_classes_as_there_are(some):
    digits = some(400).dataset
    names = [*digits.classes, "ten", "eleven"]
    labels = digits.labels.clone()
    few = Digits(digits.images, labels, names, digits.mean, digits.std)
    rates = widgets.LearningRate(few, few)
    assert rates._runs["rate 0.03"]["weights"].shape == (12, 784)
    assert "12 templates" in alt_of(rates)
    few.labels[:40] = 11  # which a network of ten answers could not learn
    fitted = widgets.FittingCurves(few, few)
    assert "right on training" in message_of(fitted)


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


def test_the_curves_of_the_run_before_stay_and_no_run_is_done_twice(
    curves, monkeypatch
):
    first, name = curves._last, "1 hidden layer of 128, dropout 0.0, 1,000 digits"
    curves.width.value = 128
    assert f"{first}: at the end" in alt_of(curves)
    assert f"{name}: at the end" in alt_of(curves)
    shown = last_run(curves)
    assert f"{shown['valid_accuracy'][-1]:.1%} on validation" in message_of(curves)
    assert f"{shown['train_accuracy'][-1]:.1%} right on tr" in message_of(curves)
    labels = [line.get_label() for line in curves.picture.figure.axes[1].lines]
    assert labels[1:] == ["the run before", "training", "validation"]
    assert curves.picture.figure.get_suptitle() == name
    monkeypatch.setattr(training, "fit", None)
    curves.width.value = 64
    assert message_of(curves) != ""
    assert "fit" not in message_of(curves)
    seen = curves.picture.figure.axes[0].lines[-1].get_xdata()
    assert list(seen) == [2_000 * (place + 1) for place in range(8)]


def test_fitting_curves_offer_no_more_digits_than_there_are(some):
    curves = widgets.FittingCurves(some(350), some(200))
    assert [size for _, size in curves.size.options] == [100, 300]
    assert curves.size.value == 300
    few = widgets.FittingCurves(training._first(some(60).dataset, 60), some(200))
    assert [size for _, size in few.size.options] == [60]


def test_fitting_curves_that_diverge_are_told_and_the_next_run_is_drawn(
    some, monkeypatch
):
    broken = functools.partial(training.fit)

    def diverge(*arguments, **options):
        return broken(*arguments, **options | {"lr": 1e30})

    curves = widgets.FittingCurves(some(600), some(200))
    monkeypatch.setattr(training, "fit", diverge)
    curves.width.value = 4
    assert "The loss became" in message_of(curves)
    assert "hidden layer of 4, dropout 0.0, 300 digits: no loss" in alt_of(curves)
    monkeypatch.undo()
    curves.width.value = 8
    assert "hidden layer of 8" in alt_of(curves)
    assert "right on training" in message_of(curves)


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
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    dataset = some(600).dataset
    assert torch.allclose(first, dataset.images[order[:128]], atol=1e-5)
    explorer.next.click()
    assert torch.allclose(explorer.batch, dataset.images[order[128:256]], atol=1e-5)
    for _ in range(4):  # 600 digits are four batches of 128 and a smaller one
        explorer.next.click()
    assert torch.equal(explorer.batch, first)
    explorer.size.value = 32
    for _ in range(18):  # 600 digits are 18 full batches and one of 24
        explorer.next.click()
    assert explorer.batch.shape[0] == 24
    explorer.next.click()
    assert torch.equal(explorer.batch, first[:32])
    explorer.size.value = 8
    assert "Shape (8, 1, 28, 28)" in message_of(explorer)
    assert "75 batches" in message_of(explorer)


def test_an_epoch_that_divides_evenly_ends_with_a_full_batch(some):
    explorer = widgets.BatchExplorer(some(64))
    explorer.size.value = 32
    first = explorer.batch
    for _ in range(2):
        explorer.next.click()
    assert torch.equal(explorer.batch, first)


def test_quick_presses_of_next_all_count_and_are_drawn_once(some, monkeypatch):
    explorer = widgets.BatchExplorer(some(600))
    drawn = []
    monkeypatch.setattr(explorer, "_draw", lambda: drawn.append(1) or explorer.picture)

    async def press():
        for _ in range(3):
            explorer.next.click()
        await asyncio.sleep(2 * base.WAIT)

    asyncio.run(press())
    assert explorer._start == 3 * 128
    assert len(drawn) == 1


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
    workshop.numbers.set_state({"values": [0, 0, 0, 0, 5, 0, 0, 0, 0]})
    assert "The map goes from 0 to 5" in alt_of(workshop)


def test_blur_is_a_mean_and_leave_as_it_is_leaves_it(some):
    workshop = widgets.FilterWorkshop(some(20))
    digit = some(20).dataset
    image = digit.images[0, 0] * digit.std + digit.mean
    workshop.preset.value = "leave as it is"
    drawn = workshop.picture.figure.axes[2].images[0].get_array()
    assert torch.allclose(torch.tensor(drawn), image[1:-1, 1:-1], atol=1e-5)
    workshop.preset.value = "blur"
    drawn = workshop.picture.figure.axes[2].images[0].get_array()
    assert drawn.max() <= 1
    assert float(drawn[5, 5]) == pytest.approx(float(image[5:8, 5:8].mean()), rel=0.2)


def test_each_change_is_drawn_once(some, monkeypatch):
    workshop, drawn = widgets.FilterWorkshop(some(20)), []
    monkeypatch.setattr(workshop, "_draw", lambda: drawn.append(1) or workshop.picture)
    workshop.preset.value = "blur"
    assert len(drawn) == 1
    workshop.numbers.values = [1.0] * 9
    assert len(drawn) == 2
    workshop.numbers.values = [2.0] * 9
    assert len(drawn) == 3


@pytest.mark.parametrize("value", [1e308, -2e6, math.nan])
def test_a_weight_that_cannot_be_computed_with_is_refused(some, value):
    workshop = widgets.FilterWorkshop(some(20))
    before = workshop.picture
    workshop.numbers.values = [value, 0, 0, 0, 0, 0, 0, 0, 0]
    assert "must lie between -1,000,000 and 1,000,000" in message_of(workshop)
    assert workshop.picture is before
    workshop.numbers.values = [1.0] * 9
    assert message_of(workshop) == ""


@pytest.mark.parametrize("index", [-1, 20, "3"])
def test_a_digit_that_is_not_there_is_refused(some, index):
    with pytest.raises(ValueError, match="give a whole number from 0 to 19"):
        widgets.FilterWorkshop(some(20), index=index)


def test_learned_kernels_can_be_chosen_and_not_edited(some):
    model = CNN(channels=(4, 8))
    model.features[0].bias.data.fill_(0.5)
    workshop = widgets.FilterWorkshop(some(20), model, index=7)
    workshop.preset.value = "learned 3"
    first = model.features[0]
    assert torch.equal(workshop.kernel, first.weight[2, 0])
    assert not workshop.numbers.editable
    image = some(20).dataset.images[7:8]
    inside = first(image)[0, 2, 1:-1, 1:-1]
    assert f"from {inside.min():.2g} to {inside.max():.2g}" in alt_of(workshop)
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
    for layer in (torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(1, 4, 29)):
        with pytest.raises(ValueError, match="Conv2d has no convolution over one chan"):
            widgets.FilterWorkshop(some(20), layer)
    with pytest.raises(TypeError, match="model is a int; expected a CNN"):
        widgets.FilterWorkshop(some(20), 5)
