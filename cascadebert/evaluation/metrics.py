"""Measures of confidence: difficulty inversion, risk and coverage, calibration.

Each row of `weights` says how often every example counts. A bootstrap passes its resamples as
weights and gets one value for each resample.
"""

import numpy as np
import pandas as pd


def difficulty_inversion_score(confidence, correct, weights=None):
    """How well confidence separates easy from difficult instances, in [0, 1] (paper, Eq. 1 to 3).

    The score looks at all pairs of a correct ("easy") and a wrong ("difficult") instance. It is the
    share of pairs in which the difficult instance does not have the higher confidence. Eq. 1 as
    printed counts the reverse. A tie is no inversion. Without ties the score is the area under the
    ROC curve of confidence as a predictor of correctness. O(n log n).

    confidence: `[examples]`, any order-preserving scale
    correct:    bool `[examples]`
    weights:    `[..., examples]` or None
    Returns a float, or `[...]` with weights; NaN if no instance is easy or none is difficult.
    """
    confidence, correct = _check(confidence, correct)
    counts = np.ones(confidence.shape) if weights is None else np.asarray(weights, float)
    easy, difficult = counts[..., correct], counts[..., ~correct]
    order = np.argsort(confidence[correct])
    less_confident = np.searchsorted(confidence[correct][order], confidence[~correct])
    # easy_below[..., k]: how often the k least confident easy instances occur
    easy_below = np.zeros((*counts.shape[:-1], len(order) + 1))
    np.cumsum(easy[..., order], axis=-1, out=easy_below[..., 1:])
    inversions = (easy_below[..., less_confident] * difficult).sum(axis=-1)
    pairs = easy.sum(axis=-1) * difficult.sum(axis=-1)
    result = 1 - inversions / np.where(pairs > 0, pairs, np.nan)
    return float(result) if weights is None else result


def area_under_risk_coverage(confidence, correct, weights=None):
    """The mean share of wrong answers among the k most confident, over all k, in [0, 1].

    AURC (Geifman et al. 2019, "Bias-Reduced Uncertainty Estimation"): the area under the curve of
    risk against coverage, as a mean over the coverages k / examples. Lower is better. The order of
    equal confidences is drawn at random, and the result is the expected one.

    confidence: `[examples]`, any order-preserving scale
    correct:    bool `[examples]`
    weights:    whole numbers `[..., examples]`, how often each example occurs, or None
    Returns a float, or `[...]` with weights; NaN without examples.
    """
    confidence, correct = _check(confidence, correct)
    counts = np.ones(confidence.shape) if weights is None else np.asarray(weights)
    _, place = np.unique(-confidence, return_inverse=True)
    order = np.argsort(place, kind="stable")
    if not len(order):
        return np.nan if weights is None else np.full(counts.shape[:-1], np.nan)
    # Groups of equal confidence, from the most confident on. Those without a wrong answer only
    # count for the rank of the others.
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    size, is_wrong = counts[..., order], ~correct[order]
    failing = np.logical_or.reduceat(is_wrong, starts)
    wrong = size[..., is_wrong]
    if len(starts) < len(order):
        places = np.unique(place[order][is_wrong], return_index=True)[1]
        wrong = np.add.reduceat(wrong, places, axis=-1) if len(places) else wrong
        size = np.add.reduceat(size, starts, axis=-1)
    end = size.cumsum(axis=-1)
    total = end[..., -1:].astype(np.int64)
    size, end = (each[..., failing].astype(np.int64) for each in (size, end))
    # A wrong answer at rank i counts 1/k at every k from i on, which is H(total) - H(i - 1).
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, total.max(initial=0) + 1))])
    summed = np.concatenate([[0.0], np.cumsum(harmonic)])  # sum of H(t) for all t < m
    of_group = size * harmonic[total] - (summed[end] - summed[end - size])
    area = (wrong / np.where(size > 0, size, 1) * of_group).sum(axis=-1)
    total = total[..., 0]
    result = area / np.where(total > 0, total, np.nan)
    return float(result) if weights is None else result


def reliability_bins(confidence, correct, bins=10) -> pd.DataFrame:
    """Confidence and accuracy in equal-width bins, as in a reliability diagram.

    Bins are closed on the right as in Guo et al. (2017), ((m-1)/bins, m/bins]; the first bin also
    contains 0. One row a bin: lower, upper, count, and the means confidence and accuracy, NaN in
    an empty bin.
    """
    confidence, correct = _check(confidence, correct)
    where = _find_bins(confidence, bins)
    table = pd.DataFrame({"confidence": confidence, "accuracy": correct.astype(float)})
    groups = table.groupby(where)
    edges = np.arange(bins + 1) / bins
    result = pd.DataFrame({"lower": edges[:-1], "upper": edges[1:]})
    result["count"] = np.bincount(where, minlength=bins)
    return result.join(groups.mean())


def expected_calibration_error(confidence, correct, bins=10, weights=None):
    """The mean distance of accuracy from confidence over `bins` equal-width bins, in [0, 1].

    Bins are those of `reliability_bins`, weighted by their size (Guo et al. 2017; the paper's
    Appendix B).

    confidence: `[examples]` in [0, 1]
    correct:    bool `[examples]`
    weights:    `[..., examples]` or None
    Returns a float, or `[...]` with weights; NaN without examples.
    """
    confidence, correct = _check(confidence, correct)
    counts = np.ones(confidence.shape) if weights is None else np.asarray(weights, float)
    gaps = np.zeros((len(confidence), bins))
    gaps[np.arange(len(confidence)), _find_bins(confidence, bins)] = confidence - correct
    total = counts.sum(axis=-1)
    distance = np.abs(counts @ gaps).sum(axis=-1)
    result = distance / np.where(total > 0, total, np.nan)
    return float(result) if weights is None else result


def _find_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    # A float32 softmax may exceed 1 by rounding; such values belong to the last bin.
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("confidence must lie between 0 and 1")
    return np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")


def _check(confidence, correct) -> tuple[np.ndarray, np.ndarray]:
    """float64 and bool `[examples]`, from lists, arrays or tensors; raises ValueError otherwise."""
    confidence, correct = (
        np.asarray(values.tolist() if hasattr(values, "detach") else values)
        for values in (confidence, correct)
    )
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        raise ValueError(
            "confidence and correct must have one dimension and the same length, "
            f"not {confidence.shape} and {correct.shape}"
        )
    if np.isnan(confidence).any():
        raise ValueError("confidence is not a number somewhere")
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("correct must be boolean")
    return confidence.astype(float), correct.astype(bool)
