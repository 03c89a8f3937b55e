"""Measures of every exit: accuracy, calibration, prediction of failures, distance to a probe."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.evaluation.metrics import (
    area_under_risk_coverage,
    difficulty_inversion_score,
    expected_calibration_error,
)

# Measure -> its value, in [0, 1], of confidence and correct `[examples]`, for each row of weights.
EXIT_MEASURES: dict[str, Callable[..., Any]] = {
    "accuracy": lambda confidence, correct, weights: weights @ correct / weights.sum(axis=-1),
    "dis": difficulty_inversion_score,
    "ece": lambda confidence, correct, weights: expected_calibration_error(
        confidence, correct, weights=weights
    ),
    "aurc": area_under_risk_coverage,
    "confidence_correct": lambda confidence, correct, weights: (
        weights @ (confidence * correct) / (weights @ correct)
    ),
    "confidence_wrong": lambda confidence, correct, weights: (
        weights @ (confidence * ~correct) / (weights @ ~correct)
    ),
}
LEFT_WRONG = "wrong of those that left at {:g}x"  # a measure of the first exit, for each target
EXITS = "task system split exit cost measure score low high n replicates"
GAPS = "task system split exit cost accuracy probe gap undertrained n replicates"
BELOW = 2  # points below a linear probe at which an exit counts as undertrained: our convention


def measure_exits(
    chosen: ChosenSystem, splits: Sequence[str], resampling: Resampling
) -> pd.DataFrame:
    """Accuracy and calibration of each exit of the chosen candidate, a row for each measure.

    Measures, in percent: accuracy, dis (difficulty inversion score), ece, aurc (area under the
    curve of risk against coverage), and the mean confidence of correct and of wrong examples; all
    are of all examples. The first exit has LEFT_WRONG besides, for each target that the system
    reaches on dev: the share of wrong answers among the examples that leave there. A replicate
    without correct, or wrong, examples does not count for the measures that need them. A resample's
    ECE is larger than the sample's, so that the interval of a small ECE may lie above the ECE.
    Returns EXITS; exits are numbered from 1.
    """
    frames = []
    for split in splits:
        exits, examples = _list_exits(chosen, split), len(chosen.system.labels(split))
        derived = resampling.derive("exits", chosen.system.task, split)
        statistic = build_exit_statistic(chosen.predictions(split))
        scores, low, high = estimate([statistic], examples, derived)
        parts = [
            exits.assign(measure=measure, score=scores[m], low=low[m], high=high[m])
            for m, measure in enumerate(EXIT_MEASURES)
        ]
        for target in list_left_targets(chosen):
            statistic = build_left_statistic(chosen, split, target)
            score, low, high = estimate([statistic], examples, derived)
            of_target = {"measure": LEFT_WRONG.format(target), "score": score}
            parts.append(exits[:1].assign(**of_target, low=low, high=high))
        frames.append(pd.concat(parts).sort_values("exit", kind="stable"))
    return pd.concat(frames, ignore_index=True)[EXITS.split()]


def compare_with_probes(
    chosen: ChosenSystem, probes: ChosenSystem, splits: Sequence[str]
) -> pd.DataFrame:
    """Accuracy of each exit of the chosen candidate beside a linear probe on the exit's states.

    probes: the same system and choice, with the probes' logits instead of the exits' own

    accuracy and probe are in percent, means over replicates. gap is accuracy less probe;
    undertrained tells whether the gap is below -BELOW. Returns GAPS; exits are numbered from 1.
    """
    frames = []
    for split in splits:
        own, probed = (
            np.mean([_score_exits(each) for each in of.predictions(split)], axis=0)
            for of in (chosen, probes)
        )
        frames.append(
            _list_exits(chosen, split).assign(
                accuracy=own, probe=probed, gap=own - probed, undertrained=own - probed < -BELOW
            )
        )
    return pd.concat(frames, ignore_index=True)[GAPS.split()]


def mark_undertrained(points: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """The operating points; `undertrained` tells whether any exit of the system is undertrained.

    gaps: `compare_with_probes` of these systems
    """
    keys = ["task", "system", "split"]
    found = gaps[gaps["undertrained"]].set_index(keys).index
    return points.assign(undertrained=points.set_index(keys).index.isin(found))


def build_exit_statistic(
    replicates: Sequence[Predictions], measures: Iterable[str] = EXIT_MEASURES
) -> WeightedStatistic:
    """weights `[resamples, examples]` -> `[measures, exits, replicates, resamples]`, in percent."""
    exits = [
        [(p.confidence[:, e], p.predicted[:, e] == p.labels) for p in replicates]
        for e in range(len(replicates[0].costs))
    ]

    def measure(weights: np.ndarray) -> np.ndarray:
        values = [
            [[EXIT_MEASURES[name](*each, weights) for each in of_exit] for of_exit in exits]
            for name in measures
        ]
        return 100 * np.array(values)

    return measure


def list_left_targets(chosen: ChosenSystem) -> list[float]:
    """The targets at which a system lets some examples leave before others."""
    if not chosen.system.rule.knob:
        return []
    return [target for target in chosen.choice.mixtures if chosen.reaches(target, tolerance=0)]


def build_left_statistic(chosen: ChosenSystem, split: str, target: float) -> WeightedStatistic:
    """weights -> percent of wrong answers of what leaves at the first exit.

    `[replicates, resamples]`; NaN where nothing leaves there
    """
    emission = chosen.emit(split, target)
    left = emission.exits == 0
    wrong = left & (emission.answers != chosen.system.labels(split))
    leaving, failing = (
        np.einsum("kr,krn->rn", emission.chances, which.astype(float)) for which in (left, wrong)
    )

    def measure(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return 100 * (failing @ weights.T) / (leaving @ weights.T)

    return measure


def _list_exits(chosen: ChosenSystem, split: str) -> pd.DataFrame:
    """One row an exit, with the columns that all measures share."""
    replicates = chosen.predictions(split)
    costs = replicates[0].costs
    return pd.DataFrame(
        {
            "task": chosen.system.task,
            "system": chosen.system.system,
            "split": split,
            "exit": np.arange(1, len(costs) + 1),
            "cost": costs,
            "n": len(chosen.system.labels(split)),
            "replicates": len(replicates),
        }
    )


def _score_exits(predictions: Predictions) -> np.ndarray:
    """Accuracy in percent, `[exits]`."""
    return 100 * (predictions.predicted == predictions.labels[:, None]).mean(axis=0)
