"""What many runs of the programs of lesson 7 gave.

`benchmarks/patients.py` measured them.
"""

import torch
from torch import Tensor

from mnist_lessons.measured.searches import read


def said() -> dict[str, Tensor]:
    """Return what each program says of itself as it comes: accuracies, (seeds,)."""
    return _runs("said", {"as it comes": ""})


def truth() -> dict[str, Tensor]:
    """Return accuracies on the validation digits, (seeds,), of A to E and mended."""
    rows = _runs("truth", {"as it comes": "", "mended": " mended"})
    return {name: rows[name] for name in sorted(rows) if name[0] in "ABCDE"}


def _runs(column: str, names: dict[str, str]) -> dict[str, Tensor]:
    runs: dict[str, list[float]] = {}
    for line in read("patients"):
        if line["state"] in names:
            name = line["program"] + names[line["state"]]
            count = int(line["of"]) if column == "said" else 10_000
            runs.setdefault(name, []).append(int(line[column]) / count)
    return {name: torch.tensor(values) for name, values in runs.items()}
