"""The checks of lesson 5."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require
from mnist_lessons.data import Digits, make_loader
from mnist_lessons.training import pick_device

STUDENT = 2.78  # five runs, 95 %
NAMES = ["cup", "mug", "jug", "pan", "pot", "lid", "fork", "knife", "spoon", "bowl"]
NAMES += ["plate", "tray"]  # twelve: more than there are digits
MANY, FEW = 600, 120  # training images of a class, and of the rare twin
SCORED = 40  # validation images of each class


range_test = asking.choice(
    "Check the letter of the rate that SGD's range test speaks for.",
    "C",
    "SGD's good rates are some fifty times larger than Adam's, which divides every "
    "step by the size of the gradient. So a new optimiser needs a new test.",
    A="At A the loss has hardly begun to fall: such steps are too small.",
    B="At B the loss is still on its way down, and larger steps do better.",
    D="At D the loss is on its way up: such steps jump across the valley.",
)


@exercise
def search_space(function: Any) -> str:
    """Check a function: trial -> lr, dropout and batch_size by name."""
    # imported here, since it takes a second; a study says that it is new, but not now
    import optuna

    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler()).ask()
    optuna.logging.set_verbosity(loudness)
    with warnings.catch_warnings(action="ignore"):  # of what gets a hint below
        settings = asking.call(function, trial)
    require(
        isinstance(settings, Mapping),
        "Return a dictionary: the name of each setting, and its value.",
    )
    if ... in settings.values():
        raise asking.NotTriedError
    wanted = {"lr", "dropout", "batch_size"}
    missing = wanted - set(settings)
    require(
        not missing,
        f"What you return has no {' and no '.join(map(repr, sorted(missing)))}.",
    )
    extra = set(map(str, settings)) - wanted
    require(not extra, f"Nobody asked for {', '.join(sorted(extra))}.")
    unasked = wanted - set(trial.params)
    require(
        not unasked,
        f"{', '.join(sorted(unasked))} is the same in each trial, or has another name "
        "in its suggest_... call: ask the trial for it, by the name you return it by.",
    )
    kinds: dict[str, Any] = trial.distributions
    lr, dropout, size = (kinds[name] for name in ("lr", "dropout", "batch_size"))
    floats = optuna.distributions.FloatDistribution
    require(
        isinstance(lr, floats) and not lr.step,
        "The rate may be any number in between: suggest_float.",
    )
    require(
        lr.log,
        "The rate is drawn evenly, so two draws in three lie above 0.01. Say log=True.",
    )
    limits = "The rate should lie between 0.001 and 0.03."
    require((lr.low, lr.high) == (0.001, 0.03), limits)
    require(
        isinstance(dropout, floats) and not dropout.step and not dropout.log,
        "Dropout may be any number from 0 to 0.3: suggest_float, without log (0 has "
        "no logarithm).",
    )
    limits = "Dropout should lie between 0 and 0.3."
    require((dropout.low, dropout.high) == (0.0, 0.3), limits)
    sizes = getattr(size, "choices", ())
    same_two = optuna.distributions.IntDistribution(128, 256, step=128)
    require(
        size == same_two or sorted(sizes) == [128, 256],
        "The batch size is one of two: suggest_categorical with a list of both.",
    )
    require(
        all(isinstance(size, int) for size in sizes),
        "A batch has a whole number of digits: 128, not 128.0.",
    )
    require(set(trial.params) == wanted, "You ask the trial for more than you return.")
    for name in wanted:
        hint = f"You change {name} after the trial has chosen it."
        require(settings[name] == trial.params[name], hint)
    return (
        "This is all a search has to know. The ranges are your knowledge; the rest "
        "it finds out."
    )


@exercise
def interval(function: Any) -> str:
    """Check a function: five gains -> the ends of the 95 % interval of their mean."""
    gains = 0.003 + 0.002 * torch.randn(5, generator=fresh())
    ends = asking.numbers(
        asking.call(function, gains),
        2,
        "Return two numbers: the lower end, the upper end.",
    )
    require(not any(map(math.isnan, ends)), "An end of the interval is not a number.")
    mean, spread = float(gains.mean()), float(gains.std())
    error = spread / math.sqrt(5)
    middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2

    def is_wide(expected: float) -> bool:
        return math.isclose(half, expected, rel_tol=5e-3)  # 2.776 is fine, too

    require(half >= 0, "The two ends are the wrong way round: the lower one first.")
    centred = math.isclose(middle, mean, abs_tol=1e-3 * spread)
    if is_wide(STUDENT * error) and centred:
        return (
            "If 0 lies inside, five runs cannot tell the gain from luck. Four times as "
            "many runs make it half as wide."
        )
    require(
        not is_wide(STUDENT * error) or abs(middle) > 1e-3 * spread,
        "The width is right, but the interval lies around 0. Put it around the mean.",
    )
    require(centred, "The middle of the interval should be the mean of the gains.")
    biased = float(gains.std(unbiased=False)) / math.sqrt(5)
    mistakes = (
        (
            STUDENT * spread,
            "That is as wide as the single runs spread. The mean of five is surer than "
            "one run: divide by the square root of how many there are.",
        ),
        (
            STUDENT * spread / 5,
            "You divide by the number of runs; it is the square root of the number.",
        ),
        (error, "That is one standard error in each direction; 95 % need 2.78."),
        (
            1.96 * error,
            "1.96 is right for many runs. Five know their own spread badly: 2.78.",
        ),
        (
            STUDENT * biased,
            "Divide the squares by four, not by five, for the spread of five runs: "
            "std() does so by itself.",
        ),
        (
            STUDENT * spread**2 / math.sqrt(5),
            "That uses the variance. The standard deviation is its square root.",
        ),
    )
    asking.rule_out(is_wide, mistakes)
    raise asking.NotYetError(
        "The middle is right, the width is not: 2.78 standard errors."
    )


@exercise
def few_digits(answer: Any) -> str:
    """Check an accuracy: at least 97.5 % from 1,000 digits."""
    right = asking.accuracy(answer, "from_thousand(...)")
    require(
        right <= 0.99,
        "No network learns that from 1,000 digits in 20 epochs. Give the check what "
        "from_thousand(...) returns.",
    )
    require(
        right >= 0.97,
        f"{right:.2%}. Have you turned on all of it: turns, moves, smoothing, a rate "
        "above 0.001? And not too much of any?",
    )
    require(
        right >= 0.975,
        f"{right:.2%}, nearly. Is the rate too timid, or do the digits still look "
        "natural to you after such turns?",
    )
    return (
        "A thousand digits that move teach as much as five thousand that stand still. "
        "Where data are expensive, this is the first thing to try."
    )


class Crockery:
    """Small made-up images of twelve classes, two of which look the same.

    The rarer of these twins is always taken for the other one, and nothing else has to
    be mixed up: so it is known what to find, and which accuracy is the best on `valid`.
    """

    def __init__(self) -> None:
        self._random, device = fresh(), pick_device()
        order = torch.randperm(len(NAMES), generator=self._random).tolist()
        self._rare, twin = order[:2]
        self._places = list(range(len(NAMES)))
        self._places[self._rare] = twin
        self.rare, self.frequent = NAMES[self._rare], NAMES[twin]
        self.train = self._loader(MANY, FEW, device, shuffle=True)
        self.valid = self._loader(SCORED, SCORED, device, shuffle=False)
        self.best = 1 - 1 / len(NAMES)

    def _loader(
        self, count: int, rare: int, device: torch.device, *, shuffle: bool
    ) -> DataLoader:
        """Serve (batch, 1, 28, 28): `count` of each class, but `rare` of the twin."""
        counts = [count] * len(NAMES)
        counts[self._rare] = rare
        labels = torch.arange(len(NAMES)).repeat_interleave(torch.tensor(counts))
        images = 0.1 * torch.rand(len(labels), 1, 28, 28, generator=self._random)
        for label, place in enumerate(self._places):
            row, column = divmod(place, 4)
            top, left = 9 * row + 2, 7 * column + 1  # a square of its own
            images[labels == label, :, top : top + 5, left : left + 5] += 1
        digits = Digits(images.to(device), labels.to(device), list(NAMES), 0.0, 1.0)
        return make_loader(digits, 128, shuffle=shuffle)


@exercise
def clothes(function: Any) -> str:
    """Check a function: two loaders -> accuracy, name of a label, name of an answer."""
    require(callable(function), "Give the check the function itself, without brackets.")
    crockery = Crockery()
    try:
        result = asking.call(function, crockery.train, crockery.valid)
    except asking.NotYetError as hint:
        if "out of bounds" in str(hint) or "out of range" in str(hint):
            raise asking.NotYetError(
                "Your network has too few outputs: these images have twelve classes. "
                "Count valid.dataset.classes, and tell the model."
            ) from hint
        raise
    three = "Return three things: the accuracy, the label's name, the answer's name."
    require(isinstance(result, tuple | list) and len(result) == 3, three)
    score, label, answer = result
    right = asking.accuracy(getattr(score, "accuracy", score), "evaluate(...).accuracy")
    require(
        isinstance(label, str) and isinstance(answer, str),
        f"{three} A class's number is its place in valid.dataset.classes.",
    )
    require(
        {label, answer} <= set(NAMES),
        "These names are not in valid.dataset.classes: take them from there, since "
        "the images may be of anything.",
    )
    require(
        label != answer,
        "Label and answer are the same: that is no mistake. Leave out what is right.",
    )
    require(
        right <= crockery.best + 0.02,
        f"{right:.1%} of the validation images cannot be right, because two classes "
        "look the same. Is this the accuracy on the training images?",
    )
    require(
        right >= crockery.best - 0.1,
        f"Only {right:.1%} right. Did the network train on the images that your "
        "function is given, for two epochs, with the rate of `last`?",
    )
    require(
        (label, answer) != (crockery.frequent, crockery.rare),
        "The right pair, the wrong way round: first the label, then the answer.",
    )
    require(
        (label, answer) == (crockery.rare, crockery.frequent),
        f"{label} and {answer} are not mixed up most often. Count each pair of label "
        "and answer among the mistakes on the validation images.",
    )
    return (
        "Nothing in your function knows what is on the images. That is why the same "
        "lines serve digits, clothes and letters."
    )
