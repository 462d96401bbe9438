"""The checks of lesson 7."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import NotTriedError, exercise, fresh, require
from mnist_lessons.checks.lesson_2 import some_digits
from mnist_lessons.models import evaluation_mode
from mnist_lessons.program import logits_of

UNCHANGED = (
    "This still does what the program did when it came in. Edit one line in the cell "
    "above, and run both."
)
STEPS, CLASSES = 600, 5
apart = torch.random.fork_rng(devices=[])  # new models draw the notebook's numbers
Batch = tuple[Tensor, Tensor]


class _Halved(nn.Module):
    """Halves the logits in training mode, so that the mode shows in the loss."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits / 2 if self.training else logits


class _Program:
    """A small program that keeps count of what is asked of it."""

    def __init__(self, *, halved: bool = True) -> None:
        self._random, self._halved = fresh(), halved
        self.models: list[nn.Module] = []
        self.batches = [self.batch() for _ in range(3)]
        self.given: list[Any] = []  # to train_step, one after the other
        self.trained: list[nn.Module] = []

    def batch(self) -> Batch:
        """Draw images, (8, 1, 4, 4), and their labels."""
        images = torch.randn(8, 1, 4, 4, generator=self._random)
        return images, torch.arange(8) % CLASSES

    def make_model(self) -> nn.Module:
        """Build a network with two layers, with other weights each time."""
        layers = nn.Linear(16, 24), nn.Linear(24, CLASSES)
        for layer in layers:
            for tensor in layer.parameters():
                nn.init.normal_(tensor, std=0.3, generator=self._random)
        model = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1])
        if self._halved:
            model.append(_Halved())
        self.models.append(model)
        return model

    def train_step(self, model: nn.Module, batches: Iterable[Any]) -> None:
        """Take a step on each batch, if it is one."""
        model.train()
        optimizer = SGD(model.parameters(), lr=0.2)
        for batch in batches:
            self.given.append(batch)
            if not _is_batch(batch):
                return
            self.trained += [model] if model not in self.trained else []
            optimizer.zero_grad()
            F.cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()

    def took_batches(self) -> None:
        """Say so if `train_step` was given something else."""
        require(
            all(map(_is_batch, self.given)),
            "train_step wants batches, one after the other, each a pair of images and "
            "labels. Yours gets something else: one batch, perhaps, which is not a "
            "list of batches.",
        )


def _serve(batches: Any) -> DataLoader:
    """Return a loader of these batches, which can be gone through, and no more."""
    return DataLoader(batches, batch_size=None)


def _is_batch(given: Any) -> bool:
    return isinstance(given, tuple | list) and [x.ndim for x in given] == [4, 1]


def _number(result: Any) -> float:
    single = [result] if isinstance(result, int | float) else result
    (value,) = asking.numbers(single, 1, "Return one number, the loss.")
    require(not math.isnan(value), "Your loss is not a number (nan).")
    return value


def _losses(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Return the right loss under "", and what usual mistakes give, by their hints."""
    images, labels = batch
    logits = logits_of(model, images)
    return {
        "": float(F.cross_entropy(logits, labels)),
        "cross_entropy applies softmax itself. Give it the logits, unchanged.": float(
            F.cross_entropy(logits.softmax(dim=1), labels)
        ),
        "That is the sum over the batch. The loss is the mean.": float(
            F.cross_entropy(logits, labels, reduction="sum")
        ),
        "You compare the logits with the model's own answers. It needs the labels.": (
            float(F.cross_entropy(logits, logits.argmax(dim=1)))
        ),
        "That is the share of right answers. The loss is wanted.": float(
            (logits.argmax(dim=1) == labels).float().mean()
        ),
    }


def _is_right(value: float, losses: dict[str, float]) -> bool:
    """Say whether it is the right loss; raise the hint of a usual mistake."""
    if math.isclose(value, losses[""], rel_tol=1e-4, abs_tol=1e-6):
        return True
    for hint, wrong in losses.items():
        require(not math.isclose(value, wrong, rel_tol=1e-4, abs_tol=1e-6), hint)
    return False


@exercise
@apart
def first_loss(function: Any) -> str:
    """Check a function: make_model, batches -> loss of a new model, first batch."""
    said = []
    for loud in (1, 300):
        program = _Program(halved=False)
        batches = [(loud * images, labels) for images, labels in program.batches]
        loader = _serve(batches)
        try:
            value = _number(asking.call(function, program.make_model, loader))
        except asking.NotYetError as hint:
            require(
                "positional argument" not in str(hint),
                "make_model() takes no arguments. It returns a model, and this is what "
                "you call with the images.",
            )
            raise
        require(bool(program.models), "No model was built. Call make_model.")
        said.append(value)
        if _is_right(value, _losses(program.models[-1], batches[0])):
            continue
        later = [_losses(program.models[-1], batch)[""] for batch in batches]
        require(
            not any(math.isclose(value, loss, rel_tol=1e-4) for loss in later),
            "That is the loss on another batch. The first one is wanted.",
        )
        require(
            not math.isclose(value, sum(later) / len(later), rel_tol=1e-4),
            "That is the mean over all batches. One is enough, and cheaper.",
        )
        raise asking.NotYetError(
            f"Here the first loss is {later[0]:.2f}, and you return {value:.2f}. Is it "
            "cross_entropy of the logits and the labels of the first batch?"
        )
    return (
        f"Yours says {said[0]:.2f} for a sound network with five classes (guessing "
        f"costs 1.61), and {said[1]:.0f} when its pixels are 300 times as large."
    )


@exercise
@apart
def one_batch(function: Any) -> str:
    """Check a function: make_model, train_step, batch -> loss after 600 steps."""
    program = _Program()
    batch = program.batches[0]
    result = asking.call(function, program.make_model, program.train_step, batch)
    value = _number(result)
    program.took_batches()
    require(bool(program.models), "No model was built. Call make_model.")
    steps, model = len(program.given), [*program.trained, None][0]
    require(model is not None, "No step was taken. Call train_step.")
    assert model is not None
    require(steps > 1, "One step was taken. Give train_step the batch 600 times.")
    require(
        len(program.trained) == 1,
        "Each step was taken by another new model. Build one, and train it all along.",
    )
    fresh_ones = [new for new in program.models if new is not model]
    require(
        not any(math.isclose(value, _losses(new, batch)[""]) for new in fresh_ones),
        "That is the loss of a second new model, which has not taken a step. Keep the "
        "first one under a name.",
    )
    require(steps == STEPS, f"{steps} steps were taken, and {STEPS} are wanted.")
    require(
        all(torch.equal(x, y) for x, y in zip(program.given[-1], batch, strict=True)),
        "The steps were taken on another batch than the one that was given.",
    )
    with evaluation_mode(model):
        losses = _losses(model, batch)
    model.train()
    require(
        not math.isclose(value, _losses(model, batch)[""], rel_tol=1e-4),
        "That is the loss in training mode. Call model.eval() after the steps.",
    )
    require(
        _is_right(value, losses),
        f"After the steps the loss is {losses['']:.4f}, and you return {value:.4f}. Is "
        "it measured after the steps, on the same batch, as plain cross_entropy?",
    )
    return (
        f"A sound program learns its batch by heart: yours says {value:.3f}. One that "
        "cannot do even this needs no more digits, but somebody who looks for a fault."
    )


def _names(result: Any) -> set[str]:
    """Read names of tensors."""
    require(
        isinstance(result, Iterable)
        and not isinstance(result, str)
        and all(isinstance(name, str) for name in result),
        "Return a list of names, such as ['1.weight', '1.bias'].",
    )
    return set(result)


@exercise
@apart
def unmoved(function: Any) -> str:
    """Check a function: make_model, train_step, batches -> names that stand still."""
    every = {"1.weight", "1.bias", "3.weight", "3.bias"}
    cases: list[tuple[set[str], Callable[[Tensor], Tensor], str]] = [
        (
            {"1.bias", "3.weight"},
            lambda weights: weights + 0.1,
            "Is `before` a copy, or a second name for the tensors that are changed?",
        ),
        (
            {"1.weight"},
            lambda weights: torch.cat([weights[:2].flip(0), weights[2:]]),
            "Two of its rows changed places. One number that moves is enough, even if "
            "sums and sizes stay.",
        ),
        (
            {"3.bias"},
            lambda weights: torch.nextafter(weights, weights + 1),
            "It moved by less than a millionth. Ask whether all numbers are exactly "
            "the same.",
        ),
        (every, lambda weights: weights + 0.1, ""),
    ]
    for still, moved, hint in cases:
        program = _Program()

        def step(
            model: nn.Module,
            batches: Iterable[Any],
            program: _Program = program,
            still: set[str] = still,
            moved: Callable[[Tensor], Tensor] = moved,
        ) -> None:
            program.given += list(batches)
            with torch.no_grad():
                for name, weights in model.named_parameters():
                    if name not in still:
                        weights.copy_(moved(weights))

        loader = _serve(program.batches)
        found = _names(asking.call(function, program.make_model, step, loader))
        require(bool(program.given), "No step was taken. Call train_step.")
        program.took_batches()
        require(
            len(program.models) == 1,
            "You build a second model to compare with. It has other weights from the "
            "start: compare one model, before and after.",
        )
        inverted = found == every - still
        require(found == still or not inverted, "Those are the ones that move.")
        too_many = sorted(found - still)
        require(not too_many, f"Yours names {', '.join(too_many)}. {hint}")
        require(
            found == still,
            f"{', '.join(sorted(still - found))} stood still, and yours does not "
            "say so. Weights and biases are tensors alike.",
        )
    return (
        "It tells a step that moves everything from one that moves nothing, or only a "
        "part. What the optimizer was told does not matter: you look at the weights."
    )


class _Silent(nn.Module):
    """Two layers and a third that nobody uses; the first one may get no gradient."""

    def __init__(self, detach: bool, random: torch.Generator) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, 6), nn.Linear(6, 3)
        self.idle, self.detach = nn.Linear(2, 2), detach
        # its gradient is (g, -g), so that the sum is 0
        self.tilt = nn.Parameter(torch.zeros(2))
        for tensor in self.parameters():
            nn.init.normal_(tensor, std=0.5, generator=random)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.first(images.flatten(1))
        hidden = torch.cat([hidden[:, :2], 0 * hidden[:, 2:]], dim=1)
        logits = self.last(hidden.detach() if self.detach else hidden)
        return logits + (self.tilt[0] - self.tilt[1]) * images[:, 0, 1, :3]


@exercise
@apart
def without_gradient(function: Any) -> str:
    """Check a function: make_model, batch -> names of tensors without a gradient."""
    random = fresh()
    images = torch.rand(8, 1, 4, 4, generator=random)
    images[:, :, 0] = 0  # an empty row: some numbers in a gradient are 0
    batch = images, torch.arange(8) % 3
    idle, first = {"idle.weight", "idle.bias"}, {"first.weight", "first.bias"}
    last, built = {"last.weight", "last.bias", "tilt"}, []

    def zero_last() -> nn.Module:
        model = _Silent(False, random)
        nn.init.zeros_(model.last.weight)  # so the gradient before it is there, and 0
        return model

    cases: list[tuple[Callable[[], nn.Module], set[str]]] = [
        (lambda: _Silent(False, random), idle),
        (lambda: _Silent(True, random), idle | first),
        (zero_last, idle | first),
    ]
    for make, silent in cases:

        def make_model(make: Callable[[], nn.Module] = make) -> nn.Module:
            built.append(make())
            return built[-1]

        try:
            found = _names(asking.call(function, make_model, batch))
        except asking.NotYetError as hint:
            if "NoneType" in str(hint):
                raise asking.NotYetError(
                    "Where no gradient arrived, .grad is None, and nothing more can be "
                    "asked of it. Ask for None first."
                ) from hint
            raise
        gone = [weights.grad is None for weights in built[-1].parameters()]
        require(not all(gone), "No gradient was computed at all. What fills in .grad?")
        every = idle | first | last
        require(found != every - silent, "Those are the ones that do get a gradient.")
        require(
            "tilt" not in found,
            "Yours names tilt, whose gradient is not 0: in a sum or a mean positive "
            "and negative numbers cancel.",
        )
        require(
            found >= idle,
            "idle.weight is used nowhere, so its .grad stays None, and yours does not "
            "name it.",
        )
        require(
            found >= silent,
            "Here the gradient of first.weight is there, and 0 everywhere: it teaches "
            "nothing, and yours does not name it.",
        )
        require(
            found <= silent,
            "Yours names tensors of which some numbers have a gradient of 0, as those "
            "of empty pixels have. Name a tensor only if all of them are 0.",
        )
    return (
        "It finds tensors that nothing reaches, tensors that only zeros reach, and "
        "does not mind the weights of empty pixels."
    )


def _learned(model: nn.Module, pixels: Callable[[Tensor], Tensor] = torch.clone) -> str:
    """Train on 600 digits as program A does; say what it reads of 400 others."""
    some = some_digits()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        for images, labels in some.batches:
            optimizer.zero_grad()
            F.cross_entropy(model(pixels(images)), labels).backward()
            optimizer.step()
    logits = logits_of(model, pixels(some.images))
    require(
        float((logits.argmax(dim=1) == some.labels).float().mean()) > 0.6,
        f"After ten epochs of 600 digits it reads {some.accuracy(logits)} others; a "
        "sound program reads more than 80 %.",
    )
    return f"After ten epochs of 600 digits it reads {some.accuracy(logits)} others."


def _bytes(images: Tensor) -> Tensor:
    """Return whole numbers from 0 to 255, as in the files."""
    low, high = images.min(), images.max()
    return (255 * (images - low) / (high - low)).round().byte().squeeze(1)


@exercise
@apart
def mended_pixels(function: Any) -> str:
    """Check a function: bytes, (n, 28, 28) -> standardised pixels, (n, 1, 28, 28)."""
    images = _bytes(some_digits().images)
    result = asking.a_tensor(asking.call(function, images))
    as_it_came = (images.float().unsqueeze(1) - 0.1307) / 0.3081
    if result.shape == as_it_came.shape and torch.allclose(result, as_it_came):
        raise NotTriedError(UNCHANGED)
    shape = as_it_came.shape
    require(
        result.shape == shape,
        f"A network wants {tuple(shape)}, and you return {tuple(result.shape)}.",
    )
    require(
        len(result[:100].unique()) > 10,
        "Nearly all shades of grey are gone. Do you divide whole numbers by whole "
        "numbers, with //?",
    )
    mean, std = float(result.mean()), float(result.std())
    require(
        std > 0.03,
        f"Now the deviation of the pixels is {std:.2g}: too small. Is something "
        "divided twice, or after the standardising instead of before it?",
    )
    require(
        std < 10,
        f"The deviation of the pixels is still {std:.3g}. On which scale were 0.1307 "
        "and 0.3081 measured?",
    )
    require(
        abs(mean) < 0.1 and 0.9 < std < 1.1,
        f"Better: it would learn. But the mean is {mean:.2f} and the deviation "
        f"{std:.2f}, where standardised pixels have 0 and 1.",
    )

    hidden, last = nn.Linear(784, 128), nn.Linear(128, 10)
    model = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), last)
    return (
        f"{_learned(model, lambda some: function(_bytes(some)))} The first loss is "
        "near 2.30 again, and the rate was never the fault."
    )


@exercise
@apart
def mended_model(function: Any) -> str:
    """Check a function: nothing -> a new network that returns logits."""
    model = asking.call(function)
    require(isinstance(model, nn.Module), "Return a network.")
    images = some_digits().images
    with evaluation_mode(model):
        logits = logits_of(model, images)
        louder = logits_of(model, 2 * images)
        nothing = logits_of(model, 0 * images)
        loud = logits_of(model, 1_000 * images)
    if torch.allclose(logits.sum(dim=1), torch.ones(400), atol=1e-4) and (
        logits.shape == (400, 10) and logits.min() >= 0
    ):
        raise NotTriedError(UNCHANGED)
    require(
        logits.shape == (400, 10),
        f"For 400 digits your network returns {tuple(logits.shape)}: ten numbers a "
        "digit are wanted.",
    )
    require(
        not torch.allclose(logits.sum(dim=0), torch.ones(10), atol=1e-3),
        "Now softmax runs over the batch instead of the classes. It is still there.",
    )
    # logarithms of probabilities serve as logits; their probabilities have the sum 1
    are_logs = torch.allclose(loud.exp().sum(dim=1), torch.ones(400))
    require(
        are_logs or bool(loud.min() < -10 and loud.max() > 10),
        "With images a thousand times as loud your outputs lie between "
        f"{float(loud.min()):.2g} and {float(loud.max()):.2g}. Logits are free to be "
        "anything: which part of the network squeezes them?",
    )
    bent = (louder - nothing) - 2 * (logits - nothing)
    require(
        bent.abs().max() > 1e-3 * (logits - nothing).abs().max(),
        "The bend is gone: without ReLU this is a linear model.",
    )
    return (
        f"{_learned(model)} Its outputs are what cross_entropy wants. Whoever wants "
        "probabilities calls .softmax(dim=1) on them, after training."
    )


@exercise
@apart
def mended_net(network: Any) -> str:
    """Check a class of networks in which every layer learns, and `seen` is kept."""
    model = asking.call(network)
    require(isinstance(model, nn.Module), "Give the check the class of a network.")
    images, labels = some_digits().batches[0]
    logits = model(images)
    require(
        logits.requires_grad,
        "Now no layer gets a gradient: the whole of `forward` is cut off from its "
        "history.",
    )
    F.cross_entropy(logits, labels).backward()
    silent = {
        name
        for name, weights in model.named_parameters()
        if weights.grad is None or not weights.grad.any()
    }
    hidden = model.first(images.flatten(1)).relu()
    right = model.last(model.second(hidden).relu())
    seen = getattr(model, "seen", None)
    if (
        silent == {"first.weight", "first.bias"}
        and isinstance(seen, Tensor)
        and torch.allclose(logits, right)
    ):
        raise NotTriedError(UNCHANGED)
    require(
        not silent,
        f"{', '.join(sorted(silent))} get no gradient. Something is still cut off.",
    )
    require(
        isinstance(seen, Tensor),
        "Every layer gets a gradient. But no tensor is kept in self.seen any more, and "
        "the program still wants to draw it.",
    )
    assert seen is not None
    require(
        not seen.requires_grad,
        "Every layer gets a gradient. But self.seen now drags its history along, and "
        "with it the memory of the whole batch.",
    )
    require(
        torch.allclose(seen, hidden),
        "self.seen should be what the first layer puts out, after its ReLU.",
    )
    require(
        torch.allclose(logits, right, atol=1e-5),
        "The network computes something else than before. Only the gradient should "
        "change.",
    )
    return f"{_learned(model)} Six of six tensors get a gradient."


FAULTS = ["sorted digits", "old gradients", "a detached layer", "another optimizer"]
FAULTS += ["a leak", "nothing"]


@exercise
def three_programs(answer: Any) -> str:
    """Check a dictionary: what each of the programs F, G and H has."""
    give = "Give a dictionary with a word for each of F, G and H."
    require(isinstance(answer, Mapping) and set(answer) == set("FGH"), give)
    if any(fault is ... for fault in answer.values()):
        raise NotTriedError
    for letter, fault in sorted(answer.items()):
        require(
            fault in FAULTS,
            f"{letter}: {fault!r} is not on the list: {', '.join(FAULTS)}.",
        )
    require(
        answer["F"] != "nothing",
        "F: the report has a finding. And look at its curve: it goes up by a class or "
        "two an epoch.",
    )
    require(
        answer["F"] == "sorted digits",
        "F: its loop is that of program A, mended. What is special about the order of "
        "its digits?",
    )
    require(
        answer["G"] != "nothing",
        "G: the report has a finding. And its curve falls after the first epoch.",
    )
    require(
        answer["G"] != "another optimizer",
        "G: its optimizer is built from the model that it is given. All tensors move.",
    )
    require(
        answer["G"] == "old gradients",
        "G: how many gradients are in .grad when the second step is taken?",
    )
    require(
        answer["H"] == "nothing",
        "H: which test found that? A training loss with smoothing and dropout is "
        "measured under a handicap.",
    )
    return (
        "Two faults found and one healthy program left alone. Not to treat the healthy "
        "is half of the art."
    )
