"""`tune` in one process: what a study holds, how it ends, where it is kept."""

import json
import os
import subprocess
import sys

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

from mnist_lessons import LinearModel, tune, tuning
from mnist_lessons.data import Loaders
from mnist_lessons.tuning import best_settings, searching
from mnist_lessons.tuning.plans import Plan
from mnist_lessons.tuning.progress import Bar
from mnist_lessons.tuning.recipes import train_recipe
from mnist_lessons.tuning.spaces import SPACES
from mnist_lessons.tuning.storages import (
    StudyError,
    cut_unfinished_line,
    without_password,
)
from mnist_lessons.tuning.studies import importances


class Untouchable:
    """The test loader, which nothing may look at."""

    def __getattribute__(self, name):
        raise AssertionError("the test digits were looked at")

    __iter__ = __len__ = __bool__ = lambda self: self.looked_at


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, some, tmp_path):
    """600 digits to train on and 500 to validate; what was asked for, in a list."""
    asked = []

    def load(data_dir=None, *, dataset="MNIST", limit=None, device=None):
        asked.append({"data_dir": data_dir, "limit": limit, "device": device})
        return Loaders(some(limit or 600), some(500, 1000), Untouchable())

    monkeypatch.setattr(tuning, "load_mnist", load)
    monkeypatch.chdir(tmp_path)
    return asked


def rates(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 0.1, log=True)}


def quick(model="linear", **options):
    given = {"space": rates, "n_trials": 3, "epochs": 1, "progress": False}
    return tune(model, **{**given, **options})


def states(study):
    return [trial.state.name for trial in study.trials]


def what(study):
    """All that must repeat itself."""
    return [(t.params, t.values, t.state, t.intermediate_values) for t in study.trials]


# what a study holds


def test_the_package_leaves_optuna_alone_until_it_is_needed():
    code = "import sys, mnist_lessons, mnist_lessons.__main__; "
    code += "sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_trial_says_how_it_was_trained_and_scored(some, few_digits):
    study = quick(device="cpu", data_dir="elsewhere", limit=300)
    assert few_digits == [
        {"data_dir": "elsewhere", "limit": 300, "device": torch.device("cpu")}
    ]
    assert study.direction.name == "MAXIMIZE"
    assert study.study_name == "linear"
    for trial in study.trials:
        about = trial.user_attrs
        assert about["settings"] == {"epochs": 1, "lr": trial.params["lr"]}
        assert about["parameters"] == 7850
        assert about["seconds"] > 0
        assert (about["correct"] / about["count"], about["count"]) == (trial.value, 500)
        assert trial.intermediate_values == {1: trial.value}
    assert len({trial.params["lr"] for trial in study.trials}) == 3


def test_the_best_settings_train_the_best_model_again(some):
    study = tune("mlp", n_trials=4, epochs=2, limit=600, progress=False)
    settings = best_settings(study)
    assert isinstance(settings["hidden"], tuple)
    valid = some(500, 1000)
    _, history = train_recipe("mlp", settings, some(600).dataset, valid, seed=0)
    assert history[-1]["valid_accuracy"] == study.best_value
    assert len(history) == 2


@pytest.mark.parametrize("model", SPACES)
def test_every_choice_of_a_space_trains(model, some):
    from optuna.samplers import RandomSampler

    study = optuna.create_study(sampler=RandomSampler(seed=1))
    data = some(64).dataset
    for _ in range(6):
        _, history = train_recipe(model, SPACES[model](study.ask()), data)
        assert len(history) == 1


def test_the_same_seed_gives_the_same_study():
    first, again, other = (
        what(quick(space=None, n_trials=13, epochs=2, limit=200, seed=seed))
        for seed in (5, 5, 6)
    )
    assert first == again
    for mine, others in zip(first, other, strict=True):
        assert mine[0] != others[0]  # other settings, not just other first weights


def test_a_study_that_is_gone_on_with_is_the_uninterrupted_one():
    options = {"space": None, "epochs": 2, "limit": 200}
    whole = quick(n_trials=13, **options)
    for count in (6, 7):
        parts = quick(n_trials=count, storage="journal://study.log", **options)
    assert what(parts) == what(whole)


def test_without_a_number_there_are_20_trials():
    assert len(quick(n_trials=None, limit=64).trials) == 20


def test_the_time_is_limited(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(searching.time, "time", lambda: next(clock))
    monkeypatch.setattr(tuning.time, "time", lambda: next(clock))

    # 0 s: the call; then one look at the clock before each trial but the first
    def space(trial):
        assert trial.number < 9, "the time is up"
        return rates(trial)

    assert len(quick(n_trials=None, seconds=3, space=space).trials) == 3
    assert len(quick(n_trials=2, seconds=30).trials) == 2
    # however late it is, there is one
    assert len(quick(n_trials=None, seconds=1e-9).trials) == 1


def test_what_falls_behind_the_median_is_pruned():
    def space(trial):  # five good ones, and then two that learn next to nothing
        return {"lr": 0.01 if trial.number < 5 else 1e-6}

    study = quick(space=space, n_trials=7, epochs=2)
    assert states(study) == ["COMPLETE"] * 5 + ["PRUNED"] * 2
    assert [len(t.intermediate_values) for t in study.trials] == [2] * 5 + [1] * 2
    assert "settings" in study.trials[6].user_attrs


def test_the_last_epoch_is_never_pruned():
    def space(trial):
        return {"lr": 0.01 if trial.number < 5 else 1e-6}

    assert states(quick(space=space, n_trials=7)) == ["COMPLETE"] * 7


def test_a_loss_that_diverges_is_noted_and_learned_from(capsys):
    class Fragile(LinearModel):
        def __init__(self, explodes):
            super().__init__()
            self.explodes = explodes

        def training_step(self, batch, **options):
            loss = super().training_step(batch, **options)
            return loss * torch.nan if self.explodes else loss

    def space(trial):
        return {"explodes": trial.number == 1}

    study = quick(Fragile, space=space, progress=True)
    assert states(study) == ["COMPLETE", "PRUNED", "COMPLETE"]  # TPE uses PRUNED ones
    assert "loss became nan" in study.trials[1].user_attrs["stopped"]
    printed = capsys.readouterr().out
    assert "trial 1: The loss became nan in batch 1" in printed
    assert "Try a learning rate" not in printed  # advice for someone else


# how a search ends


class Switch(LinearModel):
    """Does what `plan` says in each run: train, or raise something."""

    plan = []

    def training_step(self, batch, **options):
        if self.plan and (problem := self.plan.pop(0)):
            raise problem
        return super().training_step(batch, **options)


@pytest.fixture
def switch(monkeypatch):
    """`switch(None, KeyboardInterrupt())` breaks off the second of one-batch runs."""

    def build(*plan):
        monkeypatch.setattr(Switch, "plan", list(plan))
        space = {"space": lambda trial: {"batch_size": 600, **rates(trial)}}
        return lambda **options: quick(lambda lr=0: Switch(), **{**space, **options})

    return build


def test_ctrl_c_keeps_the_finished_trials(switch, capsys):
    study = switch(None, None, KeyboardInterrupt())(n_trials=9)
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert study.trials[2].values is None
    assert best_settings(study)["lr"] == study.best_params["lr"]
    assert "Stopped by hand" in capsys.readouterr().out


def test_ctrl_c_between_two_trials(switch, monkeypatch):
    run = switch()
    ask, asked = optuna.Study.ask, []

    def interrupted(self):
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return ask(self)

    monkeypatch.setattr(optuna.Study, "ask", interrupted)
    assert states(run(n_trials=9)) == ["COMPLETE"] * 2


@pytest.mark.parametrize(
    ("looks", "states"), [(1, []), (2, ["FAIL"]), (3, ["COMPLETE"])]
)
def test_a_worker_that_is_told_to_stop_does_so_between_epochs(looks, states):
    # it looks before each trial, and after each epoch but the last
    answers = iter([False] * (looks - 1) + [True] * 9)
    plan = Plan("linear", rates, 5, epochs=2, progress=False)
    plan.told_to_stop = lambda: next(answers)
    study, stopped = tuning.carry_out(plan)
    assert stopped
    assert [trial.state.name for trial in study.trials] == states


def test_ctrl_c_while_a_trial_is_shown(switch, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(searching.Bar, "show", interrupted)
    assert states(switch()(n_trials=9)) == ["COMPLETE"]


def test_a_model_that_cannot_be_trained_ends_the_search(switch):
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        switch(*[RuntimeError("mat1 and mat2")] * 9)(n_trials=9)
    assert caught.value.__notes__ == ["This ended the search, in trial 0."]
    assert len(Switch.plan) == 8


def test_one_error_among_trials_that_work_is_noted(switch, capsys):
    study = switch(None, MemoryError("too much"))(progress=True)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs["stopped"] == "MemoryError: too much"
    assert "trial 1: MemoryError: too much |" in capsys.readouterr().out


def test_three_errors_in_a_row_end_the_search(switch):
    errors = [MemoryError("too much")] * 3
    with pytest.raises(MemoryError):
        switch(None, *errors)(n_trials=9)
    plan = [None, *errors[:2], None, *errors[:2], None]
    assert states(switch(*plan)(n_trials=7)).count("FAIL") == 4


def test_a_wrong_setting_is_named_at_once():
    with pytest.raises(ValueError, match="'wdith' is not known"):
        quick(space=lambda trial: {"wdith": 3})
    with pytest.raises(
        TypeError, match="setting lr=.* is a Tensor; settings are plain"
    ):
        quick(space=lambda trial: {"lr": torch.ones(2)})


def test_numpy_numbers_are_as_good_as_pythons():
    study = quick(
        space=lambda trial: {"lr": np.float32(0.5), "batch_size": np.int64(50)},
        n_trials=np.int64(1),
    )
    assert best_settings(study) == {"epochs": 1, "lr": 0.5, "batch_size": 50}


@pytest.mark.parametrize("chosen", [None, [0.1], 0.1])
def test_a_space_that_returns_no_dictionary_is_told_so(chosen):
    with pytest.raises(TypeError, match="it should return a dictionary"):
        quick(space=lambda trial: chosen)


def test_settings_of_a_study_that_tune_did_not_make():
    study = optuna.create_study(direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=0.9))
    with pytest.raises(ValueError, match="tune did not make this study"):
        best_settings(study)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "svm", "space": None}, "model='svm'"),
        ({"model": LinearModel, "space": None}, "no ranges for model='LinearModel'.*"),
        ({"n_trials": 0}, "n_trials=0 does not work: give a whole number, 1 or more"),
        ({"n_trials": 2.5}, "n_trials=2.5"),
        ({"seconds": 0}, "seconds=0 does not work: give a number above 0"),
        ({"seconds": "60"}, "seconds='60'"),
        ({"epochs": 0}, "epochs=0"),
        ({"workers": 0}, "workers=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "seed=4294967296.*below 4,294,967,296"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(few_digits, options, message):
    with pytest.raises(ValueError, match=message):
        quick(**options)
    assert few_digits == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": LinearModel}, "a model that you give as a class does not work"),
        ({"space": rates}, "a space of your own does not work"),
        ({"storage": optuna.storages.InMemoryStorage()}, "a storage that is an object"),
        ({"storage": "sqlite://"}, "process's own memory"),
    ],
)
def test_what_workers_cannot_import_is_refused(options, message):
    with pytest.raises(TypeError, match=f"{message}.*workers=1"):
        quick(**{"space": None, "workers": 2, **options})


def test_optuna_is_as_talkative_afterwards_as_before(capsys):
    before = optuna.logging.get_verbosity()
    quick()
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")


def test_progress_is_one_line_a_trial(capsys):
    study = quick(n_trials=2, progress=True)
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("trial")]
    assert [line.split(":")[0] for line in lines] == ["trial 0", "trial 1"]
    assert f"{study.trials[0].value:.2%} right, " in lines[0]
    assert f"lr {study.trials[0].params['lr']:.3g}" in lines[0]


# where it is kept


@pytest.mark.parametrize("address", ["journal://{}/a.log", "sqlite:///{}/a.db"])
def test_a_stored_study_is_joined(address, tmp_path):
    address = address.format(tmp_path)
    quick(storage=address, n_trials=2)
    study = quick(storage=address, n_trials=3)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
    assert len({trial.params["lr"] for trial in study.trials}) == 5
    assert len(quick(storage=address, study_name="other").trials) == 3


def test_a_storage_of_optunas_own():
    storage = optuna.storages.InMemoryStorage()
    quick(storage=storage, n_trials=1)
    assert len(quick(storage=storage, n_trials=1).trials) == 2


def test_a_journal_may_be_named_relatively(tmp_path):
    quick(storage="journal://near.log")
    assert (tmp_path / "near.log").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["near.log"]  # no lock left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mlp", "study_name": "linear"}, "begun with model='linear', not 'm"),
        ({"epochs": 2}, "begun with epochs=1, not 2"),
        ({"limit": 300}, "begun with limit=None, not 300"),
    ],
)
def test_a_study_of_something_else_is_not_joined(options, message):
    quick(storage="journal://a.log")
    with pytest.raises(StudyError, match=message):
        quick(storage="journal://a.log", **options)
    assert len(quick(storage="journal://a.log").trials) == 6


def test_a_study_that_somebody_else_made_is_not_joined(tmp_path):
    address = f"sqlite:///{tmp_path}/a.db"
    optuna.create_study(storage=address, study_name="linear", direction="minimize")
    with pytest.raises(StudyError, match="'linear' was not made by tune"):
        quick(storage=address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("journal://nowhere/a.log", "There is no folder .*nowhere; make it first"),
        ("journal://.", "is a folder; give the name of a file in it"),
        ("study.log", "storage='study.log' is no address. Write journal://study.log"),
        (
            "sqlite:///nowhere/a.db",
            "storage='sqlite:///nowhere/a.db': .*unable to open",
        ),
        ("nosuch://me:secret@host/x", r"storage='nosuch://me:\*\*\*@host/x': "),
        ("mysql://me:secret@host/x", r"mysql://me:\*\*\*@host/x': .*MySQLdb"),
        ("sqlite:/a.db", "is no address"),
    ],
)
def test_a_storage_that_cannot_be_opened(few_digits, address, message):
    with pytest.raises(StudyError, match=message) as caught:
        quick(storage=address)
    assert "secret" not in str(caught.value)
    assert few_digits == []


def test_a_path_is_no_address(tmp_path):
    with pytest.raises(TypeError, match="write storage='journal://"):
        quick(storage=tmp_path / "a.log")


def test_a_journal_that_cannot_be_written_to(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(StudyError, match="a.log cannot be written to: Permission den"):
        quick(storage="journal://a.log")


@pytest.mark.parametrize(
    "content", [b"dear diary\nhello", b"dear diary", b"\x89PNG\n1"]
)
def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path, content):
    (tmp_path / "diary").write_bytes(content)
    with pytest.raises(StudyError, match="diary is no journal of Optuna's"):
        quick(storage="journal://diary")
    assert (tmp_path / "diary").read_bytes() == content


def test_a_damaged_journal_is_named_with_its_line(tmp_path):
    quick(storage="journal://a.log")
    path = tmp_path / "a.log"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]])
    path.write_bytes(damaged)
    with pytest.raises(
        StudyError, match=r"line 4 of \d+ cannot be read.*first 3 lines"
    ):
        quick(storage="journal://a.log")
    assert path.read_bytes() == damaged
    # readable, but nothing that Optuna writes
    path.write_bytes(lines[0] + b'{"op_code": 4}\n')
    with pytest.raises(StudyError, match="a.log is damaged: "):
        quick(storage="journal://a.log")


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_half_a_line_of_a_killed_process_is_cleared_away(tmp_path, cut):
    quick(storage="journal://a.log")
    path = tmp_path / "a.log"
    path.write_bytes(path.read_bytes()[:-cut])
    study = quick(storage="journal://a.log", n_trials=2)
    assert states(study)[:2] + states(study)[3:] == ["COMPLETE"] * 4
    for line in path.read_bytes().splitlines():
        json.loads(line)


def test_half_a_line_that_appears_meanwhile_is_cleared_away(tmp_path):
    path = tmp_path / "a.log"

    def space(trial):
        if trial.number == 1:  # another process dies
            with path.open("ab") as file:
                file.write(b'{"op_code":4,"work')
        return rates(trial)

    space.__name__ = rates.__name__  # or the second study would be another one
    quick(storage="journal://a.log", space=space)
    assert states(quick(storage="journal://a.log")) == ["COMPLETE"] * 6


def test_a_study_of_another_space_is_refused(tmp_path):
    quick(storage="journal://a.log")

    def other(trial):
        return rates(trial)

    with pytest.raises(StudyError, match="begun with space='rates', not 'other'"):
        quick(storage="journal://a.log", space=other)


def test_a_device_is_no_journal(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(StudyError, match="is a device, not a file"):
        quick(storage=f"journal://{pipe}")


def test_only_what_stands_after_the_last_line_is_cut(tmp_path):
    path = tmp_path / "a"
    for before, after in [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n")]:
        path.write_bytes(before)
        cut_unfinished_line(path)
        assert path.read_bytes() == after


def test_a_password_is_not_shown():
    assert without_password("mysql://me:s:e@host/x") == "mysql://me:***@host/x"
    assert without_password("sqlite:///a@b.db") == "sqlite:///a@b.db"


def test_a_bar_is_shown_in_notebooks_which_say_that_they_are_no_terminal(capsys):
    with Bar(3, shown=True) as bar:
        assert not sys.stderr.isatty()
        assert not bar._bar.disable


# what it found


def test_no_finished_trial_no_best_one():
    study = optuna.create_study(direction="maximize")
    with pytest.raises(ValueError, match="has 0 finished trials"):
        best_settings(study)
    study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED))
    with pytest.raises(ValueError, match=r"0 finished trials \(of 1; 1 were pruned\)"):
        importances(study)


def test_what_matters_comes_first():
    study = optuna.create_study(direction="maximize")
    for number in range(30):
        trial = study.ask()
        right = trial.suggest_float("matters", 0, 1)
        trial.suggest_float("idle", 0, 1)
        study.tell(number, right)
    shares = importances(study)
    assert list(shares) == ["matters", "idle"]
    assert sum(shares.values()) == pytest.approx(1)
