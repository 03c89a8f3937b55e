"""The score of a task: accuracy, or F1 as in GLUE."""

import numpy as np
from numpy.typing import ArrayLike

METRICS = ("accuracy", "f1")


def score(metric: str, predicted: ArrayLike, labels: ArrayLike) -> float:
    """Returns the task's score in percent.

    metric:            "accuracy", or "f1": F1 of label 1 as in GLUE, and 0 if that label neither
                       occurs nor is predicted
    predicted, labels: `[examples]`
    """
    numerator, denominator = compute_score_terms(metric, predicted, labels)
    if not numerator.size:
        raise ValueError("no examples to score")
    return float(compute_percent(numerator.sum(), denominator.sum()))


def compute_score_terms(
    metric: str, predicted: ArrayLike, labels: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each example's terms of the score's numerator and denominator, as floats.

    Both metrics are ratios of sums over examples. F1 is 2 TP / (2 TP + FP + FN); its denominator is
    the number of predicted positives plus the number of real ones. Shapes broadcast.
    """
    predicted, labels = np.broadcast_arrays(predicted, labels)
    if metric == "accuracy":
        return (predicted == labels).astype(float), np.ones(labels.shape)
    if metric == "f1":
        positive = (predicted == 1).astype(float)
        real = (labels == 1).astype(float)
        return 2 * positive * real, positive + real
    raise ValueError(f"unknown metric {metric!r}; there are {', '.join(METRICS)}")


def compute_percent(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """Returns 100 numerator / denominator, and 0 where the denominator is 0."""
    nothing = np.equal(denominator, 0)
    return np.where(nothing, 0.0, 100 * np.asarray(numerator) / np.where(nothing, 1, denominator))
