"""The steps that every model shares, and the models."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lessons import CNN, MLP, DigitClassifier, LinearModel, seed_everything
from mnist_lessons.local import LocalLayer

BUILDS = {
    "linear": LinearModel,
    "MLP": partial(MLP, (30, 20), dropout=0),
    "CNN": partial(CNN, (8, 16), 32, dropout=0),
    "normed CNN": partial(CNN, (8, 8, 8), 32, dropout=0, batch_norm=True),
}
every_model = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)


@pytest.fixture
def batch():
    seed_everything(0)
    return torch.randn(20, 1, 28, 28), torch.arange(20) % 10


def numbers_in(model):
    return sum(p.numel() for p in model.parameters())


def parts_of(model, kind):
    return [part for part in model.modules() if isinstance(part, kind)]


def kinds(layers):
    return [type(layer).__name__ for layer in layers]


# the steps


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_training_step_is_the_mean_cross_entropy(batch, smoothing):
    model = LinearModel()
    images, labels = batch
    loss = model.training_step(batch, label_smoothing=smoothing)
    targets = F.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10
    logits = model(images)
    expected = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    # for a linear layer it is known: (probabilities - targets) times the pixels
    excess = logits.softmax(dim=1) - targets
    weight, bias = model.parameters()
    torch.testing.assert_close(weight.grad, excess.T @ images.flatten(1) / 20)
    torch.testing.assert_close(bias.grad, excess.mean(dim=0))


@pytest.mark.parametrize("sizes", [[20], [16, 4], [1, 2, 17]])
def test_every_image_counts_the_same_whatever_the_batches(batch, sizes):
    model = LinearModel()
    images, labels = batch
    pieces = zip(images.split(sizes), labels.split(sizes), strict=True)
    outputs = [model.validation_step(piece) for piece in pieces]
    assert not any(output["loss_sum"].requires_grad for output in outputs)
    assert [output["count"] for output in outputs] == sizes
    totals = model.validation_epoch_end(outputs)
    right = (model(images).argmax(dim=1) == labels).sum().item()
    loss = F.cross_entropy(model(images), labels).item()
    assert totals["loss"] == pytest.approx(loss, rel=1e-5)
    assert all(type(value) in (int, float) for value in totals.values())
    del totals["loss"]
    assert totals == {"accuracy": right / 20, "correct": right, "count": 20}


# predictions


@pytest.mark.parametrize("count", [0, 1, 7, 2500])
def test_probabilities_have_a_row_an_image_that_sums_to_1(count):
    model = MLP((8,), dropout=0.5).train()
    images = torch.randn(count, 1, 28, 28)
    probabilities = model.predict_proba(images)
    assert probabilities.shape == (count, 10)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(count))
    assert not probabilities.requires_grad
    assert all(part.training for part in model.modules())
    model.eval()  # the same as above: dropout was off, and the parts come in order
    torch.testing.assert_close(probabilities, model(images).softmax(dim=1).detach())
    model.predict(images)
    assert not any(part.training for part in model.modules())


def test_the_prediction_is_the_most_probable_class():
    model = DigitClassifier()
    images = torch.zeros(3, 1, 28, 28)
    with pytest.raises(NotImplementedError):
        model.predict(images)
    assert model.training
    assert torch.is_grad_enabled()
    model.forward = lambda _: torch.tensor([[0.0, 5, 1], [2, 1, 0], [-3, -2, -1]])
    assert model.predict(images).tolist() == [1, 0, 2]
    assert model.predict(images).dtype == torch.int64


def test_images_of_another_shape_are_refused_with_the_right_one():
    for shape in ((28, 28), (1, 28, 28), (5, 784), (2, 3, 28, 28), (1, 1, 32, 32)):
        for ask in (LinearModel().predict, LinearModel().predict_proba):
            with pytest.raises(ValueError, match="shape") as caught:
                ask(torch.zeros(shape))
            assert str(shape) in str(caught.value)
            assert "expected (batch, 1, 28, 28)" in str(caught.value)


# all models


@every_model
def test_a_model_returns_logits_and_its_gradients_reach_every_parameter(batch, build):
    model = build(num_classes=12)
    logits = model(batch[0])
    assert logits.shape == (20, 12)
    assert logits.min() < 0
    loss = model.training_step(batch)
    assert loss.item() == pytest.approx(math.log(12), abs=0.6)  # a new model guesses
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert (model.classes, model.mean, model.std) == (None, None, None)


@every_model
def test_a_model_learns_twenty_images_by_heart(batch, build):
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        model.training_step(batch).backward()
        optimizer.step()
    assert torch.equal(model.predict(batch[0]), batch[1])


def test_the_sizes_that_the_docstrings_state():
    for model, size in ((LinearModel(), 7_850), (MLP(), 235_146), (CNN(), 210_170)):
        assert numbers_in(model) == size
        assert f"{size:,}" in type(model).__doc__


# the linear model and the multilayer perceptron


@pytest.mark.parametrize("hidden", [(5,), [7, 3], (np.int64(6),)])
def test_the_mlp_has_the_parameters_of_its_layers(hidden):
    model = MLP(hidden, num_classes=47)
    widths = [784, *hidden, 47]
    pairs = zip(widths, widths[1:], strict=False)
    assert numbers_in(model) == sum((before + 1) * after for before, after in pairs)
    expected = {"hidden": tuple(hidden), "dropout": 0.2, "num_classes": 47}
    assert model.arguments == expected
    assert all(type(width) is int for width in model.arguments["hidden"])


def test_the_mlp_is_linear_layers_with_a_relu_between_them(batch):
    for model in (MLP((30, 20), dropout=0.5).eval(), MLP(()), LinearModel()):
        *hidden, last = parts_of(model, nn.Linear)
        values = batch[0].reshape(20, 784)
        for layer in hidden:
            values = (values @ layer.weight.T + layer.bias).clamp(min=0)
        torch.testing.assert_close(model(batch[0]), values @ last.weight.T + last.bias)
    hidden = ["Linear", "ReLU", "Dropout"]
    layers = MLP((30, 20)).layers
    assert kinds(layers) == ["Flatten", *hidden, *hidden, "Linear"]


# the convolutional network

SIDES = {1: 12, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}  # of the last feature maps, in pixels


@pytest.mark.parametrize("count", SIDES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_cnn_has_the_parameters_of_its_layers(batch, count, batch_norm):
    channels = (3, 4, 5, 6, 7, 8)[:count]
    model = CNN(channels, 9, batch_norm=batch_norm, num_classes=12)
    inputs, kernels = [1, *channels], [25, 9, 9, 9, 9, 9]
    expected = sum(
        (n * k + 1) * m for n, m, k in zip(inputs, channels, kernels, strict=False)
    )
    expected += (channels[-1] * SIDES[count] ** 2 + 1) * 9 + (9 + 1) * 12
    if batch_norm:  # a scale and a shift each
        expected += 2 * sum(channels) + 2 * 9
    assert numbers_in(model) == expected
    assert model.features(batch[0]).shape == (20, channels[-1], *[SIDES[count]] * 2)
    arguments = {"channels": channels, "hidden": 9, "dropout": 0.2, "num_classes": 12}
    assert model.arguments == arguments | {"batch_norm": batch_norm}


def test_the_layers_of_the_cnn_stand_in_their_order():
    conv, pool, norm, relu = "Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"
    pooled = [conv, pool, relu]
    for channels, order in (
        ((4,), pooled),
        ((4, 4), [*pooled, *pooled]),
        ((4, 4, 4, 4), [*pooled, *[conv, relu] * 2, *pooled]),
    ):
        assert kinds(CNN(channels).features) == order
    normed = CNN((4, 4, 4), batch_norm=True)
    start = [conv, pool, norm, relu]
    assert kinds(normed.features) == [*start, conv, norm, relu, *start]
    end = ["Flatten", "Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    assert kinds(normed.classifier) == end


def test_the_cnn_is_convolutions_and_pooling_and_then_an_mlp(batch):
    model = CNN((3, 4), 9).eval()
    values = batch[0]
    for layer in parts_of(model, nn.Conv2d):
        values = F.conv2d(values, layer.weight, layer.bias)
        values = F.max_pool2d(values, 2).clamp(min=0)
    hidden, last = parts_of(model, nn.Linear)
    values = (values.flatten(1) @ hidden.weight.T + hidden.bias).clamp(min=0)
    torch.testing.assert_close(model(batch[0]), values @ last.weight.T + last.bias)


def test_a_local_layer_is_a_convolution_where_its_places_share_and_only_there():
    conv, local = nn.Conv2d(3, 4, 3), LocalLayer(3, 4, kernel_size=3, size=7)
    assert local.weight.shape == (25, 4, 27)
    assert abs(local.weight).max() <= 27**-0.5 < 1.1 * abs(local.weight).max()
    images = torch.randn(2, 3, 7, 7)
    assert not torch.allclose(local(images), conv(images), atol=1e-2)
    # each place begins with weights and a bias of its own
    assert local.weight.std(dim=0).min() > 0.05 < local.bias.std(dim=0).min()
    with torch.no_grad():
        local.weight[:] = conv.weight.flatten(1)
        local.bias[:] = conv.bias[:, None]
    torch.testing.assert_close(local(images), conv(images))
    before = local(images)
    with torch.no_grad():
        local.weight[8] += 1.0  # row 1, column 3 of 5
    changed = (local(images) != before).any(dim=1)
    assert changed.nonzero().tolist() == [[0, 1, 3], [1, 1, 3]]
    local(images).sum().backward()
    assert local.weight.grad.abs().min() > 0


@pytest.mark.parametrize("model_class", [MLP, CNN])
def test_dropout_drops_in_training_alone(batch, model_class):
    seed_everything(0)
    model = model_class(dropout=0.4)
    assert [part.p for part in parts_of(model, nn.Dropout)] == [0.4, 0.4]
    assert not torch.equal(model(batch[0]), model(batch[0]))
    model.eval()
    assert torch.equal(model(batch[0]), model(batch[0]))
    assert model_class(dropout=0.99).arguments["dropout"] == 0.99


def test_batch_norm_normalises_all_layers_but_the_last(batch):
    norms_of = partial(parts_of, kind=(nn.BatchNorm1d, nn.BatchNorm2d))
    assert norms_of(CNN((3, 4, 5))) == []
    model = CNN((3, 4, 5), 9, batch_norm=True)
    norms = norms_of(model)
    assert [norm.num_features for norm in norms] == [3, 4, 5, 9]
    outputs = []
    norms[-1].register_forward_hook(lambda _part, _in, output: outputs.append(output))
    model(batch[0])
    torch.testing.assert_close(
        outputs[0].mean(dim=0), torch.zeros(9), atol=1e-5, rtol=0
    )
    model.predict(batch[0])  # in evaluation mode: nothing is learnt from it
    assert [int(norm.num_batches_tracked) for norm in norms] == [1] * 4
    model.eval()  # nor does one image's answer depend on the others
    torch.testing.assert_close(model(batch[0])[:1], model(batch[0][:1]))
