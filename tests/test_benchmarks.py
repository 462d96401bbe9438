"""`benchmarks/speed.py`: that its figures are those of the runs, and that it runs."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from mnist_lessons.history import History

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def speed():
    path = ROOT / "benchmarks" / "speed.py"
    spec = importlib.util.spec_from_file_location("speed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def cells_of(page):
    """Return the table's rows, each by the name in its first column."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in split}


def test_a_row_holds_the_medians_of_the_seeds(speed, runs):
    low, quick, example = speed.summarise(runs)
    assert (low.recipe, quick.recipe, example.recipe) == ("low", "quick", speed.EXAMPLE)
    assert (low.epochs, low.seconds, low.accuracy) == (3, 2.5, pytest.approx(0.982))
    assert (quick.epochs, quick.seconds, quick.accuracy) == (1, 4.0, 0.9912)
    assert quick.spread("seconds") == (1.0, 5.0)
    assert quick.spread("accuracy") == (0.9899, 0.9930)
    # of a run that was scored after each epoch the last score counts
    assert (example.epochs, example.seconds, example.accuracy) == (2, 120.0, 0.99)


def test_the_time_to_the_goal_counts_seeds_that_never_got_there(speed, runs):
    low, quick, example = speed.summarise(runs)
    assert (low.to_goal, low.reached) == (math.inf, 0)
    # 4, 5 and never: the quickest seed, which missed the goal, does not help
    assert (quick.to_goal, quick.reached) == (5.0, 2)
    assert (example.to_goal, example.reached) == (120.0, 1)


def test_the_time_to_the_goal_is_that_of_the_first_epoch_that_reached_it(speed):
    scores = [(10.0, 0.98), (20.0, 0.991), (30.0, 0.989), (40.0, 0.992)]
    run = [speed.Run("r", 1, n, *pair) for n, pair in enumerate(scores, 1)]
    (row,) = speed.summarise(run)
    assert (row.to_goal, row.seconds) == (20.0, 40.0)


def test_the_table_has_medians_spreads_and_ratios(speed, runs):
    cells = cells_of(speed.table(speed.summarise(runs)))
    assert cells["low"] == [
        *("2", "3", "no", "98.20% (98.10% to 98.30%)", "2.50 (2.00 to 3.00)"),
        *("-", "-"),
    ]
    assert cells["quick"] == [
        *("3", "1", "2 of 3", "99.12% (98.99% to 99.30%)", "4.00 (1.00 to 5.00)"),
        *("5.00 (2 of 3 seeds)", "24.0"),
    ]
    assert cells[speed.EXAMPLE][-2:] == ["120.00 (1 of 1 seeds)", "1.0"]


def test_bfloat16_is_only_claimed_where_it_was_used(speed):
    pairs = [("yes", (True, True)), ("1 of 2", (True, False)), ("no", (False, False))]
    runs = [
        speed.Run(expected, seed, 1, 1.0, 0.99, used)
        for expected, both in pairs
        for seed, used in enumerate(both)
    ]
    cells = cells_of(speed.table(speed.summarise(runs)))
    assert all(cells[expected][2] == expected for expected, _ in pairs)


@pytest.mark.parametrize("left_out", ["all of it", "the epoch that got there"])
def test_without_the_example_at_the_goal_there_is_no_ratio(speed, runs, left_out):
    rest = [
        run
        for run in runs
        if run.recipe != speed.EXAMPLE or (left_out != "all of it" and run.epochs == 1)
    ]
    cells = cells_of(speed.table(speed.summarise(rest)))
    assert {row[-1] for row in cells.values()} == {"times faster to 99%", "---:", "-"}


def test_the_picture_shows_the_medians_with_bars_to_the_extremes(speed, runs):
    drawn = speed.picture(runs)
    (axis,) = drawn.figure.axes
    points = [box.lines[0].get_xydata()[0].tolist() for box in axis.containers]
    assert points == [
        pytest.approx([2.5, 1 - 0.982]),
        pytest.approx([4.0, 1 - 0.9912]),
        pytest.approx([120.0, 1 - 0.99]),
    ]
    across, along = (bar.get_segments()[0] for bar in axis.containers[1].lines[2])
    assert across[:, 0].tolist() == pytest.approx([1.0, 5.0])
    assert along[:, 1].tolist() == pytest.approx([1 - 0.993, 1 - 0.9899])
    ways = [
        line.get_xdata().tolist() for line in axis.lines if len(line.get_xdata()) > 1
    ]
    assert ways == [[60.0, 120.0]]  # of the example, epoch by epoch
    assert axis.yaxis_inverted()
    for words in ("low: 98.20%, 2.5 s", "quick: 99.12%, 4 s", "example: 99.00%, 120 s"):
        assert words in drawn.alt


def test_the_example_has_the_parameters_of_the_published_one(speed):
    model = speed.Example()
    assert sum(p.numel() for p in model.parameters()) == 1_199_882
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.5]


def test_the_example_stops_once_it_has_reached_the_goal(speed, some, monkeypatch):
    digits = some(64).dataset
    train = torch.utils.data.TensorDataset(*digits.tensors)
    everything = list(speed.run_example(train, train, seed=1, epochs=3))
    assert [run.epochs for run in everything] == [1, 2, 3]
    times = [run.seconds for run in everything]
    assert times == sorted(times)
    assert times[0] > 0
    monkeypatch.setattr(speed, "GOAL", 0.0)
    assert len(list(speed.run_example(train, train, seed=1, epochs=3))) == 1


@pytest.mark.parametrize("stopped", ["Stopped by hand", "The loss became nan"])
def test_half_a_run_counts_for_nothing(speed, some, monkeypatch, stopped):
    monkeypatch.setattr(speed, "fit", lambda *_, **__: History(stopped=stopped))
    with pytest.raises(SystemExit, match=f"linear: {stopped}"):
        speed.run_recipe("linear", some(64).dataset, some(64), seed=1)


def test_a_small_run_writes_everything_after_each_model(speed, tmp_path, capsys):
    settings = ["--limit", "300", "--seeds", "2", "--reference-epochs", "2"]
    out = tmp_path / "new" / "folder"
    saved, save = [], speed.save

    def watch(runs, folder):
        save(runs, folder)
        content = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
        saved.append(len(content["runs"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "save", watch)
        speed.main([*settings, "--recipes", "linear", "cnn", "--out", str(out)])
    assert saved == [1, 2, 3, 4, 5, 6]
    content = json.loads((out / "speed.json").read_text(encoding="utf-8"))
    order = [(run["recipe"], run["seed"], run["epochs"]) for run in content["runs"]]
    assert order == [
        *[("linear", 1, 1), ("cnn", 1, 1), (speed.EXAMPLE, 1, 1)],
        *[(speed.EXAMPLE, 1, 2), ("linear", 2, 1), ("cnn", 2, 1)],
    ]
    assert f"torch {torch.__version__}" in content["machine"]
    page = (out / "speed.md").read_text(encoding="utf-8")
    runs = [speed.Run(**run) for run in content["runs"]]
    assert speed.table(speed.summarise(runs)) in page
    assert "](speed.png)" in page
    assert (out / "speed.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert printed.count("seed 1 ") == 4
    assert speed.table(speed.summarise(runs)) in printed


def test_every_recipe_is_one_that_its_model_and_fit_accept(speed, some):
    digits = some(512).dataset
    for name, recipe in speed.RECIPES.items():
        run = speed.run_recipe(name, digits, some(64), seed=1)
        assert (run.recipe, run.epochs) == (name, recipe.epochs)
        assert run.seconds > 0
        assert run.bfloat16 is False or name.endswith("autocast")


def test_no_reference_leaves_the_example_out(speed, monkeypatch):
    settings = ["--limit", "100", "--seeds", "1", "--recipes", "linear"]
    monkeypatch.setattr(speed, "run_example", None)
    runs = list(speed.every_run(speed.read_settings([*settings, "--no-reference"])))
    assert [run.recipe for run in runs] == ["linear"]


def test_the_help_names_every_recipe(speed, capsys):
    with pytest.raises(SystemExit):
        speed.read_settings(["--help"])
    words = capsys.readouterr().out
    assert all(name in words.replace("\n", "") for name in ("linear", "mlp", "cnn"))
    assert "validation digits" in words
    with pytest.raises(SystemExit):
        speed.read_settings(["--recipes", "rnn"])
    assert "invalid choice: 'rnn'" in capsys.readouterr().err
