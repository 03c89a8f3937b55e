"""Confidence intervals over examples and replicates."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import sub

import numpy as np
from scipy import stats

from cascadebert.core.seeds import derive_seed

LEVEL = 0.95

# Weights `[resamples, examples]`, how often each example was drawn, -> values
# `[..., replicates, resamples]`, where NaN stands for "undefined" and does not count.
WeightedStatistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Resampling:
    """The seed and the number of resamples of a bootstrap."""

    seed: int
    resamples: int = 1000

    def derive(self, *names) -> "Resampling":
        """The same number of resamples, with a seed that follows from the names."""
        return replace(self, seed=derive_seed(self.seed, *names))


def estimate(
    statistics: Sequence[WeightedStatistic], examples: int, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over replicates of one statistic, or the difference of two means, and its interval.

    Arguments are those of `bootstrap_interval`. Returns value, low and high, `[...]`.
    """
    once = np.ones((1, examples))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # means of NaN alone are NaN
        means = [np.nanmean(statistic(once), axis=(-2, -1)) for statistic in statistics]
        low, high = bootstrap_interval(statistics, examples, resampling)
    return reduce(sub, means), low, high


def bootstrap_interval(
    statistics: Sequence[WeightedStatistic], examples: int, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """95% percentile bootstrap interval of a mean over replicates, or of a difference of two.

    Examples and replicates are resampled independently of each other (crossed, as in Owen 2007,
    "The pigeonhole bootstrap"). The interval therefore allows for another sample of examples and
    for another training. A few replicates say little about other trainings; one says nothing.

    statistics: one, or two for the difference first - second. Both get the same examples.
    Returns low and high, `[...]`; NaN with fewer than two examples.
    """
    shapes = [statistic(np.ones((1, examples))).shape for statistic in statistics]
    if examples < 2:
        undefined = np.full(shapes[0][:-2], np.nan)
        return undefined, undefined

    def statistic_of_resamples(rows, *members, axis):
        weights = _count_draws(rows, examples)
        means = []
        for statistic, drawn in zip(statistics, members, strict=True):
            values = statistic(weights)
            replicates = values.shape[-2]
            drawn = drawn.T[:replicates] % replicates
            values = np.take_along_axis(values, np.broadcast_to(drawn, values.shape), axis=-2)
            means.append(np.nanmean(values, axis=-2))
        return reduce(sub, means)

    # scipy needs two observations, so a single replicate is listed twice; `% replicates` undoes it.
    replicates = [np.arange(max(shape[-2], 2)) for shape in shapes]
    distribution = stats.bootstrap(
        [np.arange(examples), *replicates],
        statistic_of_resamples,
        n_resamples=resampling.resamples,
        batch=max(1, 4_000_000 // examples),  # at most 32 MB of weights at a time
        vectorized=True,
        method="percentile",
        rng=resampling.seed,
    ).bootstrap_distribution
    low, high = np.nanquantile(distribution, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return low, high


def judge_interval(low: float, high: float) -> int:
    """1 if the interval lies above 0, -1 if it lies below, else 0: undecided (also with NaN)."""
    return int(low > 0) - int(high < 0)


def compute_p_value(distance: float, width: float) -> float:
    """The two-sided p-value that goes with a 95% interval, as of a normal distribution.

    distance: from the value to the bound that it is tested against
    width:    of the interval
    1 for a distance of 0; NaN without an interval.
    """
    if np.isnan(distance) or np.isnan(width):
        return float("nan")
    if width == 0:
        return float(distance == 0)
    error = width / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return float(2 * stats.norm.sf(abs(distance) / error))


def _count_draws(rows: np.ndarray, examples: int) -> np.ndarray:
    """How often each example occurs in each row of drawn indices, `[resamples, examples]`."""
    cells = rows + examples * np.arange(len(rows))[:, None]
    counts = np.bincount(cells.ravel(), minlength=examples * len(rows))
    return counts.reshape(len(rows), examples).astype(float)
