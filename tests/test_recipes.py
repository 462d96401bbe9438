"""Settings become a trained model, and wrong ones are named."""

import functools

import pytest
import torch

from mnist_lessons import MLP, LinearModel
from mnist_lessons.tuning import recipes
from mnist_lessons.tuning.recipes import OPTIMIZERS, RATES, train_recipe


@pytest.fixture
def digits(some):
    return some(300).dataset


@pytest.fixture
def asked(monkeypatch):
    """What `fit` was called with."""
    seen, fit = {}, recipes.fit

    def watch(model, train, *valid, **options):
        seen.update(options, train=train)
        return fit(model, train, *valid, **options)

    monkeypatch.setattr(recipes, "fit", watch)
    return seen


def test_every_setting_reaches_its_place(digits, asked, some):
    settings = {"batch_size": 50, "lr": 0.02, "optimizer": "momentum", "dropout": 0.1}
    settings |= {"schedule": "one-cycle", "label_smoothing": 0.1, "hidden": [20, 10]}
    settings |= {"shift": 2, "degrees": 5, "epochs": 2}
    model, history = train_recipe("mlp", settings, digits, some(50, 300), seed=7)
    assert model.arguments == {"hidden": (20, 10), "dropout": 0.1, "num_classes": 10}
    assert len(history) == 2
    assert history[0]["valid_accuracy"] is not None
    assert (asked["lr"], asked["label_smoothing"]) == (0.02, 0.1)
    assert asked["optimizer"] is OPTIMIZERS["momentum"]
    assert next(iter(asked["train"]))[0].shape == (50, 1, 28, 28)
    assert asked["train"].generator.initial_seed() == 7
    assert asked["augment"].keywords == {"shift": 2, "degrees": 5, "scale": 0}
    # the rate rises to its peak after a fifth of the steps and ends close to 0
    assert history[-1]["lr"] < 0.0001
    assert not asked["channels_last"]


def test_what_is_not_given_is_the_usual(digits, asked):
    model, history = train_recipe("linear", {}, digits)
    assert type(model) is LinearModel
    assert len(history) == 1
    assert (asked["lr"], asked["label_smoothing"]) == (0.001, 0)
    assert (asked["augment"], asked["schedule"]) == (None, None)
    assert asked["train"].sampler.batch_size == 128
    for setting in ("shift", "degrees"):
        settings = {"optimizer": "sgd", setting: 1, "epochs": 3}
        train_recipe("linear", settings, digits, epochs=2)  # the argument goes first
        assert (asked["lr"], asked["epochs"]) == (0.1, 2)
        assert asked["augment"].keywords[setting] == 1


def test_weight_decay_is_the_optimizers_own_unless_it_is_given(digits, asked):
    weights = [torch.nn.Parameter(torch.ones(1))]
    for name, usual in {"sgd": 0, "momentum": 0, "adam": 0, "adamw": 0.01}.items():
        for given, expected in (({}, usual), ({"weight_decay": 0.3}, 0.3)):
            train_recipe("linear", {"optimizer": name, **given}, digits)
            built = asked["optimizer"](weights, lr=0.1)
            assert built.param_groups[0]["weight_decay"] == expected
            assert isinstance(built, type(OPTIMIZERS[name](weights, lr=0.1)))


def test_the_seed_decides_everything_that_is_random(digits):
    settings = {"dropout": 0.5, "shift": 1, "hidden": (10,)}
    models = [train_recipe("mlp", settings, digits, seed=seed)[0] for seed in (1, 1, 2)]
    flat = torch.nn.utils.parameters_to_vector
    first, again, other = (flat(model.parameters()) for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_name_a_class_or_a_function_is_a_model(digits, asked):
    train_recipe("cnn", {"channels": [2, 2], "hidden": 8}, digits)
    assert asked["channels_last"]
    for build in (MLP, lambda hidden: MLP(hidden), functools.partial(MLP, dropout=0.3)):
        model, _ = train_recipe(build, {"hidden": [5]}, digits)
        assert model.arguments["hidden"] == (5,)
    assert model.arguments["dropout"] == 0.3
    for name in RATES.keys() | OPTIMIZERS.keys():
        assert train_recipe("linear", {"optimizer": name}, digits)[1].stopped is None


def test_a_wrong_setting_model_or_data_is_named(digits, some):
    for settings, message in [
        ({"lr": 0}, "lr=0 does not work: give a number, above 0"),
        ({"batch_size": 0}, "batch_size=0 does not work: give a whole number, at lea"),
        ({"optimizer": "adma"}, "optimizer='adma' is not known; choose sgd, mo"),
        ({"schedule": None}, "schedule=None is not known; choose constant, one"),
        ({"label_smoothing": 1.5}, "label_smoothing=1.5 .* 0 or more, at most 1"),
        ({"shift": 29}, "shift=29 does not work.* at most 28"),
        ({"degrees": 181}, "degrees=181 does not work.* at most 180"),
        ({"dropuot": 0.1}, r"mlp\(hidden.*unexpected.*'dropuot'.*training.* batch_"),
        ({"hidden": [0]}, "hidden=0 does not work"),
    ]:
        with pytest.raises(ValueError, match=message):
            train_recipe("mlp", settings, digits)

    def forgetful():
        LinearModel()

    for model, data, kind, message in [
        ("svm", digits, ValueError, "model='svm' is not known; choose linear, "),
        (LinearModel(), digits, TypeError, "model is a LinearModel; give the class"),
        (forgetful, digits, TypeError, "forgetful returned a NoneType; derive"),
        ("linear", some(300), TypeError, "data is a DataLoader; .*train.dataset"),
    ]:
        with pytest.raises(kind, match=message):
            train_recipe(model, {}, data)
