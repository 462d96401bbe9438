"""The chart that `fit` redraws while it trains."""

import types
import warnings

import pytest

from mnist_lessons import LinearModel, fit
from mnist_lessons.history import Recorder
from mnist_lessons.plots import live
from mnist_lessons.plots.live import LiveChart

SCORES = ("loss", "accuracy")


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that were shown, the first as "new", the later ones as "again"."""
    shown = []

    def display(bundle, metadata, raw, display_id):
        assert raw
        assert display_id
        shown.append(("new", bundle, metadata))
        return types.SimpleNamespace(
            update=lambda bundle, metadata, raw: shown.append(
                ("again", bundle, metadata)
            )
        )

    monkeypatch.setattr(live, "display", display)
    monkeypatch.setattr(live, "get_ipython", lambda: types.SimpleNamespace(kernel=True))
    return shown


def alt_of(entry):
    return entry[2]["image/png"]["alt"]


def train(some, **options):
    settings = {"epochs": 2, "lr": 0.01, "progress": False, "live": True}
    return fit(LinearModel(), some(), some(64), **(settings | options))


def test_the_chart_is_drawn_in_one_place_and_ends_with_the_whole_run(some, drawn):
    history = train(some)
    assert [kind for kind, *_ in drawn][0] == "new"
    assert all(kind == "again" for kind, *_ in drawn[1:])
    assert f"to {history['valid_loss'][-1]:.3g}" in alt_of(drawn[-1])
    assert "validation accuracy" in alt_of(drawn[-1])
    texts = {bundle["text/plain"] for _, bundle, _ in drawn}
    assert texts == {"<live chart of loss and accuracy>"}
    assert all(bundle["image/png"][:4] == b"\x89PNG" for _, bundle, _ in drawn)


def test_it_is_drawn_while_training_goes_on(some, drawn, monkeypatch):
    monkeypatch.setattr(live, "GUESS", 0)
    monkeypatch.setattr(live, "SHARE", 1e9)  # draw at every point
    train(some)
    assert len(drawn) == 20 + 1  # ten batches an epoch, and the end
    assert "validation" not in alt_of(drawn[5])


@pytest.fixture
def clock(monkeypatch):
    """A clock that only a drawing moves, by half a second, and the test itself."""
    now = [0.0]
    monkeypatch.setattr(live.time, "perf_counter", lambda: now[0])
    real = live.draw_live

    def slow(*arguments):
        now[0] += 0.5
        return real(*arguments)

    monkeypatch.setattr(live, "draw_live", slow)
    return now


@pytest.mark.parametrize("seconds", [12, 20, 60])
def test_drawing_stays_below_a_tenth_of_the_time(seconds, drawn, clock):
    chart = LiveChart(epochs=1, batches=2_000)
    for _ in range(2_000):
        clock[0] += seconds / 2_000  # for a batch
        chart.after_batch(1.0, 0.5)
    chart.draw()
    assert 0.5 * len(drawn) <= max(0.5, 0.1 * clock[0])
    assert 0.5 * len(drawn) >= 0.03 * seconds  # and it is drawn nearly that often


def test_a_short_run_is_drawn_once(drawn, clock):
    chart = LiveChart(epochs=1, batches=20)
    for _ in range(20):
        clock[0] += 0.1
        chart.after_batch(1.0, 0.5)
    assert drawn == []
    chart.draw()
    assert len(drawn) == 1


def test_a_point_is_the_mean_of_the_batches_since_the_one_before(monkeypatch, drawn):
    curves = {}
    real = live.draw_live
    monkeypatch.setattr(
        live,
        "draw_live",
        lambda known, epochs: curves.update(known) or real(known, epochs),
    )
    chart = LiveChart(epochs=2, batches=40)
    for batch in range(80):
        chart.after_batch(float(batch), None if batch < 2 else batch / 100)
    chart.draw()
    points = curves["training loss"]
    assert len(points) == 40  # 20 an epoch, each of two batches
    assert points[0] == (0.05, 0.5)
    assert points[1] == (0.1, 2.5)
    assert points[-1] == (2.0, 78.5)
    shares = curves["training accuracy"]
    assert len(shares) == 39  # not known in the first two batches
    assert shares[0] == (0.1, 0.025)


def test_the_axis_reaches_to_the_last_epoch_from_the_start():
    curves = {f"{p} {v}": [] for p in ("training", "validation") for v in SCORES}
    curves["training loss"] = [(0.1, 1.0)]
    with warnings.catch_warnings(action="error"):  # a legend without names warns
        axes = live.draw_live(curves, 5).figure.axes
    assert [axis.get_xlim() for axis in axes] == [(0, 5), (0, 5)]


def test_without_a_notebook_nothing_is_drawn(some, drawn, monkeypatch, capsys):
    monkeypatch.setattr(live, "get_ipython", lambda: None)
    assert len(train(some)) == 2
    assert drawn == []
    assert capsys.readouterr().out == ""


def test_without_being_asked_nothing_is_drawn(some, drawn):
    train(some, live=False)
    assert drawn == []


def test_a_run_that_is_broken_off_shows_what_there_was(some, drawn, capsys):
    def stop(_):
        raise KeyboardInterrupt

    history = train(some, on_epoch_end=stop)
    assert history.by_hand
    assert "training loss" in alt_of(drawn[-1])
    assert "Stopped by hand" in capsys.readouterr().out


def test_what_stopped_the_run_is_known_even_if_the_last_drawing_fails(
    some, drawn, monkeypatch
):
    reached = []

    def stop(_):
        reached.append(recorder_of.history)
        raise KeyboardInterrupt

    real = Recorder.__enter__

    def enter(recorder):
        nonlocal recorder_of
        recorder_of = recorder
        return real(recorder)

    recorder_of = None
    monkeypatch.setattr(Recorder, "__enter__", enter)
    monkeypatch.setattr(live, "draw_live", None)
    with pytest.raises(TypeError):
        train(some, on_epoch_end=stop)
    assert "Stopped by hand" in reached[0].stopped


def test_the_chart_does_not_change_what_is_learned(some, drawn):
    import torch

    models = []
    for is_live in (True, False):
        torch.manual_seed(0)
        models.append(LinearModel())
        fit(models[-1], some(), epochs=1, lr=0.1, progress=False, live=is_live)
    assert torch.equal(models[0].linear.weight, models[1].linear.weight)


def test_without_validation_digits_there_is_one_line(some, drawn):
    fit(LinearModel(), some(), epochs=1, lr=0.1, progress=False, live=True)
    assert "validation" not in alt_of(drawn[-1])
    assert "training accuracy" in alt_of(drawn[-1])
