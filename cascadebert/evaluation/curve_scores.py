"""A whole curve of score against speed-up in one number: its mean, and the ELUE score.

Both are means over POINTS speed-ups between 1x and 4x, evenly spaced by ratio: a system has exactly
these speed-ups on the development split (`mixing`).

* mean: the score, so that this is the mean score over the logarithm of the speed-up;
* elue: the score less that of a reference curve at the same cost (ELUE score, Liu et al. 2022,
  "Towards Efficient NLP"). Their reference is ElasticBERT. Ours is fine-tuned first layers of the
  reference encoder (BERT-kL), mixed at the cost in between, which is what a coin between two of
  these models reaches. Accuracy is then interpolated linearly in cost.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cascadebert.evaluation.choice import EXACT, ChosenSystem
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.evaluation.mixing import Emission, Mixture
from cascadebert.evaluation.points import build_point_statistic, build_score_statistic

SLOWEST, FASTEST, POINTS = 1.0, 4.0, 16
# The middles of equal steps, so that a plain mean over them is the mean over the whole range.
TARGETS = SLOWEST * (FASTEST / SLOWEST) ** ((np.arange(POINTS) + 0.5) / POINTS)
CURVE_SCORES = "task system split measure score low high n replicates note"
REFERENCE = "reference"  # in place of a system: the reference curve itself
TOO_SHORT = "its speed-ups do not span 1x to 4x"
NO_REFERENCE = "no two systems of the reference curve were run"
SHORT_REFERENCE = "the reference curve does not span 1x to 4x"


def measure_curves(
    systems: Mapping[str, ChosenSystem],
    reference: Sequence[str],
    splits: Sequence[str],
    resampling: Resampling,
) -> pd.DataFrame:
    """The measures `mean` and `elue` of every system with a knob, with 95% intervals.

    reference: the systems of one exit that make the reference curve (`reference_series`)

    A system that reaches a part of the range only has neither: means over other speed-ups cannot be
    compared. The reference curve has rows of its own, with the mean alone. Where fewer than two of
    its systems were run, or they do not span the range, there is no ELUE score. Returns
    CURVE_SCORES.
    """
    curve = [systems[key] for key in reference if key in systems]
    rows = []
    for split in splits:
        fixed = ReferenceCurve(curve, split) if len(curve) > 1 else None
        for key, chosen in systems.items():
            if chosen.system.rule.knob:
                rows += _measure_system(key, chosen, split, fixed, resampling)
        if fixed is not None:
            rows.append(_measure_reference(fixed, resampling))
    return pd.DataFrame(rows, columns=CURVE_SCORES.split())


class ReferenceCurve:
    """Systems of one exit on a split, of which the two next to a cost are mixed (`mixing`)."""

    def __init__(self, systems: Sequence[ChosenSystem], split: str):
        self.systems = sorted(systems, key=lambda chosen: self._cost(chosen, split))
        self.split = split
        self.costs = np.array([self._cost(chosen, split) for chosen in self.systems])

    @staticmethod
    def _cost(chosen: ChosenSystem, split: str) -> float:
        """In units of the reference model."""
        return float(chosen.predictions(split)[0].costs[-1] / chosen.system.full_cost)

    @property
    def spans(self) -> bool:
        """Whether it has a system at either end of the speed-ups, or beyond."""
        return self.costs[0] <= 1 / TARGETS[-1] and self.costs[-1] >= 1 / TARGETS[0]

    @property
    def replicates(self) -> int:
        return min(len(chosen.predictions(self.split)) for chosen in self.systems)

    def build_mean(self, costs: np.ndarray) -> WeightedStatistic:
        """weights -> `[replicates, resamples]`, the mean of the curve's scores at these costs.

        A cost beyond the curve's ends has the score of the end.
        """
        ends = np.clip(costs, self.costs[0], self.costs[-1])
        shares = [np.interp(ends, self.costs, row) for row in np.eye(len(self.costs))]
        chances = np.repeat(np.transpose(shares)[..., None], self.replicates, axis=-1)
        answers = [
            [each.predicted[:, -1] for each in chosen.predictions(self.split)[: self.replicates]]
            for chosen in self.systems
        ]
        score = build_score_statistic(answers, self.systems[0].system, self.split, chances)
        return lambda weights: score(weights).mean(axis=0)


def list_reached(chosen: ChosenSystem) -> dict[float, list[Mixture]]:
    """Those of TARGETS that every replicate reaches on the development split -> its mixtures."""
    sweeps = chosen.system.sweeps[chosen.choice.candidate]
    mixtures = {float(target): [swept.mix(target) for swept in sweeps] for target in TARGETS}
    return {
        target: of_target
        for target, of_target in mixtures.items()
        if all(abs(mixture.speedup / target - 1) <= EXACT for mixture in of_target)
    }


def _measure_system(
    key: str,
    chosen: ChosenSystem,
    split: str,
    fixed: ReferenceCurve | None,
    resampling: Resampling,
) -> list[dict[str, object]]:
    reached = list_reached(chosen)
    short = "" if len(reached) == len(TARGETS) else TOO_SHORT
    notes = {"mean": short, "elue": short}
    if fixed is None:
        notes["elue"] = NO_REFERENCE
    elif not fixed.spans:
        notes["elue"] = SHORT_REFERENCE
    emissions = [
        chosen.system.emit(chosen.choice.candidate, split, mixtures)
        for mixtures in reached.values()
    ]
    replicates = len(chosen.predictions(split))
    rows = []
    for measure, note in notes.items():
        means: list[WeightedStatistic] = []
        if not note:
            means.append(_build_mean(emissions, chosen, split))
        if not note and measure == "elue" and fixed is not None:
            costs = np.array([np.mean(1 / emission.speedups) for emission in emissions])
            means.append(fixed.build_mean(costs))
        row: dict[str, object] = {"system": key, "measure": measure, "note": note}
        row["replicates"] = replicates
        rows.append(_estimate_row(row, means, chosen, split, resampling))
    return rows


def _build_mean(
    emissions: Sequence[Emission], chosen: ChosenSystem, split: str
) -> WeightedStatistic:
    score = build_point_statistic(emissions, chosen.system, split)
    return lambda weights: score(weights).mean(axis=0)


def _measure_reference(fixed: ReferenceCurve, resampling: Resampling) -> dict[str, object]:
    means = [fixed.build_mean(1 / TARGETS)] if fixed.spans else []
    row: dict[str, object] = {"system": REFERENCE, "measure": "mean"}
    row |= {"note": "" if fixed.spans else TOO_SHORT, "replicates": fixed.replicates}
    return _estimate_row(row, means, fixed.systems[0], fixed.split, resampling)


def _estimate_row(
    row: dict[str, object],
    means: Sequence[WeightedStatistic],
    chosen: ChosenSystem,
    split: str,
    resampling: Resampling,
) -> dict[str, object]:
    """The row with the columns of its place, and with score and interval where there are means."""
    task, examples = chosen.system.task, len(chosen.system.labels(split))
    row = row | {"task": task, "split": split, "n": examples}
    if not means:
        return row
    found = estimate(means, examples, resampling.derive("curve scores", task, split))
    return row | dict(zip(("score", "low", "high"), map(float, found), strict=True))
