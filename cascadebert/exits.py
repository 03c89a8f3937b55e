"""When to stop: exit rules over the outputs of all exits, and what an exit costs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from cascadebert.predictions import Predictions

MOST_KNOBS = 1000


def first_confident(confidence, threshold) -> np.ndarray:
    """The first exit that is more confident than the threshold; else the last (Algorithm 1).

    confidence: `[examples, exits]`
    threshold:  a number, or one for each exit, `[exits]`, of which the last has no effect
    Returns the exit's index, int64 `[examples]`.
    """
    return _first(np.asarray(confidence) > np.asarray(threshold))


def first_certain(uncertainty, threshold) -> np.ndarray:
    """The first exit whose uncertainty is below the threshold; else the last (DeeBERT, Alg. 1).

    uncertainty: `[examples, exits]`, such as the entropy in nats
    threshold:   a number, or one for each exit, `[exits]`, of which the last has no effect
    Returns the exit's index, int64 `[examples]`.
    """
    return _first(np.asarray(uncertainty) < np.asarray(threshold))


def first_patient(predictions, patience: int) -> np.ndarray:
    """The first exit at which `patience` exits in a row agree with the one before them (PABEE).

    A disagreement sets the count back to 0, so at least patience + 1 exits are computed; the last
    one always emits.

    predictions: labels, `[examples, exits]`
    patience:    a whole number >= 1
    Returns the exit's index, int64 `[examples]`.
    """
    if patience < 1 or patience != int(patience):
        raise ValueError(f"patience must be a whole number of at least 1, not {patience}")
    predictions = np.asarray(predictions)
    agreeing = np.zeros(len(predictions), dtype=np.int64)
    stops = np.zeros(predictions.shape, dtype=bool)
    for exit_index in range(1, predictions.shape[1]):
        agrees = predictions[:, exit_index] == predictions[:, exit_index - 1]
        agreeing = np.where(agrees, agreeing + 1, 0)
        stops[:, exit_index] = agreeing >= patience
    return _first(stops)


def speedup(exit_index, costs, full_cost: float) -> float:
    """How much less is computed than by the full model: full_cost / mean cost of the exits taken.

    exit_index: `[examples]`
    costs:      `[exits]`, computed up to and including each exit, in any unit
    full_cost:  cost of the full model, in the same unit
    """
    return float(full_cost / np.asarray(costs)[np.asarray(exit_index)].mean())


def _first(emits: np.ndarray) -> np.ndarray:
    if emits.ndim != 2:
        raise ValueError(f"expected [examples, exits], not {emits.shape}")
    emits[:, -1] = True
    return emits.argmax(axis=1)


@dataclass(frozen=True)
class ExitRule:
    """How a system stops, given a number (the knob) that trades speed for score.

    name:   as in the configuration
    knob:   what the number is, for tables; "" if there is none
    signal: Predictions -> what the rule looks at, `[examples, exits]`
    first:  (signal, knob) -> exit index `[examples]`
    knobs:  Predictions -> every value of the knob worth trying, `[values]`, increasing: together
            they reach (nearly) every speed-up that can be reached on these examples
    """

    name: str
    knob: str
    signal: Callable[[Predictions], np.ndarray]
    first: Callable[[np.ndarray, float], np.ndarray]
    knobs: Callable[[Predictions], np.ndarray]

    def exit_index(self, predictions: Predictions, knob: float) -> np.ndarray:
        return self.first(self.signal(predictions), knob)


def entropy(predictions: Predictions) -> np.ndarray:
    """Of each exit's class probabilities, in nats, `[examples, exits]`."""
    return entr(predictions.probabilities).sum(axis=-1)


def _confidence_knobs(predictions: Predictions) -> np.ndarray:
    # Who has exited by exit k depends only on the highest confidence up to k.
    highest = np.maximum.accumulate(predictions.confidence[:, :-1], axis=1)
    return np.concatenate([[0.0], _midpoints(highest), [1.0]])


def _entropy_knobs(predictions: Predictions) -> np.ndarray:
    lowest = np.minimum.accumulate(entropy(predictions)[:, :-1], axis=1)
    more_than_any = np.log(predictions.logits.shape[-1] + 1)
    return np.concatenate([[0.0], _midpoints(lowest), [more_than_any]])


def _midpoints(values: np.ndarray) -> np.ndarray:
    """Thresholds between the distinct values, thinned evenly by quantile to MOST_KNOBS at most.

    Midpoints, because the same example computed in another batch differs in its last digits: a
    threshold at a value that occurs would decide by that noise.
    """
    distinct = np.unique(values)
    between = (distinct[:-1] + distinct[1:]) / 2
    if len(between) > MOST_KNOBS:
        between = between[np.linspace(0, len(between) - 1, MOST_KNOBS).round().astype(int)]
    return between


def _patience_knobs(predictions: Predictions) -> np.ndarray:
    return np.arange(1, max(predictions.logits.shape[1], 2))


CONFIDENCE = ExitRule(
    "confidence", "confidence threshold", lambda p: p.confidence, first_confident, _confidence_knobs
)
ENTROPY = ExitRule("entropy", "entropy threshold", entropy, first_certain, _entropy_knobs)
PATIENCE = ExitRule("patience", "patience", lambda p: p.predicted, first_patient, _patience_knobs)
LAST = ExitRule(
    "last",
    "",
    lambda p: p.confidence,
    lambda signal, knob: np.full(len(signal), signal.shape[1] - 1),
    lambda p: np.array([np.nan]),
)
RULES = {rule.name: rule for rule in (CONFIDENCE, ENTROPY, PATIENCE, LAST)}
