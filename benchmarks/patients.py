"""Run the programs of lesson 7 many times, as they come and mended.

    python benchmarks/patients.py                about 12 minutes on one core
    python benchmarks/patients.py --share 0.1    a tenth of it, to try it out

It writes `patients.csv` to `mnist_lessons/measured/`: for each program and seed what
the program says (right answers among its own validation digits) and the truth (among
the 10,000 validation digits of `load_mnist`). The programs are the lesson's own cells,
and so are the mended lines: its solutions. A seed stands for first weights, order of
batches and, with E, the division; no two runs share one.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
import torch
import torch.nn.functional as F
from tables import Lines, write_tables
from torch import nn
from torch.optim import SGD, Adam
from torch.utils.data import DataLoader, TensorDataset

from mnist_lessons import seed_everything
from mnist_lessons.data import Loaders, make_loader
from mnist_lessons.teaching.notebooks import exercises_of

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "07_clinic.ipynb"
SEEDS = 20
EPOCHS = {"A": 10, "E": 50}  # few digits need more; the others 3, as in the lesson
Cells = dict[str, Any]


def cells_of_lesson(loaders: Loaders) -> Cells:
    """Run the cells that define programs and the solutions; return all names."""
    lesson = nbformat.read(LESSON, as_version=4)
    names: Cells = {"torch": torch, "seed_everything": seed_everything}
    names |= {"train": loaders.train, "valid": loaders.valid}
    for cell in lesson.cells:
        if "program" in cell.metadata.get("mnist_lessons", {}):
            exec(cell.source, names)
    for exercise in exercises_of(lesson.cells):
        exec(exercise.solution, names)
    return names


def sound_step(make_optimizer: Callable, model: nn.Module, batches: DataLoader) -> None:
    """Build an optimizer for this model; clear the gradients before each step."""
    optimizer = make_optimizer(model.parameters())
    for images, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def programs(names: Cells, state: str) -> dict[str, dict[str, Any]]:
    """Return the programs by their letters, "as it comes" or "mended"."""
    letters = "ABCDEFGH" if state == "as it comes" else "ABCDEFG"
    found = {x: dict(names[f"program_{x.lower()}"]) for x in letters}
    images, labels = names["train"].dataset[:6_000]
    if state == "as it comes":
        found["E"] |= names["divided"](images, labels)
        return found
    files, loaders = names["files"], ("train_loader", "valid_loader")
    for loader, part in zip(loaders, (slice(5_000), slice(50_000, None)), strict=True):
        pixels = names["mended_pixels"](files.data[part])
        digits = TensorDataset(pixels, files.targets[part])
        found["A"][loader] = make_loader(digits, 128, shuffle=part.start is None)
    found["B"]["make_model"] = names["mended_model"]
    found["C"]["train_step"] = partial(sound_step, partial(Adam, lr=0.001))
    found["D"]["make_model"] = names["MendedNet"]
    order, count = torch.randperm(len(images)), len(images) * 5 // 6
    for loader, part in zip(loaders, order.tensor_split([count]), strict=True):
        digits = TensorDataset(images[part], labels[part])
        found["E"][loader] = make_loader(digits, 128, shuffle=loader == loaders[0])
    found["F"]["train_loader"] = make_loader(names["digits"], 128, shuffle=True)
    found["G"]["train_step"] = partial(sound_step, partial(SGD, lr=0.03))
    return found


def patients(loaders: Loaders, share: float) -> Lines:
    """Yield the runs of every program."""
    names, seed = cells_of_lesson(loaders), count()
    for state in ("as it comes", "mended"):
        for letter in programs(names, state):
            for _ in range(max(2, round(share * SEEDS))):
                number = next(seed)
                seed_everything(number)
                program = programs(names, state)[letter]
                if (letter, state) != ("F", "as it comes"):  # whose order is its fault
                    digits = program["train_loader"].dataset
                    ordered = make_loader(digits, 128, shuffle=True, seed=number)
                    program["train_loader"] = ordered
                model, score = program["make_model"](), program["score"]
                for _ in range(EPOCHS.get(letter, 3)):
                    program["train_step"](model, program["train_loader"])
                own = program["valid_loader"]
                of, other = len(own.dataset), names["valid"] if letter == "E" else own
                yield {
                    "program": letter,
                    "state": state,
                    "seed": number,
                    "said": round(of * score(model, own)),
                    "of": of,
                    "truth": round(len(other.dataset) * score(model, other)),
                }


TABLES = {"patients": patients}

if __name__ == "__main__":
    write_tables(TABLES, __doc__)
