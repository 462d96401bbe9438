"""`diagnose`: silent on healthy programs; a mistake is found by a test that names it.

The programs are what a learner writes: a model, a loop by hand, a score. Over more
seeds and networks, `benchmarks/clinic.py` counts the same.
"""

import copy
import random
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.utils.data import DataLoader, TensorDataset

from mnist_lessons import CNN, MLP, LinearModel, diagnose, fit
from mnist_lessons.arguments import LessonsError
from mnist_lessons.data import make_loader
from mnist_lessons.diagnosis import TESTS

NAMES = [test.__name__.replace("_", " ") for test in TESTS]
momentum = partial(SGD, momentum=0.9)


def small():
    return MLP(hidden=(32,), dropout=0.3)


def norm():
    layers = [nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(16, 10))


class Dropping(MLP):
    def __init__(self):
        super().__init__(hidden=(64,))

    def forward(self, images):
        hidden = self.layers[:3](images)
        return self.layers[-1](F.dropout(hidden, 0.9, self.training))


def loop(optimizer=Adam, lr=0.003, other=None, calls="zbs", **options):
    """Return a loop that calls zero_grad, backward and step in the order given."""

    def train(model, batches):
        opt = optimizer((other() if other else model).parameters(), lr=lr)
        model.train()
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels, **options)
            by_letter = {"z": opt.zero_grad, "b": loss.backward, "s": opt.step}
            by_letter["0"] = partial(opt.zero_grad, set_to_none=False)
            for letter in calls:
                by_letter[letter]()

    return train


def without_an_optimizer(model, batches):
    """The loop of lesson 2, before it has an optimizer."""
    for images, labels in batches:
        F.cross_entropy(model(images), labels).backward()
        with torch.no_grad():
            for weights in model.parameters():
                weights -= 0.05 * weights.grad
                weights.grad.zero_()


def score(model, batches, forgetful=False):
    if not forgetful:
        model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in batches:
            right += (model(images).argmax(dim=1) == labels).sum().item()
    return right / len(batches.dataset)


def by_luck(model, batches):
    return score(model, batches) + random.random() / 1000


def mean_of_means(model, batches):
    model.eval()
    shares = [(model(x).argmax(dim=1) == y).float().mean() for x, y in batches]
    return sum(shares) / len(batches)


@pytest.fixture(scope="module")
def serve(loaders):
    """`serve(change)` returns two loaders: of 1,500 training digits, and 500 others.

    They hold what `change(train, valid)` makes of the two pairs (images, labels).
    """
    pairs = loaders.train.dataset[:1500], loaders.train.dataset[2000:2500]

    def loaders_of(change=lambda train, valid: (train, valid), shuffle=True):
        train, valid = (TensorDataset(*pair) for pair in change(*pairs))
        valid = make_loader(valid, 200, shuffle=False)
        return make_loader(train, 64, shuffle=shuffle), valid

    return loaders_of


HEALTHY = {
    "nothing but a model": (small, {}),
    "linear": (LinearModel, {"train_step": loop(SGD, 0.03), "score": score}),
    "no optimizer": (LinearModel, {"train_step": without_an_optimizer}),
    "much dropout": (
        partial(MLP, (64, 64), dropout=0.8),
        {"train_step": loop(label_smoothing=0.2), "score": score},
    ),
    "dropout inside": (
        Dropping,
        {"train_step": loop(), "score": score},
    ),
    "zero_grad last": (small, {"train_step": loop(calls="bsz"), "score": score}),
    "batch norm": (norm, {"train_step": loop(momentum, 0.03), "score": score}),
    "decay and smoothing": (
        small,
        {
            "train_step": loop(partial(AdamW, weight_decay=0.1), label_smoothing=0.2),
            "score": lambda *given: round(100 * score(*given), 1),
        },
    ),
    "decay in Adam": (
        norm,
        {"train_step": loop(partial(Adam, weight_decay=0.01)), "score": score},
    ),
    "fit": (
        partial(CNN, (4, 8), hidden=16, batch_norm=True),
        {"train_step": partial(fit, epochs=2, lr=0.05, optimizer=momentum)},
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_program_gives_no_finding(name, serve):
    make_model, functions = HEALTHY[name]
    report = diagnose(make_model, *serve(), **functions)
    assert [result.test for result in report] == NAMES
    assert [result.fine for result in report] == [True] * 8, report
    assert report.findings == []


def last_from_zero():
    model = small()
    nn.init.zeros_(model.layers[-1].weight)
    nn.init.zeros_(model.layers[-1].bias)
    return model


def frozen():
    model = small()
    model.layers[1].requires_grad_(False)
    return model


def scaled_weights(make_model, factor):
    model = make_model()
    with torch.no_grad():
        next(model.parameters()).mul_(factor)
    return model


def blank_pixels(train, valid):
    return [(images.clamp(min=0), labels) for images, labels in (train, valid)]


def test_nor_do_sound_habits_that_look_odd(serve):
    before_norm = partial(scaled_weights, norm, 1000)  # which takes the factor out
    for make_model in (last_from_zero, frozen, before_norm):
        report = diagnose(make_model, *serve(), train_step=loop(), score=score)
        assert all(result.fine for result in report), report

    # two batches a step, on purpose; pixels that never light up
    def in_pairs(model, batches):
        opt = Adam(model.parameters(), lr=0.003)
        for number, (images, labels) in enumerate(batches, 1):
            F.cross_entropy(model(images), labels).backward()
            if number % 2 == 0:
                opt.step()
                opt.zero_grad()

    for change in (blank_pixels, lambda *pairs: pairs):
        report = diagnose(small, *serve(change), train_step=in_pairs, score=score)
        assert all(result.fine for result in report), report


def with_softmax():
    return nn.Sequential(small(), nn.Softmax(dim=1))


def from_zero():
    model = small()
    for weights in model.parameters():
        nn.init.zeros_(weights)
    return model


class Detached(MLP):
    def forward(self, images):
        return self.layers[3:](self.layers[:3](images).detach())


class Unused(MLP):
    def __init__(self):
        super().__init__(hidden=(32,))
        self.more = nn.Linear(32, 32)


def part_of(model, batches):
    loop()(model.layers[-1], [(model.layers[:-1](x).detach(), y) for x, y in batches])


def half_an_optimizer(model, batches):
    opt = Adam(model.layers[-1].parameters(), lr=0.003)
    for images, labels in batches:
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        opt.step()


def without_biases(model, batches):
    opt = Adam([w for w in model.parameters() if w.ndim > 1], lr=0.003)
    for images, labels in batches:
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        opt.step()


def by_class(train, valid):
    order = train[1].argsort()
    return (train[0][order], train[1][order]), valid


def scaled(factor):
    return lambda *pairs: [(images * factor, labels) for images, labels in pairs]


def leak(train, valid):
    pairs = zip(train, valid, strict=True)
    return train, [torch.cat([t[700:705], v]) for t, v in pairs]


# make_model, train_step, score, what happens to the digits; and who names the mistake
MISTAKES = {
    "softmax twice": (with_softmax, loop(), score, None, {"one batch"}),
    "softmax twice, SGD": (with_softmax, loop(SGD, 0.1), score, None, {"one batch"}),
    "zero_grad forgotten": (
        small,
        loop(calls="bs"),
        score,
        None,
        {"old gradients"},
    ),
    "zero_grad too early": (
        small,
        loop(calls="bzs"),
        score,
        None,
        {"one batch", "moved weights"},
    ),
    "zero_grad too early, decay": (
        small,
        loop(partial(AdamW, weight_decay=0.1), calls="b0s"),
        score,
        None,
        {"one batch", "moved weights"},
    ),
    "another model's optimizer": (
        small,
        loop(other=small),
        score,
        None,
        {"one batch", "old gradients", "moved weights"},
    ),
    "half an optimizer": (small, half_an_optimizer, score, None, {"moved weights"}),
    "biases left out": (small, without_biases, score, None, {"moved weights"}),
    "rate too large": (small, loop(SGD, 100.0), score, None, {"one batch"}),
    "rate too small": (small, loop(SGD, 1e-5), score, None, {"one batch"}),
    "sorted": (small, loop(), score, by_class, {"mixed labels"}),
    "weights too large": (
        partial(scaled_weights, LinearModel, 20),
        loop(),
        score,
        None,
        {"first loss"},
    ),
    "0 to 255": (norm, loop(), score, scaled(100), {"first loss"}),
    "divided twice": (small, loop(), score, scaled(1 / 255), {"first loss"}),
    "leak": (small, loop(), score, leak, {"shared images"}),
    "from zero": (from_zero, loop(), score, None, {"one batch", "gradients"}),
    "detached": (partial(Detached, (32,)), loop(), score, None, {"gradients"}),
    "unused": (Unused, loop(), score, None, {"gradients"}),
    "no eval, dropout": (
        small,
        loop(),
        partial(score, forgetful=True),
        None,
        {"fair score"},
    ),
    "no eval, norm": (
        norm,
        loop(),
        partial(score, forgetful=True),
        None,
        {"fair score"},
    ),
    "luck in the score": (small, loop(), by_luck, None, {"fair score"}),
    "mean of means": (small, loop(), mean_of_means, None, {"fair score"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_by_the_tests_that_name_it(name, serve):
    make_model, train_step, own_score, change, tests = MISTAKES[name]
    given = serve(change, shuffle=change is not by_class) if change else serve()
    report = diagnose(make_model, *given, train_step=train_step, score=own_score)
    assert {*report.findings} == tests, report
    assert None not in [result.fine for result in report]


def result_of(report, name):
    (result,) = [result for result in report if result.test == name]
    return result


def test_the_measured_values_are_those_that_lesson_2_knows(serve):
    report = diagnose(with_softmax, *serve(), train_step=loop(lr=0.01), score=score)
    loss = float(result_of(report, "one batch").measured.split()[1])
    assert 1.46 <= loss < 1.7
    assert "stops at 1.46" in result_of(report, "one batch").mistakes
    assert "loss 2.3" in result_of(report, "first loss").measured
    assert "about 2.30" in result_of(report, "first loss").expected
    report = diagnose(partial(Detached, (32,)), *serve(), train_step=loop())
    silent = result_of(report, "gradients").measured
    assert silent.endswith(" 2 of 4 tensors (layers.1.weight, layers.1.bias)")
    report = diagnose(MLP, *serve(), train_step=loop(calls="bs"))
    (never,) = [r.measured for r in report if r.test == "old gradients"]
    names = "layers.1.weight, layers.1.bias, layers.4.weight, layers.4.bias, ..."
    assert never.endswith(f" 6 of 6 tensors ({names})")
    report = diagnose(small, *serve())
    assert result_of(report, "moved weights").measured.endswith(": 0 of 4 tensors")
    report = diagnose(small, *serve(leak))
    assert result_of(report, "shared images").measured.startswith("5 of 505 ")
    # ten batches of 49, then one of 10, all of it wrong
    report = diagnose(small, *serve(), score=mean_of_means)
    measured, expected = (
        float(text.split()[place].strip(","))
        for text, place in zip(
            result_of(report, "fair score")[2:4], (0, 1), strict=True
        )
    )
    assert measured == pytest.approx(expected * 500 / 490 * 10 / 11, abs=1e-3)


def test_a_broken_program_is_reported_and_not_raised(serve):
    def stops(model, batches):
        raise RuntimeError("no such <layer>")

    train, valid = serve()
    report = diagnose(small, train, valid, train_step=stops, score=stops)
    silent = {result.test for result in report if result.fine is None}
    assert silent == {*NAMES[3:]}
    assert report.findings == []
    assert repr(report).count("could not run") == 5
    assert "RuntimeError: no such <layer>" in repr(report)
    assert "no such &lt;layer&gt;" in report._repr_html_()
    # a score that returns no number, a loop that does nothing, a model of another shape
    report = diagnose(small, train, valid, train_step=loop(), score=lambda *_: None)
    assert result_of(report, "fair score").fine is None
    report = diagnose(small, train, valid, train_step=lambda *_: None, score=score)
    assert report.findings == ["one batch", "gradients"]
    report = diagnose(lambda: nn.Linear(3, 2), train, valid, train_step=loop())
    assert result_of(report, "first loss").fine is None
    # without other digits, what needs them does not run
    report = diagnose(small, train)
    silent = {result.test for result in report if result.fine is None}
    assert silent == {"shared images"}
    assert "there is no valid_loader" in repr(report)

    # a loss that is no number
    def explode(model, batches):
        with torch.no_grad():
            next(model.parameters()).mul_(float("nan"))

    report = diagnose(small, train, valid, train_step=explode, score=score)
    assert "one batch" in report.findings


def test_what_stops_a_test_is_said_in_words(serve):
    train, valid = serve()

    def yields(model, batches):
        yield from batches

    def exits(model, batches):
        raise SystemExit(3)

    run = partial(diagnose, small, train, valid)
    for given, test, words in (
        ({"train_step": yields}, "one batch", "train_step has a `yield`, so none"),
        ({"train_step": exits}, "moved weights", "SystemExit: 3"),
        ({"score": lambda *_: (0.3, 0.9)}, "fair score", "returns a tuple, no number"),
    ):
        result = result_of(run(**given), test)
        assert result.fine is None
        assert words in result.measured


class FromBytes(MLP):
    """Divides by 255 itself, and sees doubles once it is trained."""

    def forward(self, images):
        return super().forward((images / 255).to(next(self.parameters()).dtype))


def doubled(model, batches):
    loop()(model.double(), ((images.double(), labels) for images, labels in batches))


def test_bytes_doubles_and_a_batch_of_one_are_no_faults(serve):
    train, valid = serve()
    raw = [
        [(((x * 0.3081 + 0.1307) * 255).round().byte(), y) for x, y in loader]
        for loader in (train, valid)
    ]
    report = diagnose(FromBytes, *raw, train_step=loop(), score=score)
    assert [result.test for result in report if result.fine is None] == []
    assert set(report.findings) <= {"first loss"}  # bytes do spread by more than 10
    report = diagnose(small, train, valid, train_step=doubled)
    assert result_of(report, "one batch").fine
    # 65 digits make a batch of 64 and one of a single digit, which batch norm refuses
    images, labels = train.dataset[:65]
    few = make_loader(TensorDataset(images, labels), 65, shuffle=False)
    assert diagnose(norm, few, valid, train_step=loop()).findings == []


def test_softmax_twice_is_found_with_few_classes_too(serve):
    for classes in (2, 3, 5):

        def of_few(loader, classes=classes):
            images, labels = loader.dataset[:]
            wanted = labels < classes
            digits = TensorDataset(images[wanted], labels[wanted])
            return make_loader(digits, 32, shuffle=True)

        train, valid = map(of_few, serve())
        make = partial(MLP, (32,), 0.0, classes)
        assert diagnose(make, train, valid, train_step=loop()).findings == []

        def twice(make=make):
            return nn.Sequential(make(), nn.Softmax(dim=1))

        report = diagnose(twice, train, valid, train_step=loop())
        assert "one batch" in report.findings, classes


def test_input_that_is_no_program_is_refused(serve):
    train, valid = serve()
    model = small()
    body = small()
    for given, words in (
        ((model, train), "make_model is a MLP; give a function"),
        ((lambda: model, train), "new weights at each call"),
        ((lambda: nn.Sequential(body, nn.Linear(10, 10)), train), "new weights"),
        ((lambda: 3, train), "make_model\\(\\) gives no model"),
        ((nn.Flatten, train), "new weights"),
        ((lambda: 1 / 0, train), "ZeroDivisionError"),
        ((small, None), "train_loader gives no batches"),
        ((small, []), "train_loader gives no batches"),
        ((small, (batch for batch in train)), "train_loader gives no batches"),
        (
            (small, [(torch.zeros(2, 1, 28, 28), torch.zeros(2, 10))]),
            r"train_loader gives labels float32, \(batch, 10\); give int64, \(batch,\)",
        ),
        (
            (small, train, [(torch.zeros(2, 1, 28, 28), torch.zeros(2))]),
            r"valid_loader gives labels float32, \(batch\)",
        ),
        ((small, train, 5), "valid_loader gives no batches"),
    ):
        with pytest.raises(LessonsError, match=words) as error:
            diagnose(*given)
        assert isinstance(error.value, ValueError)
    for name in ("train_step", "score"):
        with pytest.raises(LessonsError, match=f"{name} is a int; give a function"):
            diagnose(small, train, valid, **{name: 3})


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()


def test_nothing_is_changed(serve, capsys):
    train, valid = serve()
    like_train, _ = serve()
    for loader in (train, like_train):  # it goes on from where it is
        next(iter(loader))
    mine = small()
    opt = Adam(mine.parameters(), lr=0.1)
    images, labels = next(iter(valid))
    F.cross_entropy(mine(images), labels).backward()
    before = copy.deepcopy(mine.state_dict())
    slopes = [weights.grad.clone() for weights in mine.parameters()]

    def with_my_optimizer(model, batches):  # which holds my model's weights
        print("I am training")
        random.random(), np.random.rand()
        for images, labels in batches:
            F.cross_entropy(model(images), labels).backward()
            opt.step()

    random.random(), np.random.rand(), torch.rand(1)  # on from where any seed begins
    old = states()
    report = diagnose(small, train, valid, train_step=with_my_optimizer, score=score)
    new = states()
    assert old[:2] == new[:2]
    assert torch.equal(old[2], new[2])
    assert "moved weights" in report.findings
    for name, weights in mine.state_dict().items():
        assert torch.equal(weights, before[name])
    for weights, slope in zip(mine.parameters(), slopes, strict=True):
        assert torch.equal(weights.grad, slope)
    assert not opt.state  # nor was the optimizer
    opt.step()  # which works again
    assert not torch.equal(next(mine.parameters()), before["layers.1.weight"])
    for one, other in zip(train, like_train, strict=True):
        assert torch.equal(one[1], other[1])
    assert capsys.readouterr().out == ""
    # loaders as beginners write them, which draw from PyTorch's own random numbers
    plain = DataLoader(train.dataset, batch_size=32, shuffle=True)
    torch.manual_seed(5)
    expected = next(iter(plain))[1]
    torch.manual_seed(5)
    assert diagnose(small, plain, [*valid], train_step=loop()).findings == []
    assert torch.equal(next(iter(plain))[1], expected)

    # what a score switches off is on again
    def careless(model, batches):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return score(model, batches)

    diagnose(small, train, valid, train_step=loop(), score=careless)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    # also where it is broken off
    old = states()
    with pytest.raises(KeyboardInterrupt):
        diagnose(small, train, valid, train_step=interrupted)
    assert torch.equal(old[2], states()[2])


def interrupted(model, batches):
    torch.rand(1)
    raise KeyboardInterrupt


def test_the_same_call_reports_the_same(serve):
    first, again = (diagnose(small, *serve()) for _ in range(2))
    assert first == again


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append((tag, dict(attributes).get("scope"), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open[-1] in ("th", "td"):
            tag, scope, before = self.cells[-1]
            self.cells[-1] = tag, scope, before + text


def test_the_report_prints_as_text_and_shows_as_a_table(serve):
    report = diagnose(with_softmax, *serve(), train_step=loop(), score=score)
    text = repr(report)
    assert text.startswith("1 of 8 tests found something.\nshared images: fine\n")
    assert "\none batch: LOOK HERE\n    measured: loss 1." in text
    page = Cells()
    page.feed(report._repr_html_())
    assert page.open == []
    head, rows = page.cells[:5], page.cells[5:]
    names = ("test", "result", "measured", "expected", "mistakes that look like it")
    assert [(scope, name) for _, scope, name in head] == [("col", n) for n in names]
    assert len(rows) == 5 * len(report)
    for number, (test, fine, *rest) in enumerate(report):
        cells = [words for _, _, words in rows[5 * number : 5 * number + 5]]
        assert cells == [test, "fine" if fine else "LOOK HERE", *rest]
        assert all(words in " ".join(text.split()) for words in rest)
    two = report.only("one batch", "shared images")
    assert [result.test for result in two] == ["shared images", "one batch"]
    assert two.findings == ["one batch"]
    assert (
        "softmax" not in repr(two) + two._repr_html_()
    )  # that is the reader's to find
    assert two._repr_html_().count("<th ") == 4
    with pytest.raises(ValueError, match="test='moved' is not known; choose shared"):
        report.only("moved")
