"""That digits are changed each in its own way, and no further than was asked for."""

import math

import pytest
import torch

from mnist_lessons.augmentation import random_affine, random_shift

ROWS, COLUMNS = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
DISC = ((ROWS - 13.5) ** 2 + (COLUMNS - 13.5) ** 2 < 36).float()[None, None]
BAR = ((ROWS - 13.5).abs() < 9).logical_and((COLUMNS - 13.5).abs() < 2)[None, None]


def many(image, count=1_000):
    torch.manual_seed(0)
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
    images = torch.randn(5, 1, 28, 28, dtype=torch.float64)
    same = random_affine(images, degrees=0, shift=0, scale=0)
    torch.testing.assert_close(same, images)
    assert same.dtype == images.dtype


def test_each_image_has_draws_of_its_own_which_the_seed_fixes():
    images = many(DISC, 50).clone()
    changed = random_affine(images)
    assert torch.equal(images, many(DISC, 50))  # and the input stays
    assert len(changed.flatten(1).unique(dim=0)) == 50
    many(DISC)  # the same seed again
    assert torch.equal(changed, random_affine(images))
    assert not torch.equal(changed, random_affine(images))


def test_a_shift_goes_up_to_its_limit_in_all_directions():
    moved = centres(random_affine(many(DISC), degrees=0, shift=2, scale=0))
    for shifts in moved:
        assert -2.01 < shifts.min() < -1.9
        assert 1.9 < shifts.max() < 2.01
        assert abs(shifts.mean()) < 0.15  # 1,000 draws: the mean's deviation is 0.037
        assert ((shifts - shifts.round()).abs() > 0.2).any()  # fractions, too
    assert abs(torch.corrcoef(torch.stack(moved))[0, 1]) < 0.15


def test_a_turn_goes_up_to_its_limit_both_ways_and_bends_nothing():
    turns = angles(random_affine(many(BAR), degrees=20, shift=0, scale=0))
    assert -20.5 < turns.min() < -19
    assert 19 < turns.max() < 20.5
    assert abs(turns.mean()) < 1.5
    turned = random_affine(many(DISC), degrees=90, shift=0, scale=0)
    assert (turned - DISC).abs().mean() < 0.02


def test_a_scale_goes_up_to_its_limit_both_ways():
    grown = random_affine(many(DISC), degrees=0, shift=0, scale=0.2)
    scales = (grown.sum(dim=(1, 2, 3)) / DISC.sum()).sqrt()
    assert 0.79 < scales.min() < 0.82
    assert 1.18 < scales.max() < 1.21


def test_what_comes_in_from_outside_is_background():
    images = many(DISC, 100) * 2 - 0.4242
    moved = random_affine(images, degrees=0, shift=6, scale=0)
    torch.testing.assert_close(moved.amin(dim=(1, 2, 3)), torch.full((100,), -0.4242))
    torch.testing.assert_close(moved[:, 0, 0], torch.full((100, 28), -0.4242))


def test_whole_pixels_move_each_image_by_its_own_and_nothing_else():
    images = torch.rand(500, 2, 9, 6) - 0.5
    images[:, :, 4, 3] = 1.0
    moved = random_shift(images, most=2)
    where = (moved[:, 0] == 1).flatten(1).int().argmax(dim=1)
    places = [(place // 6 - 4, place % 6 - 3) for place in where.tolist()]
    assert len(set(places)) == 25
    wide = torch.nn.functional.pad(images, (2, 2, 2, 2), value=float(images.min()))
    for image, new, (down, right) in zip(wide, moved, places, strict=True):
        cut = image[:, 2 - down : 11 - down, 2 - right : 8 - right]
        assert torch.equal(new, cut)
    assert torch.equal(random_shift(images, most=0), images)
    torch.manual_seed(1)
    first = random_shift(images)
    torch.manual_seed(1)
    assert torch.equal(first, random_shift(images))


def test_what_makes_no_sense_is_refused_by_name():
    with pytest.raises(ValueError, match="four axes"):
        random_shift(BAR[0].float())
    with pytest.raises(ValueError, match="most=-1"):
        random_shift(BAR.float(), most=-1)
    for images in (BAR[0].float(), many(BAR, 2).byte()):
        with pytest.raises(ValueError, match="should be a batch of floats"):
            random_affine(images)
    for name, amount in (("degrees", -1), ("shift", math.nan), ("scale", 1)):
        with pytest.raises(ValueError, match=f"{name}={amount}"):
            random_affine(many(BAR, 2), **{name: amount})
