"""The chart that `fit` redraws while it trains."""

import types
import warnings

import pytest
import torch

from mnist_lessons import LinearModel, fit
from mnist_lessons.plots import live

CURVES = [f"{p} {v}" for p in ("training", "validation") for v in ("loss", "accuracy")]


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that were shown, the first as "new", the later ones as "again".

    The clock is one that only a drawing moves, by half a second, and `clock.now`.
    """
    shown, curves = [], []
    clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)

    def keep(kind):
        def show(bundle, metadata, raw, display_id=True):
            assert raw
            assert display_id
            assert bundle["text/plain"] == "<live chart of loss and accuracy>"
            assert bundle["image/png"][:4] == b"\x89PNG"
            shown.append((kind, metadata["image/png"]["alt"]))
            return types.SimpleNamespace(update=keep("again"))

        return show

    def slow(points, epochs, draw=live.draw_live):
        clock.now += 0.5
        curves.append({name: list(line) for name, line in points.items()})
        return draw(points, epochs)

    monkeypatch.setattr(live, "draw_live", slow)
    monkeypatch.setattr(live, "display", keep("new"))
    monkeypatch.setattr(live, "get_ipython", lambda: types.SimpleNamespace(kernel=True))
    monkeypatch.setattr(live, "time", clock)
    return types.SimpleNamespace(shown=shown, curves=curves, clock=clock)


def train(some, valid=True, **options):
    torch.manual_seed(0)
    settings = {"epochs": 2, "lr": 0.01, "progress": False, "live": True} | options
    model = LinearModel()
    return model, fit(model, some(), some(64) if valid else None, **settings)


def test_the_chart_is_drawn_in_one_place_and_ends_with_the_whole_run(
    some, drawn, monkeypatch
):
    monkeypatch.setattr(live, "GUESS", -1.0)
    monkeypatch.setattr(live, "SHARE", 1e9)  # draw at every point
    model, history = train(some)
    kinds, alts = zip(*drawn.shown, strict=True)
    assert kinds == ("new", *["again"] * 20)  # ten batches an epoch, and the end
    assert "validation" not in alts[5]
    assert f"to {history['valid_loss'][-1]:.3g}" in alts[-1]
    assert "validation accuracy" in alts[-1]
    monkeypatch.setattr(live, "get_ipython", lambda: None)
    for is_live in (False, True):  # or outside a notebook: nothing is drawn
        undrawn, _ = train(some, live=is_live)
        assert len(drawn.shown) == 21
        assert torch.equal(model.linear.weight, undrawn.linear.weight)


def test_drawing_stays_below_a_tenth_of_the_time(drawn):
    for seconds in (2, 12, 20, 60):
        drawn.shown.clear()
        chart = live.LiveChart(epochs=1, batches=200)
        for _ in range(200):
            drawn.clock.now += seconds / 200  # for a batch
            chart.after_batch(1.0, 0.5)
        chart.draw()
        spent = 0.5 * len(drawn.shown)
        assert spent <= max(0.5, 0.1 * (seconds + spent))
        assert spent >= 0.03 * seconds  # and it is drawn nearly that often


def test_a_point_is_the_mean_of_the_batches_since_the_one_before(drawn):
    chart = live.LiveChart(epochs=2, batches=40)
    for batch in range(80):
        chart.after_batch(float(batch), None if batch < 2 else batch / 100)
    chart.after_epoch({"valid_loss": 0.5, "valid_accuracy": None})
    chart.draw()
    losses, shares, *valid = (drawn.curves[-1][name] for name in CURVES)
    assert len(losses) == 40  # 20 an epoch, each of two batches
    assert losses[:2] + losses[-1:] == [(0.05, 0.5), (0.1, 2.5), (2.0, 78.5)]
    assert len(shares) == 39  # not known in the first two batches
    assert shares[0] == (0.1, 0.025)
    assert valid == [[(2.0, 0.5)], []]


def test_both_charts_reach_to_the_last_epoch_and_draw_what_there_is():
    curves = dict.fromkeys(CURVES, []) | {"training loss": [(0.1, 1.0)]}
    curves["validation loss"] = [(1.0, 0.5), (2.0, 0.4)]
    with warnings.catch_warnings(action="error"):  # a legend without names warns
        picture = live.draw_live(curves, 5)
    assert "validation loss 0.5 to 0.4" in picture.alt
    loss, accuracy = picture.figure.axes
    assert loss.get_xlim() == accuracy.get_xlim() == (0, 5)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert drawn == {"training": [[0.1, 1.0]], "validation": [[1.0, 0.5], [2.0, 0.4]]}
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")


def test_a_run_without_validation_digits_that_is_broken_off_shows_what_there_was(
    some, drawn
):
    def stop(_):
        raise KeyboardInterrupt

    _, history = train(some, valid=False, on_epoch_end=stop)
    assert history.by_hand
    assert "Stopped by hand" in history.stopped
    ((_, alt),) = drawn.shown
    assert "training loss" in alt
    assert "training accuracy" in alt
    assert "validation" not in alt
