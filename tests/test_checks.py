"""Every check with its right answer, the usual wrong ones, and sheer nonsense."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_lessons import LinearModel, checks, evaluate, fit

ALL = {
    name: check for name in checks.__all__ if callable(check := getattr(checks, name))
}


def right_centre(image):
    positions = torch.arange(28)
    row = (image.sum(dim=1) * positions).sum() / image.sum()
    return row, (image.sum(dim=0) * positions).sum() / image.sum()


def box_centre(image):
    rows, columns = (image > 0).nonzero().T
    return [float(x.min() + x.max()) / 2 for x in (rows, columns)]


def counts_in_uint8(image):
    row = column = 0
    for r in range(28):
        for c in range(28):
            row += r * image[r, c]
            column += c * image[r, c]
    return row / image.sum(), column / image.sum()


def stable_softmax(logits):
    positive = (logits - logits.amax(dim=1, keepdim=True)).exp()
    return positive / positive.sum(dim=1, keepdim=True)


def changes_its_input(logits):
    logits -= logits.amax(dim=1, keepdim=True)
    return logits.softmax(dim=1)


def dropped(values, p, scale=None, mask=None):
    """Drop by a mask of a smaller shape, or scale by another factor: usual mistakes."""
    kept = torch.rand(mask or values.shape) > p
    return values * kept * (1 / (1 - p) if scale is None else scale)


def in_fixed_places(values, p):
    kept = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) > p
    return values * kept / (1 - p)


def mixes_up(train, valid, scored=None, outputs=12):
    """Return what a linear model mixes up, and its accuracy, on any images."""
    model, images = LinearModel(outputs), valid.dataset
    fit(model, train, epochs=2, lr=0.01, progress=False)
    answers, labels = model.predict(images.images), images.labels
    wrong = answers != labels
    label, answer = torch.stack([labels, answers], 1)[wrong].mode(dim=0).values
    accuracy = evaluate(model, scored or valid).accuracy
    return accuracy, images.classes[label], images.classes[answer]


def another_pair(train, valid):
    return sorted(set(valid.dataset.classes) - set(mixes_up(train, valid)))[:2]


SPACE = {"lr": 0.003, "dropout": 0.1, "batch_size": 128}


def good_space(trial):
    return {
        "lr": trial.suggest_float("lr", 0.001, 0.03, log=True),
        "dropout": trial.suggest_float("dropout", 0, 0.3),
        "batch_size": trial.suggest_categorical("batch_size", [128, 256]),
    }


def space_but(trial, **changes):
    """Return the good space; settings that are changed were chosen by the caller."""
    limits = {
        "lr": lambda: trial.suggest_float("lr", 0.001, 0.03, log=True),
        "dropout": lambda: trial.suggest_float("dropout", 0, 0.3),
        "batch_size": lambda: trial.suggest_categorical("batch_size", [128, 256]),
    }
    return {n: ask() for n, ask in limits.items() if n not in changes} | changes


def around(gains, times):
    half = times * gains.std() / len(gains) ** 0.5
    return gains.mean() - half, gains.mean() + half


def max_pool_from_0(image):
    result = torch.zeros(image.shape[0] // 2, image.shape[1] // 2)
    for r in range(result.shape[0]):
        for c in range(result.shape[1]):
            for pixel in image[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].flatten():
                result[r, c] = max(result[r, c], pixel)
    return result


def max_pool_by_loops(image):
    rows = []
    for r in range(0, image.shape[0], 2):
        starts = range(0, image.shape[1], 2)
        rows.append(torch.stack([image[r : r + 2, c : c + 2].max() for c in starts]))
    return torch.stack(rows)


def farthest_from_0(image):
    largest, smallest = blocks(image).amax(dim=(1, 3)), blocks(image).amin(dim=(1, 3))
    return torch.where(largest > -smallest, largest, smallest)


def blocks(image):
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2)


RIGHT = {
    "clothes": [
        mixes_up,
        lambda t, v: list(mixes_up(t, v)),
        lambda t, v: (torch.tensor(mixes_up(t, v)[0]), *mixes_up(t, v)[1:]),
    ],
    "dropout": [
        dropped,
        lambda v, p: F.dropout(v, p),
        lambda v, p: F.dropout(v, p).double(),
        lambda v, p: torch.where(torch.rand_like(v) < p, 0, v / (1 - p)),
    ],
    "which_dropout": ["C", "c"],
    "small_network": [(0.951, 19_885), (0.945, 20_000), torch.tensor([0.95, 795.0])],
    "edge_filter": ["B", " b"],
    "max_pool": [
        max_pool_by_loops,
        lambda i: blocks(i).amax(dim=(1, 3)),
        lambda i: F.max_pool2d(i[None, None], 2)[0, 0],
    ],
    "small_cnn": [(0.982, 15_898), (0.98, 20_000), [0.981, 14_538]],
    "range_test": ["C", "(c)"],
    "search_space": [
        good_space,
        lambda t: {**good_space(t), "dropout": t.suggest_float("dropout", 0.0, 0.3)},
        lambda t: {**good_space(t), "lr": t.suggest_float("lr", 1e-3, 3e-2, log=True)},
        lambda t: space_but(
            t, batch_size=t.suggest_categorical("batch_size", (256, 128))
        ),
        lambda t: {
            "lr": t.suggest_float("lr", 0.001, 0.03, log=True),
            "dropout": t.suggest_float("dropout", 0, 0.3),
            "batch_size": t.suggest_int("batch_size", 128, 256, step=128),
        },
    ],
    "interval": [
        lambda g: around(g, 2.78),
        lambda g: [end.item() for end in around(g, 2.776)],
        lambda g: torch.stack(around(g, 2.78)),
        lambda g: np.array([end.item() for end in around(g, 2.78)]),
    ],
    "few_digits": [
        0.9751,
        torch.tensor(0.98),
        torch.tensor([0.98]),
        np.array([0.976]),
        0.975,
        np.float32(0.978),
    ],
    "centre_of_mass": [
        right_centre,
        lambda i: [x.item() for x in right_centre(i)],
        lambda i: np.array([float(x) for x in right_centre(i)]),
        lambda i: torch.stack(right_centre(i)).reshape(1, 2),
    ],
    "divided_twice": ["C", " c ", "(C)"],
    "nearest_neighbour": [0.9102, torch.tensor(0.95), 0.9, np.float32(0.91)],
    "softmax": [
        stable_softmax,
        lambda z: torch.softmax(z, dim=1),
        lambda z: stable_softmax(z.double()),
    ],
    "learning_rate": [0.9135, torch.tensor(0.92), np.array(0.91), 0.9051],
    "forgot_zero_grad": ["B", "b"],
}

# check, usual wrong answer, a piece of the message that this answer deserves
WRONG = [
    ("clothes", lambda t, v: mixes_up(t, v, outputs=10), "too few outputs"),
    ("clothes", lambda t, v: mixes_up(t, v, scored=t), "on the training images?"),
    ("clothes", lambda t, v: mixes_up(t, v)[0], "three things"),
    ("clothes", lambda t, v: mixes_up(t, v)[1:], "three things"),
    ("clothes", lambda t, v: (0.92, 3, 4), "place in valid.dataset.classes"),
    ("clothes", lambda t, v: (0.92, "Shirt", "Coat"), "not in valid.dataset.classes"),
    ("clothes", lambda t, v: (92.0, *mixes_up(t, v)[1:]), "a fraction"),
    ("clothes", lambda t, v: (0.92, "cup", "cup"), "no mistake"),
    ("clothes", lambda t, v: (0.31, "cup", "mug"), "Only 31.0% right"),
    ("clothes", lambda t, v: (0.92, *mixes_up(t, v)[:0:-1]), "wrong way round"),
    ("clothes", lambda t, v: (0.92, *another_pair(t, v)), "not mixed up"),
    ("clothes", lambda t, v: t.missing, "Your function stopped"),
    ("clothes", (0.92, "Shirt", "Coat"), "the function itself"),
    ("dropout", lambda v, p: v * 1, "No value was set"),
    ("dropout", lambda v, p: v * 0, "Every value"),
    ("dropout", lambda v, p: dropped(v, p, 1), "sum of the values falls"),
    ("dropout", lambda v, p: dropped(v, p, 1 - p), "became smaller"),
    ("dropout", lambda v, p: dropped(v, p, 1 / p), "divide by p"),
    ("dropout", lambda v, p: dropped(v, p, 1 + p), "Divide instead"),
    ("dropout", lambda v, p: dropped(v, p, 3.0), "multiplied by 3"),
    ("dropout", lambda v, p: dropped(v, 1 - p, 1 / (1 - p)), "Which side of p"),
    ("dropout", lambda v, p: dropped(v, 0.5), "about 20% should"),
    ("dropout", lambda v, p: dropped(v, p, mask=(50,)), "same units"),
    ("dropout", lambda v, p: dropped(v, p, mask=(400, 1)), "Some images"),
    ("dropout", in_fixed_places, "exactly the same values"),
    ("dropout", lambda v, p: dropped(v, 0.2), "With p = 0"),
    ("dropout", lambda v, p: torch.rand_like(v) * (v > 0.7), "the same number"),
    ("dropout", lambda v, p: dropped(v, p).detach(), "gradient cannot flow"),
    ("dropout", lambda v, p: v[torch.rand_like(v) > p], "its place stays"),
    ("dropout", lambda v, p: dropped(v, p).tolist(), "Return a tensor"),
    ("dropout", lambda v, p: v.mul_(torch.rand_like(v) > p), "changes the tensor"),
    ("dropout", torch.rand(3), "the function itself"),
    ("which_dropout", "A", "far too large"),
    ("which_dropout", "B", "overfitting"),
    ("which_dropout", "D", "far too small"),
    ("which_dropout", 0.7, "letter in quotes"),
    ("small_network", (0.9449, 19_885), "94.49%"),
    ("small_network", (0.96, 20_680), "20,680"),
    ("small_network", (19_885, 0.95), "comes first"),
    ("small_network", (95.1, 19_885), "a fraction"),
    ("small_network", 0.951, "two numbers"),
    ("small_network", (0.951, 0), "two numbers"),
    ("small_network", (0.951, 25), "what narrow(...) returns"),
    ("small_network", (0.999, 19_885), "what narrow(...) returns"),
    ("small_network", (math.nan, 19_885), "two numbers"),
    ("edge_filter", "A", "no direction"),
    ("edge_filter", "C", "run across"),
    ("edge_filter", "D", "where you leave it"),
    ("edge_filter", "left", "one of the letters"),
    ("max_pool", lambda i: blocks(i).mean(dim=(1, 3)), "the mean"),
    ("max_pool", lambda i: blocks(i).amin(dim=(1, 3)), "the smallest"),
    ("max_pool", max_pool_from_0, "start at 0"),
    ("max_pool", farthest_from_0, "farthest from 0"),
    ("max_pool", lambda i: i[::2, ::2], "one corner"),
    ("max_pool", lambda i: i.reshape(4, 6, 4).amax(dim=2), "four neighbours in a row"),
    ("max_pool", lambda i: F.max_pool2d(i[None, None], 2, 1)[0, 0], "overlap"),
    ("max_pool", lambda i: blocks(i).amax(dim=1), "half as high"),
    ("max_pool", lambda i: blocks(i).amax(dim=3).max(dim=1), "two things"),
    ("max_pool", lambda i: max_pool_by_loops(i).tolist(), "Return a tensor"),
    ("max_pool", lambda i: max_pool_by_loops(i).detach(), "gradient cannot flow"),
    ("max_pool", lambda i: blocks(i)[:, 1, :, 1], "two rows and two columns"),
    ("max_pool", torch.rand(8, 12), "the function itself"),
    ("range_test", "A", "hardly begun"),
    ("range_test", "B", "still on its way down"),
    ("range_test", "D", "on its way up"),
    ("range_test", 0.2, "letter in quotes"),
    ("search_space", lambda t: list(good_space(t).values()), "Return a dictionary"),
    ("search_space", lambda t: {"lr": good_space(t)["lr"]}, "has no 'batch_size'"),
    ("search_space", lambda t: space_but(t, momentum=0.9), "Nobody asked for momentum"),
    ("search_space", lambda t: SPACE | {"lr": 0.003}, "the same in each trial"),
    (
        "search_space",
        lambda t: SPACE | {"lr": t.suggest_float("rate", 0.001, 0.03, log=True)},
        "has another name",
    ),
    (
        "search_space",
        lambda t: space_but(t, lr=t.suggest_float("lr", 0.001, 0.03)),
        "Say log=True",
    ),
    (
        "search_space",
        lambda t: space_but(t, lr=t.suggest_float("lr", 0.01, 0.03, log=True)),
        "between 0.001 and 0.03",
    ),
    (
        "search_space",
        lambda t: space_but(t, lr=t.suggest_categorical("lr", [0.001, 0.03])),
        "any number in between",
    ),
    (
        "search_space",
        lambda t: space_but(t, dropout=t.suggest_float("dropout", 1e-3, 0.3, log=True)),
        "no logarithm",
    ),
    (
        "search_space",
        lambda t: space_but(t, dropout=t.suggest_float("dropout", 0, 0.5)),
        "between 0 and 0.3",
    ),
    (
        "search_space",
        lambda t: space_but(t, batch_size=t.suggest_int("batch_size", 128, 256)),
        "one of two",
    ),
    (
        "search_space",
        lambda t: space_but(t, batch_size=t.suggest_categorical("batch_size", [128])),
        "one of two",
    ),
    (
        "search_space",
        lambda t: {**(chosen := good_space(t)), "lr": 10 * chosen["lr"]},
        "change lr after",
    ),
    (
        "search_space",
        lambda t: {
            "lr": t.suggest_float("lr", 0.001, 0.03, log=True, step=0.001),
            "dropout": t.suggest_float("dropout", 0, 0.3),
            "batch_size": t.suggest_categorical("batch_size", [128, 256]),
        },
        "log or step",
    ),
    (
        "search_space",
        lambda t: {
            "lr": t.suggest_float("lr", 0.001, 0.03, log=True),
            "dropout": t.suggest_float("dropout", 0, 0.3),
            "batch_size": t.suggest_categorical("batch_size", [128.0, 256.0]),
        },
        "128, not 128.0",
    ),
    (
        "search_space",
        lambda t: good_space(t) | dict.fromkeys([], t.suggest_int("epochs", 1, 9)),
        "more than you return",
    ),
    (
        "search_space",
        lambda t: (t.suggest_float("lr", 0.1, 0.3), good_space(t))[1],
        "lr twice",
    ),
    ("interval", lambda g: (math.nan, math.nan), "not a number"),
    ("interval", lambda g: around(g, 2.78)[::-1], "wrong way round"),
    ("interval", lambda g: around(g, 2.78 * 5**0.5), "as wide as the single runs"),
    ("interval", lambda g: around(g, 2.78 / 5**0.5), "the square root of the number"),
    ("interval", lambda g: around(g, 1), "one standard error"),
    ("interval", lambda g: around(g, 1.96), "1.96 is right for many"),
    ("interval", lambda g: around(g, 2.78 * 0.8**0.5), "by four, not by five"),
    ("interval", lambda g: around(g, 2.78 * float(g.std())), "the variance"),
    ("interval", lambda g: around(g - g.mean(), 2.78), "lies around 0"),
    ("interval", lambda g: around(g + 3, 2.78), "middle of the interval"),
    ("interval", lambda g: around(g, 9), "the width is not"),
    ("interval", lambda g: around(g, 2.78)[0], "two numbers"),
    ("interval", lambda g: None, "does it return"),
    ("interval", torch.rand(5), "the function itself"),
    ("few_digits", 0.9749, "97.49%, nearly"),
    ("few_digits", 0.947, "94.70%"),
    ("few_digits", 97.5, "97.5 % is 0.975"),
    ("few_digits", 0.995, "No network learns"),
    ("few_digits", (0.975, 3), "one number"),
    ("small_cnn", (0.9799, 15_898), "97.99%"),
    ("small_cnn", (0.98, 210_170), "210,170"),
    ("small_cnn", (15_898, 0.98), "comes first"),
    ("small_cnn", (0.9999, 15_898), "what little(...) returns"),
    ("small_cnn", 15_898, "two numbers"),
    ("centre_of_mass", lambda i: right_centre(i)[::-1], "wrong way round"),
    ("centre_of_mass", lambda i: right_centre((i > 0).int()), "counts alike"),
    ("centre_of_mass", box_centre, "middle of the box"),
    ("centre_of_mass", lambda i: [x + 1 for x in right_centre(i)], "from 1"),
    ("centre_of_mass", lambda i: [x // 1 for x in right_centre(i)], "whole numbers"),
    (
        "centre_of_mass",
        lambda i: [round(float(x)) for x in right_centre(i)],
        "whole numbers",
    ),
    ("centre_of_mass", counts_in_uint8, "uint8"),
    ("centre_of_mass", lambda i: (i.sum(dim=1).sum(), i.sum()), "not an average"),
    ("centre_of_mass", lambda i: right_centre(i)[0], "two numbers"),
    ("centre_of_mass", lambda i: (13.5, 13.5), "you say row"),
    ("centre_of_mass", lambda i: None, "does it return"),
    ("centre_of_mass", lambda i: i.mean(), "Your function stopped"),
    ("centre_of_mass", (14.0, 14.0), "the function itself"),
    ("divided_twice", "A", "mean subtracted"),
    ("divided_twice", "B", "exactly once"),
    ("divided_twice", "D", "(0.5, 0.5)"),
    ("divided_twice", "E", "letters A, B, C, D"),
    ("divided_twice", 3, "letter in quotes"),
    ("nearest_neighbour", 0.882, "88.20%"),
    ("nearest_neighbour", 0.8999, "not 90 %"),
    ("nearest_neighbour", 91.0, "a fraction"),
    ("nearest_neighbour", 2000, "number of stored digits"),
    ("nearest_neighbour", 1.0, "among themselves"),
    ("nearest_neighbour", math.nan, "not a number"),
    ("nearest_neighbour", "91 %", "one number"),
    ("nearest_neighbour", True, "one number"),
    ("softmax", lambda z: z.exp(), "do not sum to 1"),
    ("softmax", lambda z: z.softmax(dim=0), "columns sum to 1"),
    ("softmax", lambda z: z.exp() / z.exp().sum(), "whole batch"),
    ("softmax", lambda z: z / z.sum(dim=1, keepdim=True), "negative"),
    ("softmax", lambda z: z.log_softmax(dim=1), "logarithms"),
    ("softmax", lambda z: z.sigmoid(), "do not sum to 1"),
    ("softmax", lambda z: (z / 2).softmax(dim=1), "the ratios"),
    ("softmax", lambda z: z.exp() / z.exp().sum(dim=1), "keepdim=True"),
    ("softmax", lambda z: z - z.max(dim=1), "two things"),
    ("softmax", lambda z: z.exp() / z.exp().sum(dim=1, keepdim=True), "exp(1000)"),
    ("softmax", lambda z: stable_softmax(z) * 2, "do not sum to 1"),
    (
        "softmax",
        lambda z: (z - z.max()).exp() / (z - z.max()).exp().sum(dim=1, keepdim=True),
        "one maximum from the whole batch",
    ),
    ("softmax", lambda z: z.argmax(dim=1), "shape"),
    ("softmax", lambda z: z.softmax(dim=1).tolist(), "Return a tensor"),
    ("softmax", lambda z: z.softmax(dim=1).detach(), "gradient cannot flow"),
    ("softmax", changes_its_input, "changes the tensor"),
    ("softmax", torch.randn(3, 10), "the function itself"),
    ("learning_rate", 0.665, "66.50%"),
    ("learning_rate", 0.9049, "90.49%"),
    ("learning_rate", 1, "the learning rate itself"),
    ("learning_rate", 3, "not the learning rate"),
    ("learning_rate", math.nan, "not a number"),
    ("learning_rate", 0.05, "the learning rate itself"),
    ("learning_rate", 91.2, "a fraction"),
    ("learning_rate", None, "one number"),
    ("forgot_zero_grad", "A", "slowly"),
    ("forgot_zero_grad", "C", "never changed"),
    ("forgot_zero_grad", "D", "nothing is wrong"),
    ("forgot_zero_grad", "zero_grad", "one of the letters"),
]


@pytest.mark.parametrize(
    ("name", "answer"), [(n, a) for n, answers in RIGHT.items() for a in answers]
)
def test_a_right_answer_passes_with_a_sentence_of_why_it_matters(name, answer):
    verdict = ALL[name](answer)
    assert verdict.status == "right", verdict
    assert len(verdict.message.split()) > 10


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_usual_wrong_answer_gets_its_own_hint(name, answer, hint):
    verdict = ALL[name](answer)
    assert verdict.status == "not yet"
    assert hint in verdict.message


def test_every_check_has_right_and_wrong_answers_here():
    assert set(ALL) == set(RIGHT) == {name for name, _, _ in WRONG}


@pytest.mark.parametrize("name", ALL)
def test_three_dots_count_as_not_tried(name):
    assert ALL[name](...).status == "not tried"
    verdict = ALL[name](lambda *_: ...)
    takes_a_function = callable(RIGHT[name][0])
    assert verdict.status == ("not tried" if takes_a_function else "not yet")
    assert ALL["centre_of_mass"](lambda _x: (..., ...)).status == "not tried"


class UnprintableError(Exception):
    """Cannot even be shown."""

    def __str__(self):
        raise ValueError


class Hostile:
    """Raises whatever is done with it."""

    def _refuse(self, *_args, **_kwargs):
        raise UnprintableError

    __eq__ = __bool__ = __len__ = __iter__ = __float__ = __getattr__ = _refuse
    __str__ = __repr__ = __call__ = __lt__ = __gt__ = __getitem__ = _refuse
    __hash__ = None


def exits(*_args):
    raise SystemExit(3)


STRANGE = [
    None, 0, -1, 1.5, math.inf, math.nan, "", "?", b"A", [], {}, (), object(), int,
    torch, torch.tensor([]), torch.zeros(3, 3), torch.tensor(math.nan), [[]], ["a"],
    Hostile(), Hostile, lambda: 1, lambda x: Hostile(), lambda x: x, lambda x: "no",
    lambda x: [Hostile(), Hostile()], exits, lambda x: [math.nan, math.nan], print,
    torch.nn.Linear(784, 10), lambda x: torch.zeros(0), lambda x: x.bool(),
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("number", range(len(STRANGE)))
def test_a_check_never_raises_and_never_praises_nonsense(name, number):
    verdict = ALL[name](STRANGE[number])
    assert verdict.status in {"not yet", "not tried"}
    assert verdict.message.strip()
    assert repr(verdict)


@pytest.mark.parametrize("name", ["centre_of_mass", "softmax", "dropout", "max_pool"])
def test_fresh_input_never_changes_the_verdict(name):
    for _ in range(50):
        assert ALL[name](RIGHT[name][0]).status == "right"
        for other, answer, hint in WRONG:
            slow = answer in (counts_in_uint8, max_pool_from_0)
            if other == name and not slow:
                assert hint in ALL[name](answer).message


def test_the_stop_button_still_works():
    def stopped(_image):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.centre_of_mass(stopped)


def test_checks_leave_the_random_numbers_of_the_notebook_alone():
    before = torch.get_rng_state()
    checks.softmax(stable_softmax)
    checks.centre_of_mass(right_centre)
    checks.max_pool(max_pool_by_loops)
    checks.dropout(in_fixed_places)
    assert torch.equal(before, torch.get_rng_state())


def test_input_is_fresh_each_time():
    seen = []
    for _ in range(2):
        checks.softmax(lambda z: seen.append(z.clone()) or stable_softmax(z))
    assert not torch.equal(seen[0], seen[len(seen) // 2])


def test_no_message_gives_the_letter_away():
    for name in ("divided_twice", "forgot_zero_grad", "which_dropout", "edge_filter"):
        letter = RIGHT[name][0]
        for wrong in {"A", "B", "C", "D"} - {letter}:
            words = ALL[name](wrong).message.replace(".", " ").split()
            assert letter not in words
