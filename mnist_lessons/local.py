"""A layer whose windows share no weights, to compare a convolution with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocalLayer(nn.Module):
    """A convolution that has filters of its own for each place. Used in lesson 4.

    It turns maps, (batch, channels, n, n), into maps, (batch, filters, m, m), where m =
    n - kernel_size + 1, and begins with weights as those of a convolution.

    Args:
        channels, filters, kernel_size: as in `nn.Conv2d`.
        size: n, the height and width of what comes in.
    """

    def __init__(
        self, channels: int, filters: int, kernel_size: int, size: int
    ) -> None:
        super().__init__()
        self.kernel_size, self.size = kernel_size, size - kernel_size + 1
        places = self.size**2
        many = nn.Conv2d(channels, filters * places, kernel_size)
        shape = (places, filters, -1)
        self.weight = nn.Parameter(many.weight.detach().reshape(shape))
        self.bias = nn.Parameter(many.bias.detach().reshape(shape))  # type: ignore

    def forward(self, images: Tensor) -> Tensor:
        """Multiply each window with the weights of its place."""
        # in parts, since there are as many windows as places
        values = [self._values(part) for part in images.split(256)]
        return torch.cat(values).unflatten(2, (self.size, self.size))

    def _values(self, images: Tensor) -> Tensor:
        windows = F.unfold(images, self.kernel_size)  # (batch, pixels, places)
        values = self.weight @ windows.permute(2, 1, 0) + self.bias
        return values.permute(2, 1, 0)
