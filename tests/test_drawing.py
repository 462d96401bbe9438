"""The drawing pad: strokes and pictures become digits, and every model answers."""

import asyncio
import base64
import io
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mnist_lessons import CNN, DigitClassifier, LinearModel, fit
from mnist_lessons.data import Digits
from mnist_lessons.photos.opening import ImageError
from mnist_lessons.photos.recognition import BlankImageError, read_digit, steps_of
from mnist_lessons.plots.picture import Picture
from mnist_lessons.widgets.drawing import DrawingPad, as_grey

SEVEN = [[0.3, 0.2, 0.7, 0.2], [0.7, 0.2, 0.5, 0.8]]
ONE = [[0.5, 0.2, 0.5, 0.8]]


class Broken(DigitClassifier):
    def forward(self, images):
        raise RuntimeError("the weights are gone")


@pytest.fixture(scope="module")
def linear(some):
    """About 85 % right."""
    torch.manual_seed(0)
    model = LinearModel()
    fit(model, some(5000, shuffle=True), epochs=2, lr=0.005, progress=False)
    return model


@pytest.fixture
def pad(linear, loaders):
    torch.manual_seed(0)
    return DrawingPad({"linear": linear, "CNN": CNN()}, loaders.train)


def photo():
    image = Image.new("L", (300, 200), 220)
    line = [(100, 40), (190, 40), (140, 165)]
    ImageDraw.Draw(image).line(line, fill=40, width=14)
    return image


def packed(image):
    file = io.BytesIO()
    image.save(file, format="png")
    return file.getvalue()


def opened_in_browser(pad, content, name="my seven.png"):
    message = {"name": name, "data": base64.b64encode(content).decode()}
    pad.pad._handle_custom_msg(message, [])


def captions(pad):
    return [step["caption"] for step in pad.pad.answer.get("steps", [])]


def pixels(step):
    image = Image.open(io.BytesIO(base64.b64decode(step["data"].split(",")[1])))
    return torch.tensor(np.array(image)) / 255


# strokes


def test_strokes_are_drawn_bright_on_dark_with_soft_round_ends():
    grey = as_grey(ONE)
    assert grey.shape == (112, 112)
    assert (float(grey.min()), float(grey.max())) == (0, 1)
    assert float(grey[56].sum()) == pytest.approx(112 / 14, abs=0.3)
    assert grey[int(0.2 * 112) - 3, 56] == 1  # half the pen's width beyond the end
    assert float(grey[:, 40].sum()) == 0
    assert ((grey > 0) & (grey < 1)).any()


def test_a_single_point_is_a_dot():
    assert float(as_grey([[0.5, 0.5]]).sum()) == pytest.approx(3.14 * 4**2, rel=0.1)


def test_corners_are_round():
    assert float(as_grey([[0.2, 0.2, 0.8, 0.2, 0.8, 0.8]])[20:22, 91].min()) == 1


def test_a_drawn_seven_is_read_as_a_seven(pad):
    pad.draw(SEVEN)
    assert int(pad.answers["linear"].argmax()) == 7


def test_the_pad_starts_with_a_seven(pad):
    assert int(pad.answers["linear"].argmax()) == 7
    assert len(captions(pad)) == 4


@pytest.mark.parametrize(
    "strokes", [[[0.1]], [[]], [[0.1, 2]], [["a", "b"]], [0.1, 0.2], [[0.1, np.nan]]]
)
def test_what_is_no_stroke_is_refused_and_changes_nothing(pad, strokes):
    before = pad.pad.strokes
    with pytest.raises(ValueError, match="is no stroke; expected a list x0, y0"):
        pad.draw(strokes)
    assert pad.pad.strokes == before


def test_strokes_from_python_are_rounded_and_plain(pad):
    pad.draw([np.array([0.12345, 0.2, 0.5, 0.8]).tolist()])
    assert pad.pad.strokes == [[0.123, 0.2, 0.5, 0.8]]


def test_undo_takes_the_last_stroke_back_and_clear_all(pad):
    pad.draw(SEVEN)
    pad.undo()
    assert pad.pad.strokes == SEVEN[:1]
    pad.clear()
    pad.undo()
    assert pad.pad.strokes == []


def test_an_empty_pad_has_no_answers_and_says_so(pad):
    pad.clear()
    assert pad.answers == {}
    assert "Nothing is drawn yet" in pad.pad.answer["summary"]
    assert captions(pad) == []


# answers


def test_models_see_what_read_digit_makes_on_the_scale_of_the_digits(
    pad, linear, loaders
):
    pad.draw(SEVEN)
    image = read_digit(as_grey(SEVEN))
    assert linear.mean is not None
    right = linear.predict_proba((image - loaders.mean) / loaders.std)[0]
    assert torch.allclose(pad.answers["linear"], right)


def test_a_model_without_a_scale_gets_the_digits_own_and_one_with_keeps_it(
    loaders, linear
):
    hand_made = LinearModel()
    hand_made.load_state_dict(linear.state_dict())
    other = LinearModel()
    other.load_state_dict(linear.state_dict())
    other.mean, other.std = 0.5, 0.5
    pad = DrawingPad({"by hand": hand_made, "fit": linear, "other": other}, loaders[0])
    answers = pad.answers
    assert torch.allclose(answers["by hand"], answers["fit"])
    image = read_digit(as_grey(pad.pad.strokes))
    assert torch.allclose(
        answers["other"], other.predict_proba((image - 0.5) / 0.5)[0], atol=1e-6
    )


def test_the_answer_for_the_browser_is_json_and_says_each_models_top(pad):
    answer = pad.pad.answer
    assert json.loads(json.dumps(answer)) == answer
    for told in answer["models"]:
        shares = pad.answers[told["name"]]
        assert told["top"] == int(shares.argmax())
        assert told["shares"] == pytest.approx(shares.tolist(), abs=0.001)
    assert answer["summary"].startswith("linear: 7 (")


def test_percentages_never_claim_certainty(loaders):
    model = LinearModel()
    with torch.no_grad():
        model.linear.bias[3] = 60
    told = DrawingPad(model, loaders.train).pad.answer["models"][0]
    assert told["texts"][3] == ">99 %"
    assert told["texts"][0] == "<1 %"
    assert told["name"] == "LinearModel"


def test_a_model_that_raises_is_named_and_the_others_answer(linear, loaders):
    pad = DrawingPad({"MLP": Broken(), "linear": linear}, loaders.train)
    assert list(pad.answers) == ["linear"]
    assert "MLP cannot answer. RuntimeError: the weights are gone" in pad._message.value
    assert "alert" in pad._message.value
    assert pad.pad.answer["summary"].startswith("MLP: no answer, linear: 7")


def test_a_model_of_other_classes_is_named(linear, loaders):
    pad = DrawingPad({"letters": LinearModel(26), "linear": linear}, loaders.train)
    assert list(pad.answers) == ["linear"]
    assert "26 classes" in pad._message.value


def test_a_model_that_is_trained_further_answers_as_it_is_now(loaders):
    model = LinearModel()
    pad = DrawingPad(model, loaders.train)
    with torch.no_grad():
        model.linear.bias[2] = 60
    pad.draw(SEVEN)
    assert int(pad.answers["LinearModel"].argmax()) == 2


def test_models_stay_in_training_mode(pad):
    model = pad._models["CNN"].train()
    pad.draw(SEVEN)
    assert model.training


# steps


def test_the_steps_are_those_of_read_digit(pad):
    pad.draw(SEVEN)
    seen = pad.pad.answer["steps"]
    right = steps_of(as_grey(SEVEN))
    assert torch.equal(right.grey, as_grey(SEVEN))
    for step, image in zip(seen, [*right[:3], right.image[0, 0]], strict=True):
        assert torch.allclose(pixels(step), image, atol=0.003)
        assert step["alt"]
    assert seen[3]["boxed"] == [28, 28]
    assert max(seen[2]["boxed"]) == 20
    assert seen[1]["boxed"] is None


def test_unprepared_the_whole_pad_is_only_made_smaller(pad):
    pad.pad.prepare = False
    pad.draw(SEVEN)
    assert captions(pad) == ["as it is", "all of it scaled down to 28x28, nothing else"]
    small = as_grey(SEVEN).reshape(28, 4, 28, 4).mean((1, 3))
    assert float((pixels(pad.pad.answer["steps"][1]) - small).abs().mean()) < 0.02


def test_beside_them_stands_the_nearest_digit_that_the_last_model_answers(pad, loaders):
    pad.draw(SEVEN)
    label = int(pad.answers["CNN"].argmax())
    images, labels = loaders.train.dataset[:4000]
    images = (images[labels == label] * loaders.std + loaders.mean)[:, 0]
    distances = (images - read_digit(as_grey(SEVEN))[0, 0]).flatten(1).norm(dim=1)
    (like,) = pad.pad.answer["like"]
    assert f"a real {label}," in like["caption"]
    assert torch.allclose(pixels(like), images[distances.argmin()], atol=0.003)


def test_no_digit_stands_beside_a_label_that_none_has(linear, loaders):
    images, labels = loaders.train.dataset[:100]
    few = labels != 7
    mean, std = loaders.mean, loaders.std
    digits = Digits(images[few], labels[few], loaders.classes, mean, std)
    assert DrawingPad(linear, digits).pad.answer["like"] == []


# pictures


@pytest.mark.parametrize("kind", ["file", "PIL", "nested", "flat", "tensor", "array"])
def test_pictures_of_each_kind_are_shown_as_if_drawn(pad, tmp_path, kind):
    small = photo().resize((28, 28))
    photo().save(tmp_path / "seven.png")
    source = {
        "file": str(tmp_path / "seven.png"),
        "PIL": photo(),
        "nested": np.array(small).tolist(),
        "flat": np.array(small).flatten().tolist(),
        "tensor": torch.tensor(np.array(small)).flatten(),
        "array": np.array(small).flatten(),
    }[kind]
    pad.read(source)
    given = photo() if kind in ("file", "PIL") else small
    assert torch.allclose(
        pixels(pad.pad.answer["steps"][3]), read_digit(given)[0, 0], atol=0.003
    )
    assert pad.pad.backdrop.startswith("data:image/png;base64,")


def test_undo_takes_a_picture_back_and_a_new_drawing_replaces_it(pad):
    pad.draw(SEVEN)
    drawn = pad.pad.answer
    pad.read(photo())
    assert pad.pad.answer != drawn
    pad.undo()
    assert pad.pad.answer == drawn
    pad.read(photo())
    pad.draw(SEVEN)
    assert pad.pad.answer == drawn
    pad.read(photo())
    pad.clear()
    assert pad.answers == {}


def test_a_picture_that_shows_no_digit_is_refused_and_nothing_is_lost(pad):
    pad.draw(SEVEN)
    drawn = pad.pad.answer
    with pytest.raises(BlankImageError):
        pad.read(np.ones((50, 50)))
    assert "there is no digit to be seen" in pad._message.value.lower()
    assert pad.pad.answer == drawn
    assert pad.answers


def test_what_is_no_picture_is_refused(pad):
    with pytest.raises(ImageError, match="There is no file"):
        pad.read("none.png")
    with pytest.raises(ImageError, match="not that of one grey picture"):
        pad.read([0.5] * 783)


def test_an_error_goes_away_with_the_next_drawing(pad):
    with pytest.raises(ImageError):
        pad.read("none.png")
    pad.draw(SEVEN)
    assert pad._message.value == ""


# the browser


def test_what_the_browser_draws_is_answered_with_its_request(pad):
    pad.pad.set_state({"strokes": SEVEN, "backdrop": "", "request": 0.25})
    assert pad.pad.answer["request"] == 0.25
    right = pad.answers["linear"]
    pad.draw(SEVEN)
    assert torch.equal(pad.answers["linear"], right)


def test_the_browser_gets_an_answer_even_if_python_fails(pad):
    pad.pad.set_state({"strokes": [[0.5, "x"]], "request": 0.25})
    assert pad.pad.answer["request"] == 0.25
    assert "Error" in pad._message.value


def test_the_browser_can_take_a_picture_away(pad):
    pad.draw(SEVEN)
    drawn = pad.pad.answer["steps"]
    pad.read(photo())
    pad.pad.set_state({"backdrop": "", "request": 0.25})
    assert pad.pad.answer["steps"] == drawn


def test_the_checkbox_changes_the_answer(pad):
    pad.pad.set_state({"prepare": False, "request": 0.25})
    assert len(captions(pad)) == 2


def test_a_file_from_the_browser_is_read(pad):
    opened_in_browser(pad, packed(photo()))
    assert torch.allclose(
        pixels(pad.pad.answer["steps"][3]), read_digit(photo())[0, 0], atol=0.003
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "my seven.png is not a picture"),
        (b"", "my seven.png is empty"),
        (packed(photo())[:200], "my seven.png is damaged"),
        (packed(Image.new("L", (50, 50), 255)), "my seven.png: there is no digit"),
    ],
    ids=["text", "empty", "half", "blank"],
)
def test_a_bad_file_from_the_browser_is_named_and_nothing_is_lost(
    pad, content, message
):
    pad.draw(SEVEN)
    drawn = pad.pad.answer
    opened_in_browser(pad, content)
    assert message in pad._message.value
    assert "alert" in pad._message.value
    assert pad.pad.answer == drawn


# where nothing reacts, and what is refused


def test_the_still_picture_shows_a_seven_its_steps_and_the_answers(pad):
    first, rest = pad.picture.alt.split(". ", 1)
    assert first == (
        "A drawn 7 and what preprocessing makes of it, with the probabilities that "
        "linear, CNN give"
    )
    assert "linear: 7 (" in rest
    titles = [axis.get_title() for axis in pad.picture.figure.axes]
    assert len(titles) == 5 + 2
    assert "linear answers 7" in titles


def test_the_still_picture_can_be_drawn_when_a_model_fails(loaders):
    pad = DrawingPad({"broken": Broken()}, loaders.train)
    assert "broken: no answer" in pad.picture.alt
    assert pad._repr_mimebundle_()[0]["image/png"]


def test_another_picture_can_stand_for_the_pad(linear, loaders):
    given = Picture(DrawingPad(linear, loaders.train).picture.figure, "Another one.")
    assert DrawingPad(linear, loaders.train, picture=given).picture is given


@pytest.mark.parametrize(
    ("models", "error", "message"),
    [
        ([LinearModel()], TypeError, "models is a list"),
        ({}, ValueError, "at least one trained model"),
        ({"MLP": torch.nn.Flatten()}, TypeError, r"models\['MLP'\] is a Flatten"),
    ],
    ids=["list", "empty", "other module"],
)
def test_what_are_no_models_is_refused(loaders, models, error, message):
    with pytest.raises(error, match=message):
        DrawingPad(models, loaders.train)


def test_what_are_no_digits_is_refused(linear):
    with pytest.raises(TypeError, match="expected digits, got Tensor"):
        DrawingPad(linear, torch.zeros(3, 28, 28))


def test_a_model_whose_training_diverged_says_so_beside_the_others(linear, loaders):
    broken = LinearModel()
    with torch.no_grad():
        broken.linear.weight.fill_(float("nan"))
    pad = DrawingPad({"broken": broken, "fine": linear}, loaders.train)
    assert list(pad.answers) == ["fine"]
    assert "broken cannot answer. ValueError: its probabilities" in pad._message.value
    assert DrawingPad(broken, loaders.train).answers == {}


def test_a_drawing_is_answered_only_when_the_cell_that_trains_is_done(linear, loaders):
    async def cell():
        pad = DrawingPad(linear, loaders.train)
        was_training = linear.train().training
        draw = threading.Thread(target=pad.pad.set_trait, args=("request", 2.0))
        draw.start()
        draw.join()
        assert linear.training
        assert pad.pad.answer["request"] == 0
        await asyncio.sleep(0.1)
        assert pad.pad.answer["request"] == 2
        return was_training

    assert asyncio.run(cell())


def test_a_pad_keeps_its_training_digits_as_bytes(pad, loaders):
    assert pad._real.dtype == torch.uint8
    grey = loaders.train.dataset.images[0, 0] * pad._digits.std + pad._digits.mean
    assert torch.allclose(pad._real[0].reshape(28, 28) / 255, grey, atol=0.003)
