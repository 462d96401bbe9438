"""The chart that `fit` redraws while it trains."""

import types

import pytest

from mnist_lessons import LinearModel, fit, live
from mnist_lessons.live import LiveChart


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


def test_drawing_waits_until_it_is_paid_for(monkeypatch, drawn):
    clock = [0.0]
    monkeypatch.setattr(live.time, "perf_counter", lambda: clock[0])
    real = live.draw_live

    def slow(*arguments):
        clock[0] += 0.5  # seconds that one drawing takes
        return real(*arguments)

    monkeypatch.setattr(live, "draw_live", slow)
    chart = LiveChart(epochs=1, batches=2_000)
    for _ in range(2_000):
        clock[0] += 0.01  # seconds for a batch: 20 in all
        chart.after_batch(1.0, 0.5)
    assert 2 <= len(drawn) <= 3
    assert 0.5 * len(drawn) <= 0.1 * 20


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
