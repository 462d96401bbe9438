"""Training in several processes, which torchrun starts.

Each start costs some ten seconds, so there are two, and the first serves most tests.
What torchrun runs in each process is this very file: see its end.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.utils.data import BatchSampler, DataLoader
from torch.utils.data.distributed import DistributedSampler

from mnist_lessons import MLP, DigitClassifier, evaluate, fit, load_model
from mnist_lessons import __main__ as command_line
from mnist_lessons import distributed as processes
from mnist_lessons.data import Digits, Loaders, make_loader
from mnist_lessons.distributed import TeamError, fit_distributed, part_of
from mnist_lessons.files import DataFileError

HOW = {"epochs": 3, "lr": 0.05, "log_every": 1, "device": torch.device("cpu")}
HOW["optimizer"] = lambda *a, **o: torch.optim.SGD(*a, momentum=0.9, **o)
COUNT, BATCH = 150, 32  # 4 batches and one of 22 digits
STEPS = 5 * HOW["epochs"]
DATA = Path(__file__).resolve().parent.parent / "data"
END = "--- the command has ended ---"


class Watched(MLP):
    """Notes which digits it gets in each step, and the weights it has by then."""

    def __init__(self, dropout=0.0):
        super().__init__(hidden=(16,), dropout=dropout)
        self.seen, self.weights, self.trouble = [], [], {}

    def training_step(self, batch, label_smoothing=0.0):
        images, _ = batch
        self.seen.append(images[:, 0, 0, 0].mul(1000).round().int().tolist())
        self.weights.append(flat(self))
        loss = super().training_step(batch, label_smoothing)
        trouble = self.trouble.get(len(self.seen))
        return trouble(loss) if trouble else loss


def flat(model):
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def numbered_digits(count=COUNT):
    """Random pixels, and the number of the digit (in thousandths) in the corner."""
    random = torch.Generator().manual_seed(1)
    images = torch.randn(count, 1, 28, 28, generator=random)
    images[:, 0, 0, 0] = torch.arange(count) / 1000
    labels = torch.randint(10, (count,), generator=random)
    return Digits(images, labels, [str(n) for n in range(10)], 0.25, 0.5)


# starting processes


def start(words, folder):
    """Start two processes, wait, and return the status and what they printed."""
    if os.name != "posix" or not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("needs PyTorch's gloo, and POSIX signals")
    options = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    torchrun = subprocess.Popen(
        [sys.executable, *options, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        out, err = torchrun.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        torchrun.terminate()  # not kill(): it has to end the processes it started
        out, err = torchrun.communicate()
    return torchrun.returncode, out, err


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Train on all digits with the command, then look around: see `find_out`."""
    folder = tmp_path_factory.mktemp("ranks")
    status, out, err = start([__file__, "find_out"], folder)
    assert status == 0, err
    return folder, out, err


@pytest.fixture(scope="module")
def ranks(started):
    """What each process saw and did."""
    folder = started[0]
    return [torch.load(folder / f"{n}.pt", weights_only=False) for n in range(2)]


@pytest.fixture(scope="module")
def alone(ranks):
    """One process with the whole batches, from the same weights."""
    model, digits = Watched(), numbered_digits()
    model.load_state_dict(ranks[0]["start"])
    order = DistributedSampler(digits, num_replicas=1, rank=0, seed=3)
    batches = BatchSampler(order, BATCH, drop_last=False)
    loader = DataLoader(digits, sampler=batches, batch_size=None)
    new_order = lambda record: order.set_epoch(record["epoch"])  # noqa: E731
    history = fit(model, loader, progress=False, on_epoch_end=new_order, **HOW)
    return {"model": model, "history": history}


# the steps


def test_all_processes_end_with_the_same_weights(ranks):
    assert len(ranks[0]["weights"]) == STEPS
    for first, second in zip(ranks[0]["weights"], ranks[1]["weights"], strict=True):
        assert torch.equal(first, second)
    assert torch.equal(ranks[0]["end"], ranks[1]["end"])


def test_all_processes_start_with_the_weights_of_the_first(ranks):
    assert not torch.equal(ranks[0]["built"], ranks[1]["built"])
    assert torch.equal(ranks[1]["weights"][0], ranks[0]["built"])


def test_a_step_is_that_of_one_process_with_the_whole_batch(ranks, alone):
    before, after = alone["model"].weights[:2]
    torch.testing.assert_close(ranks[0]["weights"][1], after, rtol=1e-5, atol=1e-7)
    # the step is far larger than the tolerance, and the parts' own steps differ
    assert (after - before).abs().max() > 1e-3


def test_so_are_all_steps_with_momentum_and_a_small_last_batch(ranks, alone):
    assert [len(part) for part in ranks[0]["seen"][:5]] == [16, 16, 16, 16, 11]
    for ours, its in zip(ranks[0]["weights"], alone["model"].weights, strict=True):
        torch.testing.assert_close(ours, its, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        ranks[0]["end"], flat(alone["model"]), rtol=1e-4, atol=1e-6
    )


def test_the_training_loss_is_that_of_the_whole_batch(ranks, alone):
    history = alone["history"]
    for rank in ranks:
        assert rank["history"].batches == [
            (n, pytest.approx(loss, rel=1e-5)) for n, loss in history.batches
        ]
        assert rank["history"]["train_loss"] == pytest.approx(history["train_loss"])


def test_the_training_accuracy_is_that_of_the_own_part(ranks, alone):
    parts = [rank["history"]["train_accuracy"] for rank in ranks]
    assert parts[0] != parts[1]
    means = [sum(both) / 2 for both in zip(*parts, strict=True)]
    assert means == pytest.approx(alone["history"]["train_accuracy"])


# the parts


def test_the_parts_are_disjoint_and_together_all_digits(ranks):
    for epoch in range(HOW["epochs"]):
        parts = [sum(rank["seen"][epoch * 5 : epoch * 5 + 5], []) for rank in ranks]
        assert len(parts[0]) == len(parts[1]) == COUNT / 2
        assert sorted(parts[0] + parts[1]) == list(range(COUNT))


def test_each_epoch_has_an_order_of_its_own(ranks):
    for rank in ranks:
        epochs = [sum(rank["seen"][n : n + 5], []) for n in range(0, STEPS, 5)]
        assert sorted(epochs[0]) != sorted(epochs[1])  # not even the same part
        assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_seed_decides_the_order(ranks):
    assert ranks[0]["order 3"] == ranks[0]["seen"][:5]
    assert ranks[0]["order 4"] != ranks[0]["order 3"]


def test_digits_that_cannot_be_shared_out_evenly(ranks):
    parts = [sum(rank["seven"], []) for rank in ranks]
    assert [[len(batch) for batch in rank["seven"]] for rank in ranks] == [[1] * 4] * 2
    assert set(parts[0] + parts[1]) == set(range(7))


def test_dropout_differs_from_process_to_process(ranks):
    assert not torch.equal(ranks[0]["random"], ranks[1]["random"])


# the end


def test_a_loss_that_diverges_in_one_process_stops_all(ranks):
    for rank in ranks:
        assert rank["diverged"].stopped.startswith("The loss became nan in batch 3")


def test_ctrl_c_stops_all_processes_in_the_same_step(ranks):
    for rank in ranks:
        history, seen, _weights, handler = rank["interrupted"]
        assert history.stopped == "Stopped by hand; finished epochs: 1 of 3."
        assert len(seen) == 7  # in which the signal came, and no step followed
        assert handler == signal.default_int_handler
    assert torch.equal(ranks[0]["interrupted"][2], ranks[1]["interrupted"][2])


def test_what_goes_wrong_in_one_process_is_raised_in_all(ranks):
    for rank in ranks:
        assert rank["one"] == "train-images of 1 is damaged"
        assert rank["both"] == "the disk is gone"
        assert rank["none"] == "loaded"


def test_the_first_process_alone_prints_scores_and_saves(ranks):
    first, second = (rank["command"] for rank in ranks)
    assert (first["status"], second["status"]) == (0, 0)
    assert "device cpu, 2 processes." in first["out"].splitlines()[0]
    assert first["out"].count("valid loss") == 1
    assert "Saved as" in first["out"]
    assert second["out"] == ""
    assert (first["scored"], second["scored"]) == (2, 0)  # after the epoch, and at last
    assert (len(first["saved"]), len(second["saved"])) == (1, 0)
    assert torch.equal(first["saved"][0], second["trained"])
    # a global batch of 50 of 150 digits: three steps, each of 25 digits
    assert [len(part) for part in second["seen"]] == [25, 25, 25]


def test_the_command_follows_its_seed(ranks):
    first, second = (rank["command"] for rank in ranks)
    assert torch.equal(first["built"], second["built"])
    assert (first["seen"], second["seen"]) == (first["order 5"], second["order 5"])


def test_the_command_stops_in_all_processes_when_one_cannot_load(ranks):
    for n, rank in enumerate(ranks):
        status, out, err = rank["no data"]
        assert (status, out) == (1, "")
        assert err == ("no such folder on machine 1\n" if n == 0 else "")


def test_all_processes_wait_until_the_first_one_has_saved(ranks):
    assert ranks[0]["waited"] < 0.5 < ranks[1]["waited"]


def test_nothing_is_left_open_at_the_end(ranks):
    assert [rank["left open"] for rank in ranks] == [False, False]


# the command


def test_the_command_prints_what_one_process_prints(started):
    _, out, err = started
    lines = [line for line in out.split(END)[0].splitlines() if line.strip()]
    assert lines[0] == (
        "Training linear with 7,850 parameters; optimizer adam, learning rate 0.001, "
        "epochs 2, device cpu, 2 processes."
    )
    starts = ["Training", "epoch 1/2", "epoch 2/2", "Validation", "Saved", "  python"]
    assert [line[: len(s)] for line, s in zip(lines, starts, strict=True)] == starts
    assert "Warning" not in err
    assert "Traceback" not in err


def test_its_file_is_the_model_that_it_scored(started, loaders):
    folder, out, _ = started
    model = load_model(folder / "digits.pth")
    assert model.classes == loaders.classes
    assert (model.mean, model.std) == (loaders.mean, loaders.std)
    assert f"Validation digits: {evaluate(model, loaders.valid)}." in out


def test_its_accuracy_is_within_the_seed_spread(started, loaders):
    # one process, 12 seeds: 91.79 % to 92.35 %, mean 92.04 %, deviation 0.16 %; two
    # processes, 4 seeds: 91.93 % to 92.26 %. Four deviations each way:
    model = load_model(started[0] / "digits.pth")
    assert 0.9140 < evaluate(model, loaders.valid).accuracy < 0.9268


def test_the_death_of_one_process_ends_all(tmp_path):
    status, out, err = start([__file__, "die"], tmp_path)
    assert status != 0
    assert "epoch 1/9" in out
    assert "Saved" not in out
    assert "exitcode  : -9" in err  # torchrun's own report
    assert "[rank0]" not in err  # the other process shows no traceback
    assert list(tmp_path.iterdir()) == []


# one process that believes to be one of several


@pytest.fixture
def be(monkeypatch):
    """`be(rank, count)` sets what torchrun would set, for processes of one machine."""

    def pretend(rank=0, count=2, *, local_rank=None, here=None):
        numbers = {"RANK": rank, "WORLD_SIZE": count}
        numbers["LOCAL_RANK"] = rank if local_rank is None else local_rank
        numbers["LOCAL_WORLD_SIZE"] = count if here is None else here
        for name, number in numbers.items():
            monkeypatch.setenv(name, str(number))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")

    return pretend


@pytest.fixture
def run(capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError("nothing is loaded")

    monkeypatch.setattr(command_line, "load_mnist", never)

    def call(words):
        try:
            status = command_line.main(words.split())
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return call


def test_a_cluster_that_sets_the_same_names_changes_nothing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    assert (processes.processes(), processes.rank()) == (1, 0)


def test_a_batch_that_cannot_be_shared_out_is_refused_once(be, run):
    message = "A batch of 7 digits cannot be shared out evenly among 2 processes; "
    message += "try --batch-size 6.\n"
    for rank, err in ((0, message), (1, "")):
        be(rank)
        assert run("train linear --batch-size 7") == (1, "", err)
    be(0, 4)
    assert "try --batch-size 4." in run("train linear --batch-size 3")[2]


@pytest.mark.parametrize("command", ["evaluate a.pth", "predict a.pth b.png", "lab"])
def test_other_commands_are_refused_once(be, run, command):
    be(0)
    status, out, err = run(command)
    assert (status, out) == (1, "")
    assert "only train can share its work" in err
    assert f"Run python -m mnist_lessons {command.split()[0]} by itself." in err
    be(1)
    assert run(command) == (1, "", "")


def test_what_is_typed_wrongly_is_said_once_a_machine(be, run):
    be(0)
    assert "invalid choice" in run("train svm")[2]
    be(1)
    assert run("train svm") == (2, "", "")
    be(1, local_rank=0, here=1)  # the first process of the second machine
    assert "invalid choice" in run("train svm")[2]


def test_help_is_printed_once(be, run):
    be(0)
    assert "torchrun --nproc-per-node=2" in run("train --help")[1]
    be(1, local_rank=0, here=1)
    assert run("train --help") == (0, "", "")


def test_only_the_first_process_needs_the_folder_to_save_in(be, run):
    words = "train linear --batch-size 7 --save nowhere/a.pth"
    be(0)
    assert "there is no folder nowhere" in run(words)[2]
    be(1, local_rank=0, here=1)
    assert "A batch of 7" in run(words)[2]


@pytest.mark.parametrize(
    ("asked", "place", "expected"),
    [
        (None, {"rank": 1}, "cuda:1"),
        ("cuda", {"rank": 1}, "cuda:1"),
        ("cpu", {"rank": 1}, "cpu"),
        ("cpu", {"rank": 4, "count": 8}, "cpu"),
        (None, {"rank": 3, "count": 4, "local_rank": 1, "here": 2}, "cuda:1"),
        ("cuda:1", {"rank": 2, "count": 3, "local_rank": 0, "here": 1}, "cuda:1"),
        ("cuda:0", {"rank": 1}, "name no single one"),
        ("cuda:1", {"rank": 0}, "name no single one"),
        (None, {"rank": 0, "count": 3}, "3 processes .* there are 2 GPUs.* at most 2"),
        ("mps", {"rank": 0}, "cannot train on mps"),
    ],
)
def test_each_process_has_a_gpu_of_its_own(be, monkeypatch, asked, place, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    be(**place)
    device = asked and torch.device(asked)
    if " " not in expected:
        assert processes.own_device(device) == torch.device(expected)
    else:
        with pytest.raises(TeamError, match=expected):
            processes.own_device(device)


def test_without_a_gpu_processes_train_on_the_cpu(be, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    be(1)
    assert processes.own_device(None) == torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed"), TeamError),
        (dist.DistNetworkError("the server socket is gone"), TeamError),
        (RuntimeError("out of memory"), RuntimeError),
    ],
)
def test_who_loses_the_others_says_so(monkeypatch, error, expected):
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    left = []
    monkeypatch.setattr(dist, "destroy_process_group", lambda: left.append(1))
    with (
        pytest.raises(RuntimeError) as caught,
        processes.process_group(torch.device("cpu")),
    ):
        raise error
    assert type(caught.value) is expected
    assert left == [1]


# what torchrun runs in each process


def find_out():
    """Write what this process sees and does to a file named after its rank."""
    rank = processes.rank()
    loader = make_loader(numbered_digits(), BATCH, shuffle=True)
    found = {}

    def watched(**trouble):
        torch.manual_seed(rank)
        model = Watched()
        if rank == 1:
            model.trouble = {int(n.strip("_")): act for n, act in trouble.items()}
        return model

    # processes that torchrun started can meet just once, so what follows stays in here
    with processes.process_group(torch.device("cpu")):
        command_line.process_group = contextlib.nullcontext
        words = "train linear --epochs 2 --batch-size 200 --device cpu "
        words += "--save digits.pth --data-dir"
        assert command_line.main([*words.split(), str(DATA)]) == 0
        if rank == 0:
            print(END, flush=True)

        model = watched()
        found["start"], found["built"] = dict(model.state_dict()), flat(model)
        found["start"] = {k: v.clone() for k, v in found["start"].items()}
        found["history"] = fit_distributed(model, loader, seed=3, **HOW)
        found["random"] = torch.rand(3)
        found |= {"seen": model.seen, "weights": model.weights, "end": flat(model)}
        for seed in (3, 4):
            found[f"order {seed}"] = numbers(part_of(numbered_digits(), BATCH, seed))
        found["seven"] = numbers(part_of(numbered_digits(7), 2))

        model = watched(_3=lambda loss: loss * torch.nan)
        found["diverged"] = fit_distributed(model, loader, **HOW)

        def interrupt(loss):
            os.kill(os.getpid(), signal.SIGINT)
            return loss

        model = watched(_7=interrupt)
        history = fit_distributed(model, loader, **HOW)
        handler = signal.getsignal(signal.SIGINT)
        found["interrupted"] = history, model.seen, flat(model), handler

        for name, act in (("one", one_fails), ("both", both_fail), ("none", load)):
            try:
                found[name] = processes.run_on_all(act, rank)
            except TeamError as error:
                found[name] = str(error)
        found["command"] = run_command(rank, loader)
        found["no data"] = run_command_without_data(rank)
        time.sleep(0.6 if rank == 0 else 0)
        then = time.perf_counter()
    found["waited"] = time.perf_counter() - then
    found["left open"] = dist.is_initialized()
    torch.save(found, f"{rank}.pt")


def numbers(loader):
    return [images[:, 0, 0, 0].mul(1000).round().int().tolist() for images, _ in loader]


def one_fails(rank):
    if rank == 1:
        raise DataFileError(f"train-images of {rank} is damaged")


def both_fail(_rank):
    raise OSError("the disk is gone")


def load(_rank):
    return "loaded"


def run_command(rank, loader):
    """Run the command on few digits; note who trains, scores and saves what."""
    found = {"saved": [], "scored": 0}
    digits = loader.dataset
    original = DigitClassifier.validation_epoch_end

    def build(_options):
        found["model"] = Watched(dropout=0.5)
        found["built"] = flat(found["model"])
        return found["model"]

    def score(*arguments):
        found["scored"] += 1
        return original(*arguments)

    command_line.load_mnist = lambda *_, **__: Loaders(
        make_loader(digits, 50, shuffle=True), make_loader(digits, 50, shuffle=False), 0
    )
    command_line.model_from = build
    command_line.save_model = lambda model, _: found["saved"].append(flat(model))
    DigitClassifier.validation_epoch_end = score
    words = "train mlp --epochs 1 --batch-size 50 --device cpu --seed 5 --save a.pth"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        found["status"] = command_line.main(words.split())
    DigitClassifier.validation_epoch_end = original
    model = found.pop("model")
    return found | {
        "out": out.getvalue().strip(),
        "trained": flat(model),
        "seen": model.seen,
        "order 5": numbers(part_of(digits, 50, 5)),
    }


def run_command_without_data(rank):
    def load_mnist(*_, **__):
        if rank == 1:
            raise FileNotFoundError("no such folder on machine 1")

    command_line.load_mnist = load_mnist
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command_line.main(["train", "mlp", "--device", "cpu"])
    return status, out.getvalue(), err.getvalue()


def die():
    """Train on few digits, and end the second process in the second epoch."""
    digits = numbered_digits()
    command_line.load_mnist = lambda *_, **__: Loaders(
        make_loader(digits, 50, shuffle=True), make_loader(digits, 50, shuffle=False), 0
    )
    step = MLP.training_step
    steps = iter(range(100))

    def last_step(*arguments):
        if next(steps) == 4 and processes.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)

    MLP.training_step = last_step
    words = "train mlp --epochs 9 --batch-size 50 --device cpu --save a.pth"
    sys.exit(command_line.main(words.split()))


if __name__ == "__main__":
    {"find_out": find_out, "die": die}[sys.argv[1]]()
