"""Read the digit in each picture, and show what the model was given to see.

Any photo, scan or drawing of one digit will do, dark on light or light on dark. It is
cut out, scaled and centred as the digits of MNIST were. If the answer is wrong, look at
the 28x28 pixels first: would you have read them?

options:
  file MODEL_FILE  from train --save
  images IMAGE     picture files

examples:
  python -m mnist_lessons predict digits.pth seven.png
  python -m mnist_lessons predict digits.pth *.jpg
"""

import glob
import sys
from pathlib import Path

from mnist_lessons import load_model
from mnist_lessons.commands.shared import LessonsError, Namespace, scale_of
from mnist_lessons.photos.opening import ImageError
from mnist_lessons.photos.recognition import as_text, read_digit

OPTIONS = {"images": {"nargs": "+"}}


def run(options: Namespace) -> int:
    model = load_model(options.file)
    mean, std = scale_of(model)
    encoding, status = getattr(sys.stdout, "encoding", None) or "ascii", 0
    names: list[str] = []
    for name in options.images:
        # *.jpg becomes the files' names where, as on Windows, the shell leaves it
        files = [] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207
        names += files or [name]
    for name in names:
        try:
            image = read_digit(name)
        except ImageError as error:
            print(error, file=sys.stderr)
            status = 1
            continue
        chances = model.predict_proba((image - mean) / std)[0]
        if not chances.isfinite().all():
            raise LessonsError(f"{options.file} is of no use: its weights diverged.")
        classes = dict(enumerate(model.classes or []))
        best = chances.argsort(descending=True)[:3].tolist()
        likely = [f"{classes.get(n, n)} ({chances[n]:.1%})" for n in best]
        print(f"{name} as the model sees it:\n{as_text(image[0, 0], encoding)}")
        print(f"Answer: {classes.get(best[0], best[0])}. ", end="")
        print(f"Most probable: {', '.join(likely)}.\n")
    return status
