"""The same number of layers reached in several ways: Section 2 of the paper.

A series is one such way: a system with an exit after every layer, or systems of one exit each. The
layers of a series are the costs of its exits in layers of the reference model. Where the encoders
are as wide as the reference, this is the number of their own layers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.intervals import Resampling, estimate

# A bootstrap of fewer examples says little: ten right answers of ten would have no interval at all.
FEWEST = 20


def score_where_emitted(
    emits: str,
    leaving: np.ndarray,
    series: Mapping[str, Sequence[str]],
    predictions: Mapping[str, Sequence[Predictions]],
    resampling: Resampling,
) -> pd.DataFrame:
    """Accuracy after each number of layers on the examples that a system emits there (Figure 2).

    emits:       the system that has an exit after every layer
    leaving:     the chance that this system emits an example there, `[exits, replicates, examples]`
    series:      title -> systems
    predictions: system -> the predictions of one split, one a replicate

    A replicate of a series is scored on the examples that the same replicate of `emits` emits,
    weighted by their chance. The interval has no width where all of these examples are right, or
    all are wrong.
    Returns columns series, system, layers, accuracy (percent, mean over the replicates that emit
    there), low, high (95%, over examples and replicates), n (examples, mean over replicates),
    replicates. Raises UserError if a system has a number of layers at which `emits` has no exit.
    """
    exits = {_round_layers(cost): e for e, cost in enumerate(predictions[emits][0].costs)}
    rows, inside, right = [], [], []
    for title, systems in series.items():
        for system in systems:
            replicates = predictions[system]
            for e, cost in enumerate(replicates[0].costs):
                layers = _round_layers(cost)
                if layers not in exits:
                    raise UserError(
                        f"configuration, layerwise.series.{title}: {system} costs {layers:g} "
                        f"layers of the reference model, but {emits} has no exit there; name "
                        "systems of its width, whose layers are among its own"
                    )
                rows.append({"series": title, "system": system, "layers": layers})
                emitted = leaving[exits[layers]]
                inside.append(emitted)
                correct = np.array([p.predicted[:, e] == p.labels for p in replicates])
                right.append(emitted * correct)
    # [points, replicates, examples]
    inside, right = np.array(inside), np.array(right)

    def accuracy(weights):
        return 100 * (right @ weights.T) / (inside @ weights.T)

    with np.errstate(invalid="ignore"):  # where nothing is emitted, the accuracy is NaN
        mean, low, high = estimate([accuracy], inside.shape[-1], resampling)
    return pd.DataFrame(rows).assign(
        accuracy=mean, low=low, high=high, n=inside.sum(-1).mean(-1), replicates=leaving.shape[1]
    )


def list_dis_by_layer(exits: pd.DataFrame, series: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Difficulty inversion score after each number of layers, on all examples (Figure 3).

    exits:  `measures.measure_exits` of all systems
    series: title -> systems
    Returns columns task, split, series, system, layers, dis (percent), low, high, n, replicates.
    """
    of_dis = exits[exits["measure"] == "dis"].rename(columns={"score": "dis"})
    frames = [
        of_dis[of_dis["system"].isin(systems)].assign(series=title)
        for title, systems in series.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    table["layers"] = table["cost"].map(_round_layers)
    columns = "task split series system layers dis low high n replicates"
    return table[columns.split()]


def _round_layers(cost: float) -> float:
    """Costs that differ by rounding alone are the same."""
    return round(float(cost), 3)
