"""The timed trial before bfloat16 is used: it decides, and leaves no trace."""

import copy

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from mnist_lessons import CNN, fit, seed_everything, training
from mnist_lessons.tuning import precision
from mnist_lessons.tuning.precision import bfloat16_pays

FAST, SLOW = 0.001, 0.1
LAYOUT = torch.contiguous_format


def network():
    """Return a network with all that a trial could disturb: dropout, batch norm."""
    seed_everything(0)
    return CNN((2, 3), 8, dropout=0.3, batch_norm=True)


def times(monkeypatch, *, float32, bfloat16):
    """Let the steps of the trial take these seconds, in turn; return what was tried."""
    left = {False: list(float32), True: list(bfloat16)}
    tried = []

    def seconds(_model, batch, autocast):
        tried.append((autocast, batch))
        return left[autocast].pop(0)

    monkeypatch.setattr(precision, "_seconds", seconds)
    return tried


@pytest.fixture
def quick(monkeypatch):
    """Let bfloat16 win or lose, after steps that were really taken."""

    def decide(wins):
        step = precision._seconds

        def seconds(model, batch, autocast):
            step(model, batch, autocast)
            return FAST if autocast == wins else SLOW

        monkeypatch.setattr(precision, "_seconds", seconds)

    return decide


# the decision


@pytest.mark.parametrize(
    ("float32", "bfloat16", "pays"),
    [
        ([SLOW] * 4, [FAST] * 4, True),
        ([FAST] * 4, [SLOW] * 4, False),
        ([FAST] * 4, [FAST] * 4, False),  # nothing gained, so nothing is risked
        ([SLOW] * 4, [SLOW, SLOW, FAST, SLOW], True),  # other work slowed the rest
        ([SLOW, SLOW, SLOW, FAST], [SLOW] * 4, False),
        ([SLOW, 0.01, 0.01, 0.01], [SLOW, FAST, SLOW, SLOW], True),
        ([FAST, SLOW, SLOW, SLOW], [SLOW, 0.09, 0.09, 0.09], True),  # warming up
        ([SLOW, 0.09, 0.09, 0.09], [FAST, SLOW, SLOW, SLOW], False),
    ],
)
def test_the_quickest_step_after_warming_up_decides(
    some, monkeypatch, float32, bfloat16, pays
):
    tried = times(monkeypatch, float32=float32, bfloat16=bfloat16)
    assert bfloat16_pays(network(), some(), LAYOUT) is pays
    assert [autocast for autocast, _ in tried] == [False, True] * 4  # in turns


@pytest.mark.parametrize("layout", [LAYOUT, torch.channels_last])
def test_the_trial_is_made_with_the_first_batch_in_the_layout_asked_for(
    some, monkeypatch, layout
):
    tried = times(monkeypatch, float32=[SLOW] * 4, bfloat16=[SLOW] * 4)
    images, labels = next(iter(some()))
    images = images.mT  # rows and columns exchanged: in no usual layout
    bfloat16_pays(network(), [(images, labels), None], layout)
    for _, (seen, truth) in tried:
        assert torch.equal(seen, images)
        assert torch.equal(truth, labels)
        assert seen.is_contiguous(memory_format=layout)


def test_a_step_is_forward_and_backward_in_the_kind_of_numbers_asked_for(some):
    kinds = []

    class Watching(CNN):
        def forward(self, images):
            logits = super().forward(images)
            kinds.append((self.training, logits.dtype))
            return logits

    model, batch = Watching((2,), 4), next(iter(some()))
    for autocast in (False, True):
        model.zero_grad()
        assert precision._seconds(model, batch, autocast) > 0
        assert all(p.grad is not None for p in model.parameters())
    assert kinds == [(True, torch.float32), (True, torch.bfloat16)]


def test_a_step_measures_the_time_that_passes(some, monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert precision._seconds(network(), next(iter(some())), False) == 2.5


def test_a_model_in_evaluation_mode_is_tried_in_training_mode(some, monkeypatch):
    modes, step = [], precision._seconds

    def seconds(model, batch, autocast):
        modes.append(model.training)
        return step(model, batch, autocast)

    monkeypatch.setattr(precision, "_seconds", seconds)
    model = network().eval()
    bfloat16_pays(model, some(), LAYOUT)
    assert modes == [True] * 8
    assert not any(part.training for part in model.modules())


def test_a_model_that_cannot_be_copied_trains_in_float32(some):
    class Keeping(CNN):
        def forward(self, images):
            self.last = super().forward(images)
            return self.last

    model = Keeping((2,), 4)
    model(next(iter(some()))[0])
    history = fit(model, some(), epochs=1, lr=0.01, autocast=True, progress=False)
    assert history.autocast is False
    assert len(history) == 1


# it leaves no trace


def test_a_trial_leaves_the_model_alone(some):
    model = network()
    model.training_step(next(iter(some()))).backward()
    before = copy.deepcopy(model)  # without the gradients
    gradients = [p.grad.clone() for p in model.parameters()]
    bfloat16_pays(model, some(), LAYOUT)
    states = zip(model.state_dict().items(), before.state_dict().items(), strict=True)
    assert all(torch.equal(a, b) for (_, a), (_, b) in states)  # batch norm's too
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert model.training


def test_a_trial_gives_a_model_no_gradients(some):
    model = network()
    bfloat16_pays(model, some(), LAYOUT)
    assert all(p.grad is None for p in model.parameters())


def loaders_of_all_kinds(some):
    digits = some().dataset
    data = TensorDataset(*digits.tensors)

    def generator():
        return torch.Generator().manual_seed(5)

    return {
        "the package's": some(shuffle=True),
        "plain": DataLoader(data, batch_size=64),
        "plain, shuffled": DataLoader(data, batch_size=64, shuffle=True),
        "with a generator": DataLoader(
            data, batch_size=64, shuffle=True, generator=generator()
        ),
        "its sampler has one": DataLoader(
            data, batch_size=64, sampler=RandomSampler(data, generator=generator())
        ),
        "its batches' sampler has one": DataLoader(
            data,
            sampler=BatchSampler(RandomSampler(data, generator=generator()), 64, False),
            batch_size=None,
        ),
    }


every_loader = pytest.mark.parametrize(
    "kind",
    [
        "the package's",
        "plain",
        "plain, shuffled",
        "with a generator",
        "its sampler has one",
        "its batches' sampler has one",
    ],
)


@every_loader
def test_a_trial_leaves_the_random_numbers_and_the_order_alone(some, kind):
    orders, states = [], []
    for tried in (False, True):
        loader = loaders_of_all_kinds(some)[kind]
        model = network()
        if tried:
            bfloat16_pays(model, loader, LAYOUT)
        states.append(torch.get_rng_state())
        # two epochs
        orders.append(torch.cat([labels for _ in "12" for _, labels in loader]))
    assert torch.equal(*states)
    assert torch.equal(*orders)


# fit


@every_loader
def test_training_with_autocast_refused_is_training_without_it(some, quick, kind):
    quick(wins=False)
    models, histories = [], []
    for autocast in (False, True):
        loader = loaders_of_all_kinds(some)[kind]
        model = network()
        histories.append(
            fit(model, loader, epochs=2, lr=0.01, autocast=autocast, progress=False)
        )
        models.append(model)
    first, second = (m.state_dict() for m in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert histories[0]["train_loss"] == histories[1]["train_loss"]
    assert not histories[1].autocast


@pytest.mark.parametrize("wins", [True, False])
def test_the_history_says_whether_bfloat16_was_used(some, quick, wins):
    quick(wins)
    kinds = []

    class Watching(CNN):
        def forward(self, images):
            logits = super().forward(images)
            kinds.append(logits.dtype)
            return logits

    model = Watching((2,), 4)
    history = fit(model, some(), epochs=1, lr=0.01, autocast=True, progress=False)
    assert history.autocast is wins
    assert kinds[8:] == [torch.bfloat16 if wins else torch.float32] * 10  # after trial


def test_without_autocast_nothing_is_tried(some, monkeypatch):
    monkeypatch.setattr(training, "bfloat16_pays", None)
    history = fit(network(), some(), epochs=1, lr=0.01, progress=False)
    assert history.autocast is False


def test_the_trial_is_told_the_layout(some, monkeypatch):
    told = []

    def refuse(*given):
        told.append(given)
        return False

    monkeypatch.setattr(training, "bfloat16_pays", refuse)
    for channels_last in (False, True):
        options = {"channels_last": channels_last, "autocast": True}
        fit(network(), some(), epochs=1, lr=0.01, progress=False, **options)
    layouts = [layout for _, _, layout in told]
    assert layouts == [torch.contiguous_format, torch.channels_last]
