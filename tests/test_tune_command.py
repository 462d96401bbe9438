"""`python -m mnist_lessons tune`."""

import re
import time
from types import SimpleNamespace

import pytest
import torch

from mnist_lessons.commands import tune as command
from mnist_lessons.data import Loaders
from mnist_lessons.tuning import searching


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, some, tmp_path):
    def load(data_dir=None, *, dataset="MNIST", limit=None, device=None):
        return Loaders(some(limit or 600), some(500, 1000), None)

    monkeypatch.setattr(searching, "load_mnist", load)
    monkeypatch.chdir(tmp_path)


def test_tune_reports_the_best_and_how_to_train_it_again(run, monkeypatch):
    words = "tune mlp --trials 4 --epochs 1 --limit 300 --seed 4 --device cpu"
    status, out, _ = run(words)
    assert status == 0
    lines = out.splitlines()
    start = "Tuning mlp: 4 trials of 1 epochs, device cpu, seed 4, workers 1."
    assert lines[0] == start
    assert [line.split(":")[0] for line in lines[1:5]] == [
        f"trial {number}" for number in range(4)
    ]
    assert "The study has 4 trials; trained to the end: 4.\nBest: trial " in out
    best = re.search(r"Validation digits: ([\d.]+% right \(\d+ of 500); 95 %", out)[1]
    assert re.search(r"differences: \w+ \d+%, ", out)
    assert "kept" not in out
    script = out.split("luckiest.")[1].split("believe in them:\n")[1]
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
    study, plans = SimpleNamespace(get_trials=lambda deepcopy: []), []

    def carry_out(plan):
        plans.append(plan)
        return study, len(plans) == 3

    monkeypatch.setattr(command, "carry_out", carry_out)
    words = "tune cnn --trials 7 --seconds 1e6 --epochs 3 --workers 2 --study mine "
    words += "--storage journal://a.log --seed 5 --limit 100 --data-dir there "
    before = time.time()
    status, out, _ = run(words + "--device cpu --dataset KMNIST")
    assert status == 0
    assert "The study has 0 trials; trained to the end: 0." in out
    assert "Best" not in out
    plan = plans[0]
    assert (plan.model, plan.n_trials, plan.epochs, plan.workers) == ("cnn", 7, 3, 2)
    assert (plan.study_name, plan.storage) == ("mine", "journal://a.log")
    assert (plan.seed, plan.limit, plan.data_dir) == (5, 100, "there")
    assert (plan.device, plan.dataset) == (torch.device("cpu"), "KMNIST")
    assert before + 1e6 <= plan.until <= time.time() + 1e6
    run("tune cnn")
    assert (plans[1].n_trials, plans[1].epochs, plans[1].seed) == (20, 2, 0)
    assert run("tune cnn --seconds 5")[0] == 130  # stopped by hand
    assert plans[2].n_trials is None


def test_a_wrong_storage_is_one_line(run):
    status, _, err = run("tune linear --storage journal://nowhere/a.log")
    assert status == 1
    assert re.fullmatch("There is no folder .*\n", err)
