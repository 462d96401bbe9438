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

from mnist_lessons import CNN, LinearModel, fit
from mnist_lessons.photos.opening import ImageError
from mnist_lessons.photos.recognition import read_digit, steps_of
from mnist_lessons.widgets import drawing
from mnist_lessons.widgets.drawing import DrawingPad, as_grey

SEVEN = [[0.3, 0.2, 0.7, 0.2], [0.7, 0.2, 0.5, 0.8]]
ONE = [[0.5, 0.2, 0.5, 0.8]]


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


def pixels(step):
    image = Image.open(io.BytesIO(base64.b64decode(step["data"].split(",")[1])))
    return torch.tensor(np.array(image)) / 255


def test_strokes_are_drawn_bright_on_dark_with_soft_round_ends():
    grey = as_grey(ONE)
    assert grey.shape == (112, 112)
    assert (float(grey.min()), float(grey.max())) == (0, 1)
    assert float(grey[56].sum()) == pytest.approx(112 / 14, abs=0.3)
    assert grey[int(0.2 * 112) - 3, 56] == 1  # half the pen's width beyond the end
    assert float(grey[:, 40].sum()) == 0
    assert ((grey > 0) & (grey < 1)).any()
    dot = as_grey([[0.5, 0.5]])
    assert float(dot.sum()) == pytest.approx(3.14 * 4**2, rel=0.1)
    corner = as_grey([[0.2, 0.2, 0.8, 0.2, 0.8, 0.8]])
    assert float(corner[20:22, 91].min()) == 1  # round, too


def test_the_pad_starts_with_a_seven_and_answers_what_is_drawn(pad):
    assert len(pad.pad.answer["steps"]) == 4
    assert "with the probabilities that linear, CNN give. " in pad.picture.alt
    assert "linear: 7 (" in pad.picture.alt
    titles = [axis.get_title() for axis in pad.picture.figure.axes]
    assert len(titles) == 5 + 2
    assert "linear answers 7" in titles
    answer = pad.pad.answer
    assert json.loads(json.dumps(answer)) == answer
    for model in answer["models"]:
        shares = pad.answers[model["name"]]
        assert model["top"] == int(shares.argmax())
        assert model["shares"] == pytest.approx(shares.tolist(), abs=0.001)
    assert answer["summary"].startswith("linear: 7 (")
    pad.draw(np.array([[0.12345, 0.2, 0.5, 0.8]]))
    assert pad.pad.strokes == [[0.123, 0.2, 0.5, 0.8]]
    pad.draw(SEVEN)
    assert int(pad.answers["linear"].argmax()) == 7
    pad.undo()
    assert pad.pad.strokes == SEVEN[:1]
    pad.clear()
    pad.undo()
    assert pad.pad.strokes == []
    assert pad.answers == {}
    assert "Nothing is drawn yet" in pad.pad.answer["summary"]
    assert "steps" not in pad.pad.answer


def test_models_see_what_read_digit_makes_each_on_its_own_scale(loaders, linear):
    by_hand, other = LinearModel(), LinearModel()
    for model in (by_hand, other):
        model.load_state_dict(linear.state_dict())
    other.mean, other.std = 0.5, 0.5
    models = {"by hand": by_hand, "fit": linear, "other": other}
    pad = DrawingPad(models, loaders.train)
    answers = pad.answers
    image = read_digit(as_grey(drawing.SEVEN))
    right = linear.predict_proba((image - loaders.mean) / loaders.std)[0]
    assert linear.mean is not None
    assert torch.allclose(answers["fit"], right)
    assert torch.allclose(answers["by hand"], right)  # on the digits' own scale
    right = linear.predict_proba((image - 0.5) / 0.5)[0]
    assert torch.allclose(answers["other"], right, atol=1e-6)
    # one that is trained further answers as it is now
    with torch.no_grad():
        other.train().linear.bias[2] = 60
    pad.draw(SEVEN)
    assert int(pad.answers["other"].argmax()) == 2
    assert other.training
    *_, answer = pad.pad.answer["models"]
    assert (answer["texts"][2], answer["texts"][0]) == (">99 %", "<1 %")


def test_a_model_that_cannot_answer_is_named_and_the_others_answer(linear, loaders):
    broken = LinearModel()
    broken.linear = None
    pad = DrawingPad({"X": broken, "linear": linear}, loaders.train)
    assert list(pad.answers) == ["linear"]
    message = "X cannot answer. TypeError: &#x27;NoneType&#x27; object is not callable"
    assert f'role="alert"><b>✗</b> {message}' in pad._message.value
    assert pad.pad.answer["summary"].startswith("X: no answer, linear: 7")
    alone = DrawingPad(LinearModel(26), loaders.train)
    assert alone.answers == {}
    assert "LinearModel tells 26 classes apart" in alone._message.value
    assert "LinearModel: no answer" in alone.picture.alt


def test_the_steps_are_those_of_read_digit_or_the_whole_made_smaller(pad, loaders):
    pad.draw(SEVEN)
    seen = pad.pad.answer["steps"]
    right = steps_of(as_grey(SEVEN))
    for step, image in zip(seen, [*right[:3], right.image[0, 0]], strict=True):
        assert torch.allclose(pixels(step), image, atol=0.003)
        assert step["alt"]
    boxes = [step["boxed"] and max(step["boxed"]) for step in seen]
    assert boxes == [None, None, 20, 28]
    pad.pad.prepare = False
    pad.draw(SEVEN)
    whole, smaller = pad.pad.answer["steps"]
    assert torch.allclose(pixels(whole), as_grey(SEVEN), atol=0.003)
    small = as_grey(SEVEN).reshape(28, 4, 28, 4).mean((1, 3))
    assert float((pixels(smaller) - small).abs().mean()) < 0.02
    # beside them stands the nearest of the training digits that the last model answers
    pad.pad.prepare = True
    pad.draw(SEVEN)
    label = int(pad.answers["CNN"].argmax())
    images, labels = loaders.train.dataset[:4000]
    images = (images[labels == label] * loaders.std + loaders.mean)[:, 0]
    distances = (images - read_digit(as_grey(SEVEN))[0, 0]).flatten(1).norm(dim=1)
    (like,) = pad.pad.answer["like"]
    assert f"a real {label}," in like["caption"]
    assert pad._real.dtype == torch.uint8  # a pad is never freed
    assert torch.allclose(pixels(like), images[distances.argmin()], atol=0.003)


def test_a_picture_is_shown_until_undo_or_a_new_drawing(pad):
    small = photo().resize((28, 28))
    for source, picture in ((photo(), photo()), (np.array(small).tolist(), small)):
        for replace in (pad.undo, lambda: pad.draw(SEVEN)):
            pad.draw(SEVEN)
            drawn = pad.pad.answer
            pad.read(source)
            shown = pixels(pad.pad.answer["steps"][3])
            assert torch.allclose(shown, read_digit(picture)[0, 0], atol=0.003)
            assert pad.pad.backdrop.startswith("data:image/png;base64,")
            replace()
            assert pad.pad.answer == drawn
    pad.read(photo())
    pad.clear()
    assert pad.answers == {}


def test_a_file_is_read_and_what_shows_no_digit_is_refused(pad):
    drawn = pad.pad.answer
    for source, message in (
        (np.ones((50, 50)), "there is no digit to be seen"),
        ("none.png", "there is no file"),
    ):
        with pytest.raises(ImageError):
            pad.read(source)
        assert message in pad._message.value.lower()
        assert pad.pad.answer == drawn
    pad.draw(SEVEN)
    assert pad._message.value == ""

    def choose(content):
        data = base64.b64encode(content).decode()
        pad.pad._handle_custom_msg({"name": "my seven.png", "data": data}, [])

    seven, empty = io.BytesIO(), io.BytesIO()
    photo().save(seven, format="png")
    Image.new("L", (50, 50), 255).save(empty, format="png")
    choose(seven.getvalue())
    drawn = pad.pad.answer
    image = pixels(drawn["steps"][3])
    assert torch.allclose(image, read_digit(photo())[0, 0], atol=0.003)
    for content, message in (
        (b"no picture", "my seven.png is not a picture"),
        (seven.getvalue()[:200], "my seven.png is damaged"),
        (empty.getvalue(), "my seven.png: there is no digit"),
    ):
        choose(content)
        assert message in pad._message.value
        assert "alert" in pad._message.value
        assert pad.pad.answer == drawn


def test_what_the_browser_draws_is_answered_with_its_request(pad):
    pad.draw(SEVEN)
    drawn, right = pad.pad.answer["steps"], pad.answers["linear"]
    pad.clear()
    pad.pad.set_state({"strokes": SEVEN, "backdrop": "", "request": 0.25})
    assert pad.pad.answer["request"] == 0.25
    assert torch.equal(pad.answers["linear"], right)
    pad.read(photo())
    assert pad.pad.answer["steps"] != drawn
    pad.pad.set_state({"backdrop": "", "request": 0.5})  # the picture is taken away
    assert pad.pad.answer["steps"] == drawn
    pad.pad.set_state({"prepare": False, "request": 0.75})
    assert len(pad.pad.answer["steps"]) == 2
    # even if Python fails
    pad.pad.set_state({"strokes": [[0.5, "x"]], "request": 1.0})
    assert pad.pad.answer["request"] == 1.0
    assert "Error" in pad._message.value


def test_a_drawing_is_answered_only_when_the_cell_that_trains_is_done(linear, loaders):
    async def cell():
        pad = DrawingPad(linear, loaders.train)
        draw = threading.Thread(target=pad.pad.set_trait, args=("request", 2.0))
        draw.start()
        draw.join()
        assert pad.pad.answer["request"] == 0
        await asyncio.sleep(0.1)
        assert pad.pad.answer["request"] == 2

    asyncio.run(cell())
