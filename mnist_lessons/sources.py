"""What is known of the files of each data set: their names, sums, sizes and places."""

from pathlib import Path
from typing import Any

from torchvision import datasets

MEGABYTES = {  # of all packed files
    "MNIST": 12,
    "FashionMNIST": 31,
    "KMNIST": 21,
    "EMNIST": 562,
    "QMNIST": 20,
}
# where a system's own package puts them (Debian: dataset-fashion-mnist)
INSTALLED = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
ADVICE = {
    "FashionMNIST": " On Debian, apt install dataset-fashion-mnist brings them, too."
}
# MD5 sums of what is in the .gz files, for those that somebody has packed again. (The
# files of Debian's package have torchvision's own sums once the names and times that
# it took out of their headers are put back.)
UNPACKED_MD5 = {
    "MNIST": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}


def packed_sums(dataset_class: Any) -> dict[str, str]:
    """Return the names of the files to download, and the MD5 sum of each."""
    if dataset_class is datasets.EMNIST:
        return {Path(datasets.EMNIST.url).name: datasets.EMNIST.md5}
    if dataset_class is datasets.QMNIST:
        return {Path(url).name: md5 for url, md5 in _qmnist()}
    return dict(dataset_class.resources)


def unpacked_names(dataset_class: Any, options: dict[str, str]) -> list[str]:
    """Return the names of the files that torchvision reads."""
    if dataset_class is datasets.EMNIST:
        starts = [f"emnist-{options['split']}-{part}" for part in ("train", "test")]
        kinds = ["images-idx3-ubyte", "labels-idx1-ubyte"]
        return [f"{start}-{kind}" for start in starts for kind in kinds]
    return [Path(name).stem for name in packed_sums(dataset_class)]


def addresses(dataset_class: Any, name: str) -> list[str]:
    """Return where a packed file can be downloaded, the first choice first."""
    if dataset_class is datasets.EMNIST:
        return [datasets.EMNIST.url]
    if dataset_class is datasets.QMNIST:
        return [url for url, _ in _qmnist() if Path(url).name == name]
    return [mirror + name for mirror in dataset_class.mirrors]


def _qmnist() -> list[tuple[str, str]]:
    return datasets.QMNIST.resources["train"] + datasets.QMNIST.resources["test"]
