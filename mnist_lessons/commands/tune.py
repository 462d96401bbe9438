"""`python -m mnist_lessons tune`: search for settings, and say what was found."""

import argparse
from typing import TYPE_CHECKING

from mnist_lessons.tuning import carry_out
from mnist_lessons.tuning.plans import Plan, make_plan
from mnist_lessons.tuning.studies import (
    best_settings,
    best_trial,
    finished_trials,
    importances,
    score_of,
)

if TYPE_CHECKING:
    from optuna import Study


def run_tune(options: argparse.Namespace) -> int:
    """Search as the command line says; return the exit status."""
    plan = make_plan(
        model=options.model,
        n_trials=options.trials,
        seconds=options.seconds,
        epochs=options.epochs,
        storage=options.storage,
        study_name=options.study,
        workers=options.workers,
        seed=options.seed,
        data_dir=options.data_dir,
        limit=options.limit,
        device=options.device,
        dataset=options.dataset,
    )
    number = f"{plan.n_trials} trials" if plan.n_trials else "trials"
    print(
        f"Tuning {plan.model}: {number} of {plan.epochs} epochs, device {plan.device}, "
        f"seed {plan.seed}, workers {plan.workers}.",
        flush=True,
    )
    study, stopped = carry_out(plan)
    report(study, plan)
    return 130 if stopped else 0


def report(study: "Study", plan: Plan) -> None:
    """Print the best settings, what mattered, and how to train with them again."""
    finished = finished_trials(study)
    every = len(study.get_trials(deepcopy=False))
    print(f"\nThe study has {every} trials; trained to the end: {len(finished)}.")
    if plan.storage:
        print("It is kept; the same command adds trials to it.")
    if not finished:
        return
    best = best_trial(study)
    print(f"Best: trial {best.number}. Validation digits: {score_of(best)}.")
    if len(finished) > 1:
        shares = importances(study).items()
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares)
        print(f"What went with the differences: {told}.")
    print(
        "The best of many is partly the luckiest. Score its settings again with other "
        "seeds,\nbefore you believe in them:"
    )
    print("\n".join(f"  {line}" for line in script(study, plan).splitlines()))


def script(study: "Study", plan: Plan) -> str:
    """Return Python that trains with the best settings, with another seed."""
    settings = best_settings(study)
    given = {"data_dir": plan.data_dir, "limit": plan.limit}
    if plan.dataset != "MNIST":
        given["dataset"] = plan.dataset
    told = ", ".join(f"{n}={v!r}" for n, v in given.items() if v is not None)
    return "\n".join(
        [
            "from mnist_lessons import evaluate, load_mnist",
            "from mnist_lessons.tuning.recipes import train_recipe",
            f"train, valid, test = load_mnist({told})",
            "settings = {",
            *(f"    {name!r}: {value!r}," for name, value in settings.items()),
            "}",
            "model, history = train_recipe(",
            f"    {plan.model!r}, settings, train.dataset, valid, seed={plan.seed + 1}",
            ")",
            "print(evaluate(model, valid))",
        ]
    )
