"""The tables of lessons 5 to 7: what their scripts write, and what the prose says."""

import csv
import re

import pytest
import torch
import torch.nn.functional as F
from lesson_cells import NOTEBOOKS, cells_of, code_of, prose_of
from test_benchmarks import lines_of, script

from mnist_lessons import diagnose
from mnist_lessons.measured import clinic, reports, searches
from mnist_lessons.statistics import mcnemar, welch

write_tables = script("tables").write_tables
TABLES = {
    "searches": {
        "draws": 1_520,
        "thirty": 40,
        "sides": 200,
        "optimizers": 400,
        "case": 98,
    },
    "reports": {"pool": 2_000, "ablation": 160, "twins": 190, "last": 36},
    "patients": {"patients": 300},
}


@pytest.fixture(scope="module", params=TABLES)
def made(request, tmp_path_factory):
    """A script, and the folder to which it wrote a hundredth of its tables."""
    module, out = script(request.param), tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "reports":
            patch.setattr(module, "ROWS", dict(list(module.ROWS.items())[1:3]))
            patch.setattr(module, "RATES", module.RATES[:1])
        words = ["--share", "0.001", "--limit", "3000", "--out", str(out)]
        write_tables(module.TABLES, module.__doc__, words)
    return module, out


def test_the_scripts_write_tables_of_the_same_kind(made):
    module, out = made
    tables = TABLES[module.__name__]
    assert sorted(path.stem for path in out.iterdir()) == sorted(tables)
    for name, count in tables.items():
        head, *lines = lines_of(searches.FOLDER / f"{name}.csv")
        assert len(lines) == count
        new_head, *new = lines_of(out / f"{name}.csv")
        assert new_head == head
        assert 1 <= len(new) < 60


def test_no_two_networks_of_a_table_share_a_seed():
    for name in [n for tables in TABLES.values() for n in tables]:
        seeds = [line["seed"] for line in searches.read(name) if "seed" in line]
        assert len(set(seeds)) == len(seeds), name


def test_an_unknown_table_is_named(capsys):
    with pytest.raises(SystemExit):
        write_tables({"case": iter}, None, ["cases"])
    assert "'cases' is no table here; there are ['case']" in capsys.readouterr().err


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
    # ten seeds choose a rate, the others score it
    best = {n: seeds[n][10:, seeds[n][:10].mean(dim=0).argmax()] for n in rates}
    (stated,) = re.findall(r"scored by the other ten: (.*?)\(at 0.5", text)
    assert percent(stated) == pytest.approx(
        [100 * float(best[n].mean()) for n in ("adam", "momentum", "sgd")], abs=0.051
    )
    for other, words in (
        ("adam", r"Momentum minus Adam is (.*?)\)"),
        ("sgd", r"momentum minus SGD (.*?)\)"),
    ):
        (stated,) = re.findall(words, text)
        assert percent(stated) == differ(best["momentum"], best[other])
    other = {n: seeds[n][:10, seeds[n][10:].mean(dim=0).argmax()] for n in rates}
    (stated,) = re.findall(r"with the tens exchanged (.*?)\)", text)
    assert percent(stated) == differ(other["momentum"], other["sgd"])


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
    lr, width = (torch.tensor([float(x[n]) for x in lines]) for n in ("lr", "width"))
    assert 0.7 < explained(lr, table["random"]) < 0.8  # three quarters
    assert explained(width, table["random"]) == pytest.approx(0.06, abs=0.005)
    good = (lr > 0.003) & (lr < 0.015)
    text = prose("05_tuning")
    assert f"among the {int(good.sum())} draws" in text
    share = explained(width[good], table["random"][good])
    assert share == pytest.approx(0.5, abs=0.05)  # half
    # 75 searches of which none shares a trial with another
    apart = table["random"].reshape(75, 16).amax(dim=1)
    gap = welch(table["grid"].amax(dim=1), apart)
    (stated,) = re.findall(r"75 random searches, all separate, differ by (.*?)\)", text)
    assert percent(stated.replace("95 %", "")) == pytest.approx(
        [100 * x for x in gap], abs=0.06
    )
    wins = table["grid"].argmax(dim=1)  # of four rates the third
    assert set((wins // 4).tolist()) == {searches.GRID["lr"].index(0.0075)}
    best = searches.best_so_far(30)
    assert best.shape == (1_000, 30)
    assert (best.diff(dim=1) >= 0).all()


def test_lesson_5_says_what_the_searches_of_thirty_say():
    (random, random_again), (tpe, tpe_again) = searches.thirty().values()
    text = prose("05_tuning")
    (stated,) = re.findall(r"twenty such searches it was (.*?)\)", text)
    assert percent(stated) == differ(tpe, random)
    lost = torch.cat([random - random_again, tpe - tpe_again])
    assert f"lost {100 * float(lost.mean()):.1f} points" in text


def test_lesson_5_says_what_forty_runs_a_side_say():
    table, text = searches.sides(), prose("05_tuning")
    assert {len(runs) for runs in table.values()} == {40}
    for first, second, words in (
        ("512 units", "256 units", r"512 units gain (.*?)\)"),
        ("1024 units", "512 units", r"1,024 gain (.*?)\)"),
        ("dropout 0.3", "no dropout", r"Forty a side gave (.*?): still"),
    ):
        (stated,) = re.findall(words, text)
        assert percent(stated) == differ(table[first], table[second], 2)
    both = [float(table[side].var()) for side in ("dropout 0.3", "no dropout")]
    spread = 100 * (sum(both) / 2) ** 0.5
    assert f"s = {spread:.2f} points" in text
    (count,) = re.findall(r"0\.1 at n = (\d+) a side", text)
    assert int(count) == pytest.approx(8 * (spread / 0.1) ** 2, abs=10)


def test_lesson_5_says_what_the_case_says():
    table, text = searches.case(), prose("05_tuning")
    assert [len(runs) for runs in table.values()] == [30, 30, 19]
    for name, words in (
        ("winner", r"\*\*This winner\*\* gains (.*?), holds 0"),
        ("19 other winners", r"Nineteen other winners gain (.*?), over searches"),
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
    differences = {
        (row, other): welch(table[row], table[other], 1 - 0.05 / 10)
        for row, other in [
            *((row, "everything") for row in table if row != "everything"),
            ("early stopping", "nothing"),
            ("mirrored", "no augmentation"),
            ("shifts only", "no augmentation"),
        ]
    }
    assert len(differences) == 10
    # all ten leave out 0; which way each points
    up = [pair for pair, difference in differences.items() if difference.low > 0]
    assert up == [("shifts only", "no augmentation")]
    assert all(d.high < 0 for pair, d in differences.items() if pair not in up)
    (stated,) = re.findall(r"Each part helps: (.*?)\.\s", text)
    rows = ("no augmentation", "no schedule", "no smoothing")
    assert percent(stated) == [
        round(-100 * differences[row, "everything"].value, 1) for row in rows
    ]
    (stated,) = re.findall(r"ends (.*?) points \*below\*", text)
    stopping = differences["early stopping", "nothing"]
    assert percent(stated) == [round(-100 * stopping.value, 1)]
    # no rate stands at an end of the range
    assert 0.001 < min(rates.values()) <= max(rates.values()) < 0.032


def test_lesson_6_says_what_the_twins_and_candidates_say():
    smallest = min(mcnemar(*pair) for pair in reports.twins())
    assert f"p = {smallest:.4f}" in prose("06_report")
    assert smallest > 0.05 / 190  # so that none is left
    assert len(reports.twins()) == 190
    tosses = [sum(pair) for pair in reports.twins()]
    (stated,) = re.findall(
        r"# 190 pairs: (\d+) to (\d+)",
        "\n".join(c.source for c in code_of(cells_of(NOTEBOOKS / "06_report.ipynb"))),
    )
    assert stated == (str(min(tosses)), str(max(tosses)))
    found = reports.last()
    assert [len(runs) for runs in found.values()] == [12, 12, 12]
    assert welch(found["2 epochs"], found["1 epoch"], 1 - 0.05 / 2).low > 0
    augmented = welch(found["2 epochs"], found["2 epochs, not augmented"], 1 - 0.05 / 2)
    assert augmented.low < 0 < augmented.high  # "not shown"


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
        [100 * float(true.std()), 100 * luck**0.5], abs=0.006
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


def points(name, first, second):
    return [float(f"{100 * x:.1f}") for x in welch(first[name], second[name])]


def test_lesson_7_says_what_the_programs_say():
    truth, said, text = clinic.truth(), clinic.said(), prose("07_clinic")
    assert list(said) == list("ABCDEFGH")
    assert {len(runs) for runs in [*truth.values(), *said.values()]} == {20}
    came = {name: truth[name] for name in "ABCDE"}
    mended = {name: truth[f"{name} mended"] for name in "ABCDE"}
    (stated,) = re.findall(r"Mended, (A gains .*?): its network was sound", text)
    numbers = percent(stated.replace("95 %", ""))
    assert numbers == [x for name in "ABCDE" for x in points(name, mended, came)]
    (stated,) = re.findall(r"it had said (.*?) were true", text)
    averages = [100 * float(runs["E"].mean()) for runs in (said, truth)]
    assert percent(stated) == pytest.approx(averages, abs=0.051)
    assert "A sound MLP of this size has 0.967" in text
    assert float(mended["B"].mean()) == pytest.approx(0.967, abs=0.0005)
    assert 0.874 < float(came["D"].min()) < float(came["D"].max()) < 0.895  # "88 %"
    assert (said["E"] - truth["E"]).min() > 0.045  # the bound of the lesson's own run
    assert (said["E"] - truth["E"]).max() < 0.065
    rest = {}
    for line in searches.read("patients"):
        runs = rest.setdefault(line["state"], {}).setdefault(line["program"], [])
        runs.append(int(line["truth"]) / 10_000)
    came, mended = (
        {name: torch.tensor(rest[state][name]) for name in "FG"}
        for state in ("as it comes", "mended")
    )
    stated = re.findall(r"Shuffled, it gains (.*?)\)|each time, it gains (.*?)\)", text)
    numbers = percent(" ".join(map("".join, stated)).replace("95 %", ""))
    assert numbers == [x for name in "FG" for x in points(name, mended, came)]


@pytest.fixture(scope="module")
def eight(loaders):
    """The names that lesson 7's cells and solutions define."""
    return script("patients").cells_of_lesson(loaders)


@pytest.mark.parametrize(
    ("letter", "findings"),
    {
        "A": ["first loss", "one batch", "gradients"],
        "B": ["one batch"],
        "C": ["one batch", "old gradients", "moved weights"],
        "D": ["gradients"],
        "E": ["shared images"],
        "F": ["mixed labels"],
        "G": ["old gradients"],
        "H": [],
    }.items(),
)
def test_the_routine_finds_what_each_program_of_lesson_7_has(letter, findings, eight):
    for seed in range(3):
        torch.manual_seed(seed)
        program = script("patients").programs(eight, "as it comes")[letter]
        assert diagnose(**program).findings == findings
        if letter != "H":
            program = script("patients").programs(eight, "mended")[letter]
            assert diagnose(**program).findings == []


def test_the_training_loss_of_program_h_is_high_and_sound(eight):
    target = torch.full((1, 10), 0.02)
    target[0, 3] = 0.82
    perfect = F.cross_entropy(target.log(), torch.tensor([3]), label_smoothing=0.2)
    assert float(perfect) == pytest.approx(0.87, abs=0.005)
    torch.manual_seed(0)
    program = eight["program_h"]
    model, losses = program["make_model"](), []
    with pytest.MonkeyPatch.context() as patch:
        plain = F.cross_entropy

        def noted(*given, **options):
            losses.append(loss := plain(*given, **options))
            return loss

        patch.setattr(F, "cross_entropy", noted)
        for _ in range(3):
            losses.clear()
            program["train_step"](model, program["train_loader"])
    assert 1.1 < float(torch.stack(losses).detach().mean()) < 1.13
