"""Score a saved model: the share of right answers, and its 95 % interval.

Unless --test is given, on the 10,000 validation digits: no model trained on them, and
you may look at them as often as you like, to compare models and settings.

options:
  file MODEL_FILE    from train --save
  --test             score the 10,000 test digits instead. Do this once, at the end: a
                     model chosen by its test score has in a way been told the answers,
                     and will do worse on new digits than that score says
  --batch-size N     digits at a time (1000); the score stays the same

examples:
  python -m mnist_lessons evaluate digits.pth
  python -m mnist_lessons evaluate digits.pth --test     once, at the very end
"""

from mnist_lessons import evaluate, load_mnist, load_model, pick_device
from mnist_lessons.commands.shared import LessonsError, Namespace, scale_of, whole
from mnist_lessons.data import DATASETS, class_names

OPTIONS = {
    "--test": {"action": "store_true"},
    "--batch-size": {"type": whole(), "default": 1000},
}


def run(options: Namespace) -> int:
    device = options.device or pick_device()
    model = load_model(options.file).to(device)
    # the digits have to be scaled as they were when the model was trained
    loaders = load_mnist(
        options.data_dir,
        options.batch_size,
        dataset=options.dataset,
        normalize=scale_of(model),
        device=device,
    )
    outputs = model.arguments.get("num_classes", 10)
    if outputs < len(loaders.classes) or model.classes not in (None, loaders.classes):
        names = ", ".join(model.classes or [f"{outputs} classes"])
        others = [name for name in DATASETS if class_names(name) == model.classes]
        advice = f" Try --dataset {' or '.join(others)}." if others else ""
        raise LessonsError(
            f"{options.file} was not trained on the classes of {options.dataset} but "
            f"on: {names}. So its answers cannot be compared with their labels.{advice}"
        )
    digits = loaders.test if options.test else loaders.valid
    assert digits is not None  # load_mnist sets some apart, if not told not to
    part = "Test" if options.test else "Validation"
    print(f"{part} digits: {evaluate(model, digits)}.")
    return 0
