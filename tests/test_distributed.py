"""Training in several processes, which torchrun starts.

A start costs seconds, so there is one, in which all that needs it is tried in turn.
What torchrun runs in each process is this very file: see its end.
"""

import functools
import os
import re
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch
import torch.distributed as dist

from mnist_lessons import MLP, DigitClassifier, distributed, evaluate, fit, load_model
from mnist_lessons.__main__ import main
from mnist_lessons.arguments import LessonsError
from mnist_lessons.data import Digits, Loaders, make_loader
from mnist_lessons.distributed import ProcessGroupError, fit_distributed, local_device

pytestmark = pytest.mark.xdist_group("processes")

HOW = {"epochs": 3, "lr": 0.05, "log_every": 1, "device": torch.device("cpu")}
HOW["optimizer"] = functools.partial(torch.optim.SGD, momentum=0.9)
COUNT, BATCH = 150, 32  # 4 batches and one of 22 digits
STEPS = 5 * HOW["epochs"]
COMMAND = "train mlp --batch-size 50 --device cpu --seed 5 --hidden 16 --epochs "


class Watched(MLP):
    """Notes which digits it gets in each step, and the weights it has by then."""

    def __init__(self):
        super().__init__(hidden=(16,), dropout=0)
        self.seen, self.weights, self.trouble = [], [], {}

    def training_step(self, batch, label_smoothing=0.0):
        self.seen.append(numbers_of(batch[0]))
        self.weights.append(flat(self))
        loss = super().training_step(batch, label_smoothing)
        trouble = self.trouble.get(len(self.seen))
        return trouble(loss) if trouble else loss


def flat(model):
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def numbered_digits(count=COUNT):
    """Random pixels, and the number of the digit (in thousandths) in the corner."""
    random = torch.Generator().manual_seed(1)
    images = torch.randn(count, 1, 28, 28, generator=random)
    images[:, 0, 0, 0] = torch.arange(count) / 1000
    labels = torch.randint(10, (count,), generator=random)
    return Digits(images, labels, [str(n) for n in range(10)], 0.25, 0.5)


def numbers_of(images):
    return images[:, 0, 0, 0].mul(1000).round().int().tolist()


def order_of(count, batch_size, seed=0):
    digits = numbered_digits(count)
    loader = distributed.local_loader(digits, batch_size, seed)
    return [numbers_of(images) for images, _ in loader]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The folder, the status, the output and the errors of two processes."""
    if os.name != "posix" or not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("needs PyTorch's gloo, and POSIX signals")
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", __file__]
    options = {"cwd": folder, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    torchrun = subprocess.Popen(command, **options, **pipes)
    try:
        out, err = torchrun.communicate(timeout=300)
    finally:
        torchrun.terminate()  # not kill(): it has to end the processes it started
    assert (folder / "1" / "noted").exists(), err
    return folder, torchrun.returncode, out, err


@pytest.fixture(scope="module")
def ranks(started):
    """What each process saw and did."""
    return [torch.load(started[0] / n / "noted", weights_only=False) for n in "01"]


def test_all_processes_take_the_same_steps_from_the_weights_of_the_first(ranks):
    first, second = ranks
    assert not torch.equal(first["built"], second["built"])
    assert torch.equal(second["weights"][0], first["built"])
    assert len(first["weights"]) == STEPS + 1  # and at the end
    assert all(map(torch.equal, first["weights"], second["weights"]))
    assert not torch.equal(first["random"], second["random"])  # of dropout


def test_a_step_is_that_of_one_process_with_the_whole_batch(ranks):
    model, loader = Watched(), distributed.local_loader(numbered_digits(), BATCH, 3)
    torch.nn.utils.vector_to_parameters(ranks[0]["built"], model.parameters())
    order = loader.sampler.sampler
    new_order = lambda record: order.set_epoch(record["epoch"])  # noqa: E731
    alone = fit(model, loader, progress=False, on_epoch_end=new_order, **HOW)
    # also with momentum and a small last batch; the step is larger than the tolerance
    assert [len(part) for part in ranks[0]["seen"][:5]] == [16, 16, 16, 16, 11]
    ours, its = ranks[0]["weights"], [*model.weights, flat(model)]
    torch.testing.assert_close(ours[1], its[1], rtol=1e-5, atol=1e-7)
    assert (its[1] - its[0]).abs().max() > 1e-3
    torch.testing.assert_close(ours, its, rtol=1e-4, atol=1e-6)
    losses = [(n, pytest.approx(loss, rel=1e-5)) for n, loss in alone.batches]
    assert all(rank["history"].batches == losses for rank in ranks)  # the loss of all
    parts = [rank["history"]["train_accuracy"] for rank in ranks]  # of the own part
    assert parts[0] != parts[1]
    means = [sum(both) / 2 for both in zip(*parts, strict=True)]
    assert means == pytest.approx(alone["train_accuracy"])


def test_the_parts_are_disjoint_and_together_all_digits(ranks):
    epochs = []
    for start in range(0, STEPS, 5):
        parts = [sum(rank["seen"][start : start + 5], []) for rank in ranks]
        assert [len(part) for part in parts] == [COUNT / 2] * 2
        assert sorted(parts[0] + parts[1]) == list(range(COUNT))
        epochs.append(parts[0])
    assert sorted(epochs[0]) != sorted(epochs[1])  # not even the same part
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    for rank in ranks:
        assert rank["order 3"] == rank["seen"][:5]  # as the seed says
        assert rank["order 4"] != rank["order 3"]
        assert [len(batch) for batch in rank["seven"]] == [1] * 4  # not even shares
    assert set(sum(ranks[0]["seven"] + ranks[1]["seven"], [])) == set(range(7))


def test_what_ends_one_process_ends_all_in_the_same_step(ranks):
    for rank in ranks:
        assert rank["diverged"].stopped.startswith("The loss became nan in batch 3")
        assert rank["interrupted"].stopped.endswith("hand; finished epochs: 1 of 3.")
        assert rank["steps"] == 7  # in which the signal came, and no step followed
        assert rank["handler"] == signal.default_int_handler
        assert rank["loads"] == ["one has no digits", "the disk is gone", "loaded"]
    assert torch.equal(ranks[0]["stopped at"], ranks[1]["stopped at"])


def test_the_command_prints_scores_and_saves_in_the_first_process_alone(started, ranks):
    folder, _, out, err = started
    command = re.search("-- the command --(.*)-- death --", out, re.DOTALL)[1]
    lines = [line for line in command.splitlines() if line.strip()]
    assert lines[0].startswith("Training mlp with 12,730 parameters; optimizer adam, ")
    assert lines[0].endswith("epochs 2, device cpu, 2 processes.")
    starts = ["Training", "epoch 1/2", "epoch 2/2", "Validation", "Saved", "  python"]
    assert [line[: len(s)] for line, s in zip(lines, starts, strict=True)] == starts
    assert "Warning" not in err
    model, digits = load_model(folder / "0" / "a.pth"), numbered_digits()
    score = evaluate(model, make_loader(digits, 50, shuffle=False))
    assert lines[3] == f"Validation digits: {score}."
    assert (model.classes, model.mean, model.std) == (digits.classes, 0.25, 0.5)
    for rank, times in zip(ranks, (3, 0), strict=True):
        assert (rank["status"], rank["scored"]) == (0, times)
        # batches of 50: three steps an epoch, each of 25 digits, as the seed says
        assert [len(part) for part in rank["trained"]] == [25] * 6
        assert rank["trained"][:3] == rank["order 5"]


def test_the_death_of_one_process_ends_all(started):
    folder, status, out, err = started
    last = out.split("-- death --")[1]
    assert status != 0
    assert "epoch 1/9" in last
    assert "Another process ended or cannot be reached" in err
    assert "exitcode  : -9" in err  # torchrun's own report
    assert "[rank0]" not in err  # the other process shows no traceback
    assert sorted(path.name for path in folder.rglob("*.pth")) == ["a.pth"]


# one process that believes to be one of several


@pytest.fixture
def be(monkeypatch):
    """`be(rank, count)` sets what torchrun would set, for processes of one machine."""

    def pretend(rank=0, count=2, local_rank=None, here=None):
        local_rank = rank if local_rank is None else local_rank
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(count))
        monkeypatch.setenv("LOCAL_RANK", str(local_rank))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here or count))

    return pretend


def test_what_cannot_be_done_is_said_once_a_machine(be, run):
    for words, message, status in [
        ("evaluate a.pth", "Run python -m mnist_lessons evaluate by itself.", 1),
        ("predict a.pth b.png", "only train can share its work", 1),
        ("train svm", "invalid choice", 2),
        ("train linear --batch-size 7", "evenly among 2 processes; try --b.* 6", 1),
    ]:
        be(0)
        status_here, out, err = run(words)
        assert (status_here, out) == (status, "")
        assert re.search(message, err)
        be(1)
        assert run(words) == (status, "", "")
    be(0, 4)
    assert "try --batch-size 4." in run("train linear --batch-size 3")[2]
    assert "torchrun --nproc-per-node=2" in run("train --help")[1]
    # only the first process needs the folder to save in
    words = "train linear --batch-size 7 --save nowhere/a.pth"
    assert "there is no folder nowhere" in run(words)[2]
    be(1, 2, 0, 1)  # the first process of the second machine
    assert "A batch of 7" in run(words)[2]
    assert "invalid choice" in run("train svm")[2]
    assert run("train --help") == (0, "", "")


def test_each_process_has_a_gpu_of_its_own_or_all_share_the_cpu(be, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for asked, place, expected in [
        (None, [1], "cuda:1"),
        ("cuda", [1], "cuda:1"),
        ("cpu", [4, 8], "cpu"),
        (None, [3, 4, 1, 2], "cuda:1"),  # the second one on the second machine
        ("cuda:1", [2, 3, 0, 1], "cuda:1"),
    ]:
        be(*place)
        assert local_device(asked and torch.device(asked)) == torch.device(expected)
    for asked, place, message in [
        ("cuda:1", [0], "name no single GPU"),
        (None, [0, 3], "Here are 2 of them, and 3 pro.* at most 2"),
        ("mps", [0], "of the kind cuda.* --device cpu"),
    ]:
        be(*place)
        with pytest.raises(ProcessGroupError, match=message):
            local_device(asked and torch.device(asked))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert local_device(None) == torch.device("cpu")
    be(3, 4)
    assert (distributed.world_size(), distributed.rank()) == (4, 3)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")  # a cluster may set the other names, too
    assert (distributed.world_size(), distributed.rank()) == (1, 0)


def test_processes_meet_wait_for_each_other_and_part(monkeypatch):
    steps, cpu = [], torch.device("cpu")
    meet = lambda kind, device_id: steps.append((kind, device_id))  # noqa: E731
    monkeypatch.setattr(dist, "init_process_group", meet)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    for name in ("barrier", "destroy_process_group"):
        monkeypatch.setattr(dist, name, functools.partial(steps.append, name))
    with distributed.process_group(cpu):
        steps.append("work")
    met, parted = ("gloo", None), "destroy_process_group"
    assert steps == [met, "work", "barrier", parted]
    for error, expected in [
        (RuntimeError("[gloo/pair.cc] Connection closed"), ProcessGroupError),
        (dist.DistNetworkError("the server socket is gone"), ProcessGroupError),
        (RuntimeError("out of memory"), RuntimeError),
    ]:
        steps.clear()
        with pytest.raises(expected), distributed.process_group(cpu):
            raise error
        assert steps == [met, parted]


# what torchrun runs in each process


def look_around(rank):
    """Return what this process sees and does."""
    loader, noted = make_loader(numbered_digits(), BATCH, shuffle=True), {}

    def train(step=0, trouble=None):
        torch.manual_seed(rank)
        model = Watched()
        noted["built"] = flat(model)
        model.trouble = {step: trouble} if rank == 1 else {}
        return model, fit_distributed(model, loader, seed=3, **HOW)

    model, noted["history"] = train()
    noted["random"] = torch.rand(3)
    noted |= {"seen": model.seen, "weights": [*model.weights, flat(model)]}
    noted |= {f"order {seed}": order_of(COUNT, BATCH, seed) for seed in (3, 4)}
    noted |= {"seven": order_of(7, 2), "order 5": order_of(COUNT, 50, 5)}

    _, noted["diverged"] = train(3, lambda loss: loss * torch.nan)

    interrupt = functools.partial(os.kill, os.getpid(), signal.SIGINT)
    model, noted["interrupted"] = train(7, lambda loss: interrupt() or loss)
    noted |= {"steps": len(model.seen), "stopped at": flat(model)}
    noted["handler"] = signal.getsignal(signal.SIGINT)

    noted["loads"] = []
    one = LessonsError("one has no digits") if rank == 1 else None
    for error in (one, OSError("the disk is gone"), None):
        load = Mock(side_effect=error, return_value="loaded")
        try:
            noted["loads"].append(distributed.run_on_all(load))
        except ProcessGroupError as problem:
            noted["loads"].append(str(problem))
    return noted


def run_commands(rank, noted):
    """Train with the command on few digits; then end the second process meanwhile."""
    loaders = [make_loader(numbered_digits(), 50, shuffle=s) for s in (True, False)]
    for module in [sys.modules[name] for name in list(sys.modules)]:
        if module.__name__.startswith(("mnist_lessons.commands", "mnist_lessons.__m")):
            module.load_mnist = lambda *_, **__: Loaders(*loaders, None)
    step, score = MLP.training_step, DigitClassifier.validation_epoch_end
    noted |= {"trained": [], "scored": 0}

    def watched_step(self, batch, *options):
        noted["trained"].append(numbers_of(batch[0]))
        if len(noted["trained"]) == 11 and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, *options)

    def watched_score(*outputs):
        noted["scored"] += 1
        return score(*outputs)

    MLP.training_step = watched_step
    DigitClassifier.validation_epoch_end = watched_score
    print("-- the command --" * (rank == 0), flush=True)
    noted["status"] = main(f"{COMMAND} 2 --save a.pth".split())
    torch.save(noted, "noted")
    # torchrun may see the death first and end this process before it has said a word
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("-- death --" * (rank == 0), flush=True)
    sys.exit(main(f"{COMMAND} 9 --save b.pth".split()))


if __name__ == "__main__":
    # processes that torchrun started can meet just once, for all commands that follow
    dist.init_process_group("gloo")
    dist.init_process_group = dist.destroy_process_group = lambda *_, **__: None
    os.mkdir(str(distributed.rank()))  # noqa: PTH102
    os.chdir(str(distributed.rank()))
    run_commands(distributed.rank(), look_around(distributed.rank()))
