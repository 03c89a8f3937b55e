"""Confidence intervals over examples and replicates."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import sub

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 1000


def interval(
    arms: Sequence[tuple[Callable[[np.ndarray], np.ndarray], int]],
    examples: int,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[np.ndarray, np.ndarray]:
    """95% percentile bootstrap interval of a mean over replicates, or of a difference of two.

    Examples and replicates are resampled independently of each other (crossed, as in Owen 2007,
    "The pigeonhole bootstrap"), so the interval allows for both another sample of examples and
    another training. Of the latter, few replicates tell little and one tells nothing.

    arms: one pair (statistic, number of replicates), or two for the difference first - second, with
          the same examples drawn for both. A statistic takes weights `[resamples, examples]`, how
          often each example was drawn, and returns `[..., replicates, resamples]`; NaN stands for
          "undefined" and does not count.
    Returns low and high, `[...]`; NaN with fewer than two examples.
    """

    def statistic_of_resamples(rows, *members, axis):
        weights = _counts(rows, examples)
        means = []
        for (statistic, replicates), drawn in zip(arms, members, strict=True):
            values = statistic(weights)
            drawn = drawn.T[:replicates] % replicates
            values = np.take_along_axis(values, np.broadcast_to(drawn, values.shape), axis=-2)
            means.append(np.nanmean(values, axis=-2))
        return reduce(sub, means)

    if examples < 2:
        statistic, _ = arms[0]
        undefined = np.full(statistic(np.ones((1, examples))).shape[:-2], np.nan)
        return undefined, undefined
    # scipy asks for two observations: a single replicate stands twice here and once above.
    replicates = [np.arange(max(count, 2)) for _, count in arms]
    distribution = stats.bootstrap(
        [np.arange(examples), *replicates],
        statistic_of_resamples,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // examples),  # 32 MB of weights at a time
        vectorized=True,
        method="percentile",
        rng=seed,
    ).bootstrap_distribution
    low, high = np.nanquantile(distribution, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return low, high


def verdict(low: float, high: float) -> int:
    """1 or -1 where an interval lies above or below 0; 0, undecided, where it does not."""
    return int(low > 0) - int(high < 0)


def _counts(rows: np.ndarray, examples: int) -> np.ndarray:
    """How often each example occurs in each row of drawn indices, `[resamples, examples]`."""
    cells = rows + examples * np.arange(len(rows))[:, None]
    counts = np.bincount(cells.ravel(), minlength=examples * len(rows))
    return counts.reshape(len(rows), examples).astype(float)
