"""Count what `diagnose` finds in healthy programs, and in programs with one mistake.

    python benchmarks/clinic.py              about 20 minutes on one core
    python benchmarks/clinic.py --seeds 2    two minutes

It prints a line for each healthy program, with its false alarms, and for each mistake,
with how often a test that names it found it, and writes them to
`benchmarks/results/clinic.csv`. Each seed has its own 2,000 training and 1,000
validation digits, both drawn from the training file, its own first weights and its own
dropout. The bounds of the tests were set on the programs marked "set". Of those marked
"held back" two changed a test all the same: since `eval()` forgotten with batch norm
was missed, the scored digits are sorted by class, and since sound programs with batch
norm alarmed, idle biases are excused.
"""

import argparse
import csv
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.utils.data import DataLoader, TensorDataset

from mnist_lessons import CNN, MLP, LinearModel, evaluate, fit, load_mnist
from mnist_lessons.augmentation import random_shift
from mnist_lessons.data import make_loader
from mnist_lessons.diagnosis import diagnose
from mnist_lessons.training import one_cycle

OUT = Path(__file__).resolve().parent / "results" / "clinic.csv"
TRAIN, VALID = 2_000, 1_000
Functions = dict[str, Any]
Pair = tuple[Tensor, Tensor]
momentum = partial(SGD, momentum=0.9)


class Case(NamedTuple):
    """A program, and the digits that it learns from."""

    functions: Functions  # make_model, train_step, score
    bounds: str = "held back"  # or "set", if the tests' bounds were set on it
    scale: tuple[float, float] = (0.1307, 0.3081)
    change: Callable[[Pair, Pair], tuple[Pair, Pair]] | None = None
    shuffle: bool = True
    batch: int = 64


def count_right(model: nn.Module, batches: DataLoader) -> float:
    """Score as lesson 2 does."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for images, labels in batches:
            right += int((model(images).argmax(dim=1) == labels).sum())
            count += len(labels)
    return right / count


def loop(
    optimizer: Callable[..., Any],
    lr: float,
    *,
    zero_grad: str = "last",  # or "first", "never", "between"
    smoothing: float = 0.0,
    other: Callable[[], nn.Module] | None = None,
    by_hand: bool = False,
) -> Callable[[nn.Module, DataLoader], None]:
    """Return a hand-written training loop."""

    def train(model: nn.Module, batches: DataLoader) -> None:
        opt = optimizer((other() if other else model).parameters(), lr=lr)
        model.train()
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels, label_smoothing=smoothing)
            if zero_grad == "first":
                opt.zero_grad()
            loss.backward()
            if zero_grad == "between":
                opt.zero_grad()
            opt.step()
            if zero_grad == "last":
                opt.zero_grad()

    return train


def by_fit(**recipe: Any) -> Callable[[nn.Module, DataLoader], Any]:
    """Train as `fit` does."""
    return partial(fit, epochs=1, progress=False, **recipe)


def net(*widths: int, bend: type[nn.Module] = nn.ReLU, norm: bool = False) -> nn.Module:
    """Build fully connected layers of these widths, with batch norm or not."""
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 784
    for width in widths:
        layers += [nn.Linear(inputs, width)]
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [bend()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def he() -> nn.Module:
    """Build an MLP whose weights are He's in every layer, the last one too."""
    model = net(128, 64)
    for part in model:
        if isinstance(part, nn.Linear):
            nn.init.kaiming_normal_(part.weight)
            nn.init.zeros_(part.bias)
    return model


def zero_last() -> nn.Module:
    """Build an MLP whose last layer starts at zero, which is sound."""
    model = net(128)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


def zero_linear() -> nn.Module:
    """Build a linear model that starts at zero, which is sound."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.zeros_(model[-1].weight)
    return model


def program(make: Any, train: Any, score: Any = count_right) -> Functions:
    """Return the three functions under the names that `diagnose` gives them."""
    return {"make_model": make, "train_step": train, "score": score}


class Residual(nn.Module):
    """A small residual network with batch norm, which learns slowly."""

    def __init__(self, channels: int = 16, blocks: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        conv = partial(nn.Conv2d, channels, channels, 3, padding=1, bias=False)
        block = (nn.Sequential(conv(), nn.BatchNorm2d(channels)) for _ in range(blocks))
        self.blocks = nn.ModuleList(block)
        self.last = nn.Linear(channels, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images into logits."""
        maps = self.norm(self.first(images)).relu()
        for block in self.blocks:
            maps = (maps + block(maps)).relu()
        return self.last(maps.mean(dim=(2, 3)))


class Recurrent(nn.Module):
    """A network that reads an image row by row."""

    def __init__(self, kind: type[nn.Module] = nn.LSTM) -> None:
        super().__init__()
        self.rows, self.last = kind(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images into logits."""
        return self.last(self.rows(images[:, 0])[0][:, -1])


def convolutions() -> nn.Module:
    """Build a network of convolutions alone, with a mean at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32), (32, 10)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


def clipped(model: nn.Module, batches: DataLoader) -> None:
    """Train with clipped gradients, two batches a step."""
    opt = torch.optim.RMSprop(model.parameters(), lr=0.001)
    for number, (images, labels) in enumerate(batches, 1):
        F.cross_entropy(model(images), labels).backward()
        if number % 2 == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()


MLP0 = partial(MLP, dropout=0)
NORM = partial(CNN, batch_norm=True)
PLAIN, HALVES = (0.0, 1.0), (0.5, 0.5)

HEALTHY = {
    # what lessons 2 to 6 train
    "linear, SGD 0.03": Case(program(LinearModel, loop(SGD, 0.03)), "set"),
    "linear, fit SGD 0.1": Case(
        program(LinearModel, by_fit(lr=0.1, optimizer=SGD), evaluate), "set"
    ),
    "MLP, fit Adam 0.001": Case(program(MLP, by_fit(lr=0.001), evaluate), "set"),
    "MLP without dropout": Case(
        program(MLP0, loop(Adam, 0.001, zero_grad="first")), "set"
    ),
    "CNN, fit one cycle 0.01": Case(
        program(CNN, by_fit(lr=0.01, schedule=one_cycle()), evaluate), "set"
    ),
    "CNN, batch norm": Case(program(NORM, by_fit(lr=0.001), evaluate), "set"),
    "CNN, moved digits, smoothing 0.1": Case(
        program(
            CNN, by_fit(lr=0.003, augment=random_shift, label_smoothing=0.1), evaluate
        ),
        "set",
    ),
    # once held back, and found: they moved the bound of "one batch" from 0.5 to 1.2,
    # and the last one had dropout switched off there
    "residual, SGD 0.1": Case(program(Residual, loop(SGD, 0.1)), "set"),
    "MLP, smoothing 0.5": Case(program(MLP, loop(Adam, 0.001, smoothing=0.5)), "set"),
    "MLP, dropout 0.8, smoothing 0.4": Case(
        program(partial(MLP, dropout=0.8), loop(Adam, 0.002, smoothing=0.4)), "set"
    ),
    # others
    "narrow MLP (16)": Case(program(partial(net, 16), loop(Adam, 0.001))),
    "narrow MLP (10), SGD 0.1": Case(program(partial(net, 10), loop(SGD, 0.1))),
    "wide MLP (1000)": Case(program(partial(net, 1000), loop(SGD, 0.05))),
    "deep MLP (5 x 64)": Case(program(partial(net, *5 * [64]), loop(Adam, 0.001))),
    "deep MLP (4 x 100), momentum": Case(
        program(partial(net, *4 * [100]), loop(momentum, 0.02, zero_grad="first"))
    ),
    "CNN, dropout 0.5, SGD": Case(program(partial(CNN, dropout=0.5), loop(SGD, 0.1))),
    "CNN (16, 32, 64), AdamW": Case(
        program(partial(CNN, channels=(16, 32, 64), hidden=64), loop(AdamW, 0.002))
    ),
    "CNN (4, 8), pixels 0 to 1": Case(
        program(partial(CNN, channels=(4, 8), hidden=32), loop(Adam, 0.001)),
        scale=PLAIN,
    ),
    "narrow batch norm (8)": Case(
        program(partial(net, 8, norm=True), loop(Adam, 0.003))
    ),
    "batch norm MLP (64, 64), SGD": Case(
        program(partial(net, 64, 64, norm=True), loop(SGD, 0.1, zero_grad="first"))
    ),
    "batch norm CNN (4, 8), momentum": Case(
        program(
            partial(CNN, channels=(4, 8), hidden=16, batch_norm=True),
            loop(momentum, 0.05),
        )
    ),
    "tanh (100, 50), momentum": Case(
        program(partial(net, 100, 50, bend=nn.Tanh), loop(momentum, 0.01))
    ),
    "sigmoid (64)": Case(program(partial(net, 64, bend=nn.Sigmoid), loop(Adam, 0.003))),
    "GELU (64, 64), AdamW, decay 0.1": Case(
        program(
            partial(net, 64, 64, bend=nn.GELU),
            loop(partial(AdamW, weight_decay=0.1), 0.001),
        )
    ),
    "MLP, smoothing 0.2": Case(
        program(MLP, loop(Adam, 0.001, smoothing=0.2), count_right)
    ),
    "MLP, decay in SGD": Case(
        program(MLP0, loop(partial(momentum, weight_decay=1e-3), 0.05))
    ),
    "MLP, pixels 0 to 1, SGD 0.1": Case(program(MLP0, loop(SGD, 0.1)), scale=PLAIN),
    "linear, pixels 0 to 1, SGD 0.1": Case(
        program(LinearModel, loop(SGD, 0.1)), scale=PLAIN
    ),
    "CNN, pixels -1 to 1": Case(program(CNN, loop(Adam, 0.001)), scale=HALVES),
    "linear, pixels -1 to 1": Case(
        program(LinearModel, loop(Adam, 0.001)), scale=HALVES
    ),
    "He's weights": Case(program(he, loop(momentum, 0.01))),
    "last layer from zero": Case(program(zero_last, loop(Adam, 0.001))),
    "linear from zero": Case(program(zero_linear, loop(SGD, 0.1))),
    "residual (8, 3 blocks), Adam 0.003": Case(
        program(partial(Residual, 8, 3), loop(Adam, 0.003))
    ),
    "convolutions alone, momentum 0.05": Case(
        program(convolutions, loop(momentum, 0.05))
    ),
    "LSTM, Adam 0.003": Case(program(Recurrent, loop(Adam, 0.003))),
    "GRU, momentum 0.05": Case(
        program(partial(Recurrent, nn.GRU), loop(momentum, 0.05))
    ),
    "MLP, SGD 0.005": Case(program(MLP0, loop(SGD, 0.005, zero_grad="first"))),
    "clipped, two batches a step": Case(program(MLP, clipped)),
    "MLP (64, 64), dropout 0.75, smoothing 0.3": Case(
        program(
            partial(MLP, (64, 64), dropout=0.75),
            loop(momentum, 0.02, smoothing=0.3),
        )
    ),
    "CNN (4, 8), dropout 0.7, smoothing 0.2": Case(
        program(
            partial(CNN, (4, 8), hidden=32, dropout=0.7),
            loop(Adam, 0.002, smoothing=0.2),
        )
    ),
    "batches of 16": Case(program(MLP, loop(Adam, 0.001)), batch=16),
    "batches of 500": Case(program(MLP, loop(momentum, 0.05)), batch=500),
}


def with_softmax(make: Callable[[], nn.Module]) -> nn.Module:
    """Put a softmax behind a model."""
    return nn.Sequential(make(), nn.Softmax(dim=1))


def all_zero(make: Callable[[], nn.Module], biases: bool = True) -> nn.Module:
    """Set the weights of linear and convolutional layers to zero."""
    model = make()
    for part in model.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.zeros_(part.weight)
            if biases:
                nn.init.zeros_(part.bias)
    return model


class Detached(nn.Module):
    """A model whose first half gets no gradient."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        model = make()
        if isinstance(model, CNN):
            self.first, self.second = model.features, model.classifier
        else:
            layers = getattr(model, "layers", model)
            self.first, self.second = layers[:3], layers[3:]

    def forward(self, images: Tensor) -> Tensor:
        """Turn images into logits."""
        return self.second(self.first(images).detach())


def mean_of_means(model: nn.Module, batches: DataLoader) -> float:
    """Average the accuracies of batches, large or small."""
    model.eval()
    with torch.no_grad():
        shares = [float((model(x).argmax(1) == y).float().mean()) for x, y in batches]
    return statistics.mean(shares)


def without_eval(model: nn.Module, batches: DataLoader) -> float:
    """Score in whatever mode the model is."""
    with torch.no_grad():
        pairs = [(model(x).argmax(1) == y).sum().item() for x, y in batches]
    return sum(pairs) / len(batches.dataset)


def without_no_grad(model: nn.Module, batches: DataLoader) -> float:
    """Score with gradients."""
    model.eval()
    pairs = [(model(x).argmax(1) == y).sum().item() for x, y in batches]
    return sum(pairs) / len(batches.dataset)


def by_class(train: Pair, valid: Pair) -> tuple[Pair, Pair]:
    """Sort the training digits."""
    order = train[1].argsort(stable=True)
    return (train[0][order], train[1][order]), valid


def apart(train: Pair, valid: Pair) -> tuple[Pair, Pair]:
    """Shuffle the labels, and not their images."""
    return (train[0], train[1][torch.randperm(len(train[1]))]), valid


def leak(train: Pair, valid: Pair, count: int = 200) -> tuple[Pair, Pair]:
    """Put training digits among the validation digits."""
    pairs = zip(train, valid, strict=True)
    images, labels = (torch.cat([t[:count], v[count:]]) for t, v in pairs)
    return train, (images, labels)


# network, loop: one on which bounds were set, and others
BASES: dict[str, tuple[Any, Callable[..., Any], str]] = {
    "MLP, Adam 0.001": (MLP, partial(loop, Adam, 0.001), "set"),
    "MLP without dropout, SGD 0.1": (MLP0, partial(loop, SGD, 0.1), "held back"),
    "CNN, dropout 0.5, momentum 0.01": (
        partial(CNN, channels=(4, 16), hidden=64, dropout=0.5),
        partial(loop, momentum, 0.01),
        "held back",
    ),
    "batch norm MLP (64, 64), AdamW 0.002": (
        partial(net, 64, 64, norm=True),
        partial(loop, AdamW, 0.002),
        "held back",
    ),
}
NOWHERE = ("nowhere",)


def patients() -> dict[tuple[str, str], tuple[Case, tuple[str, ...]]]:
    """Return each mistake in each program, and the tests that name it."""
    found = {}

    def add(mistake: str, base: str, tests: Any, functions: Any, **more: Any) -> None:
        tests = (tests,) if isinstance(tests, str) else tests
        case = Case(functions, BASES[base][2], **more)
        found[mistake, base] = case, tests

    for base, (make, train, _) in BASES.items():
        sound = program(make, train())
        is_sequential = base.startswith("batch norm")
        put = partial(add, base=base)
        put(
            "softmax twice",
            tests="one batch",
            functions=program(partial(with_softmax, make), train()),
        )
        for word, mistake, test in (
            ("never", "zero_grad forgotten", "old gradients"),
            ("between", "zero_grad before the step", "moved weights"),
        ):
            broken = program(make, train(zero_grad=word))
            put(mistake, tests=test, functions=broken)
        put(
            "sorted order",
            tests="mixed labels",
            functions=sound,
            change=by_class,
            shuffle=False,
        )
        put(
            "no shuffling of mixed files",
            tests=NOWHERE,
            functions=sound,
            shuffle=False,
        )
        put("pixels 0 to 255", tests="first loss", functions=sound, scale=(0, 1 / 255))
        put(
            "divided by 255 twice",
            tests="first loss",
            functions=sound,
            scale=(0, 255.0),
        )
        put(
            "average of averages",
            tests="fair score",
            functions=program(make, train(), mean_of_means),
        )
        if base != "MLP without dropout, SGD 0.1":  # where it changes nothing
            put(
                "eval() forgotten",
                tests="fair score",
                functions=program(make, train(), without_eval),
            )
        put(
            "no_grad() forgotten",
            tests=NOWHERE,
            functions=program(make, train(), without_no_grad),
        )
        put(
            "another model's optimizer",
            tests=("moved weights", "one batch"),
            functions=program(make, train(other=make)),
        )
        put("labels apart", tests="nowhere", functions=sound, change=apart)
        put("one in five leaked", tests="shared images", functions=sound, change=leak)
        put(
            "weights and biases zero",
            tests="gradients",
            functions=program(partial(all_zero, make), train()),
        )
        put(
            "weights zero, not biases",
            tests=("gradients", "one batch"),
            functions=program(partial(all_zero, make, biases=False), train()),
        )
        put(
            "detach in the middle",
            tests="gradients",
            functions=program(partial(Detached, make), train()),
        )
        if not is_sequential:  # batch norm revives its units
            kind = {
                "MLP, Adam 0.001": (Adam, 0.3),
                "CNN, dropout 0.5, momentum 0.01": (momentum, 1.0),
            }
            optimizer, lr = kind.get(base, (SGD, 10.0))
            put(
                "dead ReLUs, a step too large",
                tests=("gradients", "one batch"),
                functions=program(make, loop(optimizer, lr)),
            )
    return found


def draw(case: Case, pool: TensorDataset, seed: int) -> tuple[DataLoader, DataLoader]:
    """Return loaders with the digits of this seed."""
    torch.manual_seed(seed)
    mean, std = case.scale
    images, labels = pool[torch.randperm(len(pool))[: TRAIN + VALID]]
    images = (images - mean) / std
    train = images[:TRAIN], labels[:TRAIN]
    valid = images[TRAIN:], labels[TRAIN:]
    if case.change:
        train, valid = case.change(train, valid)
    return (
        make_loader(TensorDataset(*train), case.batch, shuffle=case.shuffle, seed=seed),
        make_loader(TensorDataset(*valid), 256, shuffle=False),
    )


def examine(case: Case, pool: TensorDataset, seeds: int) -> tuple[list[Any], float]:
    """Return the reports of all seeds, and the seconds of the slowest."""
    reports, slowest = [], 0.0
    make = case.functions["make_model"]

    def seeded(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return make()

    for seed in range(seeds):
        train, valid = draw(case, pool, seed)
        start = time.perf_counter()
        functions = case.functions | {"make_model": partial(seeded, seed)}
        report = diagnose(train_loader=train, valid_loader=valid, **functions)
        reports.append(report)
        slowest = max(slowest, time.perf_counter() - start)
    return reports, slowest


def main(words: list[str] | None = None) -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many (20)")
    parser.add_argument("--only", choices=["set", "held back"], help="of the programs")
    parser.add_argument("--mistake", default="", help="only those with these words")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    pool = load_mnist(normalize=False)[0].dataset  # the test digits stay unopened
    cases: list[tuple[str, str, Case, tuple[str, ...]]] = [
        ("healthy", name, case, ()) for name, case in HEALTHY.items()
    ]
    cases += [(*key, case, tests) for key, (case, tests) in patients().items()]
    lines = []
    for mistake, name, case, named_by in cases:
        if (
            arguments.only not in (None, case.bounds)
            or arguments.mistake not in mistake
        ):
            continue
        reports, slowest = examine(case, pool, arguments.seeds)
        tests = Counter(test for report in reports for test in report.findings)
        silent = Counter(r.test for report in reports for r in report if r.fine is None)
        line = {
            "mistake": mistake,
            "program": name,
            "bounds": case.bounds,
            "seeds": len(reports),
            "any test": sum(bool(report.findings) for report in reports),
            "named by": " or ".join(named_by),
            "named": sum(bool({*named_by} & {*r.findings}) for r in reports),
            "tests": "; ".join(f"{t} {n}" for t, n in tests.items()),
            "not run": "; ".join(f"{t} {n}" for t, n in silent.items()),
            "slowest": f"{slowest:.1f}",
        }
        print(*line.values(), sep=" | ", flush=True)
        lines.append(line)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()
