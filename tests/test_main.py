"""`python -m mnist_lessons`: train, tune, evaluate, predict; what they share."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from PIL import Image, ImageDraw

from mnist_lessons import CNN, MLP, DigitClassifier, LinearModel
from mnist_lessons.checkpoints import load_model, save_model
from mnist_lessons.commands import ABOUT, COMMANDS, lab, projector, train, tune
from mnist_lessons.data import Loaders, class_names
from mnist_lessons.files import DataFileError
from mnist_lessons.tuning import searching


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, some, tmp_path):
    """600 digits each; the arguments of `load_mnist` are kept in a list."""
    asked = []

    def load(data_dir=None, batch_size=128, limit=600, **others):
        asked.append({"data_dir": data_dir, "batch_size": batch_size, **others})
        first = some(limit or 600, 0, batch_size)
        return Loaders(first, *(some(600, n * 600, batch_size) for n in (1, 2)))

    for module in (train, COMMANDS["evaluate"], searching):
        monkeypatch.setattr(module, "load_mnist", load)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def saved(loaders):
    """A file `digits.pth` with a model whose answer is always 7."""

    def save(model=None, **about):
        model = model or LinearModel()
        for weights in model.parameters():
            weights.data.zero_()
        list(model.parameters())[-1].data[7 % model.arguments["num_classes"]] = 3
        usual = {"classes": loaders.classes, "mean": loaders.mean, "std": 0.25}
        vars(model).update(usual | about)
        save_model(model, "digits.pth")
        return "digits.pth"

    return save


@pytest.fixture
def seven(tmp_path):
    image = Image.new("L", (200, 200), 230)
    ImageDraw.Draw(image).line([60, 50, 140, 50, 90, 160], fill=20, width=14)
    image.save(tmp_path / "seven.png")
    return "seven.png"


def test_help_fits_a_terminal_and_shows_every_option(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    _, out, _ = run("--help")
    assert len(ABOUT) == 8
    for name, usage, summary in ABOUT:
        assert re.search(rf"\n +{name}\s+{summary}\n", out)
        status, page, _ = run(f"{name} --help")
        assert status == 0
        assert page.startswith(f"usage: python -m mnist_lessons {name} {usage}\n")
        assert max(map(len, page.splitlines())) <= 90
        for option in getattr(COMMANDS[name], "OPTIONS", ()):
            assert not option.startswith("--") or f"\n  {option}" in page
        loads_digits = name in ("train", "evaluate", "tune")
        assert ("  --data-dir FOLDER" in page) == loads_digits
    assert "\nEvery other option goes to JupyterLab" in run("lab --help")[1]


WRONG = r"""
                                | required
train cnn --epochs 0            | --epochs: 0 does not work.* 1 to 1000000\.$
train cnn --lr fast             | --lr: fast does not work.* such as 0.001
train mlp --hidden 10001        | --hidden: 10001 does not work
train mlp --dropout 1           | --dropout: 1 does not work.* below 1, such as 0.2
train cnn --hidden 20 10        | one hidden layer.* one width
train linear --hidden 2 --dropout 0 | so --hidden and --dropout cannot
train linear --seed 4294967296  | --seed: 4294967296 does not work
train linear --device tpu9      | --device: tpu9 is not there; this machine has cpu
train linear --save no/a.pth    | there is no folder no; make it first
train linear --save a.pth       | cannot be written to .Permission denied
train linear --save .           | is a folder; give the name of a file
train linear --save /dev/null   | is a device, not a file
train linear --epoch 3          | train: error: --epoch 3 is not known; see --help
tune cnn --seconds inf          | --seconds: inf does not work
tune cnn --limit 50001          | --limit: 50001 does not work: .* 1 to 50000
handout 1 --skeleton --solutions| not allowed with argument --skeleton
slides 1 --port 9000            | --port 9000 is not known
"""


def test_what_is_typed_wrongly_is_refused_at_once(run, few_digits, monkeypatch):
    refuse = Mock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for line in WRONG.strip("\n").splitlines():
        words, message = line.split("|")
        if "/dev/null" in words and os.name != "posix":
            continue
        status, out, err = run(words)
        assert (status, out) == (2, ""), words
        assert re.search(message.strip(), err.splitlines()[-1]), (words, err)
    assert few_digits == []  # nothing was loaded


def test_errors_are_one_line(run, monkeypatch):
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    for error, status, message in (
        (KeyboardInterrupt(), 130, "Stopped."),
        (DataFileError("train-images is damaged"), 1, "train-images is damaged"),
        (OSError(13, "Permission denied"), 1, "Permission denied"),
        (BrokenPipeError(), 1, "Stopped, as nobody reads the output any more."),
    ):
        monkeypatch.setattr(train, "load_mnist", Mock(side_effect=error))
        assert run("train linear") == (status, "", message + "\n")


def test_other_options_are_jupyterlabs(run, monkeypatch):
    run_lab, run_projector = Mock(return_value=0), Mock(return_value=0)
    monkeypatch.setattr(lab, "run_lab", run_lab)
    monkeypatch.setattr(projector, "run_projector", run_projector)
    assert run("lab --port 9000 x.ipynb")[0] == run("projector 3 --port=1")[0] == 0
    run_lab.assert_called_once_with(["--port", "9000", "x.ipynb"])
    run_projector.assert_called_once_with("3", ["--port=1"])


@pytest.mark.parametrize("model", [LinearModel, MLP, CNN])
def test_train_saves_a_model_that_predicts(run, seven, few_digits, model):
    name = {LinearModel: "linear", MLP: "mlp", CNN: "cnn"}[model]
    words = f"train {name} --epochs 1 --dataset EMNIST-balanced"
    status, out, _ = run(f"{words} --save my.pth")
    assert status == 0
    assert " parameters on EMNIST-balanced; optimizer adam, learning rate 0.001" in out
    assert re.search(r"\nValidation digits: .* of 600; 95 % interval", out)
    assert "predict my.pth" in out
    assert few_digits[0]["dataset"] == "EMNIST-balanced"
    assert type(load_model("my.pth")) is model
    assert load_model("my.pth").arguments["num_classes"] == 47
    assert run(f"predict my.pth {seven}")[0] == 0
    assert "Not saved; with --save" in run(words)[1]


def test_train_hands_its_options_on(run, monkeypatch, few_digits):
    seen, fit = [], train.fit

    def watched(model, train, valid, **options):
        seen.append({"arguments": model.arguments, **options})
        return fit(model, train, valid, **options)

    monkeypatch.setattr(train, "fit", watched)
    words = "train mlp --epochs 2 --batch-size 50 --lr 0.02 --optimizer momentum "
    words += "--dropout 0.1 --hidden 20 10 --seed 5 --device cpu --log-every 4 "
    _, out, _ = run(words + "--data-dir elsewhere")
    assert out.count("train loss") == 2 + 6
    assert "MNIST" not in out
    assert seen[0].pop("optimizer").keywords == {"momentum": 0.9}
    built = {"hidden": (20, 10), "dropout": 0.1, "num_classes": 10}
    assert seen[0].pop("arguments") == built
    cpu = {"device": torch.device("cpu")}
    options = {"epochs": 2, "lr": 0.02, "log_every": 4, "channels_last": False}
    assert seen[0] == options | cpu
    digits = {"data_dir": "elsewhere", "batch_size": 50, "dataset": "MNIST", "seed": 5}
    assert few_digits == [digits | cpu]
    run("train cnn --epochs 1 --hidden 20 --optimizer sgd")
    assert seen[1]["arguments"]["hidden"] == 20
    assert (seen[1]["lr"], seen[1]["channels_last"]) == (0.1, True)
    assert few_digits[1]["batch_size"] == 128


@pytest.mark.parametrize(
    ("step", "trouble", "status", "message"),
    [
        (8, KeyboardInterrupt, 130, "finished epochs: 1 of 9"),
        (1, KeyboardInterrupt, 1, "No epoch was finished, so nothing was saved."),
        (1, None, 1, "The model is of no use, so nothing was saved."),
    ],
)
def test_a_run_that_ends_early_is_saved_if_it_is_of_use(
    run, saved, monkeypatch, step, trouble, status, message
):
    before = Path(saved()).read_bytes()
    take_step, steps = LinearModel.training_step, itertools.count(1)

    def fail(self, batch, **options):
        loss = take_step(self, batch, **options)
        late = next(steps) >= step
        if late and trouble:
            raise trouble
        return loss * torch.nan if late else loss

    monkeypatch.setattr(LinearModel, "training_step", fail)
    ended, out, err = run("train linear --epochs 9 --save digits.pth")
    assert (ended, message in out + err) == (status, True)
    assert (Path("digits.pth").read_bytes() == before) == (status == 1)
    assert ("Validation digits: " in out) == (status == 130)


def test_the_script_in_the_help_does_what_train_does(run, monkeypatch):
    _, script = train.__doc__.split("in Python:\n")
    script = "\n".join(line.removeprefix("  ") for line in script.splitlines())
    monkeypatch.setattr("mnist_lessons.load_mnist", train.load_mnist)
    for words, seed in (("", 0), ("--seed 3", 3)):
        run(f"train cnn --device cpu --save by_command.pth {words}")
        exec(script.replace("everything(0)", f"everything({seed})"), {})
        a, b = (load_model(f"{name}.pth") for name in ("by_command", "digits"))
        assert a.arguments == b.arguments
        assert all(map(torch.equal, a.parameters(), b.parameters()))


def test_tune_reports_the_best_and_how_to_train_it_again(run, monkeypatch):
    words = "--trials 4 --epochs 1 --limit 300 --seed 4 --device cpu"
    status, out, _ = run(f"tune mlp {words}")
    lines = out.splitlines()
    start = "Tuning mlp: 4 trials of 1 epochs, device cpu, seed 4, workers 1."
    assert (status, lines[0]) == (0, start)
    assert [line[:8] for line in lines[1:5]] == [f"trial {n}:" for n in range(4)]
    assert "The study has 4 trials; trained to the end: 4.\nBest: trial " in out
    best = re.search(r"Validation digits: ([\d.]+% right \(\d+ of 600); 95 %", out)[1]
    assert re.search(r"differences: \w+ \d+%, ", out)
    assert "kept" not in out
    script = out.split("believe in them:\n")[1]
    script = "\n".join(line.removeprefix("  ") for line in script.splitlines())
    assert "load_mnist(limit=300)" in script
    assert max(map(len, script.splitlines())) <= 88
    monkeypatch.setattr("mnist_lessons.load_mnist", searching.load_mnist)
    # with the seed of the search it is the very model that won
    again = {}
    exec(script.replace("seed=5", "seed=4"), again)
    assert best in str(again["evaluate"](again["model"], again["valid"]))
    exec(script, {})


def test_a_study_that_is_kept_is_gone_on_with(run):
    words = "tune linear --trials 1 --epochs 1 --dataset QMNIST --data-dir there "
    words += "--storage journal://a.log"
    _, out, _ = run(words)
    assert "trained to the end: 1.\nIt is kept; the same command adds" in out
    assert "differences" not in out
    assert "load_mnist(data_dir='there', dataset='QMNIST')" in out
    assert "The study has 2 trials" in run(words)[1]


def test_tune_hands_its_options_on(run, monkeypatch):
    study = SimpleNamespace(get_trials=lambda deepcopy: [])
    search = Mock(side_effect=[(study, False), (study, False), (study, True)])
    monkeypatch.setattr(tune, "carry_out", search)
    words = "tune cnn --trials 7 --seconds 1e6 --epochs 3 --workers 2 --study mine "
    words += "--storage journal://a.log --seed 5 --limit 100 --data-dir there "
    status, out, _ = run(words + "--device cpu --dataset KMNIST")
    assert (status, "Best" in out) == (0, False)
    assert "The study has 0 trials; trained to the end: 0." in out
    run("tune cnn")
    assert run("tune cnn --seconds 5")[0] == 130  # stopped by hand
    plans = [vars(call.args[0]) for call in search.call_args_list]
    assert plans[0]["until"] == pytest.approx(time.time() + 1e6, abs=1e5)
    expected = {"model": "cnn", "n_trials": 7, "epochs": 3, "workers": 2, "seed": 5}
    expected |= {"study_name": "mine", "storage": "journal://a.log", "limit": 100}
    expected |= {"data_dir": "there", "dataset": "KMNIST"}
    assert plans[0]["device"] == torch.device("cpu")
    assert expected.items() <= plans[0].items()
    assert {"n_trials": 20, "epochs": 2, "seed": 0}.items() <= plans[1].items()
    assert plans[2]["n_trials"] is None


def test_evaluate_scales_and_scores_the_digits(run, saved, few_digits, loaders):
    file = saved(mean=0.5)
    options = {"Validation": "--batch-size 100 --dataset QMNIST", "Test": "--test"}
    for number, (part, words) in enumerate(options.items(), start=1):
        status, out, err = run(f"evaluate {file} --device cpu {words}")
        labels = loaders.train.dataset.labels[number * 600 : (number + 1) * 600]
        assert (status, err, out.split(":")[0]) == (0, "", f"{part} digits")
        assert f"({int((labels == 7).sum())} of 600; 95 % interval" in out
    same = {"data_dir": None, "normalize": (0.5, 0.25), "device": torch.device("cpu")}
    assert few_digits[0] == {"batch_size": 100, "dataset": "QMNIST"} | same
    assert few_digits[1] == {"batch_size": 1000, "dataset": "MNIST"} | same


def test_evaluate_refuses_a_model_of_other_classes(run, saved):
    for model, classes, message in (
        (MLP(num_classes=3), None, "but on: 3 classes. So"),
        (MLP(), ["shirt", "bag"] * 5, "but on: shirt, bag, .*with their labels.$"),
        (MLP(), class_names("KMNIST"), "of MNIST but.* Try --dataset KMNIST.$"),
    ):
        status, out, err = run(f"evaluate {saved(model, classes=classes)}")
        assert (status, out) == (1, "")
        assert re.search(message, err.strip())


def test_predict_shows_what_it_saw_and_three_answers(run, saved, seven, monkeypatch):
    seen, predict = [], DigitClassifier.predict_proba

    def watch(self, images):
        seen.append(images)
        return predict(self, images)

    monkeypatch.setattr(DigitClassifier, "predict_proba", watch)
    status, out, err = run(f"predict {saved(mean=0.5, std=0.25)} {seven}")
    assert (status, err) == (0, "")
    assert (float(seen[0].min()), float(seen[0].max())) == (-2, 2)
    lines = out.splitlines()
    assert lines[0] == "seven.png as the model sees it:"
    assert all(len(line) == 58 for line in lines[1:31])
    assert "██" in out
    # exp(3) against nine times exp(0)
    answer = r"Answer: 7\. Most probable: 7 \(69\.1%\), \d \(3\.4%\), \d \(3\.4%\)\.$"
    assert re.match(answer, lines[31])


def test_digits_are_scaled_as_mnists_if_nothing_is_known(run, saved, seven, few_digits):
    for words in (f"evaluate {saved(std=None)}", f"predict digits.pth {seven}"):
        status, _, err = run(words)
        assert (status, "does not say how its digits were scaled" in err) == (0, True)
    assert few_digits[0]["normalize"] == (0.1307, 0.3081)


def test_one_bad_picture_does_not_stop_the_others(run, saved, seven):
    # and *.png is found where the shell does not know it
    status, out, err = run(f"predict {saved()} none.png {seven} . *.png")
    assert (status, out.count("Answer: 7"), err.count("no file")) == (1, 2, 2)


def test_predict_names_classes_and_refuses_weights_that_diverged(run, saved, seven):
    model = LinearModel()
    saved(model, classes=[f"letter {n}" for n in "abcdefgh"])
    _, out, _ = run(f"predict digits.pth {seven}")
    # and there are more answers than names
    assert "Answer: letter h. Most probable: letter h (" in out
    model.linear.bias.data[0] = torch.nan
    save_model(model, "digits.pth")
    status, _, err = run(f"predict digits.pth {seven}")
    assert (status, err) == (1, "digits.pth is of no use: its weights diverged.\n")


def start(*words, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, *words], env=os.environ | more, **pipes)


def test_a_command_waits_for_no_package_that_it_does_not_need(saved, seven):
    # on a terminal that shows only ASCII
    code = "import sys, mnist_lessons.commands as commands\n"
    code += f"status = commands.main(['predict', '{saved()}', '{seven}'])\n"
    code += "slow = {'matplotlib', 'optuna', 'ipywidgets', 'jupyterlab', 'nbconvert'}\n"
    code += "sys.exit(status or ', '.join(slow & set(sys.modules)) or 0)"
    program = start("-c", code, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    out, err = program.communicate()
    assert (program.returncode, err) == (0, "")
    assert "##" in out


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to all programs")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train linear --epochs 100000 --save digits.pth", "Saved as digits.pth"),
        ("tune linear --trials 100000 --limit 300 --epochs 1", "Stopped by hand; the"),
    ],
)
def test_ctrl_c_reports_what_is_finished(words, message):
    program = start("-m", "mnist_lessons", *words.split())
    for _ in range(3):  # "Training linear ...", and two epochs or trials
        program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, err = program.communicate()
    assert (program.returncode, "Traceback" in err) == (130, False)
    assert message in out
    assert "Validation digits: " in out
