"""That pictures show what they are given, and say so in words."""

import io
import math
import re
import warnings

import matplotlib as mpl
import optuna
import pytest
import torch
from PIL import Image

from mnist_lessons import plots
from mnist_lessons.history import History, Score
from mnist_lessons.plots.picture import BLUE, ORANGE
from mnist_lessons.tuning import pictures

IMAGES = torch.arange(3 * 784.0).reshape(3, 1, 28, 28)
RECORD = {
    "epoch": 1,
    "train_loss": 0.5,
    "train_accuracy": 0.85,
    "lr": 0.1,
    "seconds": 1,
}
RUN = History([{**RECORD, "valid_loss": 0.4, "valid_accuracy": 0.9}])
WITHOUT_VALID = History([{**RECORD, "valid_loss": None, "valid_accuracy": None}])
RUNG = plots.Rung("linear", Score(0.3, 0.92, 9_200, 10_000), 7_850, 0.25)


def a_study(finished=6, pruned=2):
    """The accuracy follows from the learning rate alone, and "adam" is never best."""
    study = optuna.create_study(direction="maximize")
    for number in range(finished + pruned):
        params = {
            "lr": 0.001 * 10 ** (number / 3),
            "optimizer": ["sgd", "adam"][number % 2],
        }
        kinds = {
            "lr": optuna.distributions.FloatDistribution(0.001, 10, log=True),
            "optimizer": optuna.distributions.CategoricalDistribution(["sgd", "adam"]),
        }
        accuracy = 0.9 + 0.01 * (4 - abs(number - 4))
        about = {"state": optuna.trial.TrialState.COMPLETE, "value": accuracy}
        if number >= finished:
            about = {"state": optuna.trial.TrialState.PRUNED}
        study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions=kinds,
                intermediate_values={1: accuracy - 0.05},
                **about,
            )
        )
    return study


FITTED = {
    "train_loss": [1.0, 0.1],
    "valid_loss": [1.1, 0.4],
    "train_accuracy": [0.6, 0.98],
    "valid_accuracy": [0.55, 0.9],
}


EVERY = {
    "digits": lambda: plots.digits(IMAGES, [3, 1, 4], [3, 7, 4]),
    "pixels": lambda: plots.pixels(torch.full((28, 28), 7)),
    "value_ranges": lambda: plots.value_ranges({"A": IMAGES[0], "B": IMAGES[0] / 2}),
    "templates": lambda: plots.templates(torch.randn(10, 784)),
    "bars": lambda: plots.bars({"logits": torch.arange(10.0)}, highlight=3),
    "curves": lambda: plots.curves(
        {"slow": [0.5, 0.75], "fast": [0.8, 0.9]}, xlabel="epoch", ylabel="accuracy"
    ),
    "scatter": lambda: plots.scatter(
        {"grid": ([1, 1, 2], [0.5, 0.75, 0.9]), "random": ([1, 2], [0.8, 0.7])},
        xlabel=["rate", "rate"],
        ylabel="accuracy",
    ),
    "history": lambda: plots.history(RUN),
    "runs": lambda: plots.runs({"A": RUN, "B": RUN}),
    "spread": lambda: plots.spread({"plain": [Score(0.3, 0.92, 92, 100)] * 2}),
    "confusion": lambda: plots.confusion(
        torch.tensor([3, 1, 4, 4, 4]), torch.tensor([3, 7, 9, 9, 4])
    ),
    "maps": lambda: plots.maps(torch.arange(-24.0, 24.0).reshape(2, 4, 6), ["a", "b"]),
    "ladder": lambda: plots.ladder([RUNG]),
    "trials": lambda: pictures.trials(a_study()),
    "importances": lambda: pictures.importances(a_study()),
    "parallel": lambda: pictures.parallel(a_study()),
    "batch": lambda: plots.batch(IMAGES / 784, "0 to 3", most=2),
    "learning": lambda: plots.learning(
        {"rate 1": [(5, 2.0), (10, 1.0)], "rate 3": [(5, 3.0), (10, 50.0)]},
        torch.linspace(-0.5, 0.25, 7840).reshape(10, 784),
    ),
    "fitting": lambda: plots.fitting({"wide": FITTED, "narrow": FITTED}, [10, 20]),
    "filtering": lambda: plots.filtering(
        torch.eye(28), torch.tensor([[0.0, 0, 0], [0, -2, 0], [0, 0, 0]]), bias=0.5
    ),
    "answer_sheet": lambda: plots.answer_sheet(
        IMAGES, torch.tensor([3, 1, 4]), {"mean": torch.tensor([3, 7, 4])}
    ),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_is_a_png_with_alt_text_and_one_plain_sentence(name):
    picture = EVERY[name]()
    data, about = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(data["image/png"]))
    width, height = about["image/png"]["width"], about["image/png"]["height"]
    assert image.width / image.height == pytest.approx(width / height, rel=0.02)
    assert image.width > width  # sharp on screens with small pixels
    assert image.convert("RGB").getpixel((0, 0)) == (
        255,
        255,
        255,
    )  # in a dark theme too
    assert about["image/png"]["alt"] == picture.alt
    assert picture.alt.endswith(".")
    assert data["text/plain"] == repr(picture)
    assert repr(picture)[len("<picture: ") : -1] in picture.alt


def test_every_public_drawing_function_is_tested_here():
    assert set(plots.__all__) - {"HARD_DIGITS", "Rung"} == set(EVERY)


def test_the_words_say_what_the_picture_shows():
    said = {name: draw().alt for name, draw in EVERY.items()}
    assert "3, 7, not 1, 4" in said["digits"]
    assert "784" not in said["pixels"]
    assert "0 pixels are 0" in said["pixels"]
    assert "A from 0 to 783; B from 0 to 392" in said["value_ranges"]
    assert "3 3," in said["bars"]
    assert "slow from 0.5 to 0.75; fast from 0.8 to 0.9" in said["curves"]
    assert "validation from 0.9 to 0.9" in said["history"]
    assert "linear: 92.00% with 7,850 numbers" in said["ladder"]
    assert "mean has 2 right" in said["answer_sheet"]
    assert "B: training from 0.5 to 0.5; validation from 0.4" in said["runs"]
    assert "plain: accuracy 0.92 to 0.92, loss 0.3 to 0.3" in said["spread"]
    assert "3 lie off the diagonal" in said["confusion"]
    assert "4 read as 9, 2 times; 1 read as 7, 1 times" in said["confusion"]
    assert "2 maps of 4 by 6 values: a, b" in said["maps"]
    assert "A batch of 3 digits, 0 to 3" in said["batch"]
    assert "from 0 to 3, mean 1.50" in said["batch"]
    assert "rate 1: from 2 to 1; rate 3: from 3 to 50" in said["learning"]
    assert "largest weight is 0.5" in said["learning"]
    assert "narrow: at the end loss 0.1 on training, 0.4 on vali" in said["fitting"]
    assert "kernel of 3 by 3 weights" in said["filtering"]
    assert "map goes from -1.5 to 0.5; 96% of it is above 0" in said["filtering"]
    assert (
        "Finished: 6, from 90.00% to 94.00%, which trial 4 reached; cut short: 2"
        in (said["trials"])
    )
    assert re.search(
        r"From 6 finished trials: lr \d+%, optimizer \d+%", said["importances"]
    )
    assert "94.00% right, has lr 0.022, optimizer sgd" in said["parallel"]
    assert "from -24 to 23" in said["maps"]


def test_a_scatter_draws_every_dot_by_its_error_and_marks_the_best():
    left, right = EVERY["scatter"]().figure.axes
    dots, best = left.lines
    assert list(zip(*dots.get_data(), strict=True)) == [
        (1, 0.5),
        (1, 0.25),
        (2, pytest.approx(0.1)),
    ]
    assert best.get_data() == ([2], [pytest.approx(0.1)])
    assert right.lines[1].get_data() == ([1], [pytest.approx(0.2)])
    assert left.get_yscale() == "log"
    assert left.get_xlim() == right.get_xlim()  # one label, one range
    assert left.get_ylim()[0] > left.get_ylim()[1]  # few errors on top


def test_charts_with_other_labels_have_a_range_of_their_own():
    groups = {"a": ([1e-4, 1], [0.5, 0.9]), "b": ([0.1, 0.5], [0.5, 0.9])}
    look = {"xlabel": ["rate", "dropout"], "ylabel": "accuracy", "logx": [True, False]}
    left, right = plots.scatter(groups, **look).figure.axes
    assert (left.get_xscale(), right.get_xscale()) == ("log", "linear")
    assert right.get_xlim()[0] > 0.05


@pytest.mark.parametrize(
    "accuracies", [(0.878, 0.928), (0.868, 0.873), (0.9975, 0.998), (0.1, 0.99)]
)
def test_every_range_of_accuracies_has_three_ticks_or_more(accuracies):
    picture = plots.scatter(
        {"a": ([1, 2], accuracies)}, xlabel=["rate"], ylabel="accuracy"
    )
    axis = picture.figure.axes[0]
    bottom, top = axis.get_ylim()
    ticks = [tick for tick in axis.get_yticks() if top <= tick <= bottom]
    assert len(ticks) >= 3
    assert len({tick.get_text() for tick in axis.get_yticklabels()}) >= 3


def test_an_accuracy_of_1_can_be_drawn():
    picture = plots.scatter({"a": ([1], [1.0])}, xlabel=["rate"], ylabel="accuracy")
    bottom, top = picture.figure.axes[0].get_ylim()
    assert bottom > 1e-4 > top > 0


def test_marks_point_out_positions_by_letter():
    lines, marks = {"loss": [2.0, 1.0, 3.0]}, {"A": 0.01, "B": 0.1}
    axes = {"xlabel": "rate", "ylabel": "loss", "logx": True}
    picture = plots.curves(lines, x=[0.01, 0.1, 1], marks=marks, **axes)
    (axis,) = picture.figure.axes
    written = {text.get_text(): text.get_position()[0] for text in axis.texts}
    assert written == marks
    assert [line.get_xdata()[0] for line in axis.lines[1:]] == [0.01, 0.1]
    assert "A marks 0.01; B marks 0.1" in picture.alt


@pytest.mark.parametrize(("right", "shown"), [(9_900, 0.004), (9_970, 0.002)])
def test_the_ladder_has_room_for_its_highest_rung(right, shown):
    rung = plots.Rung("best", Score(0.1, right / 10_000, right, 10_000), 80_000, 9.0)
    axis = plots.ladder([RUNG, rung]).figure.axes[0]
    top = axis.get_ylim()[1]
    assert top <= shown
    assert top < 1 - rung.score.interval[1]


def test_a_confusion_matrix_counts_each_pair_and_shades_mistakes_alone():
    axis = EVERY["confusion"]().figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert written == {(3, 3): "1", (7, 1): "1", (9, 4): "2", (4, 4): "1"}
    shades = axis.images[0].get_array()
    assert (shades[4, 9], shades[1, 7], shades.sum()) == (2, 1, 3)


def test_spread_draws_every_run_and_the_mean():
    scores = [Score(0.3, 0.9, 90, 100), Score(0.5, 0.8, 80, 100)]
    right, loss = plots.spread({"a": scores, "b": scores[:1]}).figure.axes
    dots = [list(zip(*line.get_data(), strict=True)) for line in right.lines]
    means = [[(pytest.approx(0.85), 0)], [(0.9, 1)]]
    assert dots == [[(0.9, 0), (0.8, 0)], means[0], [(0.9, 1)], means[1]]
    assert loss.lines[1].get_xdata() == [pytest.approx(0.4)]


@pytest.mark.parametrize(("other", "shown"), [(9_789, "97.80%"), (9_400, "94.0%")])
def test_spread_writes_no_two_ticks_alike(other, shown):
    scores = [Score(0.1, n / 10_000, n, 10_000) for n in (9_780, other)]
    figure = plots.spread({"a": scores}).figure
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert shown in ticks
    assert len(set(ticks)) == len(ticks)


def test_runs_share_one_scale_from_0_so_that_they_can_be_compared():
    steep = History([{**RUN[0], "train_loss": 4.0}])
    axes = plots.runs({"A": RUN, "B": steep}).figure.axes
    assert [axis.get_ylim() for axis in axes] == [(0, pytest.approx(4.2))] * 2


def test_signed_maps_share_a_scale_around_0_and_others_have_their_own():
    values = torch.tensor([[[-1.0, 0.0]], [[2.0, 3.0]]])
    signed, plain = (
        [axis.images[0].get_clim() for axis in plots.maps(values, signed=s).figure.axes]
        for s in (True, False)
    )
    assert signed == [(-3.0, 3.0)] * 2
    assert plain == [(-1.0, 0.0), (2.0, 3.0)]


def test_whole_and_few_positions_are_the_ticks_of_a_curve():
    names = {"xlabel": "rate", "ylabel": "accuracy"}
    rates = [0.001, 0.03, 1]
    axis = plots.curves({"a": [1, 2, 3]}, x=rates, logx=True, **names).figure.axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["0.001", "0.03", "1"]
    axis = plots.curves({"a": [1, 2, 3]}, x=[0, 1, 2], **names).figure.axes[0]
    assert all(float(tick).is_integer() for tick in axis.get_xticks())


def test_a_title_of_two_lines_has_room():
    one, two = (
        plots.digits(IMAGES, titles=[title] * 3).figure.get_size_inches()[1]
        for title in ("7 (99%)", "7 (99%)\nnot 4")
    )
    assert two > one + 0.2


def test_a_wrong_answer_is_framed_and_not_marked_by_colour_alone():
    axes = plots.digits(IMAGES, [3, 1, 4], [3, 7, 4]).figure.axes
    framed = [axis.spines["left"].get_visible() for axis in axes]
    assert framed == [False, True, False]
    assert [axis.get_title() for axis in axes] == ["3", "7, not 1", "4"]
    assert axes[1].spines["left"].get_edgecolor()[:3] == mpl.colors.to_rgb(ORANGE)


def test_storing_fewer_colours_changes_none_of_them_visibly():
    picture = plots.templates(torch.randn(10, 784))
    picture.figure.set_layout_engine(
        "none"
    )  # it shifts things a little at each drawing
    drawn = io.BytesIO()
    picture.figure.savefig(drawn, format="png", dpi=picture.figure.dpi)
    stored = io.BytesIO(picture._repr_mimebundle_()[0]["image/png"])
    before, after = (
        torch.tensor(list(Image.open(file).convert("RGB").tobytes()))
        for file in (drawn, stored)
    )
    assert (before - after).abs().max() <= 8  # of 255


def test_weights_of_opposite_sign_get_opposite_ends_of_one_scale():
    weights = torch.zeros(2, 784)
    weights[0, 0], weights[1, 0] = -3.0, 1.5
    figure = plots.templates(weights).figure
    limits = {axis.images[0].get_clim() for axis in figure.axes if axis.images}
    assert limits == {(-3.0, 3.0)}


def test_a_history_without_validation_has_one_line_a_chart():
    axes = plots.history(WITHOUT_VALID).figure.axes
    assert [len(axis.lines) for axis in axes] == [1, 1]
    assert [len(axis.lines) for axis in RUN.plot().figure.axes] == [2, 2]


def test_the_ladder_draws_errors_with_their_intervals():
    axis = plots.ladder([RUNG]).figure.axes[0]
    (container,) = axis.containers
    assert container[0].get_xydata().tolist() == [[7_850, pytest.approx(0.08)]]
    low, high = RUNG.score.interval
    ((bottom, top),) = [s[:, 1] for s in container[2][0].get_segments()]
    assert (bottom, top) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_lines_differ_in_more_than_their_colour():
    names = {name: [1.0, 2.0] for name in "abcde"}
    drawn = plots.curves(names, xlabel="x", ylabel="y").figure.axes[0].lines
    assert len({line.get_color() for line in drawn}) == 5
    assert len({(line.get_marker(), line.get_linestyle()) for line in drawn}) == 5


def test_the_marked_bar_is_hatched():
    bars = EVERY["bars"]().figure.axes[0].patches
    assert [bool(bar.get_hatch()) for bar in bars] == [i == 3 for i in range(10)]


def test_a_run_without_a_whole_epoch_says_why_it_has_no_curve():
    with pytest.raises(ValueError, match="No epoch was finished.*became inf"):
        plots.history(History(stopped="The loss became inf."))


def test_better_models_stand_higher_on_the_ladder():
    better = RUNG._replace(name="cnn", score=Score(0.03, 0.99, 9_900, 10_000))
    axis = plots.ladder([RUNG, better]).figure.axes[0]
    heights = [axis.transData.transform((7_850, 1 - a))[1] for a in (0.92, 0.99)]
    assert heights[0] < heights[1]


def test_what_is_not_made_of_digits_is_refused_by_its_shape():
    with pytest.raises(ValueError, match=r"784 pixels; a tensor of shape \(3, 10\)"):
        plots.digits(torch.zeros(3, 10))


def test_drawing_leaves_matplotlibs_settings_alone():
    before = dict(mpl.rcParams)
    for draw in EVERY.values():
        draw()
    assert dict(mpl.rcParams) == before


def test_a_picture_can_be_written_to_a_file(tmp_path):
    plots.history(RUN).save(tmp_path / "run.png")
    with Image.open(tmp_path / "run.png") as image:
        assert image.width > 100


@pytest.mark.parametrize("name", ["trials", "importances", "parallel"])
@pytest.mark.parametrize(("finished", "pruned"), [(0, 0), (1, 1), (0, 3)])
def test_a_study_with_nothing_to_compare_is_refused(name, finished, pruned):
    words = rf"has {finished} finished trials \(of {finished + pruned}; {pruned} were"
    with pytest.raises(ValueError, match=words):
        getattr(plots, name)(a_study(finished, pruned))


@pytest.mark.parametrize("name", ["trials", "importances", "parallel"])
def test_pictures_of_a_study_repeat_themselves_and_warn_of_nothing(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, again = (getattr(plots, name)(a_study()) for _ in range(2))
    assert first.alt == again.alt
    assert "pyplot" not in str(type(first.figure.canvas.manager))


@pytest.mark.parametrize("name", ["trials", "parallel"])
def test_two_equal_trials_are_enough_for_a_picture(name):
    study = optuna.create_study(direction="maximize")
    for _ in range(2):
        trial = study.ask()
        trial.suggest_float("lr", 0, 1)
        study.tell(trial, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(plots, name)(study)._repr_mimebundle_()


def test_the_picture_of_the_trials_shows_each_and_the_best_so_far():
    axis = pictures.trials(a_study()).figure.axes[0]
    so_far, finished, pruned = axis.lines
    assert list(finished.get_xdata()) == [0, 1, 2, 3, 4, 5]
    assert list(finished.get_ydata()) == pytest.approx(
        [0.1, 0.09, 0.08, 0.07, 0.06, 0.07]
    )
    assert list(pruned.get_xdata()) == [6, 7]
    assert list(pruned.get_ydata()) == pytest.approx([0.13, 0.14])
    assert list(so_far.get_ydata()) == pytest.approx(
        [0.1, 0.09, 0.08, 0.07] + [0.06] * 3
    )
    low, high = axis.get_ylim()  # errors, so the better ones are on top
    assert low > 0.14 > 0.06 > high
    assert finished.get_marker() != pruned.get_marker()


def test_each_finished_trial_is_a_line_and_the_best_one_is_thickest():
    figure = pictures.parallel(a_study()).figure
    axis = figure.axes[0]
    lines = [line for line in axis.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 6
    (best,) = [line for line in lines if line.get_linewidth() == 4]
    # the lowest rate stands at 0, the highest at 1, as far apart as their ratios
    assert list(best.get_ydata()) == pytest.approx([0.8, 0.75, 1.0])
    said = [text.get_text() for text in axis.texts]
    assert said == [
        "0.001",
        "0.0068",
        "0.046",
        "adam",
        "sgd",
        "91.00%\nor less",
        "94.00%",
    ]


def test_the_importances_are_bars_in_order():
    axis = pictures.importances(a_study()).figure.axes[0]
    shares = [bar.get_width() for bar in axis.patches]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["lr", "optimizer"]


def test_a_batch_is_drawn_on_one_scale_whatever_its_values():
    dim = plots.batch(torch.full((4, 1, 28, 28), 0.5), "dim").figure.axes[0]
    bright = plots.batch(torch.full((4, 1, 28, 28), 3.0), "bright").figure.axes[0]
    assert dim.images[0].get_clim() == bright.images[0].get_clim() == (-1, 3)
    drawn = dim.images[0].get_array()
    assert drawn.shape == (2 * 28, 3 * 28)
    assert drawn.count() == 4 * 784  # the rest of the sheet stays empty


def test_a_filtered_digit_is_what_pytorch_computes():
    image, kernel = torch.rand(28, 28), torch.randn(5, 5)
    axes = plots.filtering(image, kernel, bias=0.1).figure.axes
    layer = torch.nn.Conv2d(1, 1, 5)
    with torch.no_grad():
        layer.weight.copy_(kernel[None, None])
        layer.bias.fill_(0.1)
        expected = layer(image[None, None])[0, 0]
    assert torch.allclose(torch.tensor(axes[2].images[0].get_array()), expected)
    assert torch.allclose(torch.tensor(axes[3].images[0].get_array()), expected.relu())


def test_templates_of_a_run_stand_in_two_rows_of_five():
    weights = torch.arange(10.0).repeat_interleave(784).reshape(10, 784)
    sheet = plots.learning({"a": [(1, 1.0)]}, weights).figure.axes[1].images[0]
    found = torch.tensor(sheet.get_array())[::28, ::28]
    assert found.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_as_many_templates_as_classes_are_drawn_and_named():
    weights = torch.ones(7, 784)
    names = ["cat", "dog", "emu", "fox", "gnu", "hen", "ibex"]
    losses = {"before": [(1, 3.0), (2, 2.0)], "now": [(1, 2.5), (2, 1.0)]}
    left, right = plots.learning(losses, weights, names).figure.axes[:2]
    assert [text.get_text() for text in right.texts] == names
    assert right.images[0].get_array().shape == (56, 140)
    guess = left.lines[2].get_ydata()[0]
    assert guess == pytest.approx(math.log(7))
    assert [line.get_linestyle() for line in left.lines[:2]] == ["--", "-"]
    assert left.lines[1].get_color() == BLUE


def test_the_last_run_stands_out_of_the_fitting_curves():
    axes = plots.fitting({"wide": FITTED, "narrow": FITTED}, [10, 20]).figure.axes
    for axis in axes:
        colours = [line.get_color() for line in axis.lines]
        assert colours[2:] == [BLUE, ORANGE]
        assert BLUE not in colours[:2]
        assert ORANGE not in colours[:2]


def test_fitting_curves_without_a_single_point_are_drawn_empty():
    nothing = {name: [] for name in FITTED}
    assert "wide: no loss" in plots.fitting({"wide": nothing}, [10, 20]).alt


def test_losses_and_weights_that_are_not_finite_are_drawn_all_the_same():
    broken = {**FITTED, "train_loss": [math.inf, 1.0], "valid_loss": [math.nan, 2.0]}
    axis = plots.fitting({"wide": broken}, [10, 20]).figure.axes[0]
    assert axis.get_ylim() == (0, pytest.approx(2.1))
    weights = torch.full((10, 784), math.nan)
    title = plots.learning({"a": [(1, 1.0)]}, weights).figure.axes[1].get_title()
    assert "nan" not in title
