"""Every check with its right answer, the usual wrong ones, and sheer nonsense."""

import inspect
import math

import numpy as np
import pytest
import torch

from mnist_lessons import checks

ALL = {
    name: check
    for name, check in vars(checks).items()
    if inspect.isfunction(check)
    and check.__module__ == checks.__name__
    and not name.startswith("_")
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


RIGHT = {
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
    verdict = ALL[name](lambda _x: ...)
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


@pytest.mark.parametrize("name", ["centre_of_mass", "softmax"])
def test_fresh_input_never_changes_the_verdict(name):
    for _ in range(50):
        assert ALL[name](RIGHT[name][0]).status == "right"
        for other, answer, hint in WRONG:
            if other == name and answer is not counts_in_uint8:  # that one is slow
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
    assert torch.equal(before, torch.get_rng_state())


def test_input_is_fresh_each_time():
    seen = []
    for _ in range(2):
        checks.softmax(lambda z: seen.append(z.clone()) or stable_softmax(z))
    assert not torch.equal(seen[0], seen[len(seen) // 2])


def test_no_message_gives_the_letter_away():
    for name in ("divided_twice", "forgot_zero_grad"):
        letter = RIGHT[name][0]
        for wrong in {"A", "B", "C", "D"} - {letter}:
            words = ALL[name](wrong).message.replace(".", " ").split()
            assert letter not in words
