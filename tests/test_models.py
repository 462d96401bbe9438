"""The steps that every model shares, and the linear model."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lessons import DigitClassifier, LinearModel, seed_everything


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
