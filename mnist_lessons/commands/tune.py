"""Search for settings that give a high accuracy on the 10,000 validation digits.

Each trial trains with other settings: learning rate, optimizer, schedule, batch size,
label smoothing; and for mlp and cnn hidden units, dropout and augmentation. The first
ten are random, the later ones near what did well. A trial that falls behind the median
of the earlier ones is cut short. The test digits are not touched.

Ctrl-C ends the search; the finished trials are reported.

options:
  model              which model (see train --help)
  --trials N         how many settings to try, over all workers (20, if --seconds is not
                     given)
  --seconds S        try no other settings after this time
  --epochs N         rounds through all digits for each trial (2)
  --workers N        processes that share the trials and the processor cores (1)
  --storage ADDRESS  keep the study in a file, journal:///folder/name, or in a database,
                     such as sqlite:///study.db (not kept)
  --study NAME       the study's name in its storage (the model's name)
  --seed N           start of the random numbers: one worker finds the same again (0)
  --limit N          train on the first N digits only (50,000)

examples:
  python -m mnist_lessons tune linear
  python -m mnist_lessons tune mlp --trials 40 --workers 2
  python -m mnist_lessons tune cnn --seconds 300 --storage journal:///shared/cnn.log

The last one may be started any number of times, on all machines that see the folder:
they work on one study. Stopped or killed, it keeps its finished trials, and the same
command goes on.

the first one, in Python:
  from mnist_lessons import tune
  from mnist_lessons.tuning import pictures
  pictures.trials(tune("linear"))
"""

from mnist_lessons.commands.shared import Namespace, number, whole
from mnist_lessons.tuning import carry_out, studies
from mnist_lessons.tuning.plans import make_plan

OPTIONS = {
    "--trials": {"type": whole(), "dest": "n_trials"},
    "--seconds": {"type": number(above=0, such_as=60)},
    "--epochs": {"type": whole(), "default": 2},
    "--workers": {"type": whole(at_most=1000), "default": 1},
    "--study": {"dest": "study_name"},
    "--limit": {"type": whole(at_most=50_000)},
}
AGAIN = """\
The best of many is partly the luckiest. Score its settings again with other seeds,
before you believe in them:
  from mnist_lessons import evaluate, load_mnist
  from mnist_lessons.tuning.recipes import train_recipe
  train, valid, test = load_mnist({})
  settings = {{
{}
  }}
  model, history = train_recipe(
      {!r}, settings, train.dataset, valid, seed={}
  )
  print(evaluate(model, valid))"""


def run(options: Namespace) -> int:
    ours = ("command", "others", "parser")  # all else is an argument of `tune`
    plan = make_plan(**{n: v for n, v in vars(options).items() if n not in ours})
    trials = f"{plan.n_trials} trials" if plan.n_trials else "trials"
    print(
        f"Tuning {plan.model}: {trials} of {plan.epochs} epochs, device {plan.device}, "
        f"seed {plan.seed}, workers {plan.workers}."
    )
    study, stopped = carry_out(plan)
    finished = studies.finished_trials(study)
    count = len(study.get_trials(deepcopy=False))
    print(f"\nThe study has {count} trials; trained to the end: {len(finished)}.")
    if plan.storage:
        print("It is kept; the same command adds trials to it.")
    if finished:
        best = studies.best_trial(study)
        score = studies.score_of(best)
        print(f"Best: trial {best.number}. Validation digits: {score}.")
    if len(finished) > 1:
        shares = studies.importances(study).items()
        listed = ", ".join(f"{name} {share:.0%}" for name, share in shares)
        print(f"What went with the differences: {listed}.")
    if finished:
        dataset = None if plan.dataset == "MNIST" else plan.dataset
        load = {"data_dir": plan.data_dir, "limit": plan.limit, "dataset": dataset}
        words = ", ".join(f"{n}={v!r}" for n, v in load.items() if v is not None)
        best_settings = studies.best_settings(study).items()
        rows = "\n".join(f"      {n!r}: {v!r}," for n, v in best_settings)
        print(AGAIN.format(words, rows, plan.model, plan.seed + 1))
    return 130 if stopped else 0
