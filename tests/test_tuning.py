"""`tune` in one process: what a study holds, how it ends, where it is kept."""

import numpy as np
import optuna
import pytest
import torch

from mnist_lessons import LinearModel, tune
from mnist_lessons.data import Loaders
from mnist_lessons.tuning import StudyError, best_settings, plans, searching, studies
from mnist_lessons.tuning.recipes import train_recipe
from mnist_lessons.tuning.spaces import SPACES


@pytest.fixture(autouse=True)
def few_digits(monkeypatch, some, tmp_path):
    """600 digits to train on and 500 to validate; what was asked for, in a list."""
    asked = []

    def load(data_dir=None, *, dataset="MNIST", limit=None, device=None):
        asked.append((data_dir, dataset, limit, device))
        return Loaders(some(limit or 600), some(500, 1000), None)  # no test digits

    monkeypatch.setattr(searching, "load_mnist", load)
    monkeypatch.chdir(tmp_path)
    return asked


def rates(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 0.1, log=True)}


def quick(model="linear", **options):
    usual = {"space": rates, "n_trials": 3, "epochs": 1, "progress": False}
    return tune(model, **{**usual, **options})


def states(study):
    return [trial.state.name for trial in study.trials]


def test_a_trial_tells_how_it_was_trained_and_scored(few_digits):
    study = quick(device="cpu", data_dir="elsewhere", limit=300, dataset="QMNIST")
    assert few_digits == [("elsewhere", "QMNIST", 300, torch.device("cpu"))]
    assert (study.direction.name, study.study_name) == ("MAXIMIZE", "linear")
    for trial in study.trials:
        about = trial.user_attrs
        assert about["settings"] == {"epochs": 1, "lr": trial.params["lr"]}
        assert about["parameters"] == 7850
        assert about["seconds"] > 0
        assert (about["correct"] / about["count"], about["count"]) == (trial.value, 500)
        assert trial.intermediate_values == {1: trial.value}
        assert str(studies.score_of(trial)).startswith(f"{trial.value:.2%} right")
    study = quick(space=lambda trial: {"epochs": 2, **rates(trial)}, n_trials=1)
    assert study.trials[0].user_attrs["settings"]["epochs"] == 2  # the space decides
    assert len(study.trials[0].intermediate_values) == 2


def test_the_best_settings_train_the_best_model_again(some):
    study = tune("mlp", n_trials=4, epochs=2, limit=600, progress=False)
    settings = best_settings(study)
    assert isinstance(settings["hidden"], tuple)
    _, history = train_recipe("mlp", settings, some(600).dataset, some(500, 1000))
    assert [len(history), history[-1]["valid_accuracy"]] == [2, study.best_value]


def test_every_choice_of_a_space_trains(some):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for model in list(SPACES) * 5:
        settings = SPACES[model](study.ask())
        assert len(train_recipe(model, settings, some(64).dataset)[1]) == 1


def test_a_study_follows_from_its_seed_also_where_it_is_gone_on_with():
    def course(trials):
        return [(t.params, t.values, t.state, t.intermediate_values) for t in trials]

    options = {"space": None, "epochs": 2, "limit": 200}
    whole = course(quick(n_trials=13, **options).trials)
    for count in (6, 7):
        parts = quick(n_trials=count, storage="journal://study.log", **options)
    assert course(parts.trials) == whole
    # other settings, not just other first weights
    other = [trial.params for trial in quick(n_trials=13, seed=6, **options).trials]
    assert all(params not in other for params, *_ in whole)


def test_the_number_of_trials_and_the_time_are_limited(monkeypatch):
    assert len(quick(n_trials=None, limit=64).trials) == 20
    clock = iter(range(100))  # one look at the clock at the start, one after each trial
    monkeypatch.setattr(searching.time, "time", lambda: next(clock))
    monkeypatch.setattr(plans.time, "time", lambda: next(clock))

    def space(trial):
        assert trial.number < 9, "the time is up"
        return rates(trial)

    options = {"n_trials": None, "limit": 64, "space": space}
    assert len(quick(seconds=3, **options).trials) == 3
    assert len(quick(n_trials=2, seconds=30).trials) == 2
    assert len(quick(n_trials=None, seconds=1e-9).trials) == 1  # however late it is


def test_what_falls_behind_the_median_is_pruned_but_not_in_its_last_epoch(capsys):
    def good_then_useless(trial):
        return {"lr": 0.01 if trial.number < 5 else 1e-6}

    study = quick(space=good_then_useless, n_trials=7, epochs=2, progress=True)
    assert states(study) == ["COMPLETE"] * 5 + ["PRUNED"] * 2
    assert [len(t.intermediate_values) for t in study.trials] == [2] * 5 + [1] * 2
    last = study.trials[6]
    assert last.values == [last.intermediate_values[1]]  # of which the sampler learns
    assert last.user_attrs["settings"] == {"epochs": 2, "lr": 1e-6}
    outcome = f"trial 6: pruned after epoch 1, {last.values[0]:.2%} right, "
    assert outcome in capsys.readouterr().out
    assert states(quick(space=good_then_useless, n_trials=7)) == ["COMPLETE"] * 7


class Switch(LinearModel):
    """Does what `plan` says in each run: train, diverge, or raise something."""

    plan = []

    def training_step(self, batch, **options):
        problem = self.plan.pop(0) if self.plan else None
        if isinstance(problem, BaseException):
            raise problem
        print("a student's own print")
        return super().training_step(batch, **options) * (problem or 1)


def switch(*plan, **options):
    """`switch(None, KeyboardInterrupt())` breaks off the second of one-batch runs."""
    Switch.plan = list(plan)
    one_batch = {"space": lambda trial: {"batch_size": 600, **rates(trial)}}
    return quick(Switch, **{**one_batch, "n_trials": 9, **options})


def test_a_loss_that_diverges_is_noted_and_learned_from(capsys):
    study = switch(None, torch.nan, n_trials=3, progress=True)
    assert states(study) == ["COMPLETE", "PRUNED", "COMPLETE"]  # TPE uses PRUNED ones
    assert "loss became nan" in study.trials[1].user_attrs["stopped"]
    printed = capsys.readouterr().out
    assert "trial 1: The loss became nan in batch 1" in printed
    assert "Try a learning rate" not in printed  # advice for someone else
    assert printed.count("a student's own print\n") == 3


def test_ctrl_c_keeps_the_finished_trials(capsys):
    study = switch(None, None, KeyboardInterrupt())
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert best_settings(study)["lr"] == study.best_params["lr"]
    last_line = "Stopped by hand; the trials that were finished are kept.\n"
    assert capsys.readouterr().out.endswith(f"print\n{last_line}")


def test_a_worker_that_is_told_to_stop_does_so_between_epochs():
    # it looks after each epoch, and once more after each trial
    options = {"space": rates, "n_trials": 5, "progress": False, "limit": 64}
    plan = plans.make_plan(model="linear", **options)
    for looks, expected in enumerate([["FAIL"], ["COMPLETE"], ["COMPLETE", "FAIL"]]):
        study, answers = studies.begin(plan, None), [True] * 9 + [False] * looks
        search = searching.Search(plan, "me", answers.pop)
        assert search.run(study) is (expected[-1] == "FAIL")
        assert states(study) == expected
        assert {trial.user_attrs["worker"] for trial in study.trials} == {"me"}


def test_errors_end_the_search_in_the_first_trial_or_three_in_a_row(capsys):
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        switch(*[RuntimeError("mat1 and mat2")] * 9)
    assert caught.value.__notes__ == ["This ended the search, in trial 0."]
    assert len(Switch.plan) == 8
    study = switch(None, MemoryError("too much"), n_trials=3, progress=True)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs["stopped"] == "MemoryError: too much"
    assert "trial 1: MemoryError: too much |" in capsys.readouterr().out
    errors = [MemoryError("too much")] * 3
    with pytest.raises(MemoryError) as caught:
        switch(None, *errors)
    assert caught.value.__notes__ == ["This ended the search, in trial 3."]
    plan = [None, *errors[:2], None, *errors[:2], None]
    assert states(switch(*plan, n_trials=7)).count("FAIL") == 4


def refused(kind, message, **options):
    with pytest.raises(kind, match=message) as caught:
        quick(**options)
    return str(caught.value)


def test_settings_may_be_numpys_numbers_and_are_named_if_they_are_wrong():
    numbers = {"lr": np.float32(0.5), "batch_size": np.int64(50)}
    study = quick(space=lambda trial: numbers, n_trials=np.int64(1))
    assert best_settings(study) == {"epochs": 1, "lr": 0.5, "batch_size": 50}
    for chosen in (None, [0.1], 0.1, {"lr": torch.ones(2)}, {"lr": ...}):
        refused(TypeError, "should return a dictionary", space=lambda _, c=chosen: c)
    refused(ValueError, "unexpected.*'wdith'", space=lambda trial: {"wdith": 3})
    refused(ValueError, "epochs='two' does", space=lambda trial: {"epochs": "two"})


def test_what_makes_no_sense_is_refused_before_anything_is_loaded(few_digits):
    wrong = {"dataset": "letters", "n_trials": 2.5, "seconds": 0, "epochs": 0}
    wrong |= {"workers": 0, "seed": 2**32, "limit": 0, "device": "abacus"}
    for name, value in {"model": "svm", **wrong}.items():
        message = f"{name}={value!r} (is not known|is not there|does not work)"
        refused(ValueError, message, **{name: value})
    message = "no ranges for model='LinearModel'"
    refused(ValueError, message, model=LinearModel, space=None)
    refused(TypeError, "space is a dict; give a function", space={"lr": 1})
    memory = optuna.storages.InMemoryStorage()
    for options in ({"model": LinearModel}, {}, {"space": None, "storage": memory}):
        refused(TypeError, "workers=2 starts other processes", workers=2, **options)
    assert few_digits == []


def test_progress_is_one_line_a_trial_and_a_bar(capsys):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    quick()
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING  # as before
    assert capsys.readouterr() == ("", "")
    study = quick(n_trials=2, progress=True)
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.startswith("trial")]
    for trial, line in zip(study.trials, lines, strict=True):
        assert line.startswith(f"trial {trial.number}: {trial.value:.2%} right, ")
        assert line.endswith(f" s | lr {trial.params['lr']:.3g}")
    assert f"best {study.best_value:.2%}" in err  # also where there is no terminal


def test_a_stored_study_is_joined(tmp_path):
    memory = optuna.storages.InMemoryStorage()
    for storage in ("journal://a.log", f"sqlite:///{tmp_path}/a.db", memory):
        quick(storage=storage, n_trials=2)
        study = quick(storage=storage, n_trials=3)
        assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
        assert len({trial.params["lr"] for trial in study.trials}) == 5
        assert len(quick(storage=storage, study_name="other", n_trials=1).trials) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.log", "a.db"}  # no lock


def test_a_study_of_something_else_is_not_joined():
    def other(trial):
        return rates(trial)

    quick(storage="journal://a.log", n_trials=1)
    for message, options in [
        ("begun with model='linear', not 'm", {"model": "mlp", "study_name": "linear"}),
        ("begun with epochs=1, not 2", {"epochs": 2}),
        ("begun with limit=None, not 300", {"limit": 300}),
        ("begun with dataset='MNIST', not 'QMNIST'", {"dataset": "QMNIST"}),
        ("begun with space='rates', not 'other'", {"space": other}),
        ("begun with space='rates', not None", {"space": None}),
    ]:
        refused(StudyError, message, storage="journal://a.log", **options)
    assert len(quick(storage="journal://a.log", n_trials=1).trials) == 2
    assert plans.Plan(model="linear", space=SPACES["linear"]).about["space"] is None

    memory = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=memory, study_name="linear")  # the lowest is best
    mine = optuna.create_study(storage=memory, study_name="b", direction="maximize")
    mine.tell(mine.ask(), 0.5)
    for name in ("linear", "b"):
        refused(StudyError, "not made by tune", storage=memory, study_name=name)


def test_a_storage_that_cannot_be_opened(few_digits, tmp_path):
    for address, message in [
        ("journal://nowhere/a.log", "There is no folder .*nowhere; make it first"),
        ("journal://.", "cannot be written to: Is a directory"),
        ("study.log", "storage='study.log' is no address. Write journal://study.log"),
        (tmp_path / "a.log", "is no address. Write journal:///.*a.log"),
        ("sqlite:///nowhere/a.db", "='sqlite:///nowhere/a.db': .*unable to open"),
        ("mysql://me:se:cret@host/x", r"mysql://me:\*\*\*@host/x': .*MySQLdb"),
    ]:
        assert "cret" not in refused(StudyError, message, storage=address)
    assert few_digits == []


def test_a_file_that_is_no_journal_or_a_damaged_one_stays_as_it_is(tmp_path):
    quick(storage="journal://a.log")
    path = tmp_path / "a.log"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    for content, message in [
        (b"dear diary", "a.log is no journal of Optuna's"),
        (b"".join([first, rest[0][:20] + b"\n", *rest[1:]]), "a.log is damaged: "),
        # readable, but nothing that Optuna writes
        (first + b'{"op_code": 4}\n', "a.log is damaged: "),
    ]:
        path.write_bytes(content)
        refused(StudyError, message, storage="journal://a.log")
        assert path.read_bytes() == content


def test_half_a_line_of_a_killed_process_is_cleared_away(tmp_path):
    path = tmp_path / "a.log"
    quick(storage="journal://a.log", n_trials=2)
    whole = path.read_bytes()
    for cut in (1, 5, 30):
        path.write_bytes(whole[:-cut])
        study = quick(storage="journal://a.log", n_trials=2)
        assert states(study)[:1] + states(study)[2:] == ["COMPLETE"] * 3

    def space(trial):
        if trial.number == 1:  # another process dies meanwhile
            with (tmp_path / "b.log").open("ab") as file:
                file.write(b'{"op_code":4,"work')
        return rates(trial)

    for _ in range(2):
        study = quick(storage="journal://b.log", space=space)
    assert states(study) == ["COMPLETE"] * 6


def test_a_study_without_a_finished_trial_has_no_best_one():
    study = optuna.create_study(direction="maximize")
    with pytest.raises(ValueError, match="has 0 finished trials"):
        best_settings(study)
    study.add_trial(optuna.trial.create_trial(value=0.9))
    with pytest.raises(ValueError, match="tune did not make this study"):
        best_settings(study)
    study.add_trial(optuna.trial.create_trial(value=0.9))
    with pytest.raises(ValueError, match="nothing can have mattered"):
        studies.importances(study)
    assert studies.best_trial(study).number == 0  # the first one of equals


def test_digits_that_are_loaded_already_are_not_loaded_again(some, monkeypatch):
    monkeypatch.setattr(searching, "load_mnist", None)
    options = {"loaders": (some(200), some(50, 300)), "progress": False}
    study = tune("linear", n_trials=1, epochs=1, **options)
    assert study.trials[0].user_attrs["count"] == 50
