"""The timed trial of bfloat16: it decides, and leaves no trace."""

import copy

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from mnist_lessons import CNN
from mnist_lessons.tuning import precision
from mnist_lessons.tuning.precision import bfloat16_pays

FAST, SLOW = 0.001, 0.1


def network():
    """Return a network with all that a trial could disturb: dropout, batch norm."""
    return CNN((2, 3), 8, dropout=0.3, batch_norm=True)


def test_the_quickest_step_after_warming_up_decides(some, monkeypatch):
    for float32, bfloat16, pays in [
        ([FAST] * 4, [FAST] * 4, False),  # nothing gained, so nothing is risked
        ([SLOW] * 4, [SLOW, SLOW, FAST, SLOW], True),  # other work slowed the rest
        ([FAST, SLOW, SLOW, SLOW], [SLOW, 0.09, 0.09, 0.09], True),  # warming up
        ([SLOW, 0.09, 0.09, 0.09], [FAST, SLOW, SLOW, SLOW], False),
    ]:
        left, tried = {False: list(float32), True: list(bfloat16)}, []

        def seconds(_model, _batch, autocast, left=left, tried=tried):
            tried.append(autocast)
            return left[autocast].pop(0)

        monkeypatch.setattr(precision, "_seconds", seconds)
        assert bfloat16_pays(network(), some()) is pays
        assert tried == [False, True] * 4  # in turns


def test_a_step_measures_the_time_of_forward_and_backward(some, monkeypatch):
    model, clock = network(), iter([10.0, 12.5])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert precision._seconds(model, next(iter(some())), False) == 2.5
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_trial_trains_as_the_model_would_and_leaves_no_trace(some, channels_last):
    plain = TensorDataset(*some().dataset.tensors)
    shuffled = {"shuffle": True, "generator": torch.Generator().manual_seed(5)}
    for loader in (some(shuffle=True), DataLoader(plain, batch_size=64, **shuffled)):
        model = network().eval()
        model.training_step(next(iter(some()))).backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        before, steps = copy.deepcopy(model.state_dict()), []

        def watch(net, inputs, logits, steps=steps):
            # images with one channel look the same in both layouts
            _, weight = (p for p in net.parameters() if p.ndim == 4)
            last = weight.is_contiguous(memory_format=torch.channels_last)
            steps.append((net.training, logits.dtype, tuple(inputs[0].shape), last))

        model.register_forward_hook(watch)
        state, order = torch.get_rng_state(), loader.generator.get_state()
        assert bfloat16_pays(model, loader, channels_last) in (True, False)
        # eight steps, in turns; batches of 60 or 64 of 600 digits are ten an epoch
        float32, bfloat16 = (
            (True, kind, (60, 1, 28, 28), channels_last)
            for kind in (torch.float32, torch.bfloat16)
        )
        assert steps == [float32, bfloat16] * 4
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(loader.generator.get_state(), order)
        after = model.state_dict()  # batch norm's averages, too
        assert all(torch.equal(after[name], before[name]) for name in before)
        now = [parameter.grad for parameter in model.parameters()]
        assert all(map(torch.equal, now, gradients))
        assert not any(part.training for part in model.modules())
