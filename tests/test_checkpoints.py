"""Model files: what goes in comes out, and nothing else gets in."""

import errno
import io
import os
import pickle
import stat
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mnist_lessons import (
    CNN,
    MLP,
    DigitClassifier,
    LinearModel,
    fit,
    load_model,
    save_model,
    seed_everything,
)
from mnist_lessons.checkpoints import FORMAT, ModelFileError


class Own(DigitClassifier):
    """A student's model that hands its arguments on."""

    def __init__(self, width=12, names=("a", "b"), note=None):
        super().__init__(width=width, names=names, note=note)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, width), nn.Tanh(), nn.Linear(width, 10)
        )

    def forward(self, images):
        return self.layers(images)


class Silent(DigitClassifier):
    """One that does not."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(784, width)


class Tied(DigitClassifier):
    """One layer, used eight times: its weights have eight names."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 784)] * 8)
        self.last = nn.Linear(784, 10)

    def forward(self, images):
        values = images.flatten(1)
        for layer in self.layers:
            values = layer(values).relu()
        return self.last(values)


class Tiny(DigitClassifier):
    """Less to write than what waits in a buffer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))


class Payload:
    """What a file from a stranger may hold: unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "run")


BUILDS = {
    "linear": partial(LinearModel, 5),
    "MLP": partial(MLP, (16,), 0.3, 7),
    "CNN": partial(CNN, (2, 3), 8, dropout=0.1),
    "CNN, batch norm": partial(CNN, (2, 3, 4), 8, batch_norm=True, num_classes=12),
    "own": partial(Own, width=9),
    "tied": Tied,
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.pth"


@pytest.fixture
def change(file):
    """`change(key=value, ...)` saves a model and changes what the file then holds."""

    def rewrite(model=None, weights=None, **content):
        save_model(model or CNN((2, 3), 8, batch_norm=True), file)
        old = torch.load(file, weights_only=True)
        old["weights"] |= weights or {}
        torch.save({k: v for k, v in {**old, **content}.items() if v != "gone"}, file)
        return file

    return rewrite


def same(model, other):
    states = [m.state_dict() for m in (model, other)]
    assert list(states[0]) == list(states[1])
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# the round trip


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_model_comes_back_as_it_was(file, build):
    seed_everything(0)
    model = build()
    model.classes, model.mean, model.std = ["zero", "one"], 0.25, 0.5
    images = torch.randn(20, 1, 28, 28)
    model(images)  # batch norm takes notes
    save_model(model, file)
    own = type(model) in (Own, Tied)
    twin = load_model(file, type(model)) if own else load_model(file)
    assert type(twin) is type(model)
    assert twin.arguments == model.arguments
    assert same(model, twin)
    assert torch.equal(model.predict_proba(images), twin.predict_proba(images))
    assert (twin.classes, twin.mean, twin.std) == (["zero", "one"], 0.25, 0.5)
    assert not any(part.training for part in twin.modules())
    assert model.training  # saving leaves the mode alone
    assert all(p.requires_grad and p.is_leaf for p in twin.parameters())


def test_tied_weights_stay_tied(file):
    save_model(Tied(), file)
    assert file.stat().st_size < 784 * 784 * 4 * 1.5
    twin = load_model(file, Tied)
    assert twin.layers[0].weight is twin.layers[7].weight


def test_a_trained_model_takes_the_scale_of_its_digits_along(file, some, loaders):
    model = CNN((2, 3), 8)
    fit(model, some(128), epochs=1, lr=0.01, channels_last=True, progress=False)
    save_model(model, file)
    twin = load_model(file)
    assert same(model, twin)
    assert twin.classes == loaders.classes
    assert (twin.mean, twin.std) == (loaders.mean, loaders.std)


def test_a_model_that_never_trained_knows_no_scale(file):
    save_model(LinearModel(), file)
    twin = load_model(file)
    assert (twin.classes, twin.mean, twin.std) == (None, None, None)


def test_a_loaded_model_can_go_on_learning(file, some):
    save_model(MLP((16,)), file)
    twin = load_model(file)
    before = [p.clone() for p in twin.parameters()]
    fit(twin, some(128), epochs=1, lr=0.01, progress=False)
    after = list(twin.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("classes", "mean"),
    [((0, 1), torch.tensor(0.5)), (np.array(["0", "1"]), np.float32(0.5))],
    ids=["torch", "numpy"],
)
def test_names_and_numbers_of_any_kind_become_plain_ones(file, classes, mean):
    model = LinearModel()
    model.classes, model.mean, model.std = classes, mean, 1
    save_model(model, file)
    twin = load_model(file)
    assert (twin.classes, twin.mean, twin.std) == (["0", "1"], 0.5, 1.0)
    assert type(twin.mean) is type(twin.std) is float


class OnGpu:
    """A tensor that cannot be saved until it was brought to the CPU."""

    def __init__(self, value):
        self.value = value

    def detach(self):
        return self

    def cpu(self):
        return self.value


def test_a_model_file_can_be_read_where_no_gpu_is(file):
    class Elsewhere(LinearModel):
        def state_dict(self, **options):
            return {k: OnGpu(v) for k, v in super().state_dict(**options).items()}

    save_model(Elsewhere(), file)
    content = torch.load(file, weights_only=True)
    assert {w.device.type for w in content["weights"].values()} == {"cpu"}


# where the file goes


def test_paths_of_all_kinds_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = LinearModel()
    for path in ("plain", Path("nested") / "model.pth", str(tmp_path / "whole.pth")):
        Path(path).parent.mkdir(exist_ok=True)
        save_model(model, path)
        assert same(load_model(path), model)


def test_a_file_may_be_renamed_and_moved(tmp_path, file):
    model = MLP((5,))
    save_model(model, file)
    (tmp_path / "there").mkdir()
    moved = file.rename(tmp_path / "there" / "other")
    assert same(load_model(moved), model)


def test_a_link_stays_a_link_and_leads_to_the_new_file(tmp_path, file):
    target, link = tmp_path / "large disk" / "run 3.pth", tmp_path / "latest.pth"
    target.parent.mkdir()
    link.symlink_to(target)
    for model in (LinearModel(), LinearModel()):  # first without a file, then with one
        save_model(model, link)
        assert link.is_symlink()
        assert same(load_model(link), model)
        assert same(load_model(target), model)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_model_file_has_the_usual_permissions(file, umask):
    old = os.umask(umask)
    try:
        save_model(LinearModel(), file)
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask


def test_saving_leaves_nothing_else_behind(file):
    save_model(LinearModel(), file)
    save_model(LinearModel(), file)
    assert list(file.parent.iterdir()) == [file]


# trouble while saving


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "Ctrl-C"],
)
@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
@pytest.mark.parametrize("before", [True, False], ids=["old file", "no old file"])
def test_a_crash_midway_leaves_the_old_file_whole(
    file, monkeypatch, error, raised, where, before
):
    old = LinearModel()
    if before:
        save_model(old, file)

    def fail(*_):
        raise error

    class Full(io.FileIO):
        def write(self, content):
            super().write(content[:100])
            fail()

    if where == "write":
        monkeypatch.setattr(Path, "open", lambda path, _: Full(path, "w"))
    elif where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(raised) as caught:
        save_model(LinearModel(), file)
    monkeypatch.undo()
    assert list(file.parent.iterdir()) == ([file] if before else [])
    if before:
        assert same(load_model(file), old)
    if raised is OSError:
        assert caught.value.errno == errno.ENOSPC
        assert f"Cannot save {file}: No space left on device." in str(caught.value)


def test_the_new_file_is_complete_and_on_disk_before_the_old_one_goes(
    file, monkeypatch
):
    old, new, steps, sizes = Tiny(), Tiny(), [], []
    nn.init.zeros_(new.weight)
    save_model(old, file)
    fsync, replace = os.fsync, Path.replace

    def watch_fsync(number):
        steps.append("fsync")
        sizes.append(os.fstat(number).st_size)
        assert same(load_model(file, Tiny), old)
        fsync(number)

    def watch_replace(part, target):
        steps.append("replace")
        assert part.parent == file.parent  # a rename within one disk is atomic
        assert same(load_model(part, Tiny), new)
        assert same(load_model(file, Tiny), old)
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(Path, "replace", watch_replace)
    save_model(new, file)
    assert steps == ["fsync", "replace"]
    assert sizes == [file.stat().st_size]
    assert same(load_model(file, Tiny), new)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere\. Make it"):
        save_model(LinearModel(), tmp_path / "nowhere" / "model.pth")


def test_a_folder_in_the_place_of_the_file_stays(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OSError, match="Cannot save .*model"):
        save_model(LinearModel(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_a_name_that_the_disk_cannot_hold_is_an_error_that_says_so(tmp_path):
    with pytest.raises(OSError, match="Cannot save .*too long"):
        save_model(LinearModel(), tmp_path / ("x" * 300))


@pytest.mark.parametrize("model", [nn.Linear(3, 3), None, LinearModel, {}])
def test_what_is_no_model_cannot_be_saved(file, model):
    with pytest.raises(TypeError, match="is not a DigitClassifier.*state_dict"):
        save_model(model, file)
    assert not file.exists()


@pytest.mark.parametrize(
    "note", [lambda: None, nn.ReLU(), torch.nn.ReLU, object(), Path("x")], ids=str
)
def test_an_argument_that_is_not_plain_cannot_be_saved(file, note):
    with pytest.raises(ValueError, match=r"Own was built with .* plain values"):
        save_model(Own(note=note), file)
    assert list(file.parent.iterdir()) == []


def test_an_argument_may_be_any_plain_value(file):
    note = {"text": ["a", 1, 2.5, None, True, (1, 2)], "more": {"deep": [[]]}}
    save_model(Own(note=note), file)
    assert load_model(file, Own).arguments["note"] == note


@pytest.mark.parametrize(
    "wrong", [{"mean": torch.zeros(3)}, {"std": "much"}, {"classes": 10}], ids=str
)
def test_a_scale_that_is_no_number_cannot_be_saved(file, wrong):
    model = LinearModel()
    vars(model).update(wrong)
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*two numbers"):
        save_model(model, file)


# files that are something else


def refused(file, words, model_class=None):
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(file, model_class)
    assert str(file) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_missing_file_is_named_with_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load_model("model.pth")
    assert f"There is no model file {tmp_path / 'model.pth'}." in str(caught.value)


def test_a_folder_is_no_model_file(tmp_path):
    refused(tmp_path, "cannot be read: Is a directory")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 1000, os.urandom(3000), b"PK\x03\x04" + b"x" * 500, b"# hello\n"],
    ids=["empty", "zeros", "noise", "half a zip", "text"],
)
def test_noise_is_no_model_file(file, content):
    file.write_bytes(content)
    refused(file, "is not a model file, or it is damaged")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_damaged(file, share):
    save_model(LinearModel(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    refused(file, "damaged")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_code_is_refused_and_the_code_not_run(tmp_path, file, zipped):
    trace = tmp_path / "trace"
    content = {"format": FORMAT, "weights": Payload(trace)}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    refused(file, "holds code, .* nothing in it was run")
    file.write_bytes(pickle.dumps(content))
    refused(file, "model file")
    assert not trace.exists()
    # the payload works: only load_model's care kept it from being run
    pickle.loads(pickle.dumps(content))
    assert trace.read_text() == "run"


def test_a_pickled_model_is_refused(file):
    torch.save(LinearModel(), file)
    refused(file, r"holds code, .*torch.save\(model, path\)")


@pytest.mark.parametrize(
    "content",
    [LinearModel().state_dict(), [1, 2], "text", {}, {"format": "version 2"}],
    ids=["state dict", "list", "text", "nothing", "another format"],
)
def test_other_files_of_torch_are_refused(file, content):
    torch.save(content, file)
    refused(file, "was not written by save_model.*load_state_dict")


@pytest.mark.parametrize(
    "content",
    [
        {"weights": "gone"},
        {"mean": "gone"},
        {"more": 1},
        {"class": 3},
        {"arguments": [1]},
        {"classes": "0123456789"},
        {"classes": [1, 2]},
        {"mean": "0.5"},
        {"std": 1},
    ],
    ids=str,
)
def test_a_model_file_is_complete_and_has_nothing_else(change, content):
    weights = content.pop("weights", None)
    file = change(**content)
    if weights:
        old = torch.load(file, weights_only=True)
        del old["weights"]
        torch.save(old, file)
    refused(file, "is not complete")


# files of other models


def test_a_class_that_the_package_does_not_know_must_be_given(file):
    save_model(Own(), file)
    refused(file, r"of the class .*\.Own, .*load_model\(path, model_class=Own\)")
    assert type(load_model(file, model_class=Own)) is Own


def test_a_class_named_in_a_file_is_never_looked_up(change):
    refused(change(**{"class": "os.system"}), "of the class os.system")


def test_a_class_that_does_not_hand_its_arguments_on_is_told_how(file):
    save_model(Silent(5), file)
    refused(file, r"Silent cannot be built .*super\(\).__init__\(name=value", Silent)


@pytest.mark.parametrize(
    "arguments",
    [{"num_classes": -1}, {"number": 3}, {3: 3}, {"num_classes": "ten"}],
    ids=str,
)
def test_arguments_that_build_no_model_are_told(change, arguments):
    file = change(LinearModel(), arguments=arguments)
    refused(file, "LinearModel cannot be built")


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"extra": torch.zeros(3)}, "do not fit CNN: extra has no place in it"),
        ({5: torch.zeros(3)}, "do not fit CNN: 5 has no place in it"),
        (
            {"features.0.bias": torch.zeros(3)},
            r"features.0.bias has the shape \[3\], expected \[2\]",
        ),
        ({"features.2.num_batches_tracked": "text"}, "do not fit CNN: "),
        ({"features.0.bias": torch.zeros(2).to_sparse()}, "do not fit CNN: "),
        ({"features.0.bias": torch.zeros(2, device="meta")}, "do not fit CNN: "),
        ({"features.0.bias": None}, r"has the shape \[\], expected \[2\]"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit_are_named(change, weights, words):
    refused(change(weights=weights), words)


def test_a_missing_weight_is_named(file):
    save_model(LinearModel(), file)
    content = torch.load(file, weights_only=True)
    del content["weights"]["linear.bias"]
    torch.save(content, file)
    refused(file, "do not fit LinearModel: linear.bias is missing")


def test_weights_of_another_class_do_not_fit(file):
    save_model(LinearModel(), file)
    refused(file, "do not fit MLP: linear.weight has no place|is missing", MLP)


# files that lie about their size


def test_a_file_that_would_fill_the_memory_is_refused(change):
    huge = 10**9  # 3 TB of weights in a file of some kilobytes
    weights = {
        "linear.weight": torch.zeros(1).expand(huge, 784),
        "linear.bias": torch.zeros(1).expand(huge),
    }
    arguments = {"num_classes": huge}
    file = change(LinearModel(), weights=weights, arguments=arguments)
    assert file.stat().st_size < 100_000
    refused(file, "claims 785,000,000,000 weights and has fewer bytes")


def test_arguments_for_a_huge_model_cost_no_memory(change):
    file = change(LinearModel(), arguments={"num_classes": 10**9})
    refused(file, r"has the shape \[10, 784\], expected \[1000000000, 784\]")


def test_an_honest_model_of_half_the_precision_is_not_taken_for_a_liar(file):
    save_model(MLP((300, 300)).half(), file)
    assert load_model(file).arguments["hidden"] == (300, 300)


def test_a_changed_byte_is_noticed(file):
    save_model(MLP((64,)), file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(file)


def test_a_file_that_unfolds_to_a_thousand_times_its_size_is_refused(file):
    model = MLP((2_000,))
    torch.nn.utils.vector_to_parameters(
        torch.zeros(sum(p.numel() for p in model.parameters())), model.parameters()
    )
    save_model(model, file)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(file) as archive,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for part in archive.infolist():
            bomb.writestr(part.filename, archive.read(part))
    file.write_bytes(packed.getvalue())
    # refused for being packed, before it is unfolded; the size of its weights would
    # be noticed too late
    with pytest.raises(ModelFileError, match="not a model file, or it is damaged"):
        load_model(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="not on Windows")
def test_a_pipe_in_the_place_of_the_file_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a folder or a device"):
        save_model(LinearModel(), tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


class Counted(Own):
    """One that needs real numbers to be built."""

    def __init__(self):
        DigitClassifier.__init__(self)
        widths = [int(w) for w in torch.linspace(4, 8, 2)]
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, widths[0]))


def test_a_class_may_compute_while_it_is_built(file):
    save_model(Counted(), file)
    assert isinstance(load_model(file, model_class=Counted), Counted)


def test_widths_may_be_numpys_numbers(file):
    save_model(MLP((np.int64(8),)), file)
    save_model(CNN((np.int64(2),), np.int32(8)), file)
    assert load_model(file).arguments["channels"] == (2,)
