"""The checks of lesson 5."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mnist_lessons.checks import asking
from mnist_lessons.checks.asking import exercise, fresh, require
from mnist_lessons.models import CNN
from mnist_lessons.statistics import student_quantile, welch

ROLES = {
    "dropout": "scientific",
    "learning rate": "nuisance",
    "weight decay": "nuisance",
    "batch size": "fixed",
    "epochs": "fixed",
}
LESSON_4_RATE = 0.01
BUDGET = 12
# settings of a recipe that are not the network's
TRAINING = {"lr", "optimizer", "schedule", "batch_size", "weight_decay", "epochs"}
TRAINING |= {"label_smoothing", "shift", "degrees"}


@exercise
def roles(answer: Any) -> str:
    """Check the role of five hyperparameters in one question."""
    require(isinstance(answer, Mapping), "Keep the dictionary: a role for each name.")
    if any(answer.get(name, ...) is ... for name in ROLES):
        raise asking.NotTriedError
    kinds = sorted(set(ROLES.values()))
    for name in ROLES:
        require(
            answer[name] in kinds, f"{name} needs one of the words {', '.join(kinds)}."
        )
    given = {name: str(answer[name]) for name in ROLES}
    require(
        given["dropout"] == "scientific",
        "Which of the five does the question ask about? That one is scientific.",
    )
    others = [n for n, role in given.items() if role == "scientific" and n != "dropout"]
    require(not others, f"The question does not ask about {', '.join(others)}.")
    require(
        given["learning rate"] == "nuisance",
        "With dropout another rate may be best. If the rate is fixed at what suits one "
        "side, the other side loses by that alone.",
    )
    require(
        given["weight decay"] == "nuisance",
        "Dropout and weight decay do similar work, so the best amount of one depends "
        "on the other. What must then be done with it on both sides?",
    )
    fixed = [name for name in ("batch size", "epochs") if given[name] != "fixed"]
    require(
        not fixed,
        f"The task says what becomes of the {' and the '.join(fixed)}: read it again.",
    )
    return (
        "Two knobs to tune on both sides, two to hold. The answer then holds for one "
        "epoch and batches of 256, and the report has to say so."
    )


@exercise
def momentum(function: Any) -> str:
    """Check a function: weight, gradient, velocity, rate, momentum -> two new ones."""
    random = fresh()
    start = torch.randn(6, generator=random)
    gradients = torch.randn(3, 6, generator=random)

    def walk(step: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        weight, velocity = start, torch.zeros(6)
        for gradient in gradients:
            weight, velocity = step(weight, gradient, velocity, 0.1, 0.9)
        return weight, velocity

    def learners(*inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        result = asking.call(function, *inputs)
        both = "Return two tensors: the new weight, then the new velocity."
        require(isinstance(result, tuple | list) and len(result) == 2, both)
        weight, velocity = (asking.a_tensor(part) for part in result)
        require(weight.shape == velocity.shape == (6,), both)
        return weight, velocity

    weight, velocity = walk(learners)

    def is_like(step: Callable) -> bool:
        theirs = walk(step)
        return all(map(torch.allclose, (weight, velocity), theirs))

    mistakes: list[tuple[Callable, str]] = [
        (
            lambda w, g, v, lr, m: (w - lr * g, m * v + g),
            "The weight steps along the gradient alone. Along what should it go?",
        ),
        (
            lambda w, g, v, lr, m: (w - lr * v, m * v + g),
            "The step uses the old velocity: first the velocity, then the weight.",
        ),
        (
            lambda w, g, v, lr, m: (
                w - lr * (m * v + (1 - m) * g),
                m * v + (1 - m) * g,
            ),
            "That is an average of gradients, with a tenth of the new one. PyTorch's "
            "SGD adds all of it.",
        ),
        (
            lambda w, g, v, lr, m: (w + lr * (m * v + g), m * v + g),
            "That walks uphill: the gradient points to where the loss grows.",
        ),
        (
            lambda w, g, v, lr, m: (w - (m * v + lr * g), m * v + lr * g),
            "The same path, but your velocity holds the rate already. Keep the rate "
            "for the weight's line, as PyTorch does, so that a schedule acts at once.",
        ),
        (
            lambda w, g, v, lr, m: (w - lr * (v + g), v + g),
            "Nothing of the old velocity is lost: it never slows down. Where does the "
            "momentum, 0.9, belong?",
        ),
    ]
    asking.rule_out(is_like, mistakes)
    parameter = torch.nn.Parameter(start.clone())
    sgd = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        sgd.step()
    require(
        torch.allclose(weight, parameter.detach(), atol=1e-6),
        "After three steps the weights are not those of torch.optim.SGD with momentum. "
        "Go through two steps on paper, with gradients of 1.",
    )
    require(
        torch.allclose(velocity, sgd.state[parameter]["momentum_buffer"], atol=1e-6),
        "The weights are right. Is the velocity that you return the new one?",
    )
    return (
        "After three steps every weight equals that of torch.optim.SGD. The velocity "
        "is all that momentum has to remember."
    )


@exercise
def difference(function: Any) -> str:
    """Check a function: two tensors of runs -> the ends of Welch's interval."""
    random = fresh()
    made = [torch.randn(count, generator=random) for count in (6, 4)]
    # of known spread: else a usual mistake could come close to what is right
    steps = [(runs - runs.mean()) / runs.std() for runs in made]
    level = 0.95 + 0.01 * torch.rand(1, generator=random)
    first, second = level + 0.01 + 0.004 * steps[0], level + 0.001 * steps[1]
    two = "Return two numbers: the lower end, the upper end."
    ends = asking.numbers(asking.call(function, first, second), 2, two)
    require(not any(map(math.isnan, ends)), "An end of the interval is not a number.")
    low, high = ends
    value, right_low, right_high = welch(first, second)
    close = 5e-3 * (right_high - right_low)
    if abs(low - right_low) < close and abs(high - right_high) < close:
        return (
            f"For these made-up runs, {value:.4f} with {low:.4f} to {high:.4f}. If 0 "
            "lies inside, luck with the seeds explains the difference."
        )
    require(low <= high, "The two ends are the wrong way round: the lower one first.")
    middle, half = (low + high) / 2, (high - low) / 2
    require(
        abs(middle + value) > close,
        "The difference has the wrong sign: the first minus the second.",
    )
    require(
        abs(middle - value) < close,
        "The middle of the interval should be the difference of the two means.",
    )
    parts = first.var() / 6, second.var() / 4
    error = float(sum(parts)) ** 0.5
    degrees = float(sum(parts) ** 2 / (parts[0] ** 2 / 5 + parts[1] ** 2 / 3))
    t = student_quantile(degrees)
    biased = first.var(unbiased=False) / 6 + second.var(unbiased=False) / 4
    spreads = float(first.var() + second.var()) ** 0.5
    roots = float(first.std() / 6 + second.std() / 4) ** 0.5
    added = float(parts[0] ** 0.5 + parts[1] ** 0.5)
    pooled = float((5 * first.var() + 3 * second.var()) / 8 * (1 / 6 + 1 / 4)) ** 0.5
    together = float(torch.cat([first, second]).var() * (1 / 6 + 1 / 4)) ** 0.5
    mistakes = [
        (error, "That is one standard error in each direction. How many of them?"),
        (
            1.96 * error,
            "1.96 is right for very many runs. These know their own spread badly: "
            "student_quantile(degrees) is larger.",
        ),
        (
            t * spreads,
            "That is how far single runs spread. Means are surer than runs: divide "
            "each variance by the number of its runs.",
        ),
        (
            t * float(biased) ** 0.5,
            "Divide the squares by one less than the number of runs: var() does so by "
            "itself.",
        ),
        (t * roots, "That divides standard deviations. It is variances that add up."),
        (
            t * added,
            "Two standard errors do not add up: their squares do. Add first, and take "
            "the root of the sum.",
        ),
        (
            student_quantile(8) * pooled,
            "That takes both spreads for the same (the pooled test). The two recipes "
            "may differ in spread, too: each variance by its own number of runs.",
        ),
        (
            t * together,
            "You put all runs into one heap, so the difference of the two counts as "
            "spread.",
        ),
        (
            t * error**2,
            "The root is missing: that is the square of the standard error.",
        ),
    ]
    asking.rule_out(lambda wrong: math.isclose(half, wrong, rel_tol=4e-3), mistakes)
    raise asking.NotYetError(
        "The middle is right, the width is not: student_quantile(degrees) times the "
        "root of the sum of two variances, each divided by the number of its runs."
    )


@exercise
def search_space(function: Any) -> str:
    """Check a function: trial -> settings for twelve trials of lesson 4's CNN."""
    import optuna  # here, since it takes a second

    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(sampler=sampler)
    optuna.logging.set_verbosity(loudness)
    with warnings.catch_warnings(action="ignore"):  # of what gets a hint below
        trials = [study.ask() for _ in range(BUDGET)]
        every = [asking.call(function, trial) for trial in trials]
    require(
        all(isinstance(settings, Mapping) for settings in every),
        "Return a dictionary: the name of each setting, and its value.",
    )
    if any(value is ... for settings in every for value in settings.values()):
        raise asking.NotTriedError
    kinds: dict[str, Any] = trials[0].distributions
    require(bool(kinds), "You ask the trial for nothing: all twelve would be the same.")
    unused = [n for n in trials[0].params if n not in every[0]]
    require(
        not unused,
        f"You ask for {', '.join(unused)} and do not return it by that name.",
    )
    require(
        len(kinds) <= 4,
        f"{len(kinds)} knobs for {BUDGET} trials: each is tried in a corner or two. "
        "Which of them matter most? Fix the others.",
    )
    require(
        "lr" in kinds,
        'The rate, "lr", is not among them. Whatever else you change, another rate may '
        "be best with it.",
    )
    rate, low, high = kinds["lr"], math.nan, math.nan
    if choices := getattr(rate, "choices", None):
        low, high = min(choices), max(choices)
    else:
        low, high = rate.low, rate.high
        require(
            rate.log,
            "The rate is drawn evenly, so nearly all draws lie near its upper end. Say "
            "log=True.",
        )
    require(
        low < LESSON_4_RATE < high,
        "Lesson 4's own rate, 0.01, is not inside your range. What you have should be "
        "among what can be found.",
    )
    require(
        low * 2 <= LESSON_4_RATE <= high / 2,
        "Lesson 4's own rate, 0.01, stands at an end of your range. Leave room on both "
        "sides.",
    )
    require(
        high <= 1000 * low,
        f"From {low:g} to {high:g} in twelve trials: most are spent where nothing can "
        "be learned. The range test says where.",
    )
    settings = every[0]
    own = {name: value for name, value in settings.items() if name not in TRAINING}
    try:
        CNN(**own)
    except (ValueError, TypeError) as error:
        raise asking.NotYetError(f"No CNN can be built like this. {error}") from error
    require(
        settings.get("epochs", 1) == 1,
        "More epochs than one cost more: the budget is twelve trials of one epoch.",
    )
    names = ", ".join(kinds)
    return (
        f"Twelve trials over {names}. What you left fixed is an assumption: write down "
        "why, before you search."
    )


@exercise
def decision(answer: Any) -> str:
    """Check a report on winner and recipe: budget, seeds, interval, decision."""
    names = ("trials", "winner", "lesson 4", "interval", "seconds", "decision")
    require(isinstance(answer, Mapping), "Keep the dictionary.")
    if any(answer.get(name, ...) is ... for name in names):
        raise asking.NotTriedError
    require(
        answer["trials"] == BUDGET,
        f"The budget was {BUDGET} trials: count those of the search.",
    )
    runs: dict[str, dict[int, float]] = {}
    for name in ("winner", "lesson 4"):
        require(
            isinstance(answer[name], Mapping) and len(answer[name]) >= 3,
            f"{name}: give the accuracies by their seeds, three at least.",
        )
        runs[name] = dict(answer[name])
        require(
            0 not in runs[name],
            "Seed 0 is the one that the search ran with: its luck is in the choice "
            "already. Fresh seeds only.",
        )
    shared = sorted(set(runs["winner"]) & set(runs["lesson 4"]))
    require(
        not shared,
        f"Both sides have the seed {shared[:1]}: such networks share luck, and welch "
        "takes all runs for independent. Give each run a seed of its own.",
    )
    first, second = (torch.tensor(list(side.values())) for side in runs.values())
    value, low, high = welch(first, second)
    ends = asking.numbers(answer["interval"], 2, "The interval has two ends.")
    close = 0.01 * (high - low)
    if abs(ends[0] + high) < close and abs(ends[1] + low) < close:
        raise asking.NotYetError("The interval is that of lesson 4 minus the winner.")
    require(
        abs(ends[0] - low) < close and abs(ends[1] - high) < close,
        "This is not the interval of the difference of these runs: welch(winner's, "
        "lesson 4's), and of its three numbers the last two.",
    )
    (seconds,) = asking.numbers(
        [answer["seconds"]], 1, "seconds: how much longer the winner trains, a number."
    )
    words = ("take the winner", "keep lesson 4's")
    require(answer["decision"] in words, f"The decision is one of {words}.")
    takes = answer["decision"] == words[0]
    require(
        not (takes and high < 0),
        "All of the interval lies below 0: the winner is worse than what you have.",
    )
    require(
        not (takes and low <= 0),
        "0 lies inside the interval: luck with the seeds explains this difference. "
        "What is known, and costs nothing to keep, stays.",
    )
    spent = f"{abs(seconds):.1f} s {'more' if seconds > 0 else 'less'} a training"
    if takes:
        return (
            f"{100 * value:+.2f} points, at least {100 * low:.2f} with other seeds, "
            f"for {spent}. On other digits it may differ: say so."
        )
    if low > 0:
        return (
            f"At least {100 * low:.2f} points are there to be had, for {spent}. You "
            "may decline that price, if you say which it is."
        )
    return (
        f"{100 * value:+.2f} points, and 0 inside the interval: a recipe tuned with "
        "care is hard to beat in twelve trials. That is a result, too."
    )
