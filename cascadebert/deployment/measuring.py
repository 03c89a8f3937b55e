"""Score and speed-up of a cascade's thresholds, with intervals."""

from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import compute_percent, compute_score_terms
from cascadebert.data.tokens import has_pairs
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.finished import FinishedCascade
from cascadebert.evaluation.intervals import Resampling, estimate
from cascadebert.evaluation.temperature import scale_logits
from cascadebert.systems.exits import CONFIDENCES


def load_stored(found: FinishedCascade, split: str) -> Predictions:
    """What the experiment stored of the cascade's members on a split; torch computed it.

    Logits are divided by the cascade's temperatures.
    """
    place = found.results / "predictions" / found.task
    seed = f"seed{found.replicate}"
    files = [Path(place, run.name, seed, f"{split}.npz") for run in found.runs]
    stored = reduce(Predictions.followed_by, map(Predictions.load, files))
    return scale_logits(stored, found.temperatures)


def predict(cascade: Cascade, table: pd.DataFrame, costs: np.ndarray) -> Predictions:
    """The outputs of all members of a cascade for the examples of a split.

    table: the columns of `data.task.Task.splits`
    costs: of the exits, `[members]`
    """
    pairs = table["text_pair"].tolist() if has_pairs(table) else None
    probabilities = cascade.compute_all(table["text"].tolist(), pairs)
    return Predictions(
        logits=np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)),
        costs=costs,
        ids=table["id"].to_numpy(dtype=str),
        labels=table["label"].to_numpy(dtype=np.int64),
    )


def measure(
    predictions: Predictions,
    thresholds: list[float],
    metric: str,
    full_cost: float,
    resampling: Resampling,
) -> dict[str, float]:
    """Returns n, score (in percent) and speedup, and the bounds of their 95% intervals.

    full_cost:  of the reference model, in the unit of the predictions' costs
    resampling: the bootstrap is over examples; one training says nothing of others
    """
    exits = CONFIDENCES.exit_index(predictions, thresholds)
    cost = predictions.costs[exits]
    examples = len(exits)
    answers = predictions.predicted[np.arange(examples), exits]
    above, below = compute_score_terms(metric, answers, predictions.labels)

    def speedup_and_score(weights: np.ndarray) -> np.ndarray:
        speedup = full_cost * weights.sum(axis=1) / (weights @ cost)
        return np.stack([speedup, compute_percent(weights @ above, weights @ below)])[:, None]

    bounds = np.stack(estimate([speedup_and_score], examples, resampling))
    names = ("speedup", "speedup_low", "speedup_high", "score", "low", "high")
    rounded = [round(value, 6) for value in bounds.T.ravel().tolist()]
    return {"n": examples, **dict(zip(names, rounded, strict=True))}
