"""Train a model on 50,000 digits and score it on the 10,000 validation digits.

  linear   one weighted sum of the pixels for each class (lesson 2)
  mlp      a multilayer perceptron: hidden layers in between (lesson 3)
  cnn      a convolutional network: it looks at neighbourhoods (lesson 4)

Ctrl-C ends the training early; what was learned until then is scored and saved.

Two processes share the work, each with half of every batch (docs/scale.md), if you
start it with: torchrun --nproc-per-node=2 -m mnist_lessons train ...

options:
  model             which model (see above)
  --epochs N        rounds through all digits (linear, mlp: 5; cnn: 2)
  --batch-size N    digits a step (128)
  --lr RATE         learning rate: how far a step goes (adam, adamw 0.001; sgd 0.1;
                    momentum 0.01)
  --optimizer NAME  how a step follows from the gradient: %(choices)s (adam); momentum
                    is sgd with momentum 0.9
  --hidden WIDTH    width of each hidden layer (mlp: 256 128; cnn has one: 256)
  --dropout P       probability of dropping a hidden value while training (mlp, cnn:
                    0.2)
  --seed N          start of the random numbers: the same seed gives the same result (0)
  --log-every N     print the training loss every N batches as well (off)
  --save FILE       write the model to this file, usually .pth (not saved)

examples:
  python -m mnist_lessons train linear
  python -m mnist_lessons train mlp --hidden 512 256 --dropout 0.3 --epochs 10
  python -m mnist_lessons train cnn --optimizer momentum --log-every 50
  python -m mnist_lessons train cnn --save digits.pth

the last one, in Python:
  from mnist_lessons import CNN, evaluate, fit, load_mnist, save_model, seed_everything
  seed_everything(0)
  train, valid, test = load_mnist()
  model = CNN()
  fit(model, train, valid, epochs=2, lr=0.001, channels_last=True)
  print(evaluate(model, valid))
  save_model(model, "digits.pth")
"""

import functools
import shlex
from argparse import Namespace
from collections.abc import Callable

from mnist_lessons import distributed, load_mnist, save_model
from mnist_lessons.commands.shared import LessonsError, new_file, number, whole
from mnist_lessons.data import class_names
from mnist_lessons.models import DigitClassifier
from mnist_lessons.training import evaluate, fit, pick_device, seed_everything
from mnist_lessons.tuning.recipes import MODELS, OPTIMIZERS, RATES

EPOCHS = {"linear": 5, "mlp": 5, "cnn": 2}
OPTIONS = {
    "--batch-size": {"type": whole(), "default": 128},
    "--lr": {"type": number(above=0, such_as=0.001)},
    "--optimizer": {"choices": OPTIMIZERS, "default": "adam"},
    "--hidden": {"type": whole(at_most=10_000), "nargs": "+"},
    "--dropout": {"type": number(below=1, such_as=0.2)},
    "--log-every": {"type": whole()},
    "--save": {"type": new_file},
}


def model_from(options: Namespace) -> DigitClassifier:
    """Build the model that was asked for; what was not said is the class's default."""
    asked = {"hidden": options.hidden, "dropout": options.dropout}
    settings = {name: value for name, value in asked.items() if value is not None}
    if options.model == "linear" and settings:
        options.parser.error(
            f"a linear model has no hidden layer, so --{' and --'.join(settings)} "
            "cannot change it; leave that out, or train mlp"
        )
    if options.model == "cnn" and options.hidden:
        settings["hidden"], *others = options.hidden
        if others:
            options.parser.error(
                "a cnn has one hidden layer after its convolutions: give --hidden one "
                "width, or train mlp"
            )
    classes = len(class_names(options.dataset))
    return MODELS[options.model](**settings, num_classes=classes)


def run(options: Namespace) -> int:
    if distributed.world_size() == 1:
        options.device = options.device or pick_device()
        return train_model(options, load_mnist, fit)
    # torchrun started several processes, and this is one of them; what cannot be shared
    # out among them is refused before anything is loaded
    distributed.local_batch_size(options.batch_size)
    options.device = distributed.local_device(options.device)
    load = functools.partial(distributed.run_on_all, load_mnist)
    learn = functools.partial(distributed.fit_distributed, seed=options.seed)
    with distributed.process_group(options.device):
        return train_model(options, load, learn)


def train_model(options: Namespace, load: Callable, learn: Callable) -> int:
    """Train with the given ways to load the digits and to fit the model to them."""
    seed_everything(options.seed)
    model = model_from(options)
    how = {"dataset": options.dataset, "device": options.device, "seed": options.seed}
    train, valid, _test = load(options.data_dir, options.batch_size, **how)
    lr = options.lr or RATES[options.optimizer]
    epochs = options.epochs or EPOCHS[options.model]
    parameters = sum(weights.numel() for weights in model.parameters())
    images = "" if options.dataset == "MNIST" else f" on {options.dataset}"
    processes = distributed.world_size()
    team = f", {processes} processes" if processes > 1 else ""
    print(
        f"Training {options.model} with {parameters:,} parameters{images}; optimizer "
        f"{options.optimizer}, learning rate {lr:g}, epochs {epochs}, device "
        f"{options.device}{team}."
    )
    history = learn(
        model,
        train,
        valid,
        epochs=epochs,
        lr=lr,
        optimizer=OPTIMIZERS[options.optimizer],
        channels_last=options.model == "cnn",
        log_every=options.log_every,
        device=options.device,
    )
    if not history or (history.stopped and not history.by_hand):
        why = "No epoch was finished" if history.by_hand else "The model is of no use"
        raise LessonsError(f"{why}, so nothing was saved.")
    if distributed.rank() == 0:  # the first process scores and saves for all
        advice = "Not saved; with --save digits.pth you could read pictures with it."
        if options.save:
            save_model(model, options.save)
            name = shlex.quote(str(options.save))
            advice = f"Saved as {options.save}. To read a picture with it:\n"
            advice += f"  python -m mnist_lessons predict {name} PICTURE"
        print(f"Validation digits: {evaluate(model, valid)}.\n{advice}")
    return 130 if history.by_hand else 0
