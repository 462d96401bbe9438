"""Training in several processes, which torchrun has started here or on many machines.

Every process holds the same weights and learns from its own part of each batch;
PyTorch's `DistributedDataParallel` averages the gradients, so that all of them take the
step that one process would take with the whole batch. Where torchrun did not start this
process, it is alone. docs/scale.md shows both.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from mnist_lessons.files import DataFileError
from mnist_lessons.history import History
from mnist_lessons.models import Batch, DigitClassifier
from mnist_lessons.training import fit

Result = TypeVar("Result")


class TeamError(RuntimeError):
    """The processes cannot work together, or one of them could not go on."""


def from_torchrun(name: str, otherwise: int) -> int:
    """Return what torchrun says, such as RANK; `otherwise` if it did not start this."""
    # schedulers of clusters set WORLD_SIZE and RANK too, for work that is not ours
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else otherwise


def processes() -> int:
    """Return how many processes train together, on all machines."""
    return from_torchrun("WORLD_SIZE", 1)


def rank() -> int:
    """Return the number of this process, from 0, among all of them."""
    return from_torchrun("RANK", 0)


@contextlib.contextmanager
def only_rank_0_prints() -> Iterator[None]:
    """Let the first process alone print, and the first of each machine complain."""
    with contextlib.ExitStack() as stack:
        nobody = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        if rank() > 0:
            stack.enter_context(contextlib.redirect_stdout(nobody))
        if from_torchrun("LOCAL_RANK", 0) > 0:
            stack.enter_context(contextlib.redirect_stderr(nobody))
        yield


def own_device(asked: torch.device | None) -> torch.device:
    """Return the device of this process: a GPU of its own, else the CPU.

    Args:
        asked: what --device says; `None` for the fastest.

    Raises:
        TeamError: processes would share a GPU, or cannot work together on this device.
    """
    kind = asked.type if asked else "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise TeamError(
            f"Several processes cannot train on {kind}, only on cuda or cpu: add "
            "--device cpu, or start one process without torchrun."
        )
    here, gpus = from_torchrun("LOCAL_WORLD_SIZE", 1), torch.cuda.device_count()
    if here > gpus or (here > 1 and asked and asked.index is not None):
        raise TeamError(
            f"Each process needs a GPU of its own. {here} processes were started here, "
            f"where there are {gpus} GPUs: let --nproc-per-node be at most {gpus}, and "
            "name no single one with --device. Or add --device cpu."
        )
    if asked and asked.index is not None:
        return asked
    return torch.device("cuda", from_torchrun("LOCAL_RANK", 0))


def share_of(batch_size: int) -> int:
    """Return how many digits of each batch are this process's.

    Raises:
        TeamError: the batch cannot be shared out evenly.
    """
    count = processes()
    if batch_size % count:
        near = max(batch_size // count, 1) * count
        raise TeamError(
            f"A batch of {batch_size} digits cannot be shared out evenly among {count} "
            f"processes; try --batch-size {near}."
        )
    return batch_size // count


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Meet the other processes, and part from them at the end, whatever happens.

    Raises:
        TeamError: another process ended while this one waited for it.
    """
    gpu = device if device.type == "cuda" else None
    if gpu:
        torch.cuda.set_device(gpu)
    try:
        dist.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
        yield
        # torchrun ends all processes once one leaves with an error, such as after
        # Ctrl-C, and the first may still be saving
        dist.barrier()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise TeamError(
            "Another process ended or cannot be reached, so this one stopped as well. "
            "What happened stands above, or on the other machine."
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def run_on_all(work: Callable[..., Result], *args: Any, **options: Any) -> Result:
    """Do the same in every process, such as loading files; if one fails, all raise.

    Raises:
        TeamError: with what went wrong, once.
    """
    problem = None
    try:
        result = work(*args, **options)
    except (DataFileError, OSError) as error:
        problem = str(error)
    problems: list[Any] = [None] * processes()
    dist.all_gather_object(problems, problem)
    if different := dict.fromkeys(filter(None, problems)):
        raise TeamError("\n".join(different))
    return result


class _Step(nn.Module):
    """The training step as a `forward`, for it is there that gradients are averaged."""

    def __init__(self, model: DigitClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, label_smoothing: float) -> Tensor:
        return self.model.training_step(batch, label_smoothing)


class DataParallel(DigitClassifier):
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


def fit_distributed(
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
    parallel = DataParallel(model.to(device).to(memory_format=layout))
    torch.manual_seed(seed + rank())
    with parallel.stopped_by_ctrl_c():
        history = fit(
            parallel,
            loader,
            valid_loader if rank() == 0 else None,
            device=device,
            channels_last=channels_last,
            progress=rank() == 0,
            on_epoch_end=lambda record: order.set_epoch(record["epoch"]),
            **options,
        )
    model.classes, model.mean, model.std = parallel.classes, parallel.mean, parallel.std
    return history
