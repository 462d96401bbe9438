"""Training in several processes, which torchrun has started here or on many machines.

Every process holds the same weights and learns from its own part of each batch;
PyTorch's `DistributedDataParallel` averages the gradients, so that all of them take the
step that one process would take with the whole batch. docs/scale.md shows how.
"""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from mnist_lessons.history import History
from mnist_lessons.models import Batch, DigitClassifier
from mnist_lessons.processes import processes, rank, share_of
from mnist_lessons.training import fit


class _Step(nn.Module):
    """The training step as a `forward`, for it is there that gradients are averaged."""

    def __init__(self, model: DigitClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, label_smoothing: float) -> Tensor:
        return self.model.training_step(batch, label_smoothing)


class Together(DigitClassifier):
    """A model that takes the same steps in all processes, each with its own digits.

    Its loss is the mean of all processes. So a loss that is no longer finite, or a
    Ctrl-C, ends the training in all of them at the same step, and nobody waits.

    Attributes:
        model: the model itself.
        interrupted: set it to `True` to stop all processes in their next step.
    """

    def __init__(self, model: DigitClassifier) -> None:
        super().__init__()
        self.model, self.interrupted = model, False
        self.step = DistributedDataParallel(_Step(model))

    def forward(self, images: Tensor) -> Tensor:
        """Turn images into logits, in this process alone."""
        return self.model(images)

    def training_step(self, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss of all processes; going backward averages gradients."""
        loss = self.step(batch, label_smoothing)
        news = torch.stack([loss.detach(), loss.new_tensor(self.interrupted)])
        dist.all_reduce(news)
        mean, stop = news / processes()
        if stop:
            raise KeyboardInterrupt
        return loss - loss.detach() + mean  # the value of all, the gradient of our part

    @contextlib.contextmanager
    def stopped_by_ctrl_c(self) -> Iterator[None]:
        """Let Ctrl-C stop all processes in the same step, not one of them at once."""

        def note(*_: Any) -> None:
            self.interrupted = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def register_forward_hook(self, *args: Any, **options: Any) -> Any:
        """Watch the model itself: the step goes past this class's `forward`."""
        return self.model.register_forward_hook(*args, **options)


def part_of(digits: TensorDataset, batch_size: int, seed: int = 0) -> DataLoader:
    """Serve this process's part of every batch, in an order that `set_epoch` changes.

    Together the parts are whole batches, of `batch_size`; all processes must give the
    same arguments. Where the digits cannot be shared out evenly, a few are used twice.

    Raises:
        TeamError: the batch cannot be shared out evenly.
    """
    order: DistributedSampler = DistributedSampler(
        digits, num_replicas=processes(), rank=rank(), seed=seed
    )
    batches = BatchSampler(order, share_of(batch_size), drop_last=False)
    own = torch.Generator()  # leaves PyTorch's global random numbers alone
    return DataLoader(digits, sampler=batches, batch_size=None, generator=own)


def fit_together(
    model: DigitClassifier,
    train_loader: DataLoader,
    valid_loader: DataLoader | None = None,
    *,
    device: torch.device,
    seed: int = 0,
    channels_last: bool = False,
    **options: Any,
) -> History:
    """Train a model in all processes; afterwards its weights are the same in each.

    Args:
        model: what to train, in place.
        train_loader: as `make_loader` builds it, with the size of the whole batch.
        valid_loader: batches on which the first process scores the model.
        seed: orders the digits; dropout draws other numbers in each process.
        device: the device of this process.
        channels_last: as in `fit`.
        **options: the others of `fit`, but not `autocast` and `on_epoch_end`.

    Returns:
        The record of the run. The training loss is the mean of all processes, the
        training accuracy that of this one's part. Only the first one has validated.

    Raises:
        TeamError: another process ended, or the batch cannot be shared out evenly.
    """
    whole: Any = train_loader  # its sampler makes batches
    loader = part_of(whole.dataset, whole.sampler.batch_size, seed)
    order = loader.sampler.sampler  # type: ignore[attr-defined]
    # the weights get their places in memory before their gradients do
    layout = torch.channels_last if channels_last else torch.contiguous_format
    together = Together(model.to(device).to(memory_format=layout))
    torch.manual_seed(seed + rank())
    with together.stopped_by_ctrl_c():
        history = fit(
            together,
            loader,
            valid_loader if rank() == 0 else None,
            device=device,
            channels_last=channels_last,
            progress=rank() == 0,
            on_epoch_end=lambda record: order.set_epoch(record["epoch"]),
            **options,
        )
    model.classes, model.mean, model.std = together.classes, together.mean, together.std
    return history
