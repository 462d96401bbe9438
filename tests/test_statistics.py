"""Intervals and tests on made data, where the truth is known; SciPy as a reference."""

import pytest
import torch
from scipy import stats

from mnist_lessons.history import Score
from mnist_lessons.statistics import (
    best_of,
    between_sets,
    mcnemar,
    student_quantile,
    welch,
)


@pytest.mark.parametrize("degrees", [1, 2, 4, 4.6, 9, 38, 1_000, 1e6, 1e12])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.975, 0.999])
def test_quantiles_are_students(degrees, share):
    theirs = stats.t.ppf(share, degrees)
    assert student_quantile(degrees, share) == pytest.approx(theirs, 1e-3, 1e-3)


def test_welch_is_scipys():
    draws = torch.Generator().manual_seed(0)
    first = torch.randn(7, generator=draws, dtype=torch.float64) * 3 + 1
    second = torch.randn(4, generator=draws, dtype=torch.float64)
    for confidence in (0.5, 0.95, 0.99):
        theirs = stats.ttest_ind(first, second, equal_var=False)
        low, high = theirs.confidence_interval(confidence)
        ours = welch(first, second.tolist(), confidence)
        value = float(first.mean() - second.mean())
        assert ours == pytest.approx((value, low, high), 1e-3)
        turned = welch(second, first, confidence)
        assert turned == pytest.approx((-ours.value, -ours.high, -ours.low))


def test_welch_covers_the_truth_as_often_as_it_says():
    draws = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(1_000):  # unequal spreads and lengths; the truth is 1
        first = 1 + 0.3 * torch.randn(8, generator=draws)
        second = torch.randn(5, generator=draws)
        _, low, high = welch(first, second, 0.9)
        held += low < 1 < high
    assert 871 <= held <= 929  # 900, and three standard errors on both sides


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ([0.9], [0.8, 0.9], r"at least two runs of each; there are \[1, 2\]"),
        ([0.9, 0.9], [0.8, 0.8], "were their seeds the same"),
        # their mean is not exactly 0.9731, so the variance is above 0 by rounding
        ([0.9731] * 7, [0.98] * 5, "were their seeds the same"),
        ([0.9, float("nan")], [0.8, 0.9], "no finite number"),
    ],
)
def test_welch_says_why_there_is_no_interval(first, second, complaint):
    with pytest.raises(ValueError, match=complaint):
        welch(first, second)


@pytest.mark.parametrize("counts", [(0, 0), (0, 5), (7, 7), (3, 9), (9, 3), (40, 71)])
def test_mcnemar_is_the_exact_test(counts):
    total = sum(counts)
    theirs = stats.binomtest(counts[0], total).pvalue if total else 1
    assert mcnemar(*counts) == pytest.approx(theirs)


def test_mcnemar_is_rarely_small_where_nothing_differs():
    draws = torch.Generator().manual_seed(0)
    heads = torch.randint(0, 2, (1_000, 60), generator=draws).sum(1).tolist()
    small = sum(mcnemar(count, 60 - count) < 0.05 for count in heads)
    assert small <= 50 + 3 * 7  # 5 % at most, and three standard errors
    assert small >= 10  # it can be small, too


@pytest.mark.parametrize("wrong", [(-1, 2), (2.5, 2), (True, 2), (1, "2")])
def test_mcnemar_wants_counts(wrong):
    with pytest.raises(ValueError, match="whole number"):
        mcnemar(*wrong)


def test_the_interval_between_two_sets_covers_the_truth_as_often_as_it_says():
    draws = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(1_000):  # of 500 and 200 digits; the truth is a difference of 0.02
        right = torch.rand(500, generator=draws) < 0.97
        fewer = torch.rand(200, generator=draws) < 0.95
        scores = [Score.of(x, torch.ones_like(x)) for x in (right, fewer)]
        _, low, high = between_sets(*scores)
        held += low <= 0.02 <= high
    assert 929 <= held <= 971  # 950, and three standard errors on both sides


def test_the_interval_between_two_sets_is_newcombes():
    # the first example of his article: 56 of 70 against 48 of 80
    ours = between_sets(Score(None, 56 / 70, 56, 70), Score(None, 48 / 80, 48, 80))
    assert ours == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_the_gap_of_the_best_is_what_its_expectation_says():
    # merit and luck, both normal: the best of n leads by the expected largest of n
    # normal numbers, of which the share of merit's variance is true
    draws = torch.Generator().manual_seed(0)
    merit = 0.012 * torch.randn(20_000, generator=draws)
    luck = 0.016 * torch.randn(20_000, generator=draws)
    largest = torch.tensor([0, 0.5642, 1.5388, 2.2491])  # of 1, 2, 10 and 50
    reported, true = best_of(0.7 + merit + luck, 0.8 + merit, [1, 2, 10, 50], 4_000)
    assert reported.shape == true.shape == (4_000, 4)
    # the best of 50 come from some hundred models: over pools, a deviation of 0.0006
    torch.testing.assert_close(reported.mean(0), 0.02 * largest, rtol=0, atol=0.0026)
    torch.testing.assert_close(true.mean(0), 0.36 * 0.02 * largest, rtol=0, atol=0.0026)


def test_the_best_of_all_is_the_same_for_everybody():
    reported, true = torch.tensor([0.3, 0.9, 0.6]), torch.tensor([0.5, 0.2, 0.8])
    leads = best_of(reported, true, [3], people=20)
    assert leads[0].tolist() == [[pytest.approx(0.3)]] * 20
    assert leads[1].tolist() == [[pytest.approx(-0.3)]] * 20


@pytest.mark.parametrize("wrong", [0, 4, 1.5])
def test_nobody_tries_more_models_than_there_are(wrong):
    with pytest.raises(ValueError, match=r"counts=.* 1 to 3"):
        best_of(torch.rand(3), torch.rand(3), [1, wrong])
