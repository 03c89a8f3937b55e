"""Post-hoc deferral (Jitkrittum et al., NeurIPS 2023): a small model estimates its gain.

It reads the first member's outputs alone. The gain of an example is 1 if only the second member is
right, -1 if only the first is, else 0 (their "Diff-01"). An example is deferred if the estimated
gain is above a threshold. The members are fine-tuned as those of any cascade.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.systems import cascade
from cascadebert.systems.exits import ExitRule, entropy, find_midpoints, first_confident
from cascadebert.systems.method import Candidate, Options

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS = 5
HIDDEN = 16  # units of the estimator
DECAYS = (1.0, 10.0, 100.0)  # of its weights: there are few examples


class GainEstimator:
    """The gain of deferring, estimated from the first member's outputs.

    It learns from the development split, in FOLDS parts: a model for each part, which learns from
    the others. An example of that split gets the estimate of its part's model. So no estimate comes
    from a model that has seen the label of the example. The decay is the one with the smallest
    error of such estimates.

    Any other example gets the estimate of one of the models, in turn. Thresholds are chosen on
    estimates of single models; a mean over the models would be spread less than these, and lead to
    another speed-up.
    """

    def __init__(self, dev: Predictions):
        """Raises UserError if there are too few examples to learn from."""
        if len(dev.ids) < 2 * FOLDS:
            raise UserError(
                f"post-hoc deferral learns from the development split, which has {len(dev.ids)} "
                f"examples; give it at least {2 * FOLDS}, or leave the system out"
            )
        right = dev.predicted == dev.labels[:, None]
        gain = right[:, 1].astype(float) - right[:, 0]
        self.folds = {id: number % FOLDS for number, id in enumerate(dev.ids)}
        fold, read = np.arange(len(gain)) % FOLDS, read_first_member(dev)
        best = np.inf
        for decay in DECAYS:
            models = [_fit(read[fold != part], gain[fold != part], decay) for part in range(FOLDS)]
            held_out = np.array([model.predict(read) for model in models])[
                fold, np.arange(len(fold))
            ]
            if (error := np.square(held_out - gain).mean()) < best:
                best, self.models = error, models

    def estimate(self, predictions: Predictions) -> np.ndarray:
        """`[examples]`, in [-1, 1]."""
        read = read_first_member(predictions)
        found = np.array([model.predict(read) for model in self.models])
        rows = np.arange(len(read))
        ids = enumerate(predictions.ids)
        fold = np.array([self.folds.get(id, number % FOLDS) for number, id in ids])
        return np.clip(found[fold, rows], -1, 1)


def read_first_member(predictions: Predictions) -> np.ndarray:
    """The class probabilities, the confidence and the entropy, `[examples, values]`."""
    parts = (predictions.probabilities, predictions.confidence, entropy(predictions))
    return np.column_stack([part[:, 0] for part in parts])


def _fit(read: np.ndarray, gain: np.ndarray, decay: float) -> "Pipeline":
    """Fits the gain by least squares."""
    from sklearn.exceptions import ConvergenceWarning  # slow to import
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,), alpha=decay, solver="lbfgs", max_iter=500, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), network).fit(read, gain)


def fit_rule(dev: Predictions) -> ExitRule:
    """The rule with an estimator that has learnt from these predictions."""
    estimator = GainEstimator(dev)

    def signal(predictions: Predictions) -> np.ndarray:
        """Less the estimated gain; the last exit takes whatever reaches it."""
        gain = estimator.estimate(predictions)
        return np.column_stack([-gain, np.ones(len(gain))])

    def list_knobs(predictions: Predictions) -> np.ndarray:
        between = find_midpoints(signal(predictions)[:, :-1])
        return np.concatenate([[-2.0], between, [2.0]])

    return replace(EXIT_RULE, signal=signal, knobs=list_knobs, fit=None)


def _ask_unfitted(predictions: Predictions) -> np.ndarray:
    raise ValueError("fit the rule on the development split first")


EXIT_RULE = ExitRule(
    name="deferral",
    knob="threshold of the gain of deferring, with the sign reversed",
    signal=_ask_unfitted,
    first=first_confident,
    knobs=_ask_unfitted,
    fit=fit_rule,
)
OPTIONS = {
    "required": ["members"],
    "properties": {
        "members": {
            **cascade.OPTIONS["properties"]["members"],
            "maxItems": 2,
            "description": "two encoders, the smaller first",
        }
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    return cascade.candidates(options, margins=())
