"""PCEE-BERT (Zhang et al., NAACL Findings 2022): leave once several exits in a row are confident.

The rule is all that is new. The model has an exit after every layer, trained as PABEE's or as
BERxiT's, whose run it shares.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cascadebert.data.predictions import Predictions
from cascadebert.systems.exits import (
    MOST_GRID,
    NORMALISED_ENTROPY,
    ExitRule,
    first_certain,
    list_uncertainties,
    normalised_entropy,
    sum_taken,
)
from cascadebert.systems.method import EXIT_OPTIONS, Candidate, Options, Run, run_options


def find_least_certain(uncertainty: ArrayLike, patience: int) -> np.ndarray:
    """The largest uncertainty of each exit and the patience - 1 before it, `[examples, exits]`.

    Infinite at the first exits, which have too few before them.
    """
    uncertainty = np.asarray(uncertainty, dtype=float)
    found = np.full(uncertainty.shape, np.inf)
    if patience <= uncertainty.shape[1]:
        rows = np.lib.stride_tricks.sliding_window_view(uncertainty, patience, axis=1)
        found[:, patience - 1 :] = rows.max(axis=-1)
    return found


def first_certain_in_a_row(uncertainty: ArrayLike, knob: Sequence[float]) -> np.ndarray:
    """The first exit at which `patience` exits in a row are below the threshold, else the last.

    The exits in a row need not agree on the label. The example gets the last one's answer.

    uncertainty: `[examples, exits]`, such as the normalised entropy
    knob:        the threshold, and the patience, a whole number >= 1
    Returns the exit's index, int64 `[examples]`.
    """
    threshold, patience = knob
    return first_certain(find_least_certain(uncertainty, int(patience)), threshold)


def _sum_in_a_row(signal: np.ndarray, knobs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`sum_taken`, in one sort for each patience."""
    total = np.empty(len(knobs))
    for patience in np.unique(knobs[:, 1]):
        of_patience = knobs[:, 1] == patience
        least = find_least_certain(signal, int(patience))
        thresholds = knobs[of_patience, 0]
        total[of_patience] = sum_taken(NORMALISED_ENTROPY, least, thresholds, values)
    return total


def _list_knobs(predictions: Predictions) -> np.ndarray:
    """`[knobs, 2]`: thresholds for every patience from 1 on."""
    uncertainty = normalised_entropy(predictions)
    patiences = range(1, max(uncertainty.shape[1], 2))
    found = []
    for patience in patiences:
        least = find_least_certain(uncertainty, patience)
        thresholds = list_uncertainties(least, 1.0, most=MOST_GRID // len(patiences))
        found += [(threshold, patience) for threshold in thresholds]
    return np.array(found, dtype=float)


EXIT_RULE = ExitRule(
    name="patient certainty",
    knob="threshold of normalised entropy, and patience",
    signal=normalised_entropy,
    first=first_certain_in_a_row,
    knobs=_list_knobs,
    sums=_sum_in_a_row,
)
OPTIONS = {
    "required": EXIT_OPTIONS["required"],
    "properties": {
        **EXIT_OPTIONS["properties"],
        "trained_as": {
            "enum": ["pabee", "berxit"],
            "description": "the method whose training it shares; default: pabee",
        },
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    method = options.get("trained_as", "pabee")
    run = Run(method, options["encoder"], run_options(options, "trained_as"))
    return [Candidate(label="", runs=(run,))]
