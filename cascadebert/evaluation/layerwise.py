"""The same number of layers reached in several ways: Section 2 of the paper.

A series is one such way: a system with an exit after every layer, or systems of one exit each. Its
layers are what an exit costs in layers of the reference model; where the encoders are as wide as
the reference, that is the number of their own layers.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.evaluation.intervals import RESAMPLES, interval
from cascadebert.training.predictions import Predictions

# A bootstrap of fewer examples says little: all right of ten would have no interval at all.
FEWEST = 20


def accuracy_where_emitted(
    emits: str,
    taken: Sequence[np.ndarray],
    series: Mapping[str, Sequence[str]],
    predictions: Mapping[str, Sequence[Predictions]],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Accuracy after each number of layers on the examples that a system emits there (Figure 2).

    emits:       the system that has an exit after every layer
    taken:       the exits that it takes, index `[examples]` of each replicate
    series:      title -> systems
    predictions: system -> the predictions of one split, one a replicate

    A replicate of a series is scored on the examples that the same replicate of `emits` emits.
    Where all of these are right, or wrong, the interval has no width.
    Returns columns series, system, layers, accuracy (percent, mean over the replicates that emit
    there), low, high (95%, over examples and replicates), n (examples, mean over replicates),
    replicates. Raises UserError if a system has a number of layers that `emits` has not.
    """
    exits = {_layers(cost): e for e, cost in enumerate(predictions[emits][0].costs)}
    rows, inside, right = [], [], []
    for title, systems in series.items():
        for system in systems:
            replicates = predictions[system]
            for e, cost in enumerate(replicates[0].costs):
                layers = _layers(cost)
                if layers not in exits:
                    raise UserError(
                        f"configuration, layerwise.series.{title}: {system} costs {layers:g} "
                        f"layers of the reference model, but {emits} has no exit there; name "
                        "systems of its width, whose layers are among its own"
                    )
                rows.append({"series": title, "system": system, "layers": layers})
                emitted = [exit_index == exits[layers] for exit_index in taken]
                inside.append(emitted)
                right.append(
                    [
                        here & (p.predicted[:, e] == p.labels)
                        for here, p in zip(emitted, replicates, strict=True)
                    ]
                )
    inside, right = (
        np.array(inside, float),
        np.array(right, float),
    )  # [points, replicates, examples]

    def accuracy(weights):
        return 100 * (right @ weights.T) / (inside @ weights.T)

    examples = inside.shape[-1]
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # undefined is NaN
        low, high = interval([(accuracy, len(taken))], examples, seed=seed, resamples=resamples)
        mean = np.nanmean(accuracy(np.ones((1, examples))), axis=(-2, -1))
    return pd.DataFrame(rows).assign(
        accuracy=mean, low=low, high=high, n=inside.sum(-1).mean(-1), replicates=len(taken)
    )


def dis_by_layer(exits: pd.DataFrame, series: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Difficulty inversion score after each number of layers, on all examples (Figure 3).

    exits:  `points.exit_measures` of all systems
    series: title -> systems
    Returns columns task, split, series, system, layers, dis (percent), low, high, n, replicates.
    """
    of_dis = exits[exits["measure"] == "dis"].rename(columns={"score": "dis"})
    frames = [
        of_dis[of_dis["system"].isin(systems)].assign(series=title)
        for title, systems in series.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    table["layers"] = table["cost"].map(_layers)
    columns = "task split series system layers dis low high n replicates"
    return table[columns.split()]


def _layers(cost: float) -> float:
    """Costs that differ by rounding alone are the same."""
    return round(float(cost), 3)
