"""The steps that every model shares, and the models."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lessons import CNN, MLP, DigitClassifier, LinearModel, seed_everything


class WithDropout(DigitClassifier):
    """A student's model, which behaves differently in the two modes."""

    def __init__(self, width=32):
        super().__init__(width=width)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, width), nn.Dropout(0.5), nn.Linear(width, 10)
        )

    def forward(self, images):
        return self.layers(images)


class Fixed(DigitClassifier):
    """Gives the logits that it was built with, whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, images):
        return self.logits[: len(images)]


@pytest.fixture
def batch():
    seed_everything(0)
    return torch.randn(20, 1, 28, 28), torch.arange(20) % 10


def in_pieces(images, labels, sizes):
    return list(zip(images.split(sizes), labels.split(sizes), strict=True))


# training_step


def test_training_step_is_the_mean_cross_entropy(batch):
    model = LinearModel()
    images, labels = batch
    loss = model.training_step(batch)
    assert loss.shape == ()
    assert torch.equal(loss, F.cross_entropy(model(images), labels))
    # the same by hand: minus the log of the probability given to the right class
    right = model(images).softmax(dim=1)[torch.arange(20), labels]
    torch.testing.assert_close(loss, -right.log().mean())


def test_the_gradient_of_training_step_reaches_every_parameter(batch):
    model = LinearModel()
    images, labels = batch
    model.training_step(batch).backward()
    # for a linear layer it is known: (probabilities - targets) times the pixels
    excess = model(images).softmax(dim=1) - F.one_hot(labels, 10)
    weight, bias = model.parameters()
    torch.testing.assert_close(weight.grad, excess.T @ images.flatten(1) / 20)
    torch.testing.assert_close(bias.grad, excess.mean(dim=0))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_spreads_its_share_over_all_classes(batch, smoothing):
    model = LinearModel()
    images, labels = batch
    targets = F.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10
    expected = -(targets * model(images).log_softmax(dim=1)).sum(dim=1).mean()
    loss = model.training_step(batch, label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    assert loss != model.training_step(batch)


# validation


def test_validation_step_returns_sums(batch):
    model = LinearModel()
    images, labels = batch
    output = model.validation_step(batch)
    assert set(output) == {"loss_sum", "correct", "count"}
    logits = model(images)
    expected = F.cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(output["loss_sum"], expected.detach())
    right = [row.argmax() == label for row, label in zip(logits, labels, strict=True)]
    assert output["correct"] == sum(right)
    assert output["count"] == 20


def test_validation_step_keeps_no_gradients(batch):
    output = LinearModel().validation_step(batch)
    assert not output["loss_sum"].requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("sizes", [[20], [16, 4], [1, 2, 17]])
def test_every_image_counts_the_same_whatever_the_batches(batch, sizes):
    model = LinearModel()
    images, labels = batch
    pieces = in_pieces(images, labels, sizes)
    totals = model.validation_epoch_end([model.validation_step(p) for p in pieces])
    right = (model(images).argmax(dim=1) == labels).sum().item()
    expected = F.cross_entropy(model(images), labels).item()
    assert totals["loss"] == pytest.approx(expected, rel=1e-5)
    assert totals["accuracy"] == right / 20
    assert (totals["correct"], totals["count"]) == (right, 20)


def test_the_end_of_an_epoch_is_not_a_mean_of_batch_means():
    # three of three right, then none of one
    outputs = [
        {"loss_sum": torch.tensor(3.0), "correct": torch.tensor(3), "count": 3},
        {"loss_sum": torch.tensor(5.0), "correct": torch.tensor(0), "count": 1},
    ]
    totals = LinearModel().validation_epoch_end(outputs)
    assert totals == {"loss": 2.0, "accuracy": 0.75, "correct": 3, "count": 4}
    assert all(type(value) in (int, float) for value in totals.values())


# predictions


@pytest.mark.parametrize("count", [1, 7, 2500])
def test_probabilities_have_a_row_an_image_that_sums_to_1(count):
    model = WithDropout()
    images = torch.randn(count, 1, 28, 28)
    probabilities = model.predict_proba(images)
    assert probabilities.shape == (count, 10)
    assert probabilities.min() >= 0
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(count))
    # the parts come back in order
    expected = model.eval()(images).softmax(dim=1)
    torch.testing.assert_close(probabilities, expected.detach())
    assert not probabilities.requires_grad


def test_the_prediction_is_the_most_probable_class():
    logits = torch.tensor([[0.0, 5, 1], [2, 1, 0], [-3, -2, -1]])
    labels = Fixed(logits).predict(torch.zeros(3, 1, 28, 28))
    assert labels.tolist() == [1, 0, 2]
    assert labels.dtype == torch.int64
    assert labels.shape == (3,)


def test_no_images_give_no_predictions():
    assert LinearModel().predict(torch.zeros(0, 1, 28, 28)).shape == (0,)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("ask", ["predict", "predict_proba"])
def test_predicting_ignores_dropout_and_restores_the_mode(training, ask):
    model = WithDropout().train(training)
    images = torch.randn(50, 1, 28, 28)
    first, second = (getattr(model, ask)(images) for _ in range(2))
    assert torch.equal(first, second)
    assert all(module.training is training for module in model.modules())


def test_a_failed_prediction_restores_the_mode_too():
    class Broken(DigitClassifier):
        def forward(self, images):
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        model.predict(torch.zeros(1, 1, 28, 28))
    assert model.training


@pytest.mark.parametrize(
    "shape",
    [(28, 28), (1, 28, 28), (5, 28, 28), (5, 784), (2, 3, 28, 28), (1, 1, 32, 32)],
)
@pytest.mark.parametrize("ask", ["predict", "predict_proba"])
def test_images_of_another_shape_are_refused_with_the_right_one(shape, ask):
    with pytest.raises(ValueError, match="shape") as caught:
        getattr(LinearModel(), ask)(torch.zeros(shape))
    assert str(shape) in str(caught.value)
    assert "expected (batch, 1, 28, 28)" in str(caught.value)


# the linear model


def test_the_linear_model_has_7850_parameters():
    assert sum(p.numel() for p in LinearModel().parameters()) == 7_850


def test_the_linear_model_is_a_weighted_sum_of_pixels(batch):
    model = LinearModel()
    weight, bias = model.parameters()
    images, _ = batch
    expected = images.reshape(20, 784) @ weight.T + bias
    torch.testing.assert_close(model(images), expected)


def test_the_linear_model_returns_logits_and_not_probabilities(batch):
    logits = LinearModel()(batch[0])
    assert logits.shape == (20, 10)
    assert logits.min() < 0


@pytest.mark.parametrize("classes", [2, 47])
def test_the_number_of_classes_can_be_chosen_and_is_kept(classes):
    model = LinearModel(num_classes=classes)
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, classes)
    assert model.arguments == {"num_classes": classes}


def test_the_arguments_of_a_model_rebuild_it():
    assert LinearModel().arguments == {"num_classes": 10}
    model = WithDropout(width=16)
    twin = WithDropout(**model.arguments)
    twin.load_state_dict(model.state_dict())
    images = torch.randn(4, 1, 28, 28)
    assert torch.equal(model.predict_proba(images), twin.predict_proba(images))


def test_a_new_model_guesses(batch):
    assert LinearModel().training_step(batch).item() == pytest.approx(
        math.log(10), abs=0.5
    )


# the multilayer perceptron and the convolutional network

SIDES = {1: 12, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}  # of the last feature maps, in pixels


def numbers_in(model):
    return sum(p.numel() for p in model.parameters())


def parts_of(model, kind):
    return [part for part in model.modules() if isinstance(part, kind)]


def test_the_sizes_that_the_docstrings_state():
    assert numbers_in(MLP()) == 235_146
    assert "235,146" in MLP.__doc__
    assert numbers_in(CNN()) == 210_170
    assert "210,170" in " ".join(CNN.__doc__.split())


@pytest.mark.parametrize("hidden", [(), (5,), (30, 20, 10), [7, 3], range(4, 6)])
@pytest.mark.parametrize("classes", [10, 47])
def test_the_mlp_has_the_parameters_of_its_layers(batch, hidden, classes):
    model = MLP(hidden, num_classes=classes)
    widths = [784, *hidden, classes]
    pairs = list(zip(widths, widths[1:], strict=False))
    assert numbers_in(model) == sum((before + 1) * after for before, after in pairs)
    assert model(batch[0]).shape == (20, classes)
    assert model.arguments == {
        "hidden": tuple(hidden),
        "dropout": 0.2,
        "num_classes": classes,
    }


def test_the_mlp_is_linear_layers_with_a_relu_between_them(batch):
    model = MLP((30, 20), dropout=0.5).eval()
    first, second, last = parts_of(model, nn.Linear)
    values = batch[0].reshape(20, 784)
    for layer in (first, second):
        values = (values @ layer.weight.T + layer.bias).clamp(min=0)
    torch.testing.assert_close(model(batch[0]), values @ last.weight.T + last.bias)


@pytest.mark.parametrize("count", SIDES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_cnn_has_the_parameters_of_its_layers(batch, count, batch_norm):
    channels = (3, 4, 5, 6, 7, 8)[:count]
    model = CNN(channels, 9, batch_norm=batch_norm, num_classes=12)
    inputs = [1, *channels]
    kernels = [25, 9, 9, 9, 9, 9]
    expected = sum(
        (n * k + 1) * m for n, m, k in zip(inputs, channels, kernels, strict=False)
    )
    expected += (channels[-1] * SIDES[count] ** 2 + 1) * 9 + (9 + 1) * 12
    if batch_norm:  # a scale and a shift each
        expected += 2 * sum(channels) + 2 * 9
    assert numbers_in(model) == expected
    assert model.features(batch[0]).shape == (20, channels[-1], *[SIDES[count]] * 2)
    assert model(batch[0]).shape == (20, 12)
    assert model.arguments == {
        "channels": channels,
        "hidden": 9,
        "dropout": 0.2,
        "batch_norm": batch_norm,
        "num_classes": 12,
    }


def test_the_cnn_pools_after_its_first_and_its_last_convolution():
    def order(channels, **options):
        return [type(part).__name__ for part in CNN(channels, **options).features]

    conv, pool, norm, relu = "Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"
    assert order((4,)) == [conv, pool, relu]
    assert order((4, 4)) == [conv, pool, relu, conv, pool, relu]
    assert order((4, 4, 4, 4)) == [
        conv,
        pool,
        relu,
        *[conv, relu] * 2,
        conv,
        pool,
        relu,
    ]
    normed = [conv, pool, norm, relu, conv, norm, relu, conv, pool, norm, relu]
    assert order((4, 4, 4), batch_norm=True) == normed


def test_the_cnn_is_convolutions_and_pooling_and_then_an_mlp(batch):
    model = CNN((3, 4), 9).eval()
    (first, second), (hidden, last) = (
        parts_of(model, nn.Conv2d),
        parts_of(model, nn.Linear),
    )
    values = batch[0]
    for layer in (first, second):
        values = F.conv2d(values, layer.weight, layer.bias)
        values = F.max_pool2d(values, 2).clamp(min=0)
    values = (values.flatten(1) @ hidden.weight.T + hidden.bias).clamp(min=0)
    torch.testing.assert_close(model(batch[0]), values @ last.weight.T + last.bias)


def test_a_shifted_digit_has_shifted_feature_maps(batch):
    features = CNN((3, 4)).eval().features
    images = batch[0]
    shifted = images.roll((1, 2), dims=(2, 3))
    before, after = (features[0](i) for i in (images, shifted))
    torch.testing.assert_close(after[:, :, 1:, 2:], before[:, :, :-1, :-2])
    # two poolings of two pixels each: only by multiples of four
    by_four = features(images.roll((4, 4), dims=(2, 3)))
    torch.testing.assert_close(by_four[:, :, 1:, 1:], features(images)[:, :, :-1, :-1])
    assert not torch.allclose(after, before)


def test_a_feature_looks_at_a_neighbourhood_and_not_at_the_image():
    images = torch.rand(1, 1, 28, 28, requires_grad=True)
    CNN((3, 4)).features[:5](images)[0, :, 2, 3].sum().backward()
    rows, columns = images.grad[0, 0].nonzero().T
    # 5x5, pooled by 2 (6x6), 3x3 of these (10x10), pooled by 2 (12x12); 4 pixels apart
    assert 8 <= rows.min() <= rows.max() <= 8 + 11
    assert 12 <= columns.min() <= columns.max() <= 12 + 11


@pytest.mark.parametrize("model_class", [MLP, CNN])
def test_dropout_drops_in_training_alone(batch, model_class):
    seed_everything(0)
    model = model_class(dropout=0.4)
    assert {part.p for part in parts_of(model, nn.Dropout)} == {0.4}
    assert len(parts_of(model, nn.Dropout)) == 2
    assert not torch.equal(model(batch[0]), model(batch[0]))
    model.eval()
    assert torch.equal(model(batch[0]), model(batch[0]))
    without = model_class(dropout=0)
    assert torch.equal(without(batch[0]), without(batch[0]))


@pytest.mark.parametrize("model_class", [MLP, CNN])
def test_dropout_stands_before_the_layers_that_the_docstring_names(model_class):
    def kinds(layers):
        return [type(layer).__name__ for layer in layers]

    if model_class is MLP:
        hidden = ["Linear", "ReLU", "Dropout"]
        assert kinds(MLP().layers) == ["Flatten", *hidden, *hidden, "Linear"]
    else:
        assert kinds(CNN(batch_norm=True).classifier) == [
            *("Flatten", "Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout"),
            "Linear",
        ]


def test_batch_norm_normalises_all_layers_but_the_last(batch):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert parts_of(CNN((3, 4, 5)), kinds) == []
    model = CNN((3, 4, 5), 9, batch_norm=True)
    norms = parts_of(model, kinds)
    assert [norm.num_features for norm in norms] == [3, 4, 5, 9]
    seen = []
    norms[-1].register_forward_hook(lambda _part, _given, found: seen.append(found))
    model(batch[0])
    torch.testing.assert_close(seen[0].mean(dim=0), torch.zeros(9), atol=1e-5, rtol=0)
    assert [int(norm.num_batches_tracked) for norm in norms] == [1] * 4
    model.predict(batch[0])  # in evaluation mode: nothing is learnt from it
    assert [int(norm.num_batches_tracked) for norm in norms] == [1] * 4
    # nor does one image's answer depend on the others
    model.eval()
    torch.testing.assert_close(model(batch[0])[:1], model(batch[0][:1]))


DEEPER = [
    partial(MLP, (30, 20)),
    partial(CNN, (8, 16), 32),
    partial(CNN, (8, 8, 8), 32, batch_norm=True),
]
every_deeper_model = pytest.mark.parametrize(
    "build", DEEPER, ids=["MLP", "CNN", "norm"]
)


@every_deeper_model
def test_gradients_reach_every_parameter(batch, build):
    model = build(dropout=0)
    model.training_step(batch).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_deeper_model
def test_a_deeper_model_returns_logits_and_not_probabilities(batch, build):
    logits = build()(batch[0])
    assert logits.min() < 0
    assert not torch.allclose(logits.sum(dim=1), torch.ones(20), atol=0.1)
    loss = build().training_step(batch).item()
    assert loss == pytest.approx(math.log(10), abs=0.6)


@every_deeper_model
def test_a_deeper_model_learns_twenty_images_by_heart(batch, build):
    model = build(dropout=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        model.training_step(batch).backward()
        optimizer.step()
    assert torch.equal(model.predict(batch[0]), batch[1])


@every_deeper_model
def test_the_arguments_of_a_deeper_model_rebuild_it(batch, build):
    model = build(dropout=0.3, num_classes=12)
    twin = type(model)(**model.arguments)
    assert twin.arguments == model.arguments
    twin.load_state_dict(model.state_dict())
    found, expected = (m.predict_proba(batch[0]) for m in (twin, model))
    assert torch.equal(found, expected)


IMPOSSIBLE = [
    (MLP, {"hidden": 256}, "hidden=256"),
    (MLP, {"hidden": 256.0}, "hidden=256.0"),
    (MLP, {"hidden": None}, "hidden=None"),
    (MLP, {"hidden": "256"}, "hidden='256'"),
    (MLP, {"hidden": (256, 0)}, r"hidden=\(256, 0\)"),
    (MLP, {"hidden": (-1,)}, r"hidden=\(-1,\)"),
    (MLP, {"hidden": (1.5,)}, r"hidden=\(1.5,\)"),
    (MLP, {"hidden": (width for width in (5, 5))}, "hidden=<generator"),
    (MLP, {"dropout": 1}, "dropout=1"),
    (MLP, {"dropout": -0.1}, "dropout=-0.1"),
    (MLP, {"dropout": math.nan}, "dropout=nan"),
    (CNN, {"channels": 8}, "channels=8"),
    (CNN, {"channels": (8, 0)}, r"channels=\(8, 0\)"),
    (CNN, {"channels": ()}, r"channels=\(\) has 0 .* one to six"),
    (CNN, {"channels": (2,) * 7}, "has 7 convolutions.* one to six"),
    (CNN, {"hidden": 0}, r"hidden=\[0\]"),
    (CNN, {"hidden": 2.5}, r"hidden=\[2.5\]"),
    (CNN, {"dropout": 1.0}, "dropout=1.0"),
    (CNN, {"dropout": -1}, "dropout=-1"),
]


@pytest.mark.parametrize(("model_class", "arguments", "words"), IMPOSSIBLE, ids=str)
def test_arguments_that_make_no_sense_are_named(model_class, arguments, words):
    with pytest.raises(ValueError, match=words):
        model_class(**arguments)


@pytest.mark.parametrize("dropout", [0, 0.99])
def test_dropout_may_be_anything_from_0_to_below_1(dropout):
    assert MLP((3,), dropout).arguments["dropout"] == dropout


def test_before_fit_a_model_knows_nothing_about_its_digits():
    for model in (LinearModel(), MLP((3,)), CNN((2,), 3), WithDropout()):
        assert (model.classes, model.mean, model.std) == (None, None, None)


def test_batch_norm_says_why_it_cannot_train_on_one_image():
    model = CNN((2,), 4, batch_norm=True)
    image = torch.zeros(1, 1, 28, 28)
    with pytest.raises(ValueError, match="choose another batch_size"):
        model.train()(image)
    assert model.eval()(image).shape == (1, 10)


@pytest.mark.parametrize("dropout", ["0.1", None, 1, -0.1, float("nan")])
def test_a_dropout_that_is_no_probability_below_1_is_refused(dropout):
    for build in (MLP, CNN):
        with pytest.raises(ValueError, match="dropout="):
            build(dropout=dropout)


def test_true_is_no_width():
    with pytest.raises(ValueError, match="hidden="):
        MLP((True,))
