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
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from mnist_lessons.arguments import LessonsError
from mnist_lessons.history import History
from mnist_lessons.models import Batch, DigitClassifier
from mnist_lessons.training import fit


class ProcessGroupError(LessonsError):
    """The processes cannot work together, or one of them could not go on."""


def _from_torchrun(name: str, otherwise: int) -> int:
    # schedulers of clusters set WORLD_SIZE and RANK too, for work that is not ours
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else otherwise


def world_size() -> int:
    """Return how many processes train together, on all machines."""
    return _from_torchrun("WORLD_SIZE", 1)


def rank() -> int:
    """Return the number of this process, from 0, among all of them."""
    return _from_torchrun("RANK", 0)


@contextlib.contextmanager
def only_rank_0_prints() -> Iterator[None]:
    """Let the first process alone print, and the first of each machine complain."""
    with contextlib.ExitStack() as stack:
        nobody = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        if rank() > 0:
            stack.enter_context(contextlib.redirect_stdout(nobody))
        if _from_torchrun("LOCAL_RANK", 0) > 0:
            stack.enter_context(contextlib.redirect_stderr(nobody))
        yield


def local_device(asked: torch.device | None) -> torch.device:
    """Return the device of this process, a GPU of its own or the CPU, as asked."""
    kind = asked.type if asked else "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cpu":
        return torch.device("cpu")
    here, gpus = _from_torchrun("LOCAL_WORLD_SIZE", 1), torch.cuda.device_count()
    single = asked and asked.index is not None
    if kind != "cuda" or here > gpus or (here > 1 and single):
        raise ProcessGroupError(
            "Each process needs a GPU of its own, of the kind cuda. Here are "
            f"{gpus} of them, and {here} processes: let --nproc-per-node be at most "
            f"{gpus}, and name no single GPU with --device. Or add --device cpu."
        )
    own = torch.device("cuda", _from_torchrun("LOCAL_RANK", 0))
    return asked if asked and single else own


def local_batch_size(batch_size: int) -> int:
    """Return how many digits of each batch are this process's."""
    count = world_size()
    if batch_size % count:
        raise ProcessGroupError(
            f"A batch of {batch_size} digits cannot be shared out evenly among {count} "
            f"processes; try --batch-size {max(batch_size // count, 1) * count}."
        )
    return batch_size // count


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Meet the other processes, and part from them at the end, whatever happens."""
    gpu = device if device.type == "cuda" else None
    if gpu:
        torch.cuda.set_device(gpu)
    try:
        dist.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
        yield
        # the first may still be saving, and torchrun ends all once one leaves early
        dist.barrier()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise ProcessGroupError(
            "Another process ended or cannot be reached, so this one stopped as well. "
            "What happened stands above, or on the other machine."
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def run_on_all(work: Callable, *args: Any, **options: Any) -> Any:
    """Do the same in every process, such as loading files; if one fails, all raise."""
    problem = None
    try:
        result = work(*args, **options)
    except (LessonsError, OSError) as error:
        problem = str(error)
    problems: list[Any] = [None] * world_size()
    dist.all_gather_object(problems, problem)
    if different := dict.fromkeys(filter(None, problems)):
        raise ProcessGroupError("\n".join(different))
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
        state = torch.stack([loss.detach(), loss.new_tensor(self.interrupted)])
        dist.all_reduce(state)
        mean, stop = state / world_size()
        if stop:
            raise KeyboardInterrupt
        return loss - loss.detach() + mean  # the value of all, the gradient of our part

    def interrupt(self, *_: Any) -> None:
        """Stop all processes in their next step."""
        self.interrupted = True

    def register_forward_hook(self, *args: Any, **options: Any) -> Any:
        """Watch the model itself: the step goes past this class's `forward`."""
        return self.model.register_forward_hook(*args, **options)


def local_loader(digits: TensorDataset, batch_size: int, seed: int = 0) -> DataLoader:
    """Serve this process's part of each batch, in an order that `set_epoch` changes."""
    # where the digits cannot be shared out evenly, a few are used twice
    order: Any = DistributedSampler(digits, world_size(), rank(), seed=seed)
    batches = BatchSampler(order, local_batch_size(batch_size), drop_last=False)
    generator = torch.Generator()  # leaves PyTorch's global random numbers alone
    return DataLoader(digits, sampler=batches, batch_size=None, generator=generator)


def fit_distributed(
    model: DigitClassifier,
    train_loader: DataLoader,
    valid_loader: DataLoader | None = None,
    *,
    device: torch.device,
    seed: int = 0,
    **options: Any,
) -> History:
    """Train a model as `fit` does, in all processes: its weights end up equal in each.

    `train_loader` is as `make_loader` builds it, for whole batches. `seed` orders the
    digits; dropout draws other numbers in each process. In the record, the loss is the
    mean of all processes, the accuracy of this one's part; only the first validates.
    """
    whole: Any = train_loader  # its sampler makes batches
    loader = local_loader(whole.dataset, whole.sampler.batch_size, seed)
    order = loader.sampler.sampler  # type: ignore[attr-defined]
    if options.get("channels_last"):  # weights are placed before their gradients are
        model.to(memory_format=torch.channels_last)
    parallel = DataParallel(model.to(device))
    torch.manual_seed(seed + rank())
    before = signal.signal(signal.SIGINT, parallel.interrupt)
    try:
        history = fit(
            parallel,
            loader,
            valid_loader if rank() == 0 else None,
            device=device,
            progress=rank() == 0,
            on_epoch_end=lambda record: order.set_epoch(record["epoch"]),
            **options,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    model.classes, model.mean, model.std = parallel.classes, parallel.mean, parallel.std
    return history
