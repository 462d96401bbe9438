"""`benchmarks/record.py`: that it trains what it says, and reports what came out."""

import importlib.util
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mnist_lessons.history import History

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def record():
    folder = ROOT / "benchmarks"
    spec = importlib.util.spec_from_file_location("record", folder / "record.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)  # as when Python runs the script
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(record):
    result = record.Result
    return [
        result("base", 1, 4, 17.0, 30.0, 0.9960, True),
        result("member", 1, 6, 20.0, 36.0, 0.9961, True),
        result("member", 1, 6, 22.0, 38.0, 0.9965, False),
        result("ensemble", 1, 12, 42.0, 74.0, 0.9970, False),
        result("base", 2, 4, 18.0, 31.0, 0.9962, True),
        result("base", 3, 4, 25.0, 48.0, 0.9967, True),
    ]


def told(page):
    """Return the table's rows, each by the name in its first column."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in split}


def test_the_table_has_means_extremes_and_median_seconds(record, results):
    cells = told(record.table(results))
    assert cells["base"] == [
        *("3", "4", "yes", "99.630%", "99.60% to 99.67%", "0.036"),
        *("18.0 (17.0 to 25.0)", "31.0"),
    ]
    assert cells["member"][:3] == ["2", "6", "1 of 2"]
    assert cells["member"][3:5] == ["99.630%", "99.61% to 99.65%"]
    assert cells["ensemble"] == [
        *("1", "12", "no", "99.700%", "99.70% to 99.70%", "-"),
        *("42.0 (42.0 to 42.0)", "74.0"),
    ]


def sure_of(*rows):
    """Return a model that always answers with these probabilities."""
    return SimpleNamespace(predict_proba=lambda images: torch.tensor(rows))


def test_an_ensemble_decides_by_the_mean_of_the_probabilities(record):
    # two lean to class 0, the third is sure of class 1: no majority vote
    one, two = sure_of([0.6, 0.4, 0.0]), sure_of([0.55, 0.45, 0.0])
    three = sure_of([0.0, 1.0, 0.0])
    answers = record.answer_together([one, two, three], torch.zeros(1, 1, 28, 28))
    assert answers.tolist() == [1]


def test_an_ensemble_costs_what_its_members_cost_together(record):
    models = [sure_of([0.9, 0.1], [0.2, 0.8]), sure_of([0.8, 0.2], [0.9, 0.1])]
    parts = [
        record.Trained(models[0], 2, 3.0, 5.0, True),
        record.Trained(models[1], 4, 4.0, 6.0, False),
    ]
    test = SimpleNamespace(images=None, labels=torch.tensor([0, 1]))
    both = record.score("ensemble", 7, parts, test)
    assert both == record.Result("ensemble", 7, 6, 7.0, 11.0, 0.5, False)
    assert record.score("member", 7, parts[:1], test)[5:] == (1.0, True)


@pytest.mark.parametrize("stopped", ["Stopped by hand", "The loss became nan"])
def test_half_a_run_counts_for_nothing(record, some, monkeypatch, stopped):
    monkeypatch.setattr(record, "fit", lambda *_, **__: History(stopped=stopped))
    with pytest.raises(SystemExit, match=f"base: {stopped}"):
        record.train("base", record.BASE, some(64).dataset, seed=1)


def test_a_small_run_trains_scores_and_writes_everything(
    record, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "new" / "folder"
    seeds, trained, saved = [], [], []
    train, answer, save = record.train, record.answer_together, record.save

    def watch_training(name, recipe, digits, seed):
        seeds.append((name, len(digits), seed))
        return train(name, recipe, digits, seed)

    def watch_answers(models, images):
        trained.append([id(model) for model in models])
        assert len(images) == 10_000
        return answer(models, images[:20]).repeat(500)

    def watch_saving(results, folder):
        save(results, folder)
        content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        saved.append(len(content["results"]))

    monkeypatch.setattr(record, "train", watch_training)
    monkeypatch.setattr(record, "answer_together", watch_answers)
    monkeypatch.setattr(record, "save", watch_saving)
    record.main(["--quick", "--seeds", "2", "--out", str(out)])

    own, count = [seed for seed in seeds if seed[0] != "warm-up"], record.MEMBERS
    assert [name for name, _, _ in own] == 2 * ["base", *count * ["member"]]
    assert {size for _, size, _ in own} == {512}
    members = [seed for name, _, seed in own if name == "member"]
    assert len(set(members)) == 2 * count
    each = 2 + count
    assert saved == list(range(1, 2 * each + 1))
    # the ensemble is the members just scored, and nothing else
    assert trained[each - 1] == [model for (model,) in trained[1 : each - 1]]

    content = json.loads((out / "record.json").read_text(encoding="utf-8"))
    results = [record.Result(**result) for result in content["results"]]
    names = ["base", *count * ["member"], "ensemble"]
    assert [(r.name, r.seed) for r in results] == [
        (n, s) for s in (1, 2) for n in names
    ]
    ensemble, parts = results[each - 1], results[1 : each - 1]
    for what in ("epochs", "seconds", "cpu_seconds"):
        together = sum(getattr(part, what) for part in parts)
        assert getattr(ensemble, what) == pytest.approx(together)
    page = (out / "record.md").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert record.table(results) in page
    assert record.table(results) in printed
    assert f"torch {torch.__version__}" in page
    assert f"{count} members" in page


def test_a_row_is_described_by_what_it_is_trained_with(record):
    turn = partial(record.random_affine, degrees=3)
    recipe = record.Recipe(record.normed, 7, 64, 0.01, {"augment": turn})
    words = record.describe("member", recipe)
    assert words.startswith("member: channels (16, 32, 32), ")
    assert "7 epochs, batches of 64" in words
    assert "degrees 3, shift 1.5, scale 0.1" in words
