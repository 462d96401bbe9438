"""The models, and the steps that every one of them shares.

A model turns images, float32 of shape (batch, 1, 28, 28), into logits, float32 of shape
(batch, classes): one score a class, any real number, the largest wins.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_lessons.arguments import check_number, check_whole

Batch = tuple[Tensor, Tensor]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluate without gradients; afterwards every part is in the mode it was in."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


class DigitClassifier(nn.Module):
    """What a model needs so that `fit` can train it and `evaluate` can score it.

    Derive from it, and write `__init__` and `forward`. Built in lesson 2.

    Attributes:
        arguments: what `__init__` was called with; a saved model is rebuilt from it.
        classes, mean, std: the names of the classes, and what the pixels had subtracted
            and were divided by. `fit` notes them, and a saved model takes them along.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments
        self.classes: list[str] | None = None
        self.mean: float | None = None
        self.std: float | None = None

    def training_step(self, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy of a batch, a scalar that can go backward.

        Label smoothing spreads a share of the target, from 0 to 1, evenly over all
        classes (Szegedy et al., 2016, arXiv:1512.00567).
        """
        images, labels = batch
        return F.cross_entropy(self(images), labels, label_smoothing=label_smoothing)

    @torch.no_grad()
    def validation_step(self, batch: Batch) -> dict[str, Any]:
        """Return the sum of the losses, the correct answers and the images of a batch.

        Sums, because batches differ in size: a mean of batch means would give each
        image in a small last batch more weight than the others. The loss is plain
        cross-entropy, never smoothed.
        """
        images, labels = batch
        logits = self(images)
        return {
            "loss_sum": F.cross_entropy(logits, labels, reduction="sum"),
            "correct": (logits.argmax(dim=1) == labels).sum(),
            "count": len(labels),
        }

    def validation_epoch_end(self, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return `loss` (mean over images), `accuracy` (in [0, 1]), `correct`, `count`.

        `outputs` is what `validation_step` returned for each batch.
        """
        loss_sum = sum(float(output["loss_sum"]) for output in outputs)
        correct = sum(int(output["correct"]) for output in outputs)
        count = sum(int(output["count"]) for output in outputs)
        means = {"loss": loss_sum / count, "accuracy": correct / count}
        return means | {"correct": correct, "count": count}

    def predict_proba(self, images: Tensor) -> Tensor:
        """Return the probability of each class: (batch, classes), each row sums to 1.

        Runs in evaluation mode and leaves the model in the mode it was in. Images of
        another shape than (batch, 1, 28, 28) raise a `ValueError`.
        """
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"images have the shape {tuple(images.shape)}; expected (batch, 1, 28, "
                "28). For a single image write image.reshape(1, 1, 28, 28)."
            )
        with evaluation_mode(self):
            # in parts, so that 10,000 images do not need 10,000 images' memory
            return torch.cat([self(p).softmax(dim=1) for p in images.split(250)])

    def predict(self, images: Tensor) -> Tensor:
        """Return the most probable class of each image: int64, (batch,)."""
        return self.predict_proba(images).argmax(dim=1)


class LinearModel(DigitClassifier):
    """One linear layer: each logit is a weighted sum of all pixels, plus a bias.

    With 10 classes it has 784 * 10 weights + 10 biases = 7,850 parameters. Also called
    softmax regression or multinomial logistic regression. Built in lesson 2.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(num_classes=num_classes)
        self.linear = nn.Linear(28 * 28, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, classes)."""
        return self.linear(images.flatten(start_dim=1))


class MLP(DigitClassifier):
    """A multilayer perceptron: linear layers with a ReLU between them.

    As it stands it has 784 * 256 + 256 * 128 + 128 * 10 weights and 394 biases =
    235,146 parameters. Built in lesson 3.

    Args:
        hidden: the width of each hidden layer; `()` gives a linear model.
        dropout: the probability, below 1, with which a hidden value is set to 0 during
            training, so that no unit can rely on another one (Srivastava et al., 2014,
            JMLR 15:1929-1958).
        num_classes: logits an image.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.2,
        num_classes: int = 10,
    ) -> None:
        hidden = _check_widths("hidden", hidden)
        dropout = check_number("dropout", dropout, below=1, such_as=0.2)
        super().__init__(hidden=hidden, dropout=dropout, num_classes=num_classes)
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = 28 * 28
        for width in hidden:
            layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, classes)."""
        return self.layers(images)


class CNN(DigitClassifier):
    """A convolutional network: convolutions and pooling, then an MLP.

    The first convolution has 5x5 filters, the later ones 3x3, none is padded; 2x2
    max-pooling follows the first and the last one: LeNet-5 with ReLU (LeCun et al.,
    1998, Proc. IEEE 86(11)). As it stands it has 210,170 parameters. Built in lesson 4.

    Args:
        channels: the number of filters of each convolution, one to six of them.
        hidden: the width of the fully connected layer.
        dropout: the probability, below 1, of dropping a value on the way into each of
            the two fully connected layers.
        batch_norm: normalise what every layer but the last puts out (Ioffe and Szegedy,
            2015, arXiv:1502.03167); a batch then needs two images or more.
        num_classes: logits an image.
    """

    def __init__(
        self,
        channels: Sequence[int] = (8, 32),
        hidden: int = 256,
        dropout: float = 0.2,
        batch_norm: bool = False,
        num_classes: int = 10,
    ) -> None:
        channels = _check_widths("channels", channels)
        check_whole("the number of channels", len(channels), 1, 6)
        hidden = check_whole("hidden", hidden)
        dropout = check_number("dropout", dropout, below=1, such_as=0.2)
        sizes = {"channels": channels, "hidden": hidden, "num_classes": num_classes}
        super().__init__(**sizes, dropout=dropout, batch_norm=batch_norm)
        layers: list[nn.Module] = []
        inputs, size = 1, 28
        for number, filters in enumerate(channels):
            kernel = 5 if number == 0 else 3
            layers.append(nn.Conv2d(inputs, filters, kernel))
            inputs, size = filters, size - kernel + 1
            if number in (0, len(channels) - 1):
                layers.append(nn.MaxPool2d(2))
                size //= 2
            if batch_norm:
                layers.append(nn.BatchNorm2d(filters))
            layers.append(nn.ReLU())
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(inputs * size * size, hidden),
            nn.BatchNorm1d(hidden) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Turn images, (batch, 1, 28, 28), into logits, (batch, classes)."""
        return self.classifier(self.features(images))


def _check_widths(name: str, widths: Sequence[int]) -> tuple[int, ...]:
    if isinstance(widths, Sequence):
        return tuple(check_whole(f"a width in {name}", width) for width in widths)
    raise ValueError(f"{name}={widths!r} does not work: give one number a layer.")
