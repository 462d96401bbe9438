"""What `python -m mnist_lessons --help` and the --help of its commands say."""

from mnist_lessons.commands import handout

ABOUT = """\
Deep learning on the MNIST digits, in notebooks and from the command line.

  python -m mnist_lessons lab                             the lessons
  python -m mnist_lessons train cnn --save digits.pth     a model that reads digits
  python -m mnist_lessons predict digits.pth photo.jpg    what it reads in a photo

Each command has its own --help."""

LAB_HELP = """\
Start JupyterLab on the lessons and open lesson 1.

The address to open is printed, and your browser opens it by itself where there is one.
Stop with Ctrl-C; what you changed in a notebook stays on disk once you save it."""

LAB_EXAMPLES = """\
Every other option goes to JupyterLab as it is (`jupyter lab --help` lists them):

  python -m mnist_lessons lab --port 9000       if the usual port does not suit you
  python -m mnist_lessons lab --no-browser      only print the address
  python -m mnist_lessons lab --ip 0.0.0.0      in a container whose port is published
"""

TRAIN_HELP = """\
Train a model on 50,000 digits and score it on the 10,000 validation digits.

  linear   one weighted sum of the pixels for each class (lesson 2)
  mlp      a multilayer perceptron: hidden layers in between (lesson 3)
  cnn      a convolutional network: it looks at neighbourhoods (lesson 4)

Ctrl-C ends the training early; what was learned until then is scored and saved.

Two processes share the work, each with half of every batch (docs/scale.md), if you
start it with: torchrun --nproc-per-node=2 -m mnist_lessons train ..."""

TRAIN_EXAMPLES = """\
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

EVALUATE_HELP = """\
Score a saved model: the share of right answers, and its 95 % interval.

Unless --test is given, on the 10,000 validation digits: no model trained on them, and
you may look at them as often as you like, to compare models and settings."""

EVALUATE_EXAMPLES = """\
examples:
  python -m mnist_lessons evaluate digits.pth
  python -m mnist_lessons evaluate digits.pth --test     once, at the very end
"""

PREDICT_HELP = """\
Read the digit in each picture, and show what the model was given to see.

Any photo, scan or drawing of one digit will do, dark on light or light on dark. It is
cut out, scaled and centred as the digits of MNIST were. If the answer is wrong, look at
the 28x28 pixels first: would you have read them?"""

PREDICT_EXAMPLES = """\
examples:
  python -m mnist_lessons predict digits.pth seven.png
  python -m mnist_lessons predict digits.pth *.jpg
"""

TUNE_HELP = """\
Search for settings that give a high accuracy on the 10,000 validation digits.

Each trial trains with other settings: learning rate, optimizer, schedule, batch size,
label smoothing; and for mlp and cnn hidden units, dropout and augmentation. The first
ten are random, the later ones near what did well. A trial that falls behind the median
of the earlier ones is cut short. The test digits are not touched.

Ctrl-C ends the search; the finished trials are reported."""

TUNE_EXAMPLES = """\
examples:
  python -m mnist_lessons tune linear
  python -m mnist_lessons tune mlp --trials 40 --workers 2
  python -m mnist_lessons tune cnn --seconds 300 --storage journal:///shared/cnn.log

The last one may be started any number of times, on all machines that see the folder:
they work on one study. Stopped or killed, it keeps its finished trials, and the same
command goes on.

the first one, in Python:
  from mnist_lessons import plots, tune
  study = tune("linear")
  plots.trials(study)
"""

SLIDES_HELP = """\
Make slides of a lesson, with its stored outputs: one HTML file that needs no network.

Open it in a browser. Space and the arrow keys move, Esc shows all slides, S opens the
speaker's view: the lesson's text, slide by slide. F fills the screen."""

SLIDES_EXAMPLES = """\
examples:
  python -m mnist_lessons slides 03
  python -m mnist_lessons slides all --out lecture
"""

PROJECTOR_HELP = """\
Open one lesson in JupyterLab for a lecture: large type, no side bars, no status bar.

It is the JupyterLab that you know, with sliders and drawing pad. Your own settings of
JupyterLab stay as they are, and what you change in the lesson is stored only if you
save it. Ctrl-C stops it."""

PROJECTOR_EXAMPLES = """\
examples:
  python -m mnist_lessons projector 03
  python -m mnist_lessons projector 03 --port=9000     other options go to JupyterLab
"""

# what follows the command, what it does in short, its description, and the end
COMMANDS = {
    "lab": (
        "[options of JupyterLab]",
        "open the lessons in JupyterLab",
        LAB_HELP,
        LAB_EXAMPLES,
    ),
    "train": (
        "linear|mlp|cnn [options]",
        "train a model, score it and save it",
        TRAIN_HELP,
        TRAIN_EXAMPLES,
    ),
    "evaluate": (
        "MODEL_FILE [options]",
        "score a saved model",
        EVALUATE_HELP,
        EVALUATE_EXAMPLES,
    ),
    "predict": (
        "MODEL_FILE IMAGE [IMAGE ...]",
        "read the digit in a picture",
        PREDICT_HELP,
        PREDICT_EXAMPLES,
    ),
    "tune": (
        "linear|mlp|cnn [options]",
        "search for good settings",
        TUNE_HELP,
        TUNE_EXAMPLES,
    ),
    "handout": (
        "LESSON [LESSON ...] [options]",
        "write a lesson without or with its solutions",
        handout.HELP,
        handout.EXAMPLES,
    ),
    "slides": (
        "LESSON [--out FOLDER]",
        "make slides of a lesson",
        SLIDES_HELP,
        SLIDES_EXAMPLES,
    ),
    "projector": (
        "[LESSON] [options of JupyterLab]",
        "open a lesson in large type, for a lecture",
        PROJECTOR_HELP,
        PROJECTOR_EXAMPLES,
    ),
}
