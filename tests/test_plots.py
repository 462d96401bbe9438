"""That pictures show what they are given, and say so in words."""

import html
import inspect
import io
import math
import re
import warnings

import matplotlib as mpl
import optuna
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from optuna.distributions import CategoricalDistribution, FloatDistribution
from PIL import Image

from mnist_lessons import plots
from mnist_lessons.history import History, Score
from mnist_lessons.plots.picture import BLUE, ORANGE
from mnist_lessons.tuning import pictures

IMAGES = torch.arange(3 * 784.0).reshape(3, 1, 28, 28)
RECORD = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.85, "lr": 0.1}
RECORD |= {"seconds": 1, "valid_loss": 0.4, "valid_accuracy": 0.9}
POINTS = torch.tensor([[0.0, 0.0], [0.2, 1.0], [0.5, 0.5]])
RUN = History([RECORD])
RUNG = plots.Rung("linear", Score(0.3, 0.92, 9_200, 10_000), 7_850, 0.25)
BETTER = plots.Rung("cnn", Score(0.03, 0.997, 9_970, 10_000), 80_000, 9.0)
FITTED = {"train_loss": [1.0, 0.1], "valid_loss": [1.1, 0.4]}
FITTED |= {"train_accuracy": [0.6, 0.98], "valid_accuracy": [0.55, 0.9]}
KINDS = {"lr": FloatDistribution(0.001, 10, log=True)}
KINDS["optimizer"] = CategoricalDistribution(["sgd", "adam"])


def a_study(finished=6, pruned=2):
    """The accuracy follows from the learning rate alone, and "adam" is never best."""
    study = optuna.create_study(direction="maximize")
    for number in range(finished + pruned):
        lr, optimizer = 0.001 * 10 ** (number / 3), ["sgd", "adam"][number % 2]
        study.enqueue_trial({"lr": lr, "optimizer": optimizer})
        trial, accuracy = study.ask(KINDS), 0.9 + 0.01 * (4 - abs(number - 4))
        trial.report(accuracy - 0.05, step=1)
        if number < finished:
            study.tell(trial, accuracy)
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return study


def quarter_turn():
    """Places for an image that is turned by 90 degrees: x from -y, y from x."""
    matrix = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    return F.affine_grid(matrix, [1, 1, 28, 28], align_corners=False)[0]


EVERY = {
    "digits": lambda: plots.digits(IMAGES, [3, 1, 4], [3, 7, 4]),
    "pixels": lambda: plots.pixels(torch.arange(784).reshape(28, 28) % 256),
    "places": lambda: plots.places(IMAGES[0], quarter_turn()),
    "value_ranges": lambda: plots.value_ranges({"A": IMAGES[0], "B": IMAGES[0] / 2}),
    "templates": lambda: plots.templates(torch.linspace(-3, 1.5, 1568).reshape(2, 784)),
    "bars": lambda: plots.bars({"logits": torch.arange(10.0)}, highlight=3),
    "curves": lambda: plots.curves(
        {'"slow"': [0.5, 0.75], "<fast>": [0.8, 0.9]}, xlabel="epoch", ylabel="loss"
    ),
    "scatter": lambda: plots.scatter(
        {"grid": ([1, 1, 2], [0.5, 0.75, 0.9]), "random": ([1, 2], [0.8, 0.7])},
        xlabel=["rate", "rate"],
        ylabel="accuracy",
    ),
    "history": lambda: plots.history(RUN),
    "runs": lambda: plots.runs(
        {"A": RUN, "B": History([RECORD | {"train_loss": 4.0}])}
    ),
    "spread": lambda: plots.spread(
        {"a": [Score(0.3, 0.9, 90, 100), Score(0.5, 0.8, 80, 100)]}
    ),
    "confusion": lambda: plots.confusion(
        torch.tensor([3, 1, 4, 4, 4]), torch.tensor([3, 7, 9, 9, 4])
    ),
    "maps": lambda: plots.maps(torch.arange(-24.0, 24.0).reshape(2, 4, 6), ["a", "b"]),
    "ladder": lambda: plots.ladder([RUNG, BETTER]),
    "histograms": lambda: plots.histograms(
        {"0": torch.arange(101.0), "1": torch.full((9,), 50.0)}, "ink"
    ),
    "broadcasting": lambda: plots.broadcasting(
        torch.tensor([[3.0], [8.0]]), torch.tensor([1.0, 5.0, 9.0]), ["a", "b", "a - b"]
    ),
    "descent": lambda: plots.descent(0.25, start=-0.8, steps=2),
    "units": lambda: plots.units(
        torch.arange(3 * 784.0).reshape(3, 784), IMAGES, torch.rand(3, 3), most=2
    ),
    "boundary": lambda: plots.boundary(
        {"0": POINTS, "1": 1 - POINTS}, lambda p: p[:, 0] - 0.6, ["x", "y"], "a line"
    ),
    "backward": lambda: plots.backward(x=3, w=1, v=-2, target=4),
    "repeated": lambda: plots.repeated(
        {"a": torch.tensor([0.75, 0.5]), "b": torch.tensor([0.25])},
        {"a": 0.5625},
        xlabel="accuracy",
    ),
    "trials": lambda: pictures.trials(a_study()),
    "importances": lambda: pictures.importances(a_study()),
    "parallel": lambda: pictures.parallel(a_study()),
    "batch": lambda: plots.batch(IMAGES / 784, "0 to 3", most=2),
    "learning": lambda: plots.learning(
        {"rate 1": [(5, 2.0), (10, 1.0)], "rate 3": [(5, 3.0), (10, 50.0)]},
        torch.arange(10.0).repeat_interleave(784).reshape(10, 784) / 18,
    ),
    "fitting": lambda: plots.fitting({"wide": FITTED, "narrow": FITTED}, [10, 20]),
    "filtering": lambda: plots.filtering(
        torch.eye(28), torch.linspace(-1, 1, 25).reshape(5, 5), bias=0.5
    ),
    "answer_sheet": lambda: plots.answer_sheet(
        IMAGES, torch.tensor([3, 1, 4]), {"mean": torch.tensor([3, 7, 4])}
    ),
}
ALT = {  # patterns in the words of each
    "digits": "3, 1 read as 7, 4. .* framed",
    "pixels": "4 pixels are 0, .* has 255",
    "places": r"looks from \(26, 1\) to \(26, 25\) in the old one",
    "value_ranges": "A from 0 to 783; B from 0 to 392",
    "templates": "2 templates .*: 0, 1. .*largest weight is 3",
    "bars": "logits: 0 0, .*3 3,",
    "curves": '"slow" from 0.5 to 0.75; <fast> from 0.8 to 0.9',
    "scatter": "grid: 3 dots, the best mean 0.9 at 2; random: 2 .* 0.8 at 1",
    "history": "loss: training from 0.5 to 0.5; .*validation from 0.9 to 0.9",
    "runs": "A: training from 0.5 .* B: training from 4 to 4; validation from 0.4",
    "spread": "a: accuracy 0.8 to 0.9, loss 0.3 to 0.5",
    "confusion": "3 lie off the diagonal.* 4 read as 9, 2 times; 1 read as 7, 1 times",
    "maps": "2 maps of 4 by 6 values: a, b.* from -24 to 23",
    "histograms": "of ink for 2 groups.*: 0 5 to 95, mean 50; 1 50 to 50, mean 50",
    "broadcasting": "table of 2 by 3 differences.* are positions 0, 2",
    "units": "3 hidden units, .* the 2 digits for which its value is largest",
    "boundary": "between 0 and 1. a line. .* 3 of 3 points .* 0 and 2 of 3 .* class 1",
    "backward": "w 1 and v -2, .*: 3, .*y \N{MINUS SIGN}10, v \N{MINUS SIGN}30, .*w 60",
    "descent": "at learning rate 0.25. The weight goes through -0.8, -0.4, -0.2",
    "repeated": "a 0.5 to 0.75, mean 0.625, the run just made 0.562; b 0.25 to 0.25",
    "ladder": "linear: 92.00% with 7,850 numbers, 0.25 seconds; cnn: 99.70%",
    "trials": "Finished: 6, from 90.00% to 94.00%, which trial 4 reached; cut short: 2",
    "importances": r"From 6 finished trials: lr \d+%, optimizer \d+%",
    "parallel": "94.00% right, has lr 0.022, optimizer sgd",
    "batch": "A batch of 3 digits, 0 to 3, .* from 0 to 3, mean 1.50",
    "learning": "rate 1: from 2 to 1; rate 3: from 3 to 50.* largest weight is 0.5",
    "fitting": "narrow: at the end loss 0.1 on training, 0.4 on validation",
    "filtering": "5 by 5 weights.* from -0.5 to 1.5; 85% of it is above 0",
    "answer_sheet": "mean has 2 right",
}


def axes_of(name):
    return EVERY[name]().figure.axes


def points(line):
    return list(zip(*line.get_data(), strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_is_a_png_with_alt_text_and_one_plain_sentence(name):
    before = dict(mpl.rcParams)
    picture = EVERY[name]()
    assert dict(mpl.rcParams) == before
    data, about = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(data["image/png"]))
    width, height = about["image/png"]["width"], about["image/png"]["height"]
    assert image.width / image.height == pytest.approx(width / height, rel=0.02)
    assert image.width > width  # sharp on screens with small pixels
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)  # in the dark, too
    assert about["image/png"]["alt"] == picture.alt
    (alt,) = re.findall(r'^<img alt="([^"<>]*)"', data["text/html"])
    assert html.unescape(alt) == picture.alt
    assert re.search(ALT[name], picture.alt)
    assert picture.alt.endswith(".")
    assert data["text/plain"] == repr(picture)
    assert repr(picture)[len("<picture: ") : -1] in picture.alt


def test_every_drawing_function_is_tested_here():
    drawing = {name for name, what in vars(plots).items() if inspect.isfunction(what)}
    drawing -= {"rung", "first_rungs"}  # which measure what `ladder` draws
    assert set(EVERY) == set(ALT) == drawing | {"trials", "importances", "parallel"}


def test_fewer_colours_change_none_visibly_and_a_file_can_be_written(tmp_path):
    picture = EVERY["templates"]()
    picture.figure.set_layout_engine("none")  # it shifts things at each drawing
    stored = io.BytesIO(picture._repr_mimebundle_()[0]["image/png"])
    picture.save(tmp_path / "drawn.png")
    before, after = (
        torch.tensor(list(Image.open(file).convert("RGB").tobytes()))
        for file in (tmp_path / "drawn.png", stored)
    )
    assert (before - after).abs().max() <= 8  # of 255


# charts


def test_a_scatter_draws_every_dot_by_its_error_and_a_bar_at_each_mean():
    left, right = axes_of("scatter")
    dots, bars = left.lines
    assert points(dots) == [(1, 0.5), (1, 0.25), (2, pytest.approx(0.1))]
    assert points(bars) == [(1, pytest.approx(0.375)), (2, pytest.approx(0.1))]
    assert points(right.lines[1]) == [(1, pytest.approx(0.2)), (2, pytest.approx(0.3))]
    assert left.get_yscale() == "log"
    assert left.get_xlim() == right.get_xlim()  # one label, one range
    assert left.get_ylim()[0] > left.get_ylim()[1]  # few errors on top
    groups = {"a": ([1e-4, 1], [0.5, 0.9]), "b": ([0.1, 0.5], [0.5, 0.9])}
    look = {"xlabel": ["rate", "dropout"], "ylabel": "accuracy", "logx": [True, False]}
    left, right = plots.scatter(groups, **look).figure.axes
    assert (left.get_xscale(), right.get_xscale()) == ("log", "linear")
    assert right.get_xlim()[0] > 0.05  # another label, a range of its own


def test_every_range_of_accuracies_has_three_ticks_or_more():
    for accuracies in [(0.878, 0.928), (0.9975, 0.998), (0.1, 0.99), (1.0, 0.9)]:
        dots = {"a": ([1, 2], accuracies)}
        axis = plots.scatter(dots, xlabel=["rate"], ylabel="accuracy").figure.axes[0]
        bottom, top = axis.get_ylim()
        assert top > 0
        assert all(top < error < bottom for error in axis.lines[0].get_ydata())
        ticks = [tick for tick in axis.get_yticks() if top <= tick <= bottom]
        assert len(ticks) >= 3
        assert len({tick.get_text() for tick in axis.get_yticklabels()}) >= 3


def test_histograms_share_their_axes_and_mark_the_means():
    first, second = axes_of("histograms")
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    assert [axis.get_ylabel() for axis in (first, second)] == ["0", "1"]
    assert first.lines[0].get_xdata()[0] == 50
    assert sum(bar.get_height() for bar in first.patches) == 101
    (skewed,) = plots.histograms({"0": torch.tensor([0.0, 0, 9])}, "ink").figure.axes
    assert skewed.lines[0].get_xdata()[0] == 3  # not the median
    look = {"height": 0.9, "xlim": (-10, 110), "marks": {"half": 50.5}}
    picture = plots.histograms({"0": torch.arange(101.0)}, "ink", **look)
    (axis,) = picture.figure.axes
    assert (axis.get_xlim(), axis.texts[0].get_text()) == ((-10, 110), "half")
    assert [line.get_xdata()[0] for line in axis.lines] == [50, 50.5]
    assert picture.figure.get_size_inches()[1] == pytest.approx(0.9)
    assert "half marks 50.5" in picture.alt


def test_bars_can_share_one_scale():
    for share in (True, False):
        picture = plots.bars({"a": [0.1], "b": [0.4]}, sharey=share)
        first, second = picture.figure.axes
        assert (first.get_ylim() == second.get_ylim()) == share


def test_broadcasting_shows_every_number_and_frames_the_nearest():
    column, row, result = axes_of("broadcasting")
    written = [[text.get_text() for text in axis.texts] for axis in (column, row)]
    assert written == [["3", "8", "\N{MINUS SIGN}"], [*"159159", "="]]
    texts = [text.get_text() for text in result.texts]
    assert texts == ["2", "-2", "-6", "7", "3", "-1", ""]
    assert [axis.get_title() for axis in (column, row, result)] == [
        "a\n(2, 1)",
        "b\n(3,)",
        "a - b\n(2, 3)",
    ]
    boxes = [(int(box.get_x()), int(box.get_y())) for box in result.patches]
    assert boxes == [(0, 0), (2, 1)]


def test_a_unit_stands_beside_its_digits_the_largest_value_first():
    weights = torch.zeros(3, 784)
    weights[1, 0] = -2
    values = torch.tensor([[0.0, 5, 1], [2, 7, 0], [1, 6, 2]])
    axes = plots.units(weights, IMAGES, values, most=2).figure.axes
    pictures = [axis.images[0].get_array() for axis in axes[:6]]
    assert pictures[2][0, 0] == -2  # the weights of the second unit
    strip = torch.as_tensor(pictures[3])
    expected = torch.cat([IMAGES[1].reshape(28, 28), IMAGES[2].reshape(28, 28)], dim=1)
    assert torch.equal(strip, expected.to(strip.dtype))
    assert not axes[6].axison  # three units leave a place empty
    assert not axes[7].axison


def test_a_boundary_is_where_the_model_cannot_decide():
    (axis,) = axes_of("boundary")
    (line,) = [c for c in axis.collections if hasattr(c, "levels")]
    ((xs, _),) = [path.vertices.T for path in line.get_paths()]
    assert len(xs) > 2
    assert xs == pytest.approx(0.6, abs=0.01)
    (sides,) = [c for c in axis.collections if not hasattr(c, "levels")]
    sides = sides.get_array().reshape(160, 160)  # by y, then by x: is it the second's?
    assert not sides[:, 0].any()
    assert sides[:, -1].all()
    everywhere = plots.boundary(
        {"0": POINTS, "1": POINTS}, lambda p: p[:, 0] + 1, ["x", "y"], "no line"
    )
    assert "0 of 3 points of class 0 and 3 of 3" in everywhere.alt
    assert not [
        c for c in everywhere.figure.axes[0].collections if hasattr(c, "levels")
    ]


@pytest.mark.parametrize(
    ("numbers", "slopes"),
    [
        ((2, 0.5, 3, 1), "y 2, v 2, h 6, z 6, w 12"),
        ((2, -0.5, 3, 1), "y -1, v 0, h -3, z 0, w 0"),  # the ReLU is off
        ((3, 1, 2, 4), "y 2, v 6, h 4, z 4, w 12"),
    ],
)
def test_slopes_on_the_way_back_are_those_of_pytorch(numbers, slopes):
    x, w, v, target = (torch.tensor(float(n), requires_grad=True) for n in numbers)
    loss = (v * (w * x).relu() - target) ** 2 / 2
    by_v, by_w = torch.autograd.grad(loss, [v, w])
    picture = plots.backward(*numbers)
    alt = picture.alt.replace("−", "-")
    assert slopes in alt
    assert f"v {by_v + 0.0:g}," in alt
    assert alt.endswith(f"w {by_w + 0.0:g}.")
    # and the same numbers stand in the picture, in orange
    (axis,) = picture.figure.axes
    texts = [
        t for t in axis.texts if t.get_color() == ORANGE and " " not in t.get_text()
    ]
    drawn = sorted(float(text.get_text().replace("−", "-")) for text in texts)
    in_words = [float(part.split()[1]) for part in slopes.split(", ")]
    assert drawn == sorted([*in_words, 1.0])  # 1: the loss's for itself


def test_heights_may_be_spaced_by_their_ratios():
    lines = {"a": [1, 0.001]}
    (axis,) = plots.curves(lines, xlabel="x", ylabel="y", logy=True).figure.axes
    assert axis.get_yscale() == "log"
    low, high = axis.get_ylim()
    assert 1e-4 < low < 0.001 < 1 < high < 10


def test_descent_draws_its_steps_on_the_parabola():
    for rate, factor in ((0.25, 0.5), (0.5, 0), (1.05, -1.1)):
        picture = plots.descent(rate, start=-1.0, steps=3)
        (axis,) = picture.figure.axes
        steps = axis.lines[1].get_xdata()
        assert steps == pytest.approx([-(factor**n) for n in range(4)])
        assert axis.lines[1].get_ydata() == pytest.approx([w**2 for w in steps])
        low, high = axis.get_xlim()
        assert low < min(steps) <= max(steps) < high


def test_a_ladder_shows_the_time_for_an_answer_if_all_have_one():
    both = [RUNG._replace(wait=3e-6), BETTER._replace(wait=0.002)]
    picture = plots.ladder(both)
    *_, last = picture.figure.axes
    assert last.get_xlabel() == "microseconds for an answer"
    assert last.get_xlim()[0] < 3 < 2000 < last.get_xlim()[1]
    assert "0.25 seconds, 3 microseconds an answer; " in picture.alt
    assert len(plots.ladder([both[0], BETTER]).figure.axes) == 2
    # hollow, so that of two markers at one place both are seen
    markers = [line for line in last.lines if line.get_marker() in ("o", "s")]
    assert [line.get_fillstyle() for line in markers] == ["none", "none"]


def test_curves_mark_positions_and_have_ticks_at_whole_or_few_positions():
    lines, marks = {"loss": [2.0, 1.0, 3.0]}, {"A": 0.01, "B": 0.1}
    look = {"xlabel": "rate", "ylabel": "loss"}
    picture = plots.curves(lines, x=[0.01, 0.1, 1], marks=marks, logx=True, **look)
    (axis,) = picture.figure.axes
    assert {text.get_text(): text.get_position()[0] for text in axis.texts} == marks
    assert [line.get_xdata()[0] for line in axis.lines[1:]] == [0.01, 0.1]
    assert "A marks 0.01; B marks 0.1" in picture.alt
    assert [t.get_text() for t in axis.get_xticklabels()] == ["0.01", "0.1", "1"]
    assert axis.get_xscale() == "log"
    lines["other"] = [1.0, 2.0, 1.5]
    for places in ([0, 1, 2], None):
        look["percent"] = places is None
        axis = plots.curves(lines, x=places, ylim=(0, 9), **look).figure.axes[0]
        written = axis.yaxis.get_major_formatter().format_ticks([1.0, 2.0])
        assert written == (["1", "2"] if places else ["100%", "200%"])
        assert [text.get_text() for text in axis.get_legend().texts] == [*lines]
        assert [list(line.get_ydata()) for line in axis.lines] == [*lines.values()]
        assert all(float(tick).is_integer() for tick in axis.get_xticks())
        assert axis.get_ylim() == (0, 9)
        assert list(axis.lines[0].get_xdata()) == (places or [1, 2, 3])


def test_other_runs_of_a_line_are_a_band_of_its_colour_from_least_to_largest():
    other = torch.tensor([[0.5, 0.75], [0.25, 1.0], [0.375, 0.5]])
    lines, look = {"a": [0.3, 0.6], "b": [0, 1]}, {"xlabel": "x", "ylabel": "y"}
    for x, places in ((None, (1, 2)), ([3, 5], (3, 5))):
        picture = plots.curves(lines, x=x, bands={"b": other}, **look)
        (axis,) = picture.figure.axes
        (band,) = axis.collections
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
        first, last = places
        assert corners == {(first, 0.25), (first, 0.5), (last, 0.5), (last, 1.0)}
        colour = to_rgb(axis.lines[1].get_color())
        assert tuple(band.get_facecolor()[0][:3]) == pytest.approx(colour)
        assert "b over 3 other runs at the end 0.5 to 1" in picture.alt


def test_repeated_runs_are_dots_with_a_bar_at_the_mean_and_the_last_a_diamond():
    (axis,) = axes_of("repeated")
    dots, bar, live, other, _ = axis.lines
    assert points(dots) == [(0.75, 0), (0.5, 0)]
    assert points(bar) == [(0.625, 0)]
    assert points(live) == [(0.5625, 0)]
    assert (bar.get_marker(), live.get_marker()) == ("|", "D")
    assert points(other) == [(0.25, 1)]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]


def test_a_history_has_a_line_for_each_kind_of_digits_or_says_why_not():
    without = History([RECORD | {"valid_loss": None, "valid_accuracy": None}])
    assert [len(axis.lines) for axis in plots.history(without).figure.axes] == [1, 1]
    loss, accuracy = RUN.plot().figure.axes
    assert [points(line) for line in loss.lines] == [[(1, 0.5)], [(1, 0.4)]]
    assert [points(line) for line in accuracy.lines] == [[(1, 0.85)], [(1, 0.9)]]
    # the scales of several runs are alike and begin at 0, so that they can be compared
    assert [a.get_ylim() for a in axes_of("runs")] == [(0, pytest.approx(4.2))] * 2
    broken_off = History()
    broken_off.stopped = "The loss became inf."
    with pytest.raises(ValueError, match=r"No epoch was finished.*became inf"):
        plots.history(broken_off)


def test_spread_draws_every_run_and_the_mean_and_writes_no_two_ticks_alike():
    right, loss = axes_of("spread")
    assert points(right.lines[0]) == [(0.9, 0), (0.8, 0)]
    assert points(right.lines[1]) == [(pytest.approx(0.85), 0)]
    assert points(loss.lines[1]) == [(pytest.approx(0.4), 0)]
    for other, shown in ((9_789, "97.80%"), (9_400, "94.0%")):
        scores = [Score(0.1, n / 10_000, n, 10_000) for n in (9_780, other)]
        figure = plots.spread({"a": scores}).figure
        figure.canvas.draw()
        ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
        assert shown in ticks
        assert len(set(ticks)) == len(ticks)


def test_the_ladder_draws_errors_with_their_intervals_and_better_models_higher():
    axis, times = axes_of("ladder")
    container = axis.containers[0]
    assert container[0].get_xydata().tolist() == [[7_850, pytest.approx(0.08)]]
    assert times.containers[1][0].get_xdata().tolist() == [9.0]
    low, high = RUNG.score.interval
    ((bottom, top),) = [s[:, 1] for s in container[2][0].get_segments()]
    assert (bottom, top) == (pytest.approx(1 - high), pytest.approx(1 - low))
    heights = [axis.transData.transform((7_850, 1 - a))[1] for a in (0.92, 0.99)]
    assert heights[0] < heights[1]
    assert axis.get_ylim()[1] < 1 - BETTER.score.interval[1]  # there is room for it
    assert plots.ladder([RUNG]).figure.axes[0].get_ylim() == (1.0, 0.004)


def test_a_confusion_matrix_counts_each_pair_and_shades_mistakes_alone():
    axis = axes_of("confusion")[0]
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert written == {(3, 3): "1", (7, 1): "1", (9, 4): "2", (4, 4): "1"}
    shades = axis.images[0].get_array()
    assert (shades[4, 9], shades[1, 7], shades.sum()) == (2, 1, 3)


def test_the_last_run_stands_out_of_the_fitting_curves():
    for axis in axes_of("fitting"):
        colours = [line.get_color() for line in axis.lines]
        assert colours[2:] == [BLUE, ORANGE]
        assert not {BLUE, ORANGE} & set(colours[:2])
        train, valid = (FITTED[f"{n}_{axis.get_ylabel()}"] for n in ("train", "valid"))
        heights = [list(line.get_ydata()) for line in axis.lines]
        assert heights == [train, valid] * 2
        assert list(axis.lines[0].get_xdata()) == [10, 20]
        labels = [text.get_text() for text in axis.figure.axes[1].get_legend().texts]
        assert labels == ["the run before", "training", "validation"]


def test_what_is_missing_or_not_finite_is_drawn_all_the_same():
    nothing = {name: [] for name in FITTED}
    assert "wide: no loss" in plots.fitting({"wide": nothing}, [10, 20]).alt
    broken = {**FITTED, "train_loss": [math.inf, 1.0], "valid_loss": [math.nan, 2.0]}
    loss, accuracy = plots.fitting({"wide": broken}, [10, 20]).figure.axes
    assert loss.get_ylim() == (0, pytest.approx(2.1))
    assert accuracy.get_ylim() == (pytest.approx(0.5), 1.01)
    weights = torch.full((10, 784), math.nan)
    title = plots.learning({"a": [(1, 1.0)]}, weights).figure.axes[1].get_title()
    assert "nan" not in title


def test_bars_are_as_high_as_their_values_and_the_marked_one_is_hatched():
    bars = axes_of("bars")[0].patches
    assert [bar.get_height() for bar in bars] == list(range(10))
    assert [bool(bar.get_hatch()) for bar in bars] == [i == 3 for i in range(10)]
    assert bars[3].get_facecolor() != bars[2].get_facecolor()


# digits, weights, maps


def test_a_wrong_answer_is_framed_and_not_marked_by_colour_alone():
    axes = axes_of("digits")
    framed = [axis.spines["left"].get_visible() for axis in axes]
    assert framed == [False, True, False]
    assert [axis.get_title() for axis in axes] == ["3", "1 read as 7", "4"]
    assert axes[1].spines["left"].get_edgecolor()[:3] == mpl.colors.to_rgb(ORANGE)
    sheet = axes_of("answer_sheet")[0].texts
    assert [t.get_text() for t in sheet if t.get_bbox_patch()] == ["7"]


def test_titles_have_room_and_what_is_no_digit_is_refused_by_its_shape():
    one, two = (
        plots.digits(IMAGES, titles=[title] * 3).figure.get_size_inches()[1]
        for title in ("7 (99%)", "7 (99%)\nnot 4")
    )
    assert two > one + 0.2
    with pytest.raises(ValueError, match=r"784 pixels; a tensor of shape \(3, 10\)"):
        plots.digits(torch.zeros(3, 10))


def test_values_of_opposite_sign_get_opposite_ends_of_one_scale():
    limits = {axis.images[0].get_clim() for axis in axes_of("templates")[:2]}
    assert limits == {(-3.0, 3.0)}
    values = torch.tensor([[[-1.0, 0.0]], [[2.0, 3.0]]])
    signed, plain = (
        [axis.images[0].get_clim() for axis in plots.maps(values, signed=s).figure.axes]
        for s in (True, False)
    )
    assert signed == [(-3.0, 3.0)] * 2
    assert plain == [(-1.0, 0.0), (2.0, 3.0)]


def test_every_pixel_is_written_where_it_is():
    written = {t.get_position(): t.get_text() for t in axes_of("pixels")[0].texts}
    assert (len(written), written[5, 0], written[0, 5]) == (784, "5", "140")


def test_places_are_drawn_where_each_pixel_looks():
    image = torch.arange(784.0).reshape(28, 28)
    old, new = plots.places(image, quarter_turn()).figure.axes
    shown = [torch.as_tensor(axis.images[0].get_array()) for axis in (old, new)]
    assert torch.equal(shown[0], image)
    torch.testing.assert_close(shown[1], image.rot90())
    for axis in (old, new):  # the first row as squares, all others as dots
        assert [line.get_marker() for line in axis.lines] == ["s", "."]
        assert [len(line.get_xdata()) for line in axis.lines] == [9, 72]
    looks_at = zip(*old.lines[0].get_data(), *new.lines[0].get_data(), strict=True)
    for x, y, new_x, new_y in looks_at:
        assert (x, y) == pytest.approx((27 - new_y, new_x), abs=1e-4)


def test_a_batch_is_drawn_on_one_scale_whatever_its_values():
    for value in (0.5, 3.0):
        images = torch.full((4, 1, 28, 28), value)
        sheet, histogram = plots.batch(images, "").figure.axes
        assert list(histogram.lines[0].get_xdata()) == [value] * 2
        assert sheet.images[0].get_clim() == (-1, 3)
    assert sheet.images[0].get_array().shape == (2 * 28, 3 * 28)
    assert sheet.images[0].get_array().count() == 4 * 784  # the rest stays empty


def test_a_filtered_digit_is_what_pytorch_computes():
    image, kernel = torch.rand(28, 28), torch.randn(5, 5)
    axes = plots.filtering(image, kernel, bias=0.1).figure.axes
    bias = torch.tensor([0.1])
    expected = torch.conv2d(image[None, None], kernel[None, None], bias)[0, 0]
    assert torch.allclose(torch.tensor(axes[2].images[0].get_array()), expected)
    assert torch.allclose(torch.tensor(axes[3].images[0].get_array()), expected.relu())
    assert axes[1].texts[1].get_text() == f"{kernel[0, 1]:.2g}"
    assert axes[1].texts[1].get_position() == (1, 0)


def test_templates_of_a_run_stand_in_rows_by_their_names():
    left, right = axes_of("learning")[:2]
    sheet = torch.tensor(right.images[0].get_array())[::28, ::28] * 18
    assert torch.allclose(sheet, torch.arange(10.0).view(2, 5))
    assert [line.get_linestyle() for line in left.lines[:2]] == ["--", "-"]
    assert left.lines[1].get_color() == BLUE
    names = ["cat", "dog", "emu", "fox", "gnu", "hen", "ibex"]
    picture = plots.learning({"a": [(1, 3.0)]}, torch.ones(7, 784), names)
    left, right = picture.figure.axes[:2]
    assert [text.get_text() for text in right.texts] == names
    assert right.images[0].get_array().shape == (56, 140)
    assert left.lines[1].get_ydata()[0] == pytest.approx(math.log(7))  # blind guessing


# pictures of a search


@pytest.mark.parametrize("name", ["trials", "importances", "parallel"])
def test_a_study_is_drawn_the_same_again_or_refused_where_nothing_can_be_compared(name):
    draw = getattr(pictures, name)
    with warnings.catch_warnings(action="error"):
        assert draw(a_study()).alt == draw(a_study()).alt
        if name != "importances":  # two equal trials are enough
            study = a_study(finished=1, pruned=0)
            study.add_trial(study.trials[0])
            draw(study)._repr_mimebundle_()
    for finished, pruned in ((0, 0), (1, 1), (0, 3)):
        words = rf"{finished} finished trials \(of {finished + pruned}; {pruned} were"
        with pytest.raises(ValueError, match=words):
            draw(a_study(finished, pruned))


def test_the_picture_of_the_trials_shows_each_and_the_best_so_far():
    (axis,) = axes_of("trials")
    so_far, finished, pruned = axis.lines
    for line, numbers, errors in (
        (finished, range(6), [0.1, 0.09, 0.08, 0.07, 0.06, 0.07]),
        (pruned, (6, 7), [0.13, 0.14]),
        (so_far, (*range(6), 7), [0.1, 0.09, 0.08, 0.07, 0.06, 0.06, 0.06]),
    ):
        assert list(line.get_xdata()) == list(numbers)
        assert list(line.get_ydata()) == pytest.approx(errors)
    low, high = axis.get_ylim()  # errors, so the better ones are on top
    assert low > 0.14 > 0.06 > high
    looks = [(line.get_label(), line.get_marker()) for line in axis.lines]
    assert looks == [("best so far", "None"), ("finished", "o"), ("pruned", "x")]
    assert finished.get_color() == BLUE != pruned.get_color()
    assert so_far.get_drawstyle() == "steps-post"  # a step where the trial stands
    # where it was cut short, and up to there goes the best so far
    study, state = a_study(2, 0), optuna.trial.TrialState.PRUNED
    reports = {1: 0.5, 2: 0.7}
    study.add_trial(optuna.trial.create_trial(state=state, intermediate_values=reports))
    so_far, _, pruned = pictures.trials(study).figure.axes[0].lines
    assert pruned.get_xydata().tolist() == [[2, pytest.approx(0.3)]]
    assert so_far.get_xdata()[-1] == 2


def test_each_finished_trial_is_a_line_and_the_best_one_is_thickest():
    (axis,) = axes_of("parallel")
    lines = [line for line in axis.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 6
    *others, best = sorted(lines, key=lambda line: line.get_linewidth())
    assert [line.get_linewidth() for line in lines] == [1.2] * 5 + [4]
    # on the right as many times fewer errors stand as far apart; 9 % or more at 0
    rises = [max(0, math.log(0.09 / e, 1.5)) for e in (0.1, 0.09, 0.08, 0.07, 0.07)]
    assert [line.get_ydata()[-1] for line in others] == pytest.approx(rises)
    # the lowest rate stands at 0, the highest at 1, as far apart as their ratios
    assert list(best.get_ydata()) == pytest.approx([0.8, 0.75, 1.0])
    written = [text.get_text() for text in axis.texts]
    assert written[:5] == ["0.001", "0.0068", "0.046", "adam", "sgd"]
    assert written[5:] == ["91.00%\nor less", "94.00%"]
    assert [text.get_position()[1] for text in axis.texts[5:]] == [0, 1]
    (legend,) = axis.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["best", "others"]
    colors = [line.get_color() for line in legend.get_lines()]
    assert colors == [best.get_color(), others[0].get_color()]
    # a trial that did not choose the optimizer has a gap there
    study = a_study()
    chosen = {"params": {"lr": 0.1}, "distributions": {"lr": KINDS["lr"]}}
    study.add_trial(optuna.trial.create_trial(**chosen, value=0.99))
    picture = pictures.parallel(study)
    assert picture.alt.endswith("99.00% right, has lr 0.1.")
    assert math.isnan(picture.figure.axes[0].lines[-2].get_ydata()[1])


def test_the_importances_are_bars_in_order():
    (axis,) = axes_of("importances")
    lr, optimizer = (bar.get_width() for bar in axis.patches)
    assert lr > optimizer
    assert lr + optimizer == pytest.approx(1)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["lr", "optimizer"]
    assert axis.yaxis_inverted()  # the first one on top
    percent = [f"{bar.get_width():.0%}" for bar in axis.patches]
    assert [text.get_text() for text in axis.texts] == percent


def test_few_sizes_stand_evenly_and_many_numbers_as_they_were_drawn():
    for values, log, ticks, places in [
        ([256, 64, 100], False, [64, 100, 256], [1 / 6, 1 / 2, 5 / 6]),
        ([1, 2, 3, 5, 10], False, [1, 6, 10], [0, 5 / 9, 1]),
        ([0.01, 0.02, 0.1, 0.5, 1.0], True, [0.01, 0.1, 1], [0, 0.5, 1]),
    ]:
        place, written = pictures._scale(values, log)
        assert written == pytest.approx(ticks)
        assert [place(value) for value in ticks] == pytest.approx(places)


def test_rungs_score_answers_and_time_them(some, monkeypatch):
    loader = some(600)
    labels = loader.dataset.labels
    clock = iter([10.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    known = plots.rung("oracle", lambda images: labels.clone(), loader, 3, 0.5)
    assert (known.name, known.parameters, known.seconds) == ("oracle", 3, 0.5)
    assert known.score.correct == known.score.count == 600
    assert known.wait == 3 / 600  # for one answer


def test_the_models_of_lesson_1_are_measured_anew(some):
    train, valid = some(600), some(300, start=600)
    ink, mean, stored = plots.first_rungs(train, valid)
    x, y = train.dataset.images.flatten(1), train.dataset.labels
    new, true = valid.dataset.images.flatten(1), valid.dataset.labels
    means = torch.stack([x[y == k].mean(dim=0) for k in range(10)])
    inks, new_ink = means.mean(dim=1, keepdim=True), new.mean(dim=1, keepdim=True)
    expected = [
        torch.cdist(new_ink, inks).argmin(dim=1),
        torch.cdist(new, means).argmin(dim=1),
        y[torch.cdist(new, x).argmin(dim=1)],
    ]
    for rung, answers in zip((ink, mean, stored), expected, strict=True):
        assert abs(rung.score.correct - int((answers == true).sum())) <= 1  # rounding
        assert rung.wait > 0
    assert [rung.parameters for rung in (ink, mean, stored)] == [10, 7_840, 470_400]
    assert stored.name == "600 stored"
    assert stored.score.accuracy > mean.score.accuracy > ink.score.accuracy
