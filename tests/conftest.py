"""The real digits, and tiny files in the formats that torchvision reads."""

import gzip
import hashlib
import http.server
import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

import mnist_lessons.__main__ as command_line
from mnist_lessons import files, load_mnist
from mnist_lessons.data import DATASETS, Digits, make_loader

ROOT = Path(__file__).resolve().parent.parent
ABSENT = pytest.StashKey[str]()


@pytest.fixture(autouse=True, scope="session")
def a_busy_shell_makes_no_difference():
    torch.set_num_threads(1)  # two wait for each other on a machine that is busy
    # a shell's background jobs ignore Ctrl-C, and so would all that they start
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(capsys):
    """`run("train linear")` returns the status, what was printed, and the errors."""

    def call(words):
        try:
            status = command_line.main(words.split())
        except SystemExit as stop:  # argparse does so
            status = stop.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return status, printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def project_files():
    """All files that git tracks, or would track once they are added."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("only git tells which files are the project's own")
    # a checkout may belong to somebody else, as in a container: git reads it only so
    git = ["git", "-c", "safe.directory=*", "ls-files", "-zco", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True)
    return folder


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """A folder that holds nothing but the installed wheel, to put on PYTHONPATH."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    install += ["--no-index", "--no-deps", "--target", folder, wheel]
    subprocess.run(install, check=True)
    return folder


@pytest.fixture(scope="session")
def loaders(tmp_path_factory):
    """The checkout's digits. Never change them; they are read once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return load_mnist(ROOT / "data")


@pytest.fixture(scope="session")
def some(loaders):
    """`some(count)` serves the first training images: 600 make 10 batches of 64."""

    def serve(count=600, start=0, batch_size=64, shuffle=False, seed=0):
        images, labels = loaders.train.dataset[start : start + count]
        digits = Digits(images, labels, loaders.classes, loaders.mean, loaders.std)
        return make_loader(digits, batch_size, shuffle=shuffle, seed=seed)

    return serve


@pytest.fixture
def isolated(monkeypatch, tmp_path):
    """No network, no cache but `tmp_path / "cache"`, nothing of the user's machine."""
    monkeypatch.setattr(files, "INSTALLED", {})
    monkeypatch.delenv("MNIST_LESSONS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    for dataset_class, _ in DATASETS.values():
        move(dataset_class, "http://127.0.0.1:1/", monkeypatch)  # nobody answers
    return monkeypatch


def move(dataset_class, address, patch):
    """Let torchvision look for the files of a data set at this address."""
    if dataset_class is datasets.EMNIST:
        patch.setattr(dataset_class, "url", address + "gzip.zip")
    elif dataset_class is datasets.QMNIST:
        resources = {
            part: [(address + url.rsplit("/", 1)[1], md5) for url, md5 in pairs]
            for part, pairs in dataset_class.resources.items()
        }
        patch.setattr(dataset_class, "resources", resources)
    else:
        patch.setattr(dataset_class, "mirrors", [address])


def idx_file(array):
    """Pack an array as yann.lecun.com describes it: type, dimensions, values."""
    kind = {1: 8, 4: 12}[array.itemsize]
    head = struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    content = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    return gzip.compress(content, compresslevel=1, mtime=0)


class Tiny:
    """A data set of 60 training and 20 test images, as files and as arrays."""

    def __init__(self, dataset, folder, monkeypatch):
        dataset_class, options = DATASETS[dataset]
        self.folder, self.patch, self.names = Path(folder), monkeypatch, []
        self.raw = self.folder / dataset_class.__name__ / "raw"
        self.raw.mkdir(parents=True)
        random = np.random.default_rng(0)
        self.images, self.labels, packed = {}, {}, []
        for part, count in (("train", 60), ("test", 20)):
            images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            self.images[part], self.labels[part] = images, labels
            if dataset_class is datasets.QMNIST:
                # the class, then seven facts about the writer and the sheet
                facts = np.tile(np.arange(8, dtype=np.int32) * 1000, (count, 1))
                labels = facts + labels[:, None] * (facts == 0)
            packed += [idx_file(images), idx_file(labels)]
        if dataset_class is datasets.EMNIST:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for i, content in enumerate(packed):
                    part = ("train", "test")[i // 2]
                    kind = ("images-idx3", "labels-idx1")[i % 2]
                    name = f"emnist-{options['split']}-{part}-{kind}-ubyte.gz"
                    archive.writestr(f"gzip/{name}", content)
            self._write("gzip.zip", buffer.getvalue())
            self.seal("gzip.zip")
            return
        resources = dataset_class.resources
        if dataset_class is datasets.QMNIST:
            resources = [*resources["train"], *resources["test"]]
        resources = list(map(self._write, (url for url, _ in resources), packed))
        if dataset_class is datasets.QMNIST:
            resources = {"train": resources[:2], "test": resources[2:]}
        monkeypatch.setattr(dataset_class, "resources", resources)

    def _write(self, url, content):
        self.names.append(url.rsplit("/", 1)[-1])
        (self.raw / self.names[-1]).write_bytes(content)
        return url, hashlib.md5(content).hexdigest()

    def seal(self, name):
        """Let a changed EMNIST archive count as whole."""
        md5 = hashlib.md5((self.raw / name).read_bytes()).hexdigest()
        self.patch.setattr(datasets.EMNIST, "md5", md5)

    def snapshot(self):
        """Return what is under the folder: the bytes of files, `None` for folders."""
        paths = self.folder.rglob("*")
        return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def tiny(isolated, tmp_path):
    """`tiny()` or `tiny("KMNIST")` writes the packed files and says where."""

    return lambda dataset="MNIST": Tiny(dataset, tmp_path / "data", isolated)


@pytest.fixture
def mirror(isolated):
    """A server that torchvision takes for the home of MNIST, or of another set.

    `files` are what it has, `asked` what was wanted; where it `breaks_off`, it sends
    the first half and hangs up.
    """
    mirror = types.SimpleNamespace(files={}, asked=set(), breaks_off=False)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            mirror.asked.add(self.path[1:])
            content = mirror.files.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half] if mirror.breaks_off else content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        # torchvision hangs up after it has seen the headers
        server.handle_error = lambda *_: None
        mirror.address = f"http://127.0.0.1:{server.server_port}/"
        mirror.serve = lambda name: move(DATASETS[name][0], mirror.address, isolated)
        mirror.serve("MNIST")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield mirror
        server.shutdown()
        thread.join()


@pytest.fixture
def read_only(monkeypatch):
    """`read_only(folder)` protects it, even from root, as a disc does."""

    def protect(folder, access=os.access, make_folder=os.mkdir):
        def is_protected(path):
            return Path(path).resolve().is_relative_to(Path(folder).resolve())

        def refuse(path, *arguments, **options):
            if is_protected(path):
                raise PermissionError(13, os.strerror(13), str(path))
            return make_folder(path, *arguments, **options)

        def can(path, mode):
            return access(path, mode) and not (mode == os.W_OK and is_protected(path))

        monkeypatch.setattr(os, "access", can)
        monkeypatch.setattr(os, "mkdir", refuse)

    return protect
