"""Choose the 25 hard validation digits on which the series compares its models.

    python benchmarks/hard_digits.py            # prints HARD_DIGITS, ready to paste
    python benchmarks/hard_digits.py --check    # compares it with mnist_lessons.data

Six voters learn from the 50,000 training digits and answer for the 10,000 validation
digits. None is a model of the lessons: a model always looks bad on its own mistakes.
"LeCun et al., 1998" is Gradient-Based Learning Applied to Document Recognition.

The rule: even digits give three images each, missed by 2, by 4 and by all 6 voters; odd
digits two, missed by 3 and by 5. So each of five grades has five images. Where several
images would do, a seeded shuffle decides; where none would, the nearest grade serves.

The same 25 elsewhere? Processors and thread counts add floats in different orders, so
all is float64, the neighbours' distances are whole numbers, and the networks are smooth
and train briefly: neither one thread for two nor pixels off by 1e-10 flipped any of the
60,000 votes. A flip could change only the images of its own digit. A PyTorch that draws
other random numbers may choose others, though; the package's constant then stays.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_lessons import load_mnist


def nearest_neighbours(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Let the 5 nearest training images vote (Cover & Hart, 1967, IEEE TIT 13(1))."""
    x, new = (255 * x).round(), (255 * new).round()  # whole numbers: sums are exact
    lengths = x.square().sum(dim=1)
    nearest = [(lengths - 2 * n @ x.T).topk(5, largest=False)[1] for n in new.split(99)]
    return F.one_hot(y[torch.cat(nearest)]).sum(dim=1).argmax(dim=1)


def gaussians(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Fit a Gaussian a class to 40 principal components (LeCun et al., 1998, III.C)."""
    axes = torch.linalg.eigh(x.T.cov()).eigenvectors[:, -40:]
    x, new, scores = x @ axes, new @ axes, []
    for own in (x[y == digit] for digit in range(10)):
        covariance = own.T.cov() + 0.1 * torch.eye(40)
        gaussian = torch.distributions.MultivariateNormal(own.mean(dim=0), covariance)
        scores.append(gaussian.log_prob(new) + torch.tensor(len(own)).log())
    return torch.stack(scores).argmax(dim=0)


def ridge(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Regress the classes' indicators (Hoerl & Kennard, 1970, Technometrics 12)."""
    gram, moments = x.T @ x + torch.eye(x.shape[1]), x.T @ F.one_hot(y).double()
    return (new @ torch.linalg.solve(gram, moments)).argmax(dim=1)


def random_cosines(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Regress on cosines of random projections (Rahimi & Recht, 2007, NIPS)."""
    directions, phases = torch.randn(784, 2000) / 6, 2 * torch.pi * torch.rand(2000)
    x, new = ((pixels @ directions).add_(phases).cos_() for pixels in (x, new))
    return ridge(x, y, new)


def oriented_gradients(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Regress on slopes in 8 directions, 7 x 7 cells (Dalal & Triggs, 2005, CVPR)."""
    angles = (torch.arange(8) * torch.pi / 4).reshape(8, 1, 1, 1)
    slope = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    rise = angles.cos() * slope + angles.sin() * slope.T

    def cells(pixels: Tensor) -> Tensor:
        slopes = F.conv2d(pixels.reshape(-1, 1, 28, 28), rise, padding=1).relu()
        return F.avg_pool2d(slopes, 4).flatten(1).sqrt()

    x, new = (torch.cat([cells(p) for p in d.split(1000)]) for d in (x, new))
    return ridge(x, y, new)


def train(net: nn.Module, x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Train two epochs with momentum and a rate that falls to zero, and answer."""
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    batches = [b for _ in range(2) for b in torch.randperm(len(x)).split(100)]
    schedule = torch.optim.lr_scheduler.LinearLR(opt, 1, 0, total_iters=len(batches))
    for batch in batches:
        opt.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        opt.step()
        schedule.step()
    return net(new).argmax(dim=1)


def tanh_network(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Train a hidden layer of 100 tanh units (LeCun et al., 1998, III.C)."""
    layers = nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10)
    return train(nn.Sequential(*layers), x, y, new)


def lenet(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Train a net like LeNet-5: tanh, average pooling (LeCun et al., 1998, II.B)."""
    first = nn.Conv2d(1, 6, 5, stride=2, padding=2)  # a stride for a pooling: faster
    features = [first, nn.Tanh(), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    head = [nn.Flatten(), nn.Linear(400, 84), nn.Tanh(), nn.Linear(84, 10)]
    net = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), *features, *head)
    return train(net, x, y, new)


VOTERS = [nearest_neighbours, gaussians, random_cosines]
VOTERS += [oriented_gradients, tanh_network, lenet]


def count_misses() -> tuple[Tensor, Tensor]:
    """Ask every voter; return how many miss each validation digit, and the labels."""
    known, unseen = (data.dataset for data in load_mnist(normalize=False)[:2])
    x, new = (digits.images.flatten(1).double() for digits in (known, unseen))
    misses = torch.zeros_like(unseen.labels)
    for voter in VOTERS:
        torch.manual_seed(0)  # no voter's random numbers depend on another voter
        wrong = voter(x, known.labels, new) != unseen.labels
        print(f"{voter.__name__:20}{1 - wrong.double().mean():.2%}", flush=True)
        misses += wrong
    return misses, unseen.labels


def choose(misses: Tensor, labels: Tensor) -> tuple[int, ...]:
    """Apply the rule (argmin takes the first among equals): return the 25 indices."""
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    chosen = []
    for digit in range(10):
        own = shuffled[labels[shuffled] == digit]
        for grade in (3, 5) if digit % 2 else (2, 4, 6):
            chosen.append(int(own[(misses[own] - grade).abs().argmin()]))
    return tuple(sorted(chosen))


def main() -> None:
    """Print the voters' accuracies and the 25 indices; with --check, compare them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="compare with the package")
    arguments = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    chosen = choose(*count_misses())
    print(f"HARD_DIGITS = {chosen}")
    if arguments.check:
        from mnist_lessons.plots import HARD_DIGITS  # only here: this script makes it

        if chosen != tuple(HARD_DIGITS):
            others = sorted(set(chosen) ^ set(HARD_DIGITS))
            raise SystemExit(f"The package's HARD_DIGITS differ: {others}")


if __name__ == "__main__":
    main()
