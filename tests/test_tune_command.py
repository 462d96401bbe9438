"""`python -m mnist_lessons tune`."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch

from mnist_lessons import tuning
from mnist_lessons.commands import tune as tune_command
from mnist_lessons.data import Loaders
from mnist_lessons.tuning import searching


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, some, tmp_path):
    def load(data_dir=None, *, dataset="MNIST", limit=None, device=None):
        return Loaders(some(limit or 600), some(500, 1000), None)

    monkeypatch.setattr(searching, "load_mnist", load)
    monkeypatch.chdir(tmp_path)


def test_tune_says_how_to_load_another_data_set_again(run):
    words = "tune linear --trials 1 --epochs 1 --device cpu --dataset QMNIST"
    status, out, _ = run(words)
    assert status == 0
    assert "train, valid, test = load_mnist(dataset='QMNIST')" in out


def test_tune_reports_what_it_found(run):
    status, out, _ = run("tune linear --trials 4 --epochs 1 --limit 300 --device cpu")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith(
        "Tuning linear: 4 trials of 1 epochs, device cpu, seed 0"
    )
    assert [line.split(":")[0] for line in lines[1:5]] == [
        f"trial {number}" for number in range(4)
    ]
    assert "The study has 4 trials; trained to the end: 4." in out
    assert re.search(
        r"Best: trial \d\. Validation digits: .* of 500; 95 % interval", out
    )
    assert re.search(r"differences: \w+ \d+%, ", out)
    assert "partly the luckiest" in out
    assert "kept" not in out


def test_the_printed_script_trains_the_model_again(run, monkeypatch):
    _, out, _ = run("tune mlp --trials 3 --epochs 1 --limit 300 --seed 4")
    script = out.split("believe in them:\n")[1]
    script = "\n".join(line.removeprefix("  ") for line in script.splitlines())
    assert "load_mnist(limit=300)" in script
    assert max(map(len, script.splitlines())) <= 88
    monkeypatch.setattr("mnist_lessons.load_mnist", searching.load_mnist)
    # with the seed of the search it is the very model that won
    again = {}
    exec(script.replace("seed=5", "seed=4"), again)
    best = re.search(r"Validation digits: ([\d.]+% right \(\d+ of 500)", out).group(1)
    assert best in str(again["evaluate"](again["model"], again["valid"]))
    exec(script, {})


def test_tune_hands_its_options_on(run, monkeypatch):
    plans = []

    def carry_out(plan):
        plans.append(plan)
        return tuning.begin(plan, None), False

    monkeypatch.setattr(tune_command, "carry_out", carry_out)
    monkeypatch.setattr("mnist_lessons.tuning.plans.time.time", lambda: 1000.0)
    words = "tune cnn --trials 7 --seconds 30 --epochs 3 --workers 2 --study mine "
    words += "--storage journal://a.log --seed 5 --limit 100 --data-dir there "
    status, out, _ = run(words + "--device cpu")
    assert status == 0
    assert "The study has 0 trials; trained to the end: 0." in out
    assert "the same command adds trials" in out
    (plan,) = plans
    assert (plan.model, plan.n_trials, plan.until, plan.epochs) == ("cnn", 7, 1030, 3)
    assert (plan.workers, plan.study_name, plan.seed) == (2, "mine", 5)
    assert (plan.storage, plan.limit) == ("journal://a.log", 100)
    assert (plan.data_dir, plan.device) == ("there", torch.device("cpu"))
    run("tune cnn")
    assert (plans[1].n_trials, plans[1].epochs) == (20, 2)
    run("tune cnn --seconds 5")
    assert (plans[2].n_trials, plans[2].until) == (None, 1005)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tune", "required"),
        ("tune svm", "invalid choice"),
        ("tune cnn --trials 0", "--trials: 0 does not work: give a whole number"),
        ("tune cnn --seconds -1", "--seconds: -1 does not work: give a number above 0"),
        ("tune cnn --seconds inf", "--seconds: inf does not work"),
        ("tune cnn --workers two", "--workers: two does not work"),
        ("tune cnn --limit 50001", "--limit: 50001 does not work: .* 1 to 50,000"),
        ("tune cnn --trial 3", "--trial 3 is not known"),
    ],
)
def test_what_is_typed_wrongly_is_refused_at_once(run, words, message):
    status, out, err = run(words)
    assert (status, out) == (2, "")
    assert re.search(message, err.splitlines()[-1])


def test_a_wrong_storage_is_one_line(run):
    status, _, err = run("tune linear --storage journal://nowhere/a.log")
    assert status == 1
    assert err.startswith("There is no folder ")
    assert err.count("\n") == 1


def test_help_fits_a_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    status, out, _ = run("tune --help")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 90


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to all programs")
def test_ctrl_c_reports_what_is_finished(tmp_path):
    words = "tune linear --trials 100000 --limit 300 --epochs 1"
    program = subprocess.Popen(
        [sys.executable, "-m", "mnist_lessons", *words.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for _ in range(3):  # "Tuning linear ...", and two trials
        program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert "Stopped by hand; the trials that were finished are kept." in out
    assert "Validation digits: " in out
