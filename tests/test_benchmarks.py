"""`benchmarks/speed.py`, `record.py`, `shifts.py`: that they run, and their figures."""

import ast
import csv
import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from lesson_cells import LESSONS, cells_of, code_of, prose_of
from torch import nn

from mnist_lessons import measured

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def script(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # as when Python runs the script
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def speed():
    return script("speed")


@pytest.fixture
def runs(speed):
    """Hand-made: "quick" reaches 99 % with two of its three seeds, "low" with none."""
    run = speed.Run
    return [
        run("low", 1, 3, 2.0, 0.981),
        run("quick", 1, 1, 4.0, 0.9912, True),
        run(speed.EXAMPLE, 1, 1, 60.0, 0.9831),
        run(speed.EXAMPLE, 1, 2, 120.0, 0.99),
        run("low", 2, 3, 3.0, 0.983),
        run("quick", 2, 1, 5.0, 0.9930, True),
        run("quick", 3, 1, 1.0, 0.9899, False),
    ]


def test_the_table_has_medians_spreads_and_ratios(speed, runs):
    head, _, *rows = speed.table(speed.summarise(runs)).splitlines()
    assert head.endswith("| seconds to 99% | times faster to 99% |")
    assert rows == [
        "| low | 2 | 3 | no | 98.20% (98.10% to 98.30%) | 2.50 (2.00 to 3.00) | - "
        "| - |",
        # 4 s, 5 s and never: the quickest seed, which missed the goal, does not help
        "| quick | 3 | 1 | 2 of 3 | 99.12% (98.99% to 99.30%) | 4.00 (1.00 to 5.00) "
        "| 5.00 (2 of 3 seeds) | 24.0 |",
        # of a run that was scored after each epoch the last score counts
        f"| {speed.EXAMPLE} | 1 | 2 | no | 99.00% (99.00% to 99.00%) "
        "| 120.00 (120.00 to 120.00) | 120.00 (1 of 1 seeds) | 1.0 |",
    ]
    # the first epoch that reached the goal counts
    scores = [(10.0, 0.98), (20.0, 0.991), (30.0, 0.989), (40.0, 0.992)]
    run = [speed.Run("r", 1, n, *pair, True) for n, pair in enumerate(scores, 1)]
    (row,) = speed.summarise(run)
    assert (row.to_goal, row.reached, row.seconds) == (20.0, 1, 40.0)
    assert "| yes |" in speed.table([row])
    # without the example, or where it did not get there, there is no ratio
    for rest in (runs[:2], runs[:3]):
        assert speed.table(speed.summarise(rest)).count("| - |\n") == len(rest) - 1


def test_the_picture_shows_the_medians_with_bars_to_the_extremes(speed, runs):
    drawn = speed.picture(runs)
    across, along = drawn.figure.axes[0].containers[1].lines[2]  # of "quick"
    assert across.get_segments()[0][:, 0] == pytest.approx([1.0, 5.0])
    assert along.get_segments()[0][:, 1] == pytest.approx([1 - 0.993, 1 - 0.9899])
    assert "low: 98.20%, 2.5 s; quick: 99.12%, 4 s; PyTorch's example" in drawn.alt


def test_the_example_is_the_published_one(speed, some, monkeypatch):
    model = speed.Example()
    assert sum(p.numel() for p in model.parameters()) == 1_199_882
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.5]
    train = torch.utils.data.TensorDataset(*some(64).dataset.tensors)
    runs = list(speed.run_example(train, train, seed=1, epochs=2))
    assert [run.epochs for run in runs] == [1, 2]
    assert 0 < runs[0].seconds < runs[1].seconds
    monkeypatch.setattr(speed, "GOAL", 0.0)
    assert len(list(speed.run_example(train, train, seed=1, epochs=3))) == 1


def test_a_recipe_trains_in_bfloat16_only_where_that_pays(speed, some, monkeypatch):
    asked, used = [], []

    def pays(model, loader, channels_last):
        asked.append((type(model).__name__, loader.sampler.batch_size, channels_last))
        return len(asked) == 1

    monkeypatch.setattr(speed, "bfloat16_pays", pays)
    for name, recipe in speed.RECIPES.items():
        run = speed.run_recipe(name, some(64).dataset, some(64), seed=1)
        assert (run.recipe, run.epochs) == (name, recipe.epochs)
        assert run.seconds > 0
        used += [name] * run.bfloat16
    assert (used, asked) == (["cnn-autocast"], [("CNN", 256, True)] * 2)
    half_a_run = SimpleNamespace(stopped="By hand")
    monkeypatch.setattr(speed, "fit", lambda *_, **__: half_a_run)
    with pytest.raises(SystemExit, match="linear: By hand"):
        speed.run_recipe("linear", some(64).dataset, some(64), seed=1)


def test_speed_writes_everything_after_each_model(speed, tmp_path, capsys, monkeypatch):
    out, save = tmp_path / "new" / "folder", Mock(wraps=speed.save)
    monkeypatch.setattr(speed, "save", save)
    words = "--limit 100 --seeds 2 --recipes linear --reference-epochs 2 --out"
    speed.main([*words.split(), str(out)])
    assert save.call_count == 4
    content = json.loads((out / "speed.json").read_text(encoding="utf-8"))
    runs = [speed.Run(**run) for run in content["runs"]]
    assert [(run.recipe, run.seed, run.epochs) for run in runs] == [
        *[("linear", 1, 1), (speed.EXAMPLE, 1, 1)],
        *[(speed.EXAMPLE, 1, 2), ("linear", 2, 1)],
    ]
    page, printed = (out / "speed.md").read_text(encoding="utf-8"), capsys.readouterr()
    for text in (page, printed.out):
        assert speed.table(speed.summarise(runs)) in text
        assert f"torch {torch.__version__}" in text
    assert "](speed.png)" in page
    assert (out / "speed.png").stat().st_size > 10_000


def sure_of(*rows):
    """Return a model that always answers with these probabilities."""
    return SimpleNamespace(predict_proba=lambda images: torch.tensor(rows))


def test_an_ensemble_decides_by_the_mean_and_costs_what_its_members_cost():
    record = script("record")
    # two lean to class 0, the third is sure of class 1: no majority vote
    one, two = sure_of([0.6, 0.4, 0.0]), sure_of([0.55, 0.45, 0.0])
    three = sure_of([0.0, 1.0, 0.0])
    answers = record.answer_together([one, two, three], torch.zeros(1, 1, 28, 28))
    assert answers.tolist() == [1]

    first, second = sure_of([0.9, 0.1], [0.2, 0.8]), sure_of([0.8, 0.2], [0.9, 0.1])
    parts = [record.Trained(first, 2, 3.0, 5.0, True)]
    parts += [record.Trained(second, 4, 4.0, 6.0, False)]
    test = SimpleNamespace(images=None, labels=torch.tensor([0, 1]))
    results = [
        record.score("ensemble", 7, parts, test),
        record.score("member", 7, parts[:1], test),
        record.score("member", 8, parts[1:], test),
    ]
    assert results[0] == record.Result("ensemble", 7, 6, 7.0, 11.0, 0.5, False)
    assert record.table(results).splitlines()[2:] == [
        "| ensemble | 1 | 6 | no | 50.000% | 50.00% to 50.00% | - "
        "| 7.0 (7.0 to 7.0) | 11.0 |",
        "| member | 2 | 2 | 1 of 2 | 75.000% | 50.00% to 100.00% | 35.355 "
        "| 3.5 (3.0 to 4.0) | 5.5 |",
    ]


def test_record_writes_everything_after_each_model(tmp_path, capsys, monkeypatch):
    record = script("record")
    save = Mock(wraps=record.save)
    monkeypatch.setattr(record, "save", save)
    seeds, together, train, answer = [], [], record.train, record.answer_together

    def train_briefly(name, recipe, digits, seed):
        seeds.append(seed if name == "member" else None)
        few = torch.utils.data.Subset(digits, range(64))
        return train(name, recipe._replace(epochs=1), few, seed)

    def answer_few(models, images):
        together.append([id(model) for model in models])
        return answer(models, images[:20]).repeat(len(images) // 20)

    monkeypatch.setattr(record, "train", train_briefly)
    monkeypatch.setattr(record, "answer_together", answer_few)
    record.main(["--quick", "--seeds", "2", "--out", str(tmp_path / "new")])

    content = json.loads((tmp_path / "new/record.json").read_text(encoding="utf-8"))
    results = [record.Result(**result) for result in content["results"]]
    count = record.MEMBERS
    names = ["base", *count * ["member"], "ensemble"]
    assert [result.name for result in results] == names * 2
    assert len(set(seeds) - {None}) == 2 * count  # all members differ
    assert save.call_count == len(results)
    # the ensemble is the members just scored, and nothing else
    assert together[count + 1] == [model for (model,) in together[1 : count + 1]]
    page = (tmp_path / "new/record.md").read_text(encoding="utf-8")
    for text in (page, capsys.readouterr().out):
        assert record.table(results) in text
    assert "member: channels (16, 32, 32), " in page
    assert "6 epochs, batches of 256, random degrees 8, shift 1.5, scale 0.1." in page


@pytest.fixture(scope="module")
def shifts():
    return script("shifts")


def lines_of(path):
    with path.open(encoding="utf-8") as file:
        return [tuple(line) for line in csv.reader(file)]


def test_the_table_of_moved_digits_is_what_its_script_writes(shifts):
    head, *lines = lines_of(shifts.OUT)
    assert head == shifts.Line._fields
    expected = [
        (network, digits, seed, left)
        for seed in range(20)
        for network, digits, all_seeds in shifts.RUNS
        if all_seeds or seed < shifts.HALF
        for left in (shifts.MOVES if all_seeds else [0])
    ]
    assert [(n, d, int(seed), int(left)) for n, d, seed, left, _ in lines] == expected
    assert all(1_000 < int(right) < 9_950 for *_, right in lines)


def test_the_measured_accuracies_are_those_of_the_table(shifts):
    _, *lines = lines_of(shifts.OUT)
    right = {tuple(line[:4]): int(line[4]) / 10_000 for line in lines}
    torn, moved = measured.torn(), measured.moved()
    names = ["MLP", "local", "CNN"]
    assert list(torn) == [f"{n}, {kind}" for kind in ("whole", "torn") for n in names]
    assert {values.shape for values in torn.values()} == {(10,)}
    assert {values.shape for values in moved.values()} == {(20, 5)}
    at = pytest.approx
    assert float(torn["local, torn"][7]) == at(right["local", "torn", "7", "0"])
    assert float(torn["CNN, whole"][3]) == at(right["CNN", "as they are", "3", "0"])
    data, built = moved["MLP, in the data"], moved["CNN, built in"]
    assert float(data[19, 4]) == at(right["MLP", "moved", "19", "4"])
    assert float(built[2, 1]) == at(right["anywhere", "as they are", "2", "1"])
    # what lesson 4 says of them holds for every seed
    for seed in range(10):
        mlp, local, cnn = (torn[f"{name}, whole"][seed] for name in names)
        assert mlp + 0.01 < local < cnn
        mlp, local, cnn = (torn[f"{name}, torn"][seed] for name in names)
        assert cnn + 0.01 < local < mlp + 0.003
    for seed in range(20):
        ends = {name: runs[seed, -1] for name, runs in moved.items()}
        assert ends["MLP"] < 0.5 < ends["CNN"] < 0.8 < 0.88 < ends["CNN, built in"]
        assert ends["CNN, built in"] < ends["CNN, in the data"]
        assert ends["MLP, in the data"] > 0.9


def test_the_means_that_lesson_4_states_are_those_of_the_table():
    prose, moved, torn = (
        prose_of(cells_of(LESSONS[3])),
        measured.moved(),
        measured.torn(),
    )
    (climax,) = re.findall(r"^Moved by four pixels .*?(?=^## )", prose, re.M | re.S)
    means = {name: 100 * runs.mean(dim=0) for name, runs in moved.items()}
    stated = [float(number) for number in re.findall(r"\d\d\.\d", climax)]
    ends = ["CNN", "CNN, built in", "CNN, in the data", "MLP, in the data", "MLP"]
    home = [
        "CNN, built in",
        "CNN",
        "CNN, in the data",
        "CNN",
        "MLP, in the data",
        "MLP",
    ]
    expected = [*(means[n][4] for n in ends), *(means[n][0] for n in home)]
    assert stated == pytest.approx([float(mean) for mean in expected], abs=0.051)
    for better, worse in (("local", "MLP"), ("CNN", "local")):
        for kind in ("whole", "torn"):
            gains = 100 * (torn[f"{better}, {kind}"] - torn[f"{worse}, {kind}"])
            error = float(gains.std()) / len(gains) ** 0.5
            assert f" {float(gains.mean()):.2f} ± {error:.2f} " in prose
    lost = 100 * (moved["CNN"] - moved["CNN, built in"])[:, 0]
    error = float(lost.std()) / len(lost) ** 0.5
    assert f" {float(lost.mean()):.2f} ± {error:.2f}, paired" in climax


def test_shifts_rebuilds_its_table_from_few_digits(shifts, tmp_path, monkeypatch):
    monkeypatch.setattr(shifts, "HALF", 1)
    out, used = tmp_path / "new" / "shifts.csv", []
    fit = shifts.fit

    def note(model, loader, **recipe):
        used.append((type(model).__name__, recipe["augment"]))
        assert recipe["epochs"] == 1
        assert recipe["lr"] == 0.01
        return fit(model, loader, **recipe)

    monkeypatch.setattr(shifts, "fit", note)
    shifts.main(["--seeds", "2", "--limit", "300", "--out", str(out)])
    head, *lines = lines_of(out)
    assert head == shifts.Line._fields
    assert len(lines) == 2 * 5 * 5 + 4
    assert all(0 <= int(right) <= 300 for *_, right in lines)
    change = {"as they are": None, "moved": shifts.random_shift, "torn": shifts.tear}
    classes = {"MLP": "MLP", "CNN": "CNN", "anywhere": "Anywhere", "local": "Local"}
    first = [(classes[network], change[digits]) for network, digits, _ in shifts.RUNS]
    assert used[: len(first)] == first
    # a seed gives the same again, and torn digits are scored torn
    train, valid = (
        torch.utils.data.TensorDataset(*loader.dataset[:300])
        for loader in shifts.load_mnist()[:2]
    )
    (again,) = shifts.measure("MLP", "torn", 0, train, valid)
    assert tuple(map(str, again)) in lines
    images = torch.arange(784.0).reshape(1, 1, 28, 28)
    assert not torch.equal(shifts.tear(images), images)
    assert torch.equal(shifts.tear(images).flatten().sort()[0], images.flatten())
    assert torch.equal(shifts.shift(images, -3)[..., :25], images[..., 3:])
    assert (shifts.shift(images, -3)[..., 25:] == 0).all()


def test_the_networks_of_shifts_are_those_of_lesson_4(shifts):
    built = {"nn": nn, "F": nn.functional, "LocalLayer": shifts.LocalLayer}
    built["DigitClassifier"] = shifts.DigitClassifier
    for cell in code_of(cells_of(LESSONS[3])):
        source = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.M)
        for part in ast.parse(source).body:
            if getattr(part, "name", "") in {"Convolutional", "Anywhere", "local"}:
                exec(ast.unparse(part), built)
    images = torch.randn(3, 1, 28, 28)
    for name, build in (
        ("CNN", built["Convolutional"]),
        ("anywhere", built["Anywhere"]),
        ("local", built["local"]),
    ):
        theirs, ours = shifts.NETWORKS[name](), build()
        assert [p.shape for p in theirs.parameters()] == [
            p.shape for p in ours.parameters()
        ]
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        with torch.no_grad():
            for one, other in pairs:
                one.copy_(other)
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.fixture(scope="module")
def clinic():
    return script("clinic")


def test_the_clinic_counts_what_is_found(clinic, tmp_path, capsys):
    words = ["--seeds", "1", "--only", "set", "--mistake", "zero_grad", "--out"]
    clinic.main([*words, str(tmp_path / "new" / "clinic.csv")])
    text = (tmp_path / "new" / "clinic.csv").read_text(encoding="utf-8")
    forgotten, early = csv.DictReader(text.splitlines())
    for line, test in ((forgotten, "old gradients"), (early, "moved weights")):
        assert (line["named by"], line["named"], line["seeds"]) == (test, "1", "1")
        assert f"{test} 1" in line["tests"]
    assert (
        "zero_grad forgotten | MLP, Adam 0.001 | set | 1 | 1" in capsys.readouterr().out
    )


def test_the_stored_counts_are_of_the_clinic_and_have_no_false_alarm(clinic):
    with clinic.OUT.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    cases = [("healthy", name) for name in clinic.HEALTHY] + list(clinic.patients())
    assert [(line["mistake"], line["program"]) for line in lines] == cases
    assert {line["seeds"] for line in lines} == {"20"}
    for line in lines:
        if line["named by"] in ("", "nowhere"):
            assert line["any test"] == "0", line
    held_back = [line for line in lines if line["bounds"] == "held back"]
    assert sum(line["mistake"] == "healthy" for line in held_back) >= 30
