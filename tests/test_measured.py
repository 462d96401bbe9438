"""The tables of lessons 5 and 6: what their scripts write, and what the prose says."""

import csv
import re

import pytest
import torch
from lesson_cells import NOTEBOOKS, cells_of, code_of, prose_of
from test_benchmarks import lines_of, script

from mnist_lessons.measured import reports, searches
from mnist_lessons.statistics import mcnemar, welch

TABLES = {
    "searches": {"draws": 1_520, "optimizers": 200, "case": 98},
    "reports": {"pool": 2_000, "ablation": 160, "twins": 190, "last": 24},
}


@pytest.fixture(scope="module", params=TABLES)
def made(request, tmp_path_factory):
    """A script, and the folder to which it wrote a hundredth of its tables."""
    module, out = script(request.param), tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_mnist", fewer(module.load_mnist))
        if request.param == "reports":
            patch.setattr(module, "ROWS", dict(list(module.ROWS.items())[1:3]))
            patch.setattr(module, "RATES", module.RATES[:1])
        module.main(["--share", "0.001", "--out", str(out)])
    return module, out


def fewer(load_mnist):
    def load(*_, **__):
        return load_mnist(limit=3_000)

    return load


def test_the_scripts_write_tables_of_the_same_kind(made):
    module, out = made
    tables = TABLES[module.__name__]
    assert sorted(path.stem for path in out.iterdir()) == sorted(tables)
    for name, count in tables.items():
        head, *lines = lines_of(module.OUT / f"{name}.csv")
        assert len(lines) == count
        new_head, *new = lines_of(out / f"{name}.csv")
        assert new_head == head
        assert 1 <= len(new) < 60
        keys = head[: head.index("lr")] if "lr" in head else head[:2]
        places = [head.index(key) for key in keys if key != "row"]
        assert len(set(lines)) == count or places


def percent(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]


def prose(name):
    return prose_of(cells_of(NOTEBOOKS / f"{name}.ipynb"))


def differ(first, second, digits=1):
    return [round(100 * x, digits) + 0.0 for x in welch(first, second)]


def test_lesson_5_says_what_the_table_of_optimizers_says():
    rates, seeds = searches.optimizers()
    means = {
        (name, rate): 100 * float(seeds[name][:, column].mean())
        for name in rates
        for column, rate in enumerate(rates[name])
    }
    text = prose("05_tuning")
    (small,) = re.findall(r"means at 0\.1 and 0\.01 are (.*?) %", text)
    assert percent(small) == pytest.approx(
        [means["sgd", 0.1], means["momentum", 0.01]], abs=0.051
    )
    (large,) = re.findall(r"With 0\.5 and 0\.05 the likeness ends: (.*?) %", text)
    assert percent(large) == pytest.approx(
        [means["sgd", 0.5], means["momentum", 0.05]], abs=0.051
    )
    best = {n: seeds[n][:, seeds[n].mean(dim=0).argmax()] for n in rates}
    (stated,) = re.findall(r"Each at its best rate: (.*?)\(at the end", text)
    assert percent(stated) == pytest.approx(
        [100 * float(best[n].mean()) for n in ("adam", "momentum", "sgd")], abs=0.051
    )
    (adam,) = re.findall(r"momentum minus Adam is (.*?)\)", text)
    assert percent(adam.replace("95 %", ""))[:3] == differ(
        best["momentum"], best["adam"]
    )
    (sgd,) = re.findall(r"Momentum minus SGD is (.*?)\)", text)
    assert percent(sgd) == differ(best["momentum"], best["sgd"])


def explained(values, target, groups=12):
    """Return the share of variance between so many equal groups of values."""
    parts = target[values.argsort()].chunk(groups)
    means = torch.cat([part.mean().expand(len(part)) for part in parts])
    return float(means.var() / target.var())


def test_lesson_5_says_what_the_draws_say():
    table = searches.cheap_trials()
    assert table["random"].shape == (1_200,)
    assert table["grid"].shape == (20, 16)
    lines = [line for line in searches.read("draws") if line["search"] == "random"]
    share = {
        name: explained(torch.tensor([float(x[name]) for x in lines]), table["random"])
        for name in ("lr", "width", "dropout", "weight_decay")
    }
    assert 0.7 < share["lr"] < 0.8  # three quarters
    assert share["width"] == pytest.approx(0.06, abs=0.015)
    assert share["dropout"] == pytest.approx(0.02, abs=0.01)
    assert share["weight_decay"] < 0.02  # 11 of 1,199 degrees by chance
    # 75 searches of which none shares a trial with another
    apart = table["random"].reshape(75, 16).amax(dim=1)
    gap = welch(table["grid"].amax(dim=1), apart)
    text = prose("05_tuning")
    (stated,) = re.findall(r"75 random searches, no .*? differ by (.*?)\)", text)
    assert percent(stated.replace("95 %", "")) == pytest.approx(
        [100 * x for x in gap], abs=0.06
    )
    best = searches.best_so_far(30)
    assert best.shape == (1_000, 30)
    assert (best.diff(dim=1) >= 0).all()
    assert f"reach {float(best[:, -1].median()):.1%}".replace("%", " %") in text


def test_lesson_5_says_what_the_case_says():
    table, text = searches.case(), prose("05_tuning")
    assert [len(runs) for runs in table.values()] == [30, 30, 19]
    for name, words in (
        ("winner", r"\*\*This winner\*\* gains (.*?)leaves 0 out"),
        ("19 other winners", r"Nineteen others gain (.*?), over searches"),
    ):
        (stated,) = re.findall(words, text)
        assert percent(stated) == differ(table[name], table["lesson 4"], 2)
    lost = (table["19 other winners"] < table["lesson 4"].mean()).sum()
    assert f"; {['none', 'one', 'two', 'three'][int(lost)]} of them lost" in text


def test_lesson_6_says_what_the_ablation_says():
    table, text = reports.ablation(), prose("06_report")
    assert {runs.shape for runs in table.values()} == {(20,)}
    rates = reports.rates()
    assert list(rates) == list(table)
    (stated,) = re.findall(r"it ends (.*?), over seeds\)", text)
    assert percent(stated) == differ(table["nothing"], table["early stopping"])
    joint = {
        row: welch(runs, table["everything"], 1 - 0.05 / 7)
        for row, runs in table.items()
        if row != "everything"
    }
    assert max(joint, key=lambda row: joint[row].value) in (
        "no smoothing",
        "no schedule",
    )
    for row, difference in joint.items():  # all hold but that of the schedule
        assert (difference.high < 0) == (row != "no schedule")
    alone = welch(table["no schedule"], table["everything"])
    assert alone.high < 0  # by itself it would leave out 0
    assert joint["mirrored"].high < joint["no augmentation"].low
    assert joint["shifts only"].low > joint["no augmentation"].high


def test_lesson_6_says_what_the_twins_and_candidates_say():
    small = [mcnemar(*pair) for pair in reports.twins()]
    assert len(small) == 190
    assert 0 < sum(p < 0.05 for p in small) < 40
    tosses = [sum(pair) for pair in reports.twins()]
    (stated,) = re.findall(
        r"# 190 pairs: (\d+) to (\d+)",
        "\n".join(c.source for c in code_of(cells_of(NOTEBOOKS / "06_report.ipynb"))),
    )
    assert stated == (str(min(tosses)), str(max(tosses)))
    found = reports.last()
    assert [len(runs) for runs in found.values()] == [8, 8, 8]
    assert welch(found["2 epochs"], found["1 epoch"]).low > 0
    assert welch(found["2 epochs"], found["2 epochs, not augmented"]).low > 0


def test_lesson_6_says_what_the_pool_says():
    reported, true = reports.pool()
    assert reported.shape == true.shape == (2_000,)
    both = torch.stack([reported, true])
    merit = float(torch.cov(both)[0, 1])  # true leads vary in common alone
    luck = float(reported.var()) - merit
    text = prose("06_report")
    (stated,) = re.findall(r"Their squares, (.*?), divide the lead", text)
    assert percent(stated) == pytest.approx([1e4 * merit, 1e4 * luck], abs=0.15)
    (stated,) = re.findall(r"standard deviation of (.*?)\. Their", text)
    assert percent(stated) == pytest.approx(
        [100 * float(true.std()), 100 * luck**0.5], abs=0.06
    )


def test_the_halves_share_no_digit_and_leave_none_out():
    for count in (10_000, 7):
        chose, scores = searches.halves(count)
        assert abs(len(chose) - len(scores)) <= 1
        assert sorted([*chose.tolist(), *scores.tolist()]) == list(range(count))
        assert torch.equal(chose, searches.halves(count)[0])


def test_every_line_of_a_table_is_a_number_of_digits():
    for tables in TABLES.values():
        for name in tables:
            with (searches.FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
                for line in csv.DictReader(file):
                    for column in ("right", "chose", "scores", "stand_in", "truth"):
                        limit = {"stand_in": 300, "truth": 20_000}.get(column, 10_000)
                        assert 0 <= int(line.get(column) or 0) <= limit
