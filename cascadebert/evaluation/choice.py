"""The development split chooses one candidate of a system and its knobs."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import compute_percent, compute_score_terms
from cascadebert.data.task import DEV
from cascadebert.systems.exits import ExitRule, Knob, speedup, sum_taken

# With several thresholds, speed-ups that differ by less than this ratio count as equally near.
NEAR = 0.01


@dataclass(frozen=True, eq=False)
class Sweep:
    """The speed-up and the score of every knob worth trying, on one set of predictions.

    knobs:            `[knobs]`, or `[knobs, thresholds]`
    speedups, scores: `[knobs]`
    """

    knobs: np.ndarray
    speedups: np.ndarray
    scores: np.ndarray

    def nearest(self, target: float) -> tuple[Knob, float, float]:
        """Knob, speed-up and score where the speed-up is nearest to the target by ratio.

        Among equally near knobs the best score decides, then the order. Several thresholds reach
        a speed-up in many ways. With several thresholds, knobs within NEAR of the nearest therefore
        count as equally near.
        """
        distance = np.abs(np.log(self.speedups / target))
        room = NEAR if self.knobs.ndim > 1 and self.knobs.shape[1] > 1 else 1e-9
        near = np.flatnonzero(distance <= distance.min() + room)
        i = near[self.scores[near].argmax()]
        return self.knobs[i].tolist(), float(self.speedups[i]), float(self.scores[i])


def sweep(predictions: Predictions, rule: ExitRule, metric: str, full_cost: float) -> Sweep:
    """Speed-up and score at every knob that the rule finds worth trying on these predictions."""
    knobs = rule.knobs(predictions)
    signal = rule.signal(predictions)
    terms = compute_score_terms(metric, predictions.predicted, predictions.labels[:, None])
    scores = compute_percent(*(sum_taken(rule, signal, knobs, term) for term in terms))
    costs = sum_taken(rule, signal, knobs, predictions.costs) / len(signal)
    return Sweep(knobs, full_cost / costs, scores)


def choose_knob(
    dev: Predictions, rule: ExitRule, metric: str, target: float, full_cost: float
) -> Knob:
    """The knob whose speed-up on the development split is nearest to the target by ratio."""
    knob, _, _ = sweep(dev, rule, metric, full_cost).nearest(target)
    return knob


@dataclass(frozen=True, eq=False)
class SystemPredictions:
    """A system on a task: an exit rule and the predictions of one or more candidates.

    Raises ValueError if a split has other examples in one place than in another.

    candidates: label (such as the margin; "" for a single one) -> one entry for each replicate
                -> split name -> Predictions. Every replicate has the split "dev"; a split has the
                same examples everywhere.
    full_cost:  cost of the reference model, in the unit of the predictions' costs
    """

    task: str
    system: str
    rule: ExitRule
    metric: str
    full_cost: float
    candidates: dict[str, list[dict[str, Predictions]]]

    def __post_init__(self):
        first = {}
        for label, replicates in self.candidates.items():
            for number, splits in enumerate(replicates):
                for split, predictions in splits.items():
                    ids = first.setdefault(split, predictions.ids)
                    if not np.array_equal(ids, predictions.ids):
                        raise ValueError(
                            f"{self.system} on {self.task}: split {split} has other examples in "
                            f"candidate {label!r}, replicate {number}, than in the first one"
                        )

    @cached_property
    def sweeps(self) -> dict[str, list[Sweep]]:
        """Candidate -> the sweep of each replicate on the development split."""
        self.labels(DEV)
        return {
            label: [sweep(r[DEV], self.rule, self.metric, self.full_cost) for r in replicates]
            for label, replicates in self.candidates.items()
        }

    def emitted(
        self, candidate: str, split: str, knobs: Sequence[Knob]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The system's answers when each replicate uses its own knob.

        knobs: one for each replicate
        Returns predicted labels `[replicates, examples]` and speed-ups `[replicates]`.
        """
        answers, speedups = [], []
        for splits, knob in zip(self.candidates[candidate], knobs, strict=True):
            predictions = splits[split]
            taken = self.rule.exit_index(predictions, knob)
            answers.append(predictions.predicted[np.arange(len(taken)), taken])
            speedups.append(speedup(taken, predictions.costs, self.full_cost))
        return np.array(answers), np.array(speedups)

    def labels(self, split: str) -> np.ndarray:
        """Gold labels, `[examples]`. Raises UserError where the split has none."""
        labels = next(iter(self.candidates.values()))[0][split].labels
        if (labels < 0).any():
            raise UserError(
                f"{self.task}: {(labels < 0).sum()} examples of split {split} have no gold label, "
                "so it cannot be scored; score a labelled split"
            )
        return labels


@dataclass(frozen=True)
class Choice:
    """The development split's choice for one system.

    candidate:        label of the chosen candidate
    candidate_scores: candidate -> its mean development score, which decided
    knobs:            target speed-up -> knob of each replicate; NaN if the rule has none
    speedups:         target speed-up -> development speed-up of each replicate at its knob
    """

    candidate: str
    candidate_scores: dict[str, float]
    knobs: dict[float, list[Knob]]
    speedups: dict[float, list[float]]

    def save(self, path: str | os.PathLike) -> None:
        """Writes JSON, where null stands for NaN."""
        values = asdict(self)
        for target, knobs in self.knobs.items():
            values["knobs"][target] = [None if np.isnan(knob).any() else knob for knob in knobs]
        with replacing(path) as draft:
            draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Choice":
        """Raises UserError if the file is damaged."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            for name in ("knobs", "speedups"):
                values[name] = {
                    float(target): [np.nan if value is None else value for value in row]
                    for target, row in values[name].items()
                }
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is damaged or no choice file ({error}); delete it and run again"
            ) from error


@dataclass(frozen=True, eq=False)
class ChosenSystem:
    """A system together with its choice; methods are about the chosen candidate."""

    system: SystemPredictions
    choice: Choice

    def predictions(self, split: str) -> list[Predictions]:
        """One entry for each replicate."""
        return [splits[split] for splits in self.system.candidates[self.choice.candidate]]

    def emitted(self, split: str, target: float) -> tuple[np.ndarray, np.ndarray]:
        """`SystemPredictions.emitted` with the knobs that were chosen for a target speed-up."""
        return self.system.emitted(self.choice.candidate, split, self.choice.knobs[target])

    def exits_taken(self, split: str, target: float) -> np.ndarray:
        """Exit index at a target speed-up, `[replicates, examples]`."""
        pairs = zip(self.predictions(split), self.choice.knobs[target], strict=True)
        return np.array([self.system.rule.exit_index(p, knob) for p, knob in pairs])


def choose(system: SystemPredictions, targets: Sequence[float]) -> Choice:
    """Chooses a candidate, and a knob for each of its replicates and each target speed-up.

    The chosen knob is the nearest to the target (`Sweep.nearest`). The chosen candidate has the
    best score at its knobs, averaged over targets and replicates; the first one wins a tie. For a
    system without a knob, 1 joins the targets: the full model has this speed-up.
    """
    wanted = targets if system.rule.knob else {1, *targets}
    targets = sorted(map(float, wanted))
    nearest = {  # target -> (knob, speed-up, score) of each replicate
        label: {target: [swept.nearest(target) for swept in sweeps] for target in targets}
        for label, sweeps in system.sweeps.items()
    }
    scores = {
        label: float(np.mean([score for point in points.values() for _, _, score in point]))
        for label, points in nearest.items()
    }
    best = max(scores, key=scores.__getitem__)
    return Choice(
        best,
        scores,
        knobs={target: [knob for knob, _, _ in point] for target, point in nearest[best].items()},
        speedups={target: [s for _, s, _ in point] for target, point in nearest[best].items()},
    )
