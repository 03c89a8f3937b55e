"""COSEE (He et al., AAAI 2025): an exit learns most from the examples that would leave there.

All exits are trained with the model, as PABEE's. While training, an example is followed out of the
model at random thresholds; the exits near its own count most. An input leaves where its energy is
low.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logsumexp

from cascadebert.data.predictions import Predictions
from cascadebert.systems.exits import ExitRule, first_certain, list_uncertainties
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options


def energy(predictions: Predictions) -> np.ndarray:
    """The normalised energy of each exit's logits z, 1 / (1 + sum exp z), `[examples, exits]`.

    In (0, 1); high where no logit is large. The temperature is 1, as in the authors' scripts.
    """
    return expit(-logsumexp(predictions.logits.astype(np.float64), axis=-1))


EXIT_RULE = ExitRule(
    name="energy",
    knob="threshold of normalised energy",
    signal=energy,
    first=first_certain,
    knobs=lambda predictions: list_uncertainties(energy(predictions), 1.0),
)
OPTIONS = EXIT_OPTIONS


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    run = Run("cosee", options["encoder"], run_options(options))
    return [Candidate(label="", runs=(run,))]
