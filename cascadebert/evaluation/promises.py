"""Thresholds of a cascade that keep a promise: how much accuracy is lost on new texts, at most."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cascadebert.data.predictions import Predictions
from cascadebert.data.task import DEV
from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.intervals import Resampling, estimate
from cascadebert.systems.exits import (
    CONFIDENCE,
    CONFIDENCES,
    first_confident,
    speedup,
    sum_taken,
)

STAKES = 20  # fractions of the largest stake that `bound_chance` bets
LOSSES = (-1, 0, 1)  # of right answers on a text
STEPS = 200  # thresholds that `certify_threshold` tries at most

MAX_LOSSES = (0.005, 0.01, 0.02)  # that tables and model cards promise, as shares
DELTA = 0.1
PROMISES = (
    "task system split promised delta threshold certified loss low high speedup score full_score n "
    "n_dev replicates"
)


def certify_threshold(dev: Predictions, max_loss: float, delta: float) -> float:
    """The lowest threshold, the same for all members, that keeps a promise on new texts.

    The promise: with a probability of at least 1 - delta over the draw of these texts, the expected
    accuracy of the cascade is at most `max_loss` below that of its last member. The texts must be a
    random sample of those to come, and have been in no training.

    Learn then Test (Angelopoulos et al. 2021) by fixed-sequence testing: a sequence of thresholds,
    fixed before any text is seen, is tested from the safest on. The first that fails ends it, so
    that no correction for many tests is needed. Each test is `bound_chance`. Returns 1, with which
    no text leaves early, if not even the safest threshold passes.
    """
    right = (dev.predicted == dev.labels[:, None]).astype(int)
    losses = right[:, -1:] - right  # of an answer at each exit
    classes = dev.logits.shape[-1]
    thresholds = 1 - np.geomspace(1e-4, 1 - 1 / classes, STEPS)
    counts = [sum_taken(CONFIDENCE, dev.confidence, thresholds, losses == of) for of in LOSSES]
    passes = bound_chance(np.stack(counts, axis=-1), max_loss) <= delta
    tested = np.flatnonzero(~passes)
    last = (tested[0] if len(tested) else STEPS) - 1
    return float(thresholds[last]) if last >= 0 else 1.0


def bound_chance(counts: np.ndarray, most: float) -> np.ndarray:
    """A p-value, valid for any number of texts, of "the expected loss is above `most`".

    counts: texts of each of LOSSES, `[..., 3]`: right answers that the cascade gains and loses
    most:   in [0, 1)
    Returns float64 `[...]`.

    A bettor stakes on small losses: a loss multiplies the capital by 1 + stake * (most - loss). If
    the expected loss is above `most`, no stake is expected to gain, so that the capital exceeds
    1 / p with a probability of at most p (Markov). The capital is the mean over several stakes
    (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
    """
    stakes = np.linspace(0, 1 / (1 - most), STAKES + 2)[1:-1]
    growth = counts @ np.log1p(stakes * (most - np.array(LOSSES)[:, None]))
    return np.exp(np.minimum(0.0, np.log(STAKES) - np.logaddexp.reduce(growth, axis=-1)))


def measure_promises(
    chosen: ChosenSystem, splits: Sequence[str], resampling: Resampling
) -> pd.DataFrame:
    """Promised and realised loss of a cascade, a row for each split and each of MAX_LOSSES.

    The development split certifies a threshold for each replicate, with DELTA; the split is scored
    with it. Promised loss, realised loss, score and full_score (of the last member alone) are
    accuracies in percent, or differences of them. low and high bound the 95% interval of the loss
    over examples and replicates. certified is the number of replicates with a threshold below 1, at
    which texts leave early; threshold, loss, speedup and scores are means over all replicates.

    Returns PROMISES, without rows for a system that is no cascade of two members or more.
    """
    system = chosen.system
    replicates = system.candidates[chosen.choice.candidate]
    rows = []
    if system.rule is CONFIDENCES and len(replicates[0][DEV].costs) > 1:
        for most in MAX_LOSSES:
            thresholds = [certify_threshold(each[DEV], most, DELTA) for each in replicates]
            for split in splits:
                rows.append(
                    {
                        "task": system.task,
                        "system": system.system,
                        "split": split,
                        "promised": 100 * most,
                        "delta": DELTA,
                        "threshold": float(np.mean(thresholds)),
                        "certified": int(np.sum(np.array(thresholds) < 1)),
                        **measure_loss(
                            chosen.predictions(split),
                            thresholds,
                            system.full_cost,
                            resampling.derive("promises", system.task, split),
                        ),
                        "n_dev": len(system.labels(DEV)),
                        "replicates": len(replicates),
                    }
                )
    return pd.DataFrame(rows, columns=PROMISES.split())


def measure_loss(
    replicates: Sequence[Predictions],
    thresholds: Sequence[float],
    full_cost: float,
    resampling: Resampling,
) -> dict[str, float]:
    """What a cascade loses against its last member on a split, with a threshold a replicate.

    full_cost: of the reference model, in the unit of the predictions' costs

    Returns loss, its interval low and high, score and full_score (all of accuracy, in percent),
    speedup and n; see `measure_promises`.
    """
    labels = replicates[0].labels
    every = np.arange(len(labels))
    right, full, speedups = [], [], []
    for of, threshold in zip(replicates, thresholds, strict=True):
        exits = first_confident(of.confidence, threshold)
        right.append(of.predicted[every, exits] == labels)
        full.append(of.predicted[:, -1] == labels)
        speedups.append(speedup(exits, of.costs, full_cost))
    lost = 100 * (np.array(full).astype(float) - np.array(right))

    def measure(weights: np.ndarray) -> np.ndarray:
        return lost @ weights.T / weights.sum(axis=-1)

    loss, low, high = estimate([measure], len(labels), resampling)
    return {
        "loss": float(loss),
        "low": float(low),
        "high": float(high),
        "speedup": float(np.mean(speedups)),
        "score": 100 * float(np.mean(right)),
        "full_score": 100 * float(np.mean(full)),
        "n": len(labels),
    }
