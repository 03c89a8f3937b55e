from hashlib import sha256

import numpy as np
import pytest
from scipy import stats

from cascadebert.core.seeds import derive_seed
from cascadebert.evaluation.intervals import (
    Resampling,
    bootstrap_interval,
    compute_p_value,
    estimate,
)


def mean_of(values):
    """The mean as a statistic of `[replicates, examples]` values."""
    return lambda weights: values @ weights.T / weights.sum(axis=-1)


def test_of_one_replicate_it_is_the_usual_bootstrap():
    values = np.random.default_rng(0).exponential(size=400)
    low, high = bootstrap_interval([mean_of(values[None])], 400, Resampling(1, 20_000))
    usual = stats.bootstrap([values], np.mean, method="percentile", rng=2).confidence_interval
    assert low == pytest.approx(usual.low, abs=0.005)
    assert high == pytest.approx(usual.high, abs=0.005)


@pytest.mark.parametrize("replicates", [1, 8])
def test_it_covers_the_truth_about_as_often_as_it_says(replicates):
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(150):
        # Correct answers of `replicates` trainings on the same examples; the mean of all is 0.7.
        ability = rng.normal(0.7, 0.05 if replicates > 1 else 0, size=(replicates, 1))
        easiness = rng.normal(0, 0.1, size=(1, 80))
        values = rng.random((replicates, 80)) < ability + easiness
        low, high = bootstrap_interval([mean_of(values)], 80, Resampling(seed, 300))
        covered.append(low <= 0.7 <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_trainings_that_differ_widen_it():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random((1, 500)), 5, axis=0)
    same = bootstrap_interval([mean_of(values)], 500, Resampling(0))
    apart = bootstrap_interval(
        [mean_of(values + np.linspace(-0.2, 0.2, 5)[:, None])], 500, Resampling(0)
    )
    assert apart[1] - apart[0] > 2 * (same[1] - same[0])


def test_a_difference_is_paired_over_examples():
    rng = np.random.default_rng(0)
    hard = rng.random((1, 300))
    a, b = hard + 0.1 + 0.01 * rng.random((3, 300)), hard + 0.01 * rng.random((2, 300))
    low, high = bootstrap_interval([mean_of(a), mean_of(b)], 300, Resampling(0))
    assert 0.095 < low < high < 0.105
    low, high = bootstrap_interval([mean_of(a), mean_of(a[:1])], 300, Resampling(0))
    assert low < 0 < high


def test_several_statistics_share_the_resamples():
    values = np.random.default_rng(0).random((3, 50))
    both = bootstrap_interval([mean_of(np.stack([values, values**2]))], 50, Resampling(4))
    for k, power in enumerate((1, 2)):
        alone = bootstrap_interval([mean_of(values**power)], 50, Resampling(4))
        assert [bound[k] for bound in both] == pytest.approx(alone)


def test_the_seed_decides():
    values = np.random.default_rng(0).random((2, 50))
    arms = [mean_of(values)]
    assert bootstrap_interval(arms, 50, Resampling(1)) == bootstrap_interval(
        arms, 50, Resampling(1)
    )
    assert bootstrap_interval(arms, 50, Resampling(1)) != bootstrap_interval(
        arms, 50, Resampling(2)
    )


def test_large_splits_are_resampled_in_parts():
    values = np.random.default_rng(0).random((1, 50_000))
    low, high = bootstrap_interval([mean_of(values)], 50_000, Resampling(1, 170))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 50_000**0.5, rel=0.25)


def test_of_one_example_nothing_is_known():
    assert np.isnan(bootstrap_interval([mean_of(np.ones((3, 1)))], 1, Resampling(0))).all()


def test_undefined_resamples_do_not_count():
    values = np.random.default_rng(0).random((2, 40))

    def sometimes_undefined(weights):
        return np.where(weights[:, 0] > 0, mean_of(values)(weights), np.nan)

    with pytest.warns(RuntimeWarning):
        low, high = bootstrap_interval([sometimes_undefined], 40, Resampling(0))
    assert low < values.mean() < high


def test_an_estimate_leaves_undefined_replicates_out_without_a_warning(recwarn):
    values = np.random.default_rng(0).random((12, 40))
    undefined = np.where(np.arange(12)[:, None] % 2 == 1, np.nan, values)
    found = estimate([mean_of(undefined), mean_of(values)], 40, Resampling(0))
    value, low, high = found
    assert value == pytest.approx(values[::2].mean() - values.mean())
    assert low < value < high
    assert not recwarn.list


def test_derived_seeds_differ_by_name_alone():
    one = Resampling(3, 50)
    assert one.derive("a", "b") == one.derive("a", "b") != one.derive("a", "c")
    assert one.derive("a").resamples == 50
    # As `provenance.json` says it.
    first = int.from_bytes(sha256(b"3\x1fa\x1f1").digest()[:4], "big")
    assert derive_seed(3, "a", 1) == first // 2


def test_a_p_value_is_that_of_a_normal_distribution_of_the_intervals_width():
    error = 0.7
    for value in (-2.0, -0.3, 0.0, 1.2):
        expected = 2 * stats.norm.cdf(-abs(value), scale=error)
        width = 2 * 1.959963985 * error
        assert compute_p_value(value, width) == pytest.approx(expected)
    # An interval that just touches the bound has 0.05.
    assert compute_p_value(1.0, 2.0) == pytest.approx(0.05)
    assert np.isnan(compute_p_value(1.0, np.nan))
    assert (compute_p_value(0.0, 0.0), compute_p_value(0.5, 0.0)) == (1, 0)
