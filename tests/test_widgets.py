"""The interactive pieces without a browser: what they compute, draw and say."""

import asyncio
import html
import math
import sys
import threading

import pytest
import torch

from mnist_lessons import CNN, MLP, plots, widgets
from mnist_lessons.data import Digits
from mnist_lessons.widgets import base, boundary, sliders
from mnist_lessons.widgets.base import VIEW


class Counter(base.Redrawn):
    """A piece that counts, and fails at 3."""

    about = "a slider that counts"

    def __init__(self):
        self.slider = base.slider("count", [1, 2, 3, 4, 2_000], 1)
        self.drawn = []
        super().__init__(self.slider)
        self.react = self.reacting_soon(self.redraw, busy="Counting ...")
        self.slider.observe(self.react, names="value")

    def draw(self):
        if self.slider.value == 3:
            raise ArithmeticError("3 <is> too many")
        self.drawn.append(self.slider.value)
        self.thread = threading.get_ident()
        if len(self.drawn) > 1:
            self.while_drawing = message_of(self)
        values = [1, self.slider.value]
        return plots.curves({'a"b': values}, xlabel="x", ylabel="y")


def message_of(piece):
    return piece._message.value


def alt_of(piece):
    """Return the description in words, which the live picture and the still share."""
    assert f'alt="{html.escape(piece.picture.alt)}"' in piece._image.value
    return piece.picture.alt


def outputs_of(piece, monkeypatch):
    """Return what a cell shows: the data of each output."""
    shown = []
    monkeypatch.setattr(base, "display", lambda data, **_: shown.append(data))
    piece._ipython_display_()
    return shown


def test_a_piece_shows_a_still_picture_and_itself_live(monkeypatch):
    counter = Counter()
    still, live = outputs_of(counter, monkeypatch)
    assert live == {VIEW: live[VIEW]}
    assert live[VIEW]["model_id"] == counter.view.model_id
    assert still["image/png"].startswith(b"\x89PNG")
    assert 'alt="Line chart of y against x. a&quot;b ' in still["text/html"]
    assert still["text/html"].endswith(base.NOTE)
    assert "run its cell again" in base.NOTE
    assert still["text/plain"] == repr(counter) == repr(Counter())
    assert "a slider that counts; where it cannot react: <picture: " in repr(counter)
    assert "mnist-lessons" in counter.view._dom_classes
    assert any(isinstance(part, base.Access) for part in counter.view.children)
    # Colab shows both forms of one output, so nothing may take the live one's place
    monkeypatch.setitem(sys.modules, "google.colab", object())
    (shown,) = outputs_of(counter, monkeypatch)
    assert set(shown) == {VIEW, "image/png", "text/plain"}


def test_the_parts_of_a_prediction_show_themselves_live_and_as_text(monkeypatch):
    predictions = widgets.Predictions()
    asked = predictions.ask("coin", "AB")
    for part in (asked, fold := predictions.compare("coin", A=True, B=False)):
        still, live = outputs_of(part, monkeypatch)
        assert still["text/plain"] == repr(part)
        assert live[VIEW]["model_id"] == part.view.model_id
    assert still["text/html"] == fold.fold.value  # folded or open, without a kernel too
    fold.unfold("<script>")
    assert "&lt;script&gt;" in fold.fold.value


def test_an_error_in_a_reaction_is_shown_and_the_piece_goes_on():
    counter = Counter()
    counter.slider.value = 3
    assert 'role="alert"' in message_of(counter)
    assert "ArithmeticError: 3 &lt;is&gt; too many" in message_of(counter)
    counter.slider.value = 4
    assert counter.drawn == [1, 4]
    assert "Counting ..." in counter.while_drawing
    assert message_of(counter) == ""
    assert "from 1 to 4" in alt_of(counter)


def test_of_quick_changes_the_last_counts_and_a_click_waits_for_the_running_cell():
    async def cell():
        counter = Counter()
        for value in (2, 3, 4):
            counter.slider.value = value
            assert "Counting ..." in message_of(counter)
        assert counter.drawn == [1]
        await asyncio.sleep(3 * base.WAIT)
        assert counter.drawn == [1, 4]
        for react in (counter.react, counter.reacting(counter.redraw)):
            click = threading.Thread(target=react)
            click.start()
            click.join()
        assert counter.drawn == [1, 4]  # both were asked for while the cell runs
        await asyncio.sleep(3 * base.WAIT)
        assert counter.drawn == [1, 4, 4, 4]
        assert counter.thread == threading.get_ident()
        counter.reacting(counter.redraw)()  # the cell itself does not wait
        assert len(counter.drawn) == 5

    asyncio.run(cell())


def test_what_are_no_digits_or_models_or_is_not_on_the_slider_is_refused(loaders):
    assert not Counter().slider.continuous_update  # it reports when it is let go
    assert Counter().slider.options[-1] == ("2,000", 2_000)
    with pytest.raises(ValueError, match="rate: 0.5 is not on the slider.*0.1, 1"):
        base.slider("rate", [0.1, 1], 0.5)
    digits = loaders.valid.dataset
    assert base.digits_of(loaders.valid) is base.digits_of(digits) is digits
    with pytest.raises(TypeError, match="expected digits, got list. Give a loader"):
        base.digits_of([1, 2])
    model = MLP()
    assert base.named_models(model) == base.named_models({"MLP": model})
    for models in ([model], {}, {"MLP": torch.nn.Flatten()}):
        with pytest.raises(TypeError, match="is a .*: give a trained model"):
            base.named_models(models)


def test_steps_on_a_parabola_follow_the_slider():
    piece = widgets.Descent()
    assert (
        "at learning rate 0.1. The weight goes through -0.9, -0.72" in piece.picture.alt
    )
    piece.rate.value = 0.75
    assert (
        "at learning rate 0.75. The weight goes through -0.9, 0.45" in piece.picture.alt
    )
    assert "= -0.5." in piece._message.value


def test_units_and_bend_change_the_boundary(some):
    piece = widgets.Boundary(some(4_000))
    assert "1 hidden unit, bend: none." in alt_of(piece)
    right = {}
    for bend in ("none", "ReLU", "tanh"):
        piece.bend.value = bend
        for units in (1, 2, 16):
            piece.units.value = units
            right[bend, units] = piece.accuracy
            assert f"bend: {bend}." in alt_of(piece)
            assert f"{piece.accuracy:.0%}." in message_of(piece)
    assert len(piece._runs) == 9
    # whatever the width, a line; two units with a bend draw a band
    assert right["none", 16] == pytest.approx(right["none", 1], abs=0.01)
    assert max(right["none", 2], right["ReLU", 1], right["tanh", 1]) < 0.82
    assert (
        min(right[bend, units] for bend in ("ReLU", "tanh") for units in (2, 16)) > 0.84
    )
    # each setting is trained once, and always alike
    again = widgets.Boundary(some(4_000), units=2, bend="ReLU")
    assert again.accuracy == right["ReLU", 2]
    count = int((some(4_000).dataset.labels < 2).sum()) - 2 * boundary.SHOWN
    assert f"Of {min(count, 2 * boundary.SCORED):,} other digits" in message_of(again)


def test_the_boundary_needs_two_classes_and_leaves_the_random_numbers_alone(some):
    digits = some(600).dataset
    torch.manual_seed(3)
    expected = torch.rand(5)
    torch.manual_seed(3)
    widgets.Boundary(digits)
    assert torch.equal(torch.rand(5), expected)
    alone = Digits(
        digits.images, digits.labels + 1, digits.classes, digits.mean, digits.std
    )
    with pytest.raises(ValueError, match="two digits of each"):
        widgets.Boundary(alone)


def test_slant_and_ink_in_the_corner_are_measured():
    leaning = torch.zeros(3, 28, 28)
    for row in range(5, 23):
        leaning[0, row, 14] = 1  # upright
        leaning[1, row, 27 - row] = 1  # a column to the right for each row up
        leaning[2, row, 7 + row // 2] = 0.5  # half a column to the left
    features = boundary.measured(leaning)
    assert features[:, 0].tolist() == pytest.approx([0, 1, -0.5], abs=0.01)
    assert features[:, 1].tolist() == pytest.approx([0, 0.5, 0], abs=0.01)
    empty = boundary.measured(torch.zeros(1, 28, 28))
    assert empty.tolist() == [[0, 0]]


def test_every_rate_trains_alike_and_good_rates_are_told_from_bad(some, monkeypatch):
    calls = []

    def watched(model, loader, fit=sliders.fit, **options):
        labels = torch.cat([labels for _, labels in loader])
        calls.append((model.linear.weight.clone(), labels, options))
        return fit(model, loader, **options)

    monkeypatch.setattr(sliders, "fit", watched)
    rates = widgets.LearningRate(some(2_000), some(500))
    assert "rate 0.03: from" in alt_of(rates)
    assert "Learning rate 0.03: " in message_of(rates)
    assert "of 500" in message_of(rates)
    scores = {}
    torch.manual_seed(5)  # which changes no run
    for before, rate in ((0.03, 0.0001), (0.0001, 10), (10, 0.03)):
        rates.slider.value = rate
        assert f"rate {before:g}: from" in alt_of(rates)  # stays to compare with
        scores[rate] = rates._runs[f"rate {rate:g}"]["score"]
    assert scores[0.0001].accuracy < 0.3  # measured: 7 %
    assert scores[0.03].accuracy > 0.7  # measured: 86 %
    assert scores[10].loss > 5 > 10 * scores[0.03].loss / 2
    rates.slider.value = 0.0001
    assert "rate 10: from" not in alt_of(rates)
    assert "Learning rate 0.0001" in message_of(rates)
    # each is trained once, by SGD, from the same weights, with digits in the same order
    assert [options["lr"] for *_, options in calls] == [0.03, 0.0001, 10]
    for weights, labels, options in calls:
        assert torch.equal(weights, calls[0][0])
        assert torch.equal(labels, calls[0][1])
        assert (options["optimizer"], options["epochs"]) == (torch.optim.SGD, 1)


def test_a_piece_leaves_the_random_numbers_of_the_notebook_alone(some):
    torch.manual_seed(3)
    expected = torch.rand(5)
    torch.manual_seed(3)
    widgets.LearningRate(some(600), some(500)).slider.value = 1
    widgets.FittingCurves(some(600), some(500)).size.value = 100
    widgets.BatchExplorer(some(600)).next.click()
    assert torch.equal(torch.rand(5), expected)


def test_a_run_that_diverges_is_told_and_more_classes_are_learned(some):
    digits = some(600).dataset
    images = digits.images.clone()  # the same tensor serves the other tests
    images[3] = math.nan
    broken = Digits(images, digits.labels, digits.classes, digits.mean, digits.std)
    rates = widgets.LearningRate(broken, some(200))
    assert "Learning rate 0.03: The loss became nan in batch" in message_of(rates)
    assert "rate 0.03: " in alt_of(rates)
    fitted = widgets.FittingCurves(broken, some(200))
    assert "The loss became nan" in message_of(fitted)
    assert "300 digits: no loss" in alt_of(fitted)
    # a network of ten answers could not learn these
    names, labels = [*digits.classes, "ten", "eleven"], digits.labels + 2
    more = Digits(digits.images, labels, names, digits.mean, digits.std)
    assert "12 templates" in alt_of(widgets.LearningRate(more, more))
    assert "right on training" in message_of(widgets.FittingCurves(more, more))


def test_more_digits_bring_training_and_validation_together(some, monkeypatch):
    monkeypatch.setattr(sliders, "ROUNDS", 8)
    fitted = widgets.FittingCurves(some(4_000), some(1_000, start=4_000))
    gaps = {}
    for size in (100, 3_000):
        fitted.size.value = size
        run = fitted._runs[fitted._on_show]
        gaps[size] = run["train_accuracy"][-1] - run["valid_accuracy"][-1]
        assert len(run["train_loss"]) == len(run["valid_loss"]) == 8
        right, right_valid = run["train_accuracy"][-1], run["valid_accuracy"][-1]
        assert f"{right:.1%} right on training, {right_valid:.1%}" in message_of(fitted)
    assert gaps[100] > 0.25 > 0.12 > gaps[3_000] > 0  # measured: 0.34 and 0.06
    fitted.size.value = 1_000
    fitted.dropout.value = 0.7
    # were dropout on when digits are scored, this would stay far below 0.9
    assert fitted._runs[fitted._on_show]["train_accuracy"][-1] > 0.9


def test_each_slider_reaches_the_network_and_the_run_before_stays(some, monkeypatch):
    built = []

    def watched(*arguments):
        built.append(arguments)
        return MLP(*arguments)

    monkeypatch.setattr(sliders, "MLP", watched)
    monkeypatch.setattr(sliders, "ROUNDS", 1)
    fitted = widgets.FittingCurves(some(1_000), some(200))
    fitted.width.value = 16
    fitted.depth.value = 3
    before = fitted._on_show
    fitted.dropout.value = 0.5
    assert built[-1] == ((16, 16, 16), 0.5, 10)
    name = "3 hidden layers of 16, dropout 0.5, 1,000 digits"
    assert f"{before}: at the end" in alt_of(fitted)
    assert f"{name}: at the end" in alt_of(fitted)
    assert fitted.picture.figure.get_suptitle() == name
    assert list(fitted.picture.figure.axes[0].lines[-1].get_xdata()) == [2_000]
    fitted.depth.value = 0
    assert built[-1] == ((), 0.5, 10)
    # it offers no more digits than there are
    for count, sizes in ((350, [100, 300]), (60, [60])):
        fitted = widgets.FittingCurves(some(count), some(200))
        assert [size for _, size in fitted.size.options] == sizes
        assert fitted.size.value == sizes[-1]
    # few digits come again until the round is full
    served = torch.cat([labels for _, labels in sliders._rounds(some(100).dataset)])
    assert len(served) == sliders.ROUND
    expected = some(100).dataset.labels.bincount()
    assert torch.equal(served[:100].bincount(minlength=10), expected)


def test_the_batch_is_scaled_and_as_large_as_chosen_and_the_next_one_differs(some):
    explorer, dataset = widgets.BatchExplorer(some(600)), some(600).dataset
    for scaling, low, high in (
        ("(0.5, 0.5)", -1, 1),
        ("0 to 1", 0, 1),
        ("0 to 255", 0, 255),
        ("standardised", -0.43, 2.83),
    ):
        explorer.scaling.value = scaling
        assert explorer.batch.min().item() == pytest.approx(low, abs=0.01)
        assert explorer.batch.max().item() == pytest.approx(high, rel=0.01)
        assert scaling in alt_of(explorer)
    assert "Shape (128, 1, 28, 28), 392 KiB; 5 batches an epoch" in message_of(explorer)
    first = explorer.batch
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(first, dataset.images[order[:128]], atol=1e-5)
    explorer.next.click()
    assert torch.allclose(explorer.batch, dataset.images[order[128:256]], atol=1e-5)
    for _ in range(3):  # 600 digits are four batches of 128 and a smaller one
        explorer.next.click()
    assert len(explorer.batch) == 600 - 4 * 128
    explorer.next.click()
    assert torch.equal(explorer.batch, first)
    even = widgets.BatchExplorer(some(128))
    even.next.click()
    assert len(even.batch) == 128


def test_a_kernel_is_taken_from_the_list_or_typed(some, monkeypatch):
    workshop = widgets.FilterWorkshop(some(20))
    assert workshop.kernel.tolist() == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    before = alt_of(workshop)
    workshop.preset.value = "outline"
    assert workshop.kernel[1, 1] == 8
    assert alt_of(workshop) != before
    for weight in (3, 5):
        workshop.numbers.set_state({"values": [0, 0, 0, 0, weight, 0, 0, 0, 0]})
        assert workshop.preset.value == "your own"
        assert f"The map goes from 0 to {weight}" in alt_of(workshop)
    before = alt_of(workshop)
    workshop.number.value = 3
    assert alt_of(workshop) != before
    digit = some(20).dataset
    image = digit.images[3, 0] * digit.std + digit.mean
    for preset, expected in (
        ("leave as it is", image[1:-1, 1:-1]),
        ("blur", 0.9 * torch.nn.functional.avg_pool2d(image[None], 3, 1)[0]),
    ):
        workshop.preset.value = preset
        drawn = workshop.picture.figure.axes[2].images[0].get_array()
        assert torch.allclose(torch.tensor(drawn), expected, atol=1e-5)
    # each change is drawn once, and a weight that cannot be computed with never
    drawn = []
    monkeypatch.setattr(workshop, "draw", lambda: drawn.append(1) or workshop.picture)
    workshop.preset.value = "outline"
    assert len(drawn) == 1
    workshop.numbers.values = [1.0] * 9
    for value in (1e308, -2e6, math.nan):
        workshop.numbers.values = [value] * 9
        assert "between -1,000,000 and 1,000,000" in message_of(workshop)
        assert len(drawn) == 2
    workshop.numbers.values = [2.0] * 9
    assert message_of(workshop) == ""
    assert len(drawn) == 3


def test_learned_kernels_can_be_chosen_and_not_edited_where_there_are_some(some):
    model = CNN(channels=(4, 8))
    first = model.features[0]
    first.bias.data.fill_(0.5)
    workshop = widgets.FilterWorkshop(some(20), model, index=7)
    assert workshop.preset.value == "learned 1"  # so that the still picture shows one
    assert torch.equal(workshop.kernel, first.weight[0, 0])
    still = workshop.picture.figure.axes[1].images[0].get_array()
    assert torch.equal(torch.tensor(still), first.weight[0, 0].detach())
    workshop.preset.value = "learned 3"
    assert torch.equal(workshop.kernel, first.weight[2, 0])
    assert not workshop.numbers.editable
    inside = first(some(20).dataset.images[7:8])[0, 2, 1:-1, 1:-1]
    assert f"from {inside.min():.2g} to {inside.max():.2g}" in alt_of(workshop)
    workshop.preset.value = "blur"
    assert workshop.numbers.editable
    for model in (MLP(), torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(1, 4, 29)):
        with pytest.raises(ValueError, match="has no convolution over one channel"):
            widgets.FilterWorkshop(some(20), model)
    with pytest.raises(ValueError, match="index=20 .* 0 to 19"):
        widgets.FilterWorkshop(some(20), index=20)
