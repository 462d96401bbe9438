"""Whether bfloat16 makes training faster on this machine.

The lessons train in float32; this is for those who think of `fit(autocast=True)`.
"""

import copy
import math
import time

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mnist_lessons.models import DigitClassifier


def bfloat16_pays(
    model: DigitClassifier, loader: DataLoader, channels_last: bool = False
) -> bool:
    """Time a few training steps of a copy of the model, in float32 and in bfloat16.

    A processor with bfloat16 instructions gains; one without them is up to 13 times
    slower, and PyTorch does not say which kind it is. The trial takes noise in the
    shape of the loader's batches, on the device of the model. The model, the order of
    the batches and PyTorch's random numbers stay as they were.
    """
    device = next(model.parameters()).device
    layout = torch.channels_last if channels_last else torch.contiguous_format
    trial = copy.deepcopy(model).to(memory_format=layout).train()
    size = math.ceil(len(loader.dataset) / len(loader))  # type: ignore[arg-type]
    image, _label = loader.dataset[0]
    labels = torch.zeros(size, dtype=torch.int64, device=device)
    accelerator = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(device_type=accelerator):
        images = torch.randn(size, *image.shape, device=device)
        batch = (images.contiguous(memory_format=layout), labels)
        # in turns, so that other work on the machine slows both alike; the first step
        # of each only warms up, and the quickest of the others counts
        pairs = [[_seconds(trial, batch, use) for use in (False, True)] for _ in "1234"]
    float32, bfloat16 = (min(times) for times in zip(*pairs[1:], strict=True))
    return bfloat16 < float32


def _seconds(
    model: DigitClassifier, batch: tuple[Tensor, Tensor], autocast: bool
) -> float:
    """Return how long the forward and the backward pass take."""
    kind = batch[0].device.type
    start = time.perf_counter()
    with torch.autocast(kind, torch.bfloat16, enabled=autocast):
        loss = model.training_step(batch)
    loss.backward()
    if kind != "cpu":  # a GPU is still at work when Python goes on
        torch.accelerator.synchronize()
    return time.perf_counter() - start
