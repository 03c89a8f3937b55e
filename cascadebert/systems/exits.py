"""Exit rules over the outputs of all exits, and the speed-up of the exits taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from cascadebert.data.predictions import Predictions

MOST_KNOBS = 1000  # values of a single threshold
MOST_GRID = 4000  # combinations of several thresholds, about: two have 65 values each


# One number, or one for each exit but the last; none for a rule without a knob.
Knob = float | Sequence[float]


def first_confident(confidence: ArrayLike, threshold: ArrayLike) -> np.ndarray:
    """The first exit above the threshold of confidence, else the last (paper, Algorithm 1).

    confidence: `[examples, exits]`
    threshold:  a number, or one for each exit, `[exits]`, of which the last has no effect
    Returns the exit's index, int64 `[examples]`.
    """
    return _find_first(np.asarray(confidence) > np.asarray(threshold))


def first_confident_of_each(confidence: ArrayLike, thresholds: Sequence[float]) -> np.ndarray:
    """`first_confident` with a threshold for each exit but the last."""
    return first_confident(confidence, [*thresholds, 1.0])


def first_certain(uncertainty: ArrayLike, threshold: ArrayLike) -> np.ndarray:
    """The first exit below the threshold of uncertainty, else the last (DeeBERT, Algorithm 1).

    uncertainty: `[examples, exits]`, such as the entropy in nats
    threshold:   a number, or one for each exit, `[exits]`, of which the last has no effect
    Returns the exit's index, int64 `[examples]`.
    """
    return _find_first(np.asarray(uncertainty) < np.asarray(threshold))


def first_patient(predictions: ArrayLike, patience: int) -> np.ndarray:
    """The first exit at which `patience` exits in a row agree with the exit before (PABEE).

    A disagreement sets the count back to 0, so at least patience + 1 exits are computed. The last
    exit emits all examples that reach it.

    predictions: labels, `[examples, exits]`
    patience:    a whole number >= 1
    Returns the exit's index, int64 `[examples]`. Raises ValueError for another patience.
    """
    if patience < 1 or patience != int(patience):
        raise ValueError(f"patience must be a whole number of at least 1, not {patience}")
    predictions = _check_shape(np.asarray(predictions))
    agreeing = np.zeros(len(predictions), dtype=np.int64)
    stops = np.zeros(predictions.shape, dtype=bool)
    for exit_index in range(1, predictions.shape[1]):
        agrees = predictions[:, exit_index] == predictions[:, exit_index - 1]
        agreeing = np.where(agrees, agreeing + 1, 0)
        stops[:, exit_index] = agreeing >= patience
    return _find_first(stops)


def speedup(exit_index: ArrayLike, costs: ArrayLike, full_cost: float) -> float:
    """Cost of the full model / mean cost of the exits taken.

    exit_index: `[examples]`
    costs:      `[exits]`, up to and including each exit, in any unit
    full_cost:  cost of the full model, in the same unit
    """
    # Not `costs[exit_index]`, which would take booleans, of two exits, for a mask.
    return float(full_cost / np.asarray(costs).take(np.asarray(exit_index)).mean())


def _find_first(emits: np.ndarray) -> np.ndarray:
    _check_shape(emits)[:, -1] = True
    return emits.argmax(axis=1)


def _check_shape(values: np.ndarray) -> np.ndarray:
    if values.ndim != 2:
        raise ValueError(f"expected [examples, exits], not {values.shape}")
    return values


@dataclass(frozen=True)
class ExitRule:
    """A rule that picks an exit by a knob: one number, or several, that trade speed for score.

    name:    tells rules apart
    knob:    the knob's name in tables; "" for a rule without a knob
    signal:  Predictions -> the rule's input, `[examples, exits]`
    first:   (signal, knob) -> exit index `[examples]`
    knobs:   Predictions -> every value of the knob worth trying, `[values]`, increasing, or
             `[values, thresholds]`. Together the values reach (nearly) every possible speed-up on
             these examples.
    answers: Predictions -> the labels that the exits emit, `[examples, exits]`; an exit may answer
             for several
    fit:     the predictions of the development split -> this rule, fitted on them; None for a rule
             that learns nothing
    ensemble: whether all models but the last answer together, so that all of them are computed
    sums:    (signal, knobs, values) -> what `sum_taken` returns, faster than by `first`; None for a
             rule that needs no function of its own
    """

    name: str
    knob: str
    signal: Callable[[Predictions], np.ndarray]
    first: Callable[[np.ndarray, Any], np.ndarray]
    knobs: Callable[[Predictions], np.ndarray]
    answers: Callable[[Predictions], np.ndarray] = lambda predictions: predictions.predicted
    fit: "Callable[[Predictions], ExitRule] | None" = None
    ensemble: bool = False
    sums: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None

    def exit_index(self, predictions: Predictions, knob: Knob) -> np.ndarray:
        return self.first(self.signal(predictions), knob)


def sum_taken(
    rule: ExitRule, signal: np.ndarray, knobs: np.ndarray, values: ArrayLike
) -> np.ndarray:
    """For each knob, the sum over examples of the values at the exits that the rule takes.

    The same as `values[examples, rule.first(signal, knob)].sum()` for each knob, but thresholds
    need one sort, and not a pass over the examples for each.

    signal: the rule's signal, `[examples, exits]`
    knobs:  `[knobs]`, or `[knobs, exits - 1]`
    values: such as costs, `[examples, exits]`, or `[exits]` where they are those of all examples
    Returns float64 `[knobs]`.
    """
    values = np.broadcast_to(np.asarray(values, dtype=float), signal.shape)
    if rule.sums is not None:
        return rule.sums(signal, knobs, values)
    # All examples take the first exit; then each that stays moves on to the next.
    base, steps = values[:, 0].sum(), np.diff(values, axis=1)
    if rule.first is first_confident:
        return base + _sum_staying(np.maximum.accumulate(signal[:, :-1], axis=1), knobs, steps)
    if rule.first is first_certain:
        return base + _sum_staying(np.maximum.accumulate(-signal[:, :-1], axis=1), -knobs, steps)
    if rule.first is first_confident_of_each:
        return base + _sum_staying_at_each(signal[:, :-1], knobs, steps)
    rows = np.arange(len(signal))
    return np.array([values[rows, rule.first(signal, knob)].sum() for knob in knobs])


def _sum_staying(highest: np.ndarray, thresholds: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """For each threshold, the sum of the steps where `highest` is not above it."""
    order = highest.argsort(axis=None)
    sums = np.concatenate([[0.0], steps.ravel()[order].cumsum()])
    return sums[np.searchsorted(highest.ravel()[order], thresholds, side="right")]


def _sum_staying_at_each(signal: np.ndarray, knobs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """For each row of thresholds, the sum of the steps that examples make.

    An example makes the step from an exit if its signal is above no threshold up to that exit.
    """
    total = np.zeros(len(knobs))
    # Where examples and knobs lie in a grid of all thresholds; its last cells are above them all.
    cells, places, shape = [], [], []
    for exit, step in enumerate(steps.T):
        thresholds, place = np.unique(knobs[:, exit], return_inverse=True)
        cells.append(np.searchsorted(thresholds, signal[:, exit]))
        places.append(place)
        shape.append(len(thresholds) + 1)
        grid = np.zeros(shape)
        np.add.at(grid, tuple(cells), step)
        for axis in range(grid.ndim):
            grid = grid.cumsum(axis=axis)
        total += grid[tuple(places)]
    return total


def entropy(predictions: Predictions) -> np.ndarray:
    """Entropy of each exit's class probabilities, in nats, `[examples, exits]`."""
    return entr(predictions.probabilities).sum(axis=-1)


def normalised_entropy(predictions: Predictions) -> np.ndarray:
    """Entropy over its largest possible value, in [0, 1], `[examples, exits]` (FastBERT, Eq. 3)."""
    return entropy(predictions) / np.log(predictions.logits.shape[-1])


def _list_confidences(predictions: Predictions) -> np.ndarray:
    # An example has exited by exit k if its highest confidence up to k is above the threshold.
    highest = np.maximum.accumulate(predictions.confidence[:, :-1], axis=1)
    return np.concatenate([[0.0], find_midpoints(highest), [1.0]])


def _list_threshold_grid(predictions: Predictions) -> np.ndarray:
    """Every combination of thresholds of all exits but the last."""
    exits = predictions.confidence[:, :-1].T
    if not len(exits):
        return np.empty((1, 0))
    # A single threshold gets as many values as in every other rule.
    most = MOST_KNOBS if len(exits) == 1 else int(MOST_GRID ** (1 / len(exits)))
    values = [np.concatenate([[0.0], find_midpoints(of_exit, most), [1.0]]) for of_exit in exits]
    return np.stack([axis.ravel() for axis in np.meshgrid(*values, indexing="ij")], axis=1)


def _list_entropies(predictions: Predictions) -> np.ndarray:
    return list_uncertainties(entropy(predictions), np.log(predictions.logits.shape[-1]))


def _list_normalised_entropies(predictions: Predictions) -> np.ndarray:
    return list_uncertainties(normalised_entropy(predictions), 1.0)


def list_uncertainties(
    uncertainty: np.ndarray, highest: float, most: int = MOST_KNOBS
) -> np.ndarray:
    """Thresholds of `first_certain`, increasing: below all values, between them, above them all.

    uncertainty: `[examples, exits]`
    highest:     its largest possible value
    """
    lowest = np.minimum.accumulate(uncertainty[:, :-1], axis=1)
    between = find_midpoints(lowest[np.isfinite(lowest)], most)
    return np.concatenate([[0.0], between, [1.01 * highest]])


def find_midpoints(values: np.ndarray, most: int = MOST_KNOBS) -> np.ndarray:
    """Thresholds between the distinct values, thinned evenly by quantile to `most` at most.

    The last digits of an example's values differ with the batch. A threshold at an occurring value
    would decide by this noise; a midpoint does not.
    """
    distinct = np.unique(values)
    between = (distinct[:-1] + distinct[1:]) / 2
    if len(between) > most:
        between = between[np.linspace(0, len(between) - 1, most).round().astype(int)]
    return between


def _first_patient(predictions: np.ndarray, patience: int) -> np.ndarray:
    """`first_patient`; patience 0, which PABEE's authors do not use, is the first exit for all.

    Other rules have such a knob, too. Without it, PABEE could not be as fast as they are.
    """
    if patience == 0:
        return np.zeros(len(predictions), dtype=np.int64)
    return first_patient(predictions, patience)


def _list_patiences(predictions: Predictions) -> np.ndarray:
    return np.arange(predictions.logits.shape[1])


CONFIDENCE = ExitRule(
    name="confidence",
    knob="confidence threshold",
    signal=lambda p: p.confidence,
    first=first_confident,
    knobs=_list_confidences,
)
CONFIDENCES = ExitRule(
    name="confidences",
    knob="confidence thresholds, one for each exit but the last",
    signal=lambda p: p.confidence,
    first=first_confident_of_each,
    knobs=_list_threshold_grid,
)
ENTROPY = ExitRule(
    name="entropy",
    knob="entropy threshold",
    signal=entropy,
    first=first_certain,
    knobs=_list_entropies,
)
NORMALISED_ENTROPY = ExitRule(
    name="normalised entropy",
    knob="threshold of normalised entropy",
    signal=normalised_entropy,
    first=first_certain,
    knobs=_list_normalised_entropies,
)
PATIENCE = ExitRule(
    name="patience",
    knob="patience",
    signal=lambda p: p.predicted,
    first=_first_patient,
    knobs=_list_patiences,
)
LAST = ExitRule(
    name="last",
    knob="",
    signal=lambda p: p.confidence,
    first=lambda signal, knob: np.full(len(signal), signal.shape[1] - 1),
    knobs=lambda p: np.empty((1, 0)),  # no threshold
)
