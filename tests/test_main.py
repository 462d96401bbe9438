"""`python -m mnist_lessons train`, `evaluate` and `predict`."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageDraw

from mnist_lessons import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons import __main__ as command_line
from mnist_lessons.checkpoints import load_model, save_model
from mnist_lessons.commands import helptexts
from mnist_lessons.data import Loaders, class_names
from mnist_lessons.files import DataFileError
from mnist_lessons.history import DivergenceError


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, loaders, some, tmp_path):
    """600 digits each; the arguments of `load_mnist` are kept in a list."""
    asked = []

    def load(data_dir=None, batch_size=128, *, normalize=True, seed=0, **others):
        asked.append({"data_dir": data_dir, "normalize": normalize, "seed": seed})
        asked[-1] |= {"batch_size": batch_size, **others}
        parts = [some(600, n * 600, batch_size) for n in range(3)]
        return Loaders(*parts)

    monkeypatch.setattr(command_line, "load_mnist", load)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def saved(loaders):
    """A file `digits.pth` with a model whose answer is always 7."""

    def save(model=None, name="digits.pth", **about):
        model = model or LinearModel()
        for weights in model.parameters():
            weights.data.zero_()
        if isinstance(model, LinearModel):
            model.linear.bias.data[7] = 3
        about = {
            "classes": loaders.classes,
            "mean": loaders.mean,
            "std": loaders.std,
        } | about
        for key, value in about.items():
            setattr(model, key, value)
        save_model(model, name)
        return name

    return save


@pytest.fixture
def seven(tmp_path):
    image = Image.new("L", (200, 200), 230)
    draw = ImageDraw.Draw(image)
    draw.line([(60, 50), (140, 50), (90, 160)], fill=20, width=14)
    image.save(tmp_path / "seven.png")
    return "seven.png"


# train


@pytest.mark.parametrize("model", [LinearModel, MLP, CNN])
def test_train_saves_a_model_that_predicts(run, seven, model):
    name = {LinearModel: "linear", MLP: "mlp", CNN: "cnn"}[model]
    status, out, _ = run(f"train {name} --epochs 1 --save {name}.pth")
    assert status == 0
    assert "Validation digits: " in out
    assert "of 600; 95 % interval" in out
    assert f"predict {name}.pth" in out
    assert type(load_model(f"{name}.pth")) is model
    assert run(f"predict {name}.pth {seven}")[0] == 0


def test_train_hands_its_options_on(run, monkeypatch, few_digits):
    seen = {}

    def fit(model, train, valid, **options):
        seen.update(options, arguments=model.arguments)
        return command_line_fit(model, train, valid, **options)

    command_line_fit = command_line.fit
    monkeypatch.setattr(command_line, "fit", fit)
    words = "train mlp --epochs 2 --batch-size 50 --lr 0.02 --optimizer momentum "
    words += "--dropout 0.1 --hidden 20 10 --seed 5 --device cpu --log-every 4 "
    status, out, _ = run(words + "--data-dir elsewhere")
    assert status == 0
    assert out.count("train loss") == 2 + 6
    assert seen["arguments"] == {"hidden": (20, 10), "dropout": 0.1, "num_classes": 10}
    assert (seen["epochs"], seen["lr"], seen["log_every"]) == (2, 0.02, 4)
    assert seen["optimizer"].keywords == {"momentum": 0.9}
    assert few_digits == [
        {
            "data_dir": "elsewhere",
            "batch_size": 50,
            "seed": 5,
            "device": torch.device("cpu"),
            "normalize": True,
            "dataset": "MNIST",
        }
    ]


def test_the_same_seed_gives_the_same_model(run):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(f"train mlp --epochs 1 --device cpu --seed {seed} --save {name}.pth")
    a, b, c = (
        torch.cat([p.flatten() for p in load_model(f"{name}.pth").parameters()])
        for name in "abc"
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "required"),
        ("fly", "invalid choice"),
        ("train", "required"),
        ("train svm", "invalid choice"),
        ("train cnn --epochs 0", "--epochs: 0 does not work.*1 to"),
        ("train cnn --epochs many", "many does not work"),
        ("train cnn --batch-size -1", "--batch-size"),
        ("train cnn --lr -1", "--lr: -1 does not work: give a number above 0"),
        ("train cnn --lr nan", "--lr: nan does not work"),
        ("train mlp --hidden 0", "--hidden: 0 does not work"),
        ("train mlp --dropout 1.5", "--dropout: 1.5 does not work"),
        ("train mlp --dropout 1", "--dropout: 1 does not work"),
        ("train cnn --hidden 20 10", "one hidden layer.*one width"),
        ("train linear --hidden 20", "no hidden layer.*--hidden"),
        ("train linear --dropout 0.2", "no hidden layer.*--dropout"),
        ("train linear --seed -1", "--seed: -1 does not work"),
        ("train linear --device tpu9", "tpu9 is not there; this machine has cpu"),
        ("train linear --device cuda:99", "cuda:99 is not there"),
        ("train linear --device meta", "meta is not there"),
        ("train linear --save nowhere/a.pth", "there is no folder nowhere"),
        ("train linear --save .", "is a folder"),
        ("train linear --epoch 3", "--epoch 3 is not known"),
        ("predict digits.pth", "required"),
        ("train linear --dataset mnist", "--dataset: invalid choice"),
    ],
)
def test_what_is_typed_wrongly_is_refused_at_once(run, few_digits, words, message):
    status, out, err = run(words)
    assert status == 2
    assert out == ""
    assert re.search(message, err.splitlines()[-1])
    assert few_digits == []  # nothing was loaded


def test_a_protected_folder_is_noticed_before_training(run, few_digits, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    status, _, err = run("train linear --save digits.pth")
    assert status == 2
    assert "cannot be written to (Permission denied)" in err
    assert few_digits == []


def test_ctrl_c_keeps_what_was_learned(run, monkeypatch):
    step, calls = LinearModel.training_step, []

    def interrupted(self, batch):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(LinearModel, "training_step", interrupted)
    status, out, _ = run("train linear --epochs 9 --save digits.pth")
    assert status == 130
    assert "finished epochs: 1 of 9" in out
    assert "Validation digits: " in out
    assert load_model("digits.pth").mean is not None


def test_ctrl_c_before_the_first_epoch_ends_leaves_an_older_model_alone(
    run, saved, monkeypatch
):
    saved()
    before = open("digits.pth", "rb").read()  # noqa: PTH123, SIM115

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(LinearModel, "training_step", interrupted)
    status, _, err = run("train linear --save digits.pth")
    assert status == 1
    assert "No epoch was finished, so nothing was saved" in err
    assert open("digits.pth", "rb").read() == before  # noqa: PTH123, SIM115


def test_a_model_that_diverged_takes_nobodys_place(run, saved, monkeypatch):
    saved()
    before = open("digits.pth", "rb").read()  # noqa: PTH123, SIM115

    def diverge(*_):
        raise DivergenceError("The loss became nan.")

    monkeypatch.setattr(LinearModel, "training_step", diverge)
    status, out, err = run("train linear --save digits.pth")
    assert status == 1
    assert "The loss became nan" in out
    assert "nothing was saved" in err
    assert open("digits.pth", "rb").read() == before  # noqa: PTH123, SIM115


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataFileError, OSError])
def test_errors_are_one_line(run, monkeypatch, error):
    def fail(*_, **__):
        raise error("train-images is damaged")

    monkeypatch.setattr(command_line, "load_mnist", fail)
    status, _, err = run("train linear")
    if error is KeyboardInterrupt:
        assert (status, err) == (130, "Stopped.\n")
    else:
        assert (status, err) == (1, "train-images is damaged\n")


# evaluate


def test_evaluate_scores_the_validation_digits(run, saved, few_digits, loaders):
    status, out, err = run(f"evaluate {saved(mean=0.5, std=0.25)} --batch-size 100")
    sevens = int((loaders.train.dataset.labels[600:1200] == 7).sum())
    assert (status, err) == (0, "")
    assert out.startswith("Validation digits: ")
    assert f"({sevens} of 600; 95 % interval" in out
    assert few_digits[0]["normalize"] == (0.5, 0.25)
    assert few_digits[0]["batch_size"] == 100


def test_evaluate_scores_the_test_digits_when_told(run, saved, loaders):
    _, out, _ = run(f"evaluate {saved()} --test")
    sevens = int((loaders.train.dataset.labels[1200:1800] == 7).sum())
    assert out.startswith("Test digits: ")
    assert f"({sevens} of 600" in out


def test_evaluate_says_when_it_has_to_guess_the_scale(run, saved, few_digits):
    status, _, err = run(f"evaluate {saved(mean=None, std=None)}")
    assert status == 0
    assert "does not say how its digits were scaled" in err
    assert few_digits[0]["normalize"] == (0.1307, 0.3081)


@pytest.mark.parametrize(
    ("model", "classes", "message"),
    [
        (MLP(num_classes=3), None, "3 classes"),
        (MLP(), ["shirt", "bag"] * 5, "shirt, bag"),
    ],
)
def test_evaluate_refuses_a_model_of_something_else(
    run, saved, model, classes, message
):
    status, out, err = run(f"evaluate {saved(model, classes=classes)}")
    assert (status, out) == (1, "")
    assert message in err


@pytest.mark.parametrize("command", ["evaluate none.pth", "predict none.pth a.png"])
def test_a_missing_model_file(run, command):
    status, out, err = run(command)
    assert (status, out) == (1, "")
    assert "There is no model file" in err


@pytest.mark.parametrize("command", ["evaluate text.pth", "predict text.pth a.png"])
def test_a_file_that_is_no_model(run, command, tmp_path):
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    status, _, err = run(command)
    assert status == 1
    assert "text.pth is not a model file" in err


def test_evaluate_says_which_data_set_has_the_models_classes(run, saved):
    clothes = class_names("FashionMNIST")
    status, _, err = run(f"evaluate {saved(MLP(), classes=clothes)}")
    assert status == 1
    assert "was not trained on the classes of MNIST but on: T-shirt/top" in err
    assert err.endswith("Try --dataset FashionMNIST.\n")


# other data sets


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
def test_a_model_has_as_many_answers_as_its_data_set_has_classes(
    run, few_digits, model
):
    status, out, _ = run(
        f"train {model} --epochs 1 --dataset EMNIST-balanced --save letters.pth"
    )
    assert status == 0
    assert "on EMNIST-balanced; optimizer adam" in out
    assert few_digits[0]["dataset"] == "EMNIST-balanced"
    assert load_model("letters.pth").arguments["num_classes"] == 47


def test_evaluate_reads_the_data_set_that_is_named(run, saved, few_digits):
    assert run(f"evaluate {saved()} --dataset QMNIST")[0] == 0
    assert few_digits[0]["dataset"] == "QMNIST"


# predict


def test_predict_shows_what_it_saw_and_the_three_most_probable(run, saved, seven):
    status, out, err = run(f"predict {saved()} {seven}")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("seven.png")
    assert all(len(line) == 58 for line in lines[1:31])
    assert "██" in out
    # exp(3) against nine times exp(0)
    assert re.match(
        r"Answer: 7\. Most probable: 7 \(69\.1%\), \d \(3\.4%\), ", lines[31]
    )


def test_predict_normalises_as_the_model_was_trained(run, saved, seven, monkeypatch):
    seen = []
    predict = DigitClassifier.predict_proba

    def watch(self, images):
        seen.append(images)
        return predict(self, images)

    monkeypatch.setattr(DigitClassifier, "predict_proba", watch)
    run(f"predict {saved(mean=0.5, std=0.25)} {seven}")
    assert (float(seen[0].min()), float(seen[0].max())) == (-2, 2)
    _, _, err = run(f"predict {saved(mean=None, std=None)} {seven}")
    assert float(seen[1].min()) == pytest.approx(-0.1307 / 0.3081)
    assert "MNIST's own" in err


def test_one_bad_picture_does_not_stop_the_others(run, saved, seven):
    status, out, err = run(f"predict {saved()} none.png {seven} . {seven}")
    assert status == 1
    assert out.count("Answer: 7") == 2
    assert "There is no file" in err
    assert "is a folder" in err


def test_predict_finds_files_where_the_shell_does_not(run, saved, seven):
    assert run(f"predict {saved()} *.png")[1].count("Answer: 7") == 1


def test_predict_names_classes(run, saved, seven):
    names = [f"letter {n}" for n in "abcdefgh"]
    _, out, _ = run(f"predict {saved(classes=names)} {seven}")
    assert "Answer: letter h." in out  # and there are more answers than names


def test_predict_refuses_weights_that_diverged(run, saved, seven):
    model = LinearModel()
    save = saved(model)
    model.linear.bias.data[0] = torch.nan
    save_model(model, save)
    status, _, err = run(f"predict {save} {seven}")
    assert status == 1
    assert "its weights diverged" in err


# help


@pytest.mark.parametrize("words", ["", "lab ", "train ", "evaluate ", "predict "])
def test_help_fits_a_terminal(run, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    status, out, _ = run(f"{words}--help")
    assert status == 0
    assert "python -m mnist_lessons" in out
    assert max(map(len, out.splitlines())) <= 90


def test_the_script_in_the_help_does_what_train_does(run, monkeypatch, few_digits):
    _, script = helptexts.TRAIN_EXAMPLES.split("in Python:\n")
    script = "\n".join(line.removeprefix("  ") for line in script.splitlines())
    status, out, _ = run("train cnn --device cpu --save by_command.pth")
    assert status == 0
    monkeypatch.setattr("mnist_lessons.load_mnist", command_line.load_mnist)
    exec(script, {})
    a, b = (load_model(f"{name}.pth") for name in ("by_command", "digits"))
    assert a.arguments == b.arguments
    for name, weights in a.state_dict().items():
        assert torch.equal(weights, b.state_dict()[name])


# as a program


def start(words, folder, **more):
    environment = {**os.environ, **more}
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_lessons", *words.split()],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_a_terminal_that_shows_only_ascii(saved, seven, tmp_path):
    program = start(
        f"predict {saved()} {seven}", tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    out, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (0, "")
    assert "##" in out


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to all programs")
def test_ctrl_c_shows_no_traceback(tmp_path):
    program = start("train linear --epochs 100000 --save digits.pth", tmp_path)
    program.stdout.readline()  # "Training linear ..."
    program.stdout.readline()  # the first epoch
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert "Saved as digits.pth" in out
