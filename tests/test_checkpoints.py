"""Model files: what goes in comes out, and nothing else gets in."""

import errno
import os
import pickle
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from mnist_lessons import CNN, MLP, DigitClassifier, LinearModel, fit
from mnist_lessons.checkpoints import FORMAT, ModelFileError, load_model, save_model


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
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.pth"


def same(model, other):
    states = [m.state_dict() for m in (model, other)]
    assert list(states[0]) == list(states[1])
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def refused(file, words, model_class=None):
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(file, model_class)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_model_comes_back_as_it_was(file, build):
    model = build()
    model.classes, model.mean, model.std = ["zero", "one"], 0.25, 0.5
    images = torch.randn(20, 1, 28, 28)
    model(images)  # batch norm takes notes
    save_model(model, file)
    twin = load_model(file, Own if type(model) is Own else None)
    assert type(twin) is type(model)
    assert twin.arguments == model.arguments
    assert same(model, twin)
    assert torch.equal(model.predict_proba(images), twin.predict_proba(images))
    assert (twin.classes, twin.mean, twin.std) == (["zero", "one"], 0.25, 0.5)
    assert not any(part.training for part in twin.modules())
    assert model.training  # saving leaves the mode alone


def test_a_trained_model_takes_the_scale_along_and_can_go_on_learning(
    file, some, loaders
):
    model = CNN((2, 3), 8)
    save_model(model, file)
    assert load_model(file).mean is None
    fit(model, some(128), epochs=1, lr=0.01, channels_last=True, progress=False)
    save_model(model, file)
    twin = load_model(file)
    assert same(model, twin)
    scale = (loaders.classes, loaders.mean, loaders.std)
    assert (twin.classes, twin.mean, twin.std) == scale
    fit(twin, some(128), epochs=1, lr=0.01, progress=False)
    parameters = zip(model.parameters(), twin.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in parameters)


def test_a_model_file_can_be_read_where_no_gpu_is(file):
    class OnGpu:
        """A tensor that cannot be saved until it was brought to the CPU."""

        def __init__(self, value):
            self.detach, self.cpu = lambda: self, lambda: value

    class Elsewhere(LinearModel):
        def state_dict(self, **options):
            return {k: OnGpu(v) for k, v in super().state_dict(**options).items()}

    save_model(Elsewhere(), file)
    content = torch.load(file, weights_only=True)
    assert {w.device.type for w in content["weights"].values()} == {"cpu"}


def test_files_of_the_first_edition_can_be_read(file):
    model = LinearModel()
    content = {"format": "mnist_lessons model, version 1"}
    content |= {"class": "mnist_lessons.models.LinearModel"}
    content |= {"arguments": {"num_classes": 10}, "classes": ["0"]}
    content |= {"mean": 0.1, "std": 0.3, "weights": model.state_dict()}
    torch.save(content, file)
    twin = load_model(file)
    assert same(model, twin)
    assert (twin.classes, twin.mean, twin.std) == (["0"], 0.1, 0.3)


# where the file goes


def test_paths_of_all_kinds_work_and_nothing_else_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = LinearModel()
    for path in ("plain", Path("nested") / "model.pth", str(tmp_path / "whole.pth")):
        Path(path).parent.mkdir(exist_ok=True)
        for _ in range(2):
            save_model(model, path)
        assert same(load_model(path), model)
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"plain", "nested", "model.pth", "whole.pth"}
    # a link stays a link, and leads to the new file
    target, link = tmp_path / "nested" / "run 3.pth", tmp_path / "latest.pth"
    link.symlink_to(target)
    for model in (LinearModel(), LinearModel()):  # first without a file, then with one
        save_model(model, link)
        assert link.is_symlink()
        assert same(load_model(target), model)


@pytest.mark.parametrize("where", ["write_bytes", "replace"])
@pytest.mark.parametrize("before", [True, False], ids=["old file", "no old file"])
def test_a_full_disk_leaves_the_old_file_whole(file, monkeypatch, where, before):
    old = LinearModel()
    if before:
        save_model(old, file)

    def fail(path, *_):
        assert path.parent == file.parent  # a rename within one disk is atomic
        with path.open("wb") as half:
            half.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, where, fail)
    with pytest.raises(OSError, match=f"Cannot save {file}: No space left") as caught:
        save_model(LinearModel(), file)
    assert caught.value.errno == errno.ENOSPC
    assert list(file.parent.iterdir()) == ([file] if before else [])
    if before:
        assert same(load_model(file), old)


@pytest.mark.parametrize("kind", ["mkdir", "mkfifo", "missing"])
def test_a_place_that_is_no_file_stays_and_is_named(tmp_path, kind):
    path = tmp_path / ("no/model" if kind == "missing" else "model")
    if kind != "missing":
        getattr(os, kind)(path)
    with pytest.raises(OSError, match="Cannot save"):
        save_model(LinearModel(), path)
    assert not path.is_file()
    assert len(list(tmp_path.iterdir())) == (kind != "missing")


def test_only_models_built_with_plain_values_can_be_saved(file):
    for model in (nn.Linear(3, 3), None, LinearModel):
        with pytest.raises(TypeError, match="should be derived from DigitClassifier"):
            save_model(model, file)
    for note in (lambda: None, nn.ReLU, Path("x")):
        with pytest.raises(ValueError, match=r"Own was built with .* plain values"):
            save_model(Own(note=note), file)
    assert list(file.parent.iterdir()) == []
    note = {"text": ["a", 1, 2.5, None, True, (1, 2)], "more": {"deep": [[]]}}
    save_model(Own(note=note), file)
    assert load_model(file, Own).arguments["note"] == note


# files that are something else


def test_a_missing_file_noise_a_cut_a_changed_byte_and_a_folder_are_named(
    file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load_model("model.pth")
    assert f"There is no model file {file}." in str(caught.value)
    save_model(MLP((64,)), file)
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(changed) // 2] ^= 1
    cuts = [whole[: int(len(whole) * share)] for share in (0.01, 0.5, 0.99)]
    noise = [b"", b"\0" * 1000, os.urandom(3000), b"PK\x03\x04" + b"x" * 500, b"# hi\n"]
    for content in (*noise, *cuts, bytes(changed)):
        file.write_bytes(content)
        refused(file, "is not a model file, or it is damaged")
    refused(tmp_path, "is not a model file")


def test_a_file_with_code_is_refused_and_the_code_not_run(tmp_path, file):
    trace = tmp_path / "trace"
    content = {"format": FORMAT, "weights": Payload(trace)}
    torch.save(content, file)
    refused(file, "holds code, .*Nothing in it was run")
    file.write_bytes(pickle.dumps(content))
    refused(file, "model file")
    assert not trace.exists()
    # the payload works: only load_model's care kept it from being run
    pickle.loads(pickle.dumps(content))
    assert trace.read_text() == "run"
    torch.save(LinearModel(), file)
    refused(file, r"holds code, .*torch.save\(model, path\)")
    # other files of torch hold none
    for content in (LinearModel().state_dict(), [1, 2], {"format": "version 2"}):
        torch.save(content, file)
        refused(file, "was not written by save_model.*load_state_dict")


# files of other models


def test_a_class_that_the_package_does_not_know_must_be_given(file):
    save_model(Own(), file)
    refused(file, r"a class of your own.*load_model\(path, model_class=Own\)")
    assert type(load_model(file, model_class=Own)) is Own
    content = torch.load(file, weights_only=True) | {"class": "os.system"}
    torch.save(content, file)  # a class named in a file is never looked up
    refused(file, "model_class=system")


def test_what_does_not_fit_the_class_is_named(file):
    save_model(Silent(5), file)
    refused(file, r"Silent.*super\(\).__init__\(name=value", Silent)
    save_model(LinearModel(), file)
    refused(file, "does not fit MLP", MLP)
    content = torch.load(file, weights_only=True)
    torch.save(content | {"arguments": {"num_classes": 3}}, file)
    refused(file, "size mismatch for linear.weight")
    del content["weights"]["linear.bias"]
    torch.save(content, file)
    refused(file, "(?s)does not fit LinearModel.*linear.bias")
