"""That pictures show what they are given, and say so in words."""

import io

import matplotlib as mpl
import pytest
import torch
from PIL import Image

from mnist_lessons import plots
from mnist_lessons.history import History, Score
from mnist_lessons.picture import ORANGE

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

EVERY = {
    "digits": lambda: plots.digits(IMAGES, [3, 1, 4], [3, 7, 4]),
    "pixels": lambda: plots.pixels(torch.full((28, 28), 7)),
    "value_ranges": lambda: plots.value_ranges({"A": IMAGES[0], "B": IMAGES[0] / 2}),
    "templates": lambda: plots.templates(torch.randn(10, 784)),
    "bars": lambda: plots.bars({"logits": torch.arange(10.0)}, highlight=3),
    "curves": lambda: plots.curves(
        {"slow": [0.5, 0.75], "fast": [0.8, 0.9]}, xlabel="epoch", ylabel="accuracy"
    ),
    "history": lambda: plots.history(RUN),
    "runs": lambda: plots.runs({"A": RUN, "B": RUN}),
    "spread": lambda: plots.spread({"plain": [Score(0.3, 0.92, 92, 100)] * 2}),
    "confusion": lambda: plots.confusion(
        torch.tensor([3, 1, 4, 4, 4]), torch.tensor([3, 7, 9, 9, 4])
    ),
    "maps": lambda: plots.maps(torch.arange(-24.0, 24.0).reshape(2, 4, 6), ["a", "b"]),
    "ladder": lambda: plots.ladder([RUNG]),
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
    assert set(plots.__all__) - {"Rung"} == set(EVERY)


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
    assert "from -24 to 23" in said["maps"]


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
