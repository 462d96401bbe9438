"""The processes that torchrun started: how many there are, which one this is.

Where torchrun did not start this process, it is alone. docs/scale.md shows both.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from mnist_lessons.files import DataFileError

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
def one_voice() -> Iterator[None]:
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
def joined(device: torch.device) -> Iterator[None]:
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


def all_do(work: Callable[..., Result], *args: Any, **options: Any) -> Result:
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
