"""That digits are changed each in its own way, and no further than was asked for."""

import math

import pytest
import torch

from mnist_lessons.augmentation import random_affine

ROWS, COLUMNS = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
DISC = ((ROWS - 13.5) ** 2 + (COLUMNS - 13.5) ** 2 < 36).float()[None, None]
BAR = ((ROWS - 13.5).abs() < 9).logical_and((COLUMNS - 13.5).abs() < 2)[None, None]


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


def many(image, count=1_000):
    return image.float().expand(count, 1, 28, 28)


def centres(images):
    """Return the centre of mass of each image, (count,) rows and columns."""
    mass = images.sum(dim=(1, 2, 3))
    rows = (images[:, 0] * ROWS).sum(dim=(1, 2)) / mass
    return rows - 13.5, (images[:, 0] * COLUMNS).sum(dim=(1, 2)) / mass - 13.5


def angles(images):
    """Return the angle of each bar in degrees, 0 for upright, from its moments."""
    rows, columns = centres(images)
    y, x = ROWS - 13.5 - rows[:, None, None], COLUMNS - 13.5 - columns[:, None, None]
    image = images[:, 0]
    yy, xx = (image * y * y).sum(dim=(1, 2)), (image * x * x).sum(dim=(1, 2))
    xy = (image * x * y).sum(dim=(1, 2))
    return torch.rad2deg(0.5 * torch.atan2(2 * xy, yy - xx))


def test_amounts_of_0_change_nothing():
    images = torch.randn(5, 1, 28, 28)
    same = random_affine(images, degrees=0, shift=0, scale=0)
    torch.testing.assert_close(same, images, atol=1e-4, rtol=1e-4)
    assert same.dtype == images.dtype


def test_each_image_has_draws_of_its_own_and_the_input_stays():
    images = many(DISC, 50).clone()
    changed = random_affine(images)
    assert torch.equal(images, many(DISC, 50))
    assert len(changed.flatten(1).unique(dim=0)) == 50


def test_a_shift_goes_up_to_its_limit_in_all_directions():
    for found in centres(random_affine(many(DISC), degrees=0, shift=2, scale=0)):
        assert -2.01 < found.min() < -1.9
        assert 1.9 < found.max() < 2.01
        assert abs(found.mean()) < 0.15  # 1,000 draws: the mean's deviation is 0.037
        assert ((found - found.round()).abs() > 0.2).any()  # fractions of pixels too


def test_rows_and_columns_move_independently():
    moved = torch.stack(centres(random_affine(many(DISC), degrees=0, scale=0)))
    assert abs(torch.corrcoef(moved)[0, 1]) < 0.15


def test_a_turn_goes_up_to_its_limit_both_ways():
    found = angles(random_affine(many(BAR), degrees=20, shift=0, scale=0))
    assert -20.5 < found.min() < -19
    assert 19 < found.max() < 20.5
    assert abs(found.mean()) < 1.5


def test_a_turn_does_not_bend_or_stretch():
    turned = random_affine(many(DISC), degrees=90, shift=0, scale=0)
    assert (turned - DISC).abs().mean() < 0.02


def test_a_scale_goes_up_to_its_limit_both_ways():
    grown = random_affine(many(DISC), degrees=0, shift=0, scale=0.2)
    found = (grown.sum(dim=(1, 2, 3)) / DISC.sum()).sqrt()
    assert 0.79 < found.min() < 0.82
    assert 1.18 < found.max() < 1.21


def test_what_comes_in_from_outside_is_background():
    images = many(DISC, 100) * 2 - 0.4242
    moved = random_affine(images, degrees=0, shift=6, scale=0)
    torch.testing.assert_close(moved.amin(dim=(1, 2, 3)), torch.full((100,), -0.4242))
    torch.testing.assert_close(moved[:, 0, 0], torch.full((100, 28), -0.4242))


def test_the_seed_fixes_the_draws():
    images = many(BAR, 10)
    torch.manual_seed(1)
    first = random_affine(images)
    torch.manual_seed(1)
    assert torch.equal(first, random_affine(images))
    assert not torch.equal(first, random_affine(images))


def test_doubles_stay_doubles():
    assert random_affine(many(BAR, 2).double()).dtype == torch.float64


@pytest.mark.parametrize("images", [BAR[0].float(), many(BAR, 2).byte()])
def test_what_is_no_batch_of_floats_is_refused(images):
    with pytest.raises(ValueError, match="should be a batch of floats"):
        random_affine(images)


@pytest.mark.parametrize(
    ("name", "amount"),
    [("degrees", -1), ("shift", math.nan), ("scale", 1), ("shift", math.inf)],
)
def test_amounts_that_make_no_sense_are_refused_by_name(name, amount):
    with pytest.raises(ValueError, match=f"{name}={amount}"):
        random_affine(many(BAR, 2), **{name: amount})
