"""The models, and the steps that every one of them shares.

A model turns images, float32 of shape (batch, 1, 28, 28), into logits, float32 of shape
(batch, classes): one score a class, any real number, the largest wins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

    Derive from it, write `__init__` and `forward`, and the rest is here. Built in
    lesson 2.

    Attributes:
        arguments: what `__init__` was called with; a saved model is rebuilt from it.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def training_step(self, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy of a batch, a scalar that can go backward.

        Args:
            batch: images (batch, 1, 28, 28) and labels (batch,).
            label_smoothing: the share of the target, from 0 to 1, that is spread evenly
                over all classes (Szegedy et al., 2016, arXiv:1512.00567).
        """
        images, labels = batch
        return F.cross_entropy(self(images), labels, label_smoothing=label_smoothing)

    @torch.no_grad()
    def validation_step(self, batch: Batch) -> dict[str, Tensor | int]:
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

    def validation_epoch_end(
        self, outputs: list[dict[str, Tensor | int]]
    ) -> dict[str, float]:
        """Add up what `validation_step` returned for each batch.

        Returns:
            `loss` (mean over images), `accuracy` (a fraction in [0, 1]), `correct` and
            `count` (whole numbers).
        """
        loss_sum = sum(float(output["loss_sum"]) for output in outputs)
        correct = sum(int(output["correct"]) for output in outputs)
        count = sum(int(output["count"]) for output in outputs)
        return {
            "loss": loss_sum / count,
            "accuracy": correct / count,
            "correct": correct,
            "count": count,
        }

    def predict_proba(self, images: Tensor) -> Tensor:
        """Return the probability of each class: (batch, classes), each row sums to 1.

        Runs in evaluation mode and leaves the model in the mode it was in.

        Raises:
            ValueError: `images` is not of shape (batch, 1, 28, 28).
        """
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"images have the shape {tuple(images.shape)}; expected (batch, 1, 28, "
                "28). For a single image write image.reshape(1, 1, 28, 28)."
            )
        with evaluation_mode(self):
            # in parts, so that 10,000 images do not need 10,000 images' memory
            return torch.cat([self(p).softmax(dim=1) for p in images.split(1000)])

    def predict(self, images: Tensor) -> Tensor:
        """Return the most probable class of each image: int64, (batch,).

        Raises:
            ValueError: `images` is not of shape (batch, 1, 28, 28).
        """
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
