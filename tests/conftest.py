"""The real digits, and tiny files in the formats that torchvision reads."""

import gzip
import hashlib
import http.server
import io
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
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
def one_thread():
    """Two threads wait for each other when the machine has other work to do."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works():
    """A shell's background jobs ignore Ctrl-C, and so would all that they start."""
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
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]
    git += ["--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    python("build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """A folder that holds nothing but the installed wheel, to put on PYTHONPATH."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    offline = ["--quiet", "--no-index", "--no-deps", "--no-compile"]
    python("pip", "install", *offline, "--target", folder, wheel)
    return folder


def python(*command):
    """Run `python -m` with these words."""
    command = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


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
        everything = loaders.train.dataset
        images, labels = everything[start : start + count]
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
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    for dataset_class in (datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST):
        monkeypatch.setattr(dataset_class, "mirrors", [nobody])
    monkeypatch.setattr(datasets.EMNIST, "url", nobody + "gzip.zip")
    resources = {
        part: [(nobody + url.rsplit("/", 1)[1], md5) for url, md5 in parts]
        for part, parts in datasets.QMNIST.resources.items()
    }
    monkeypatch.setattr(datasets.QMNIST, "resources", resources)
    return monkeypatch


def idx_file(array):
    """Pack an array as yann.lecun.com describes it: type, dimensions, values."""
    kind = {1: 8, 4: 12}[array.itemsize]
    head = struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return pack(head + array.astype(array.dtype.newbyteorder(">")).tobytes())


def pack(content):
    return gzip.compress(content, compresslevel=1, mtime=0)


class Tiny:
    """A data set of 60 training and 20 test images, as files and as arrays."""

    def __init__(self, dataset, folder, monkeypatch):
        dataset_class, options = DATASETS[dataset]
        self.folder, self.patch = Path(folder), monkeypatch
        self.raw = self.folder / dataset_class.__name__ / "raw"
        self.raw.mkdir(parents=True)
        random = np.random.default_rng(0)
        self.images, self.labels, self.names = {}, {}, []
        for part, count in (("train", 60), ("test", 20)):
            shape = (count, 28, 28)
            self.images[part] = random.integers(0, 256, shape).astype(np.uint8)
            self.labels[part] = (np.arange(count) % 10).astype(np.uint8)
        if dataset_class is datasets.EMNIST:
            self._write_emnist(options["split"])
        elif dataset_class is datasets.QMNIST:
            self._write_qmnist()
        else:
            arrays = [
                a[p] for p in ("train", "test") for a in (self.images, self.labels)
            ]
            names = [name for name, _ in dataset_class.resources]
            resources = list(map(self._write, names, map(idx_file, arrays)))
            monkeypatch.setattr(dataset_class, "resources", resources)

    def _write(self, url, content):
        name = url.rsplit("/", 1)[-1]
        (self.raw / name).write_bytes(content)
        self.names.append(name)
        return url, self.md5(content)

    @staticmethod
    def md5(content):
        return hashlib.md5(content).hexdigest()

    def seal(self, name):
        """Let a changed EMNIST archive count as whole."""
        md5 = self.md5((self.raw / name).read_bytes())
        self.patch.setattr(datasets.EMNIST, "md5", md5)

    def _write_emnist(self, split):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for part in ("train", "test"):
                start = f"gzip/emnist-{split}-{part}"
                images, labels = (
                    idx_file(self.images[part]),
                    idx_file(self.labels[part]),
                )
                archive.writestr(f"{start}-images-idx3-ubyte.gz", images)
                archive.writestr(f"{start}-labels-idx1-ubyte.gz", labels)
        self._write("gzip.zip", buffer.getvalue())
        self.seal("gzip.zip")

    def _write_qmnist(self):
        resources = {}
        for part, parts in datasets.QMNIST.resources.items():
            if part not in self.labels:
                continue
            # the class, then seven facts about the writer and the sheet
            facts = np.arange(1, 8, dtype=np.int32) * 1000
            classes = self.labels[part].astype(np.int32)[:, None]
            labels = np.hstack([classes, np.tile(facts, (len(classes), 1))])
            packed = [idx_file(self.images[part]), idx_file(labels)]
            urls = [url for url, _ in parts]
            resources[part] = list(map(self._write, urls, packed))
        self.patch.setattr(datasets.QMNIST, "resources", resources)

    def snapshot(self):
        """Return what is under the folder: the bytes of files, `None` for folders."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            if path.is_file()
            else None
            for path in self.folder.rglob("*")
        }


@pytest.fixture
def tiny(isolated, tmp_path):
    """`tiny()` or `tiny("KMNIST")` writes the packed files and says where."""

    def make(dataset="MNIST"):
        return Tiny(dataset, tmp_path / "data", isolated)

    return make


class Server(http.server.ThreadingHTTPServer):
    """A mirror on this machine. `files` are what it has, `asked` what was wanted.

    Where it `breaks_off`, it sends the first half and hangs up.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.breaks_off = {}, set(), False
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        """Say nothing: torchvision hangs up after it has seen the headers."""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        name = self.path.lstrip("/")
        self.server.asked.add(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half] if self.server.breaks_off else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(isolated):
    """A server that torchvision takes for the home of MNIST, or of another set."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def serve(dataset):
        dataset_class = DATASETS[dataset][0]
        if dataset_class is datasets.EMNIST:
            isolated.setattr(dataset_class, "url", server.address + "gzip.zip")
        elif dataset_class is datasets.QMNIST:
            resources = {
                part: [
                    (server.address + url.rsplit("/", 1)[1], md5) for url, md5 in pairs
                ]
                for part, pairs in dataset_class.resources.items()
            }
            isolated.setattr(dataset_class, "resources", resources)
        else:
            isolated.setattr(dataset_class, "mirrors", [server.address])

    server.serve = serve
    serve("MNIST")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def read_only(monkeypatch):
    """`read_only(folder)` protects it, even from root, as a disc does."""

    def protect(folder):
        access, make_folder = os.access, os.mkdir

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
