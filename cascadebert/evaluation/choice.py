"""The development split chooses one candidate of a system and its knobs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import compute_percent, compute_score_terms
from cascadebert.data.task import DEV
from cascadebert.evaluation.mixing import Emission, Mixture, hold, mix_points
from cascadebert.systems.exits import ExitRule, Knob, speedup, sum_taken

# With several thresholds, speed-ups that differ by less than this ratio count as equally near.
NEAR = 0.01
EXACT = 1e-9  # relative error of rounding in a speed-up


@dataclass(frozen=True, eq=False)
class Sweep:
    """The speed-up and the score of every knob worth trying, on one set of predictions.

    knobs:    `[knobs]`, or `[knobs, thresholds]`
    speedups: `[knobs]`
    terms:    numerators and denominators of the scores (`data.scores`), `[2, knobs]`
    """

    knobs: np.ndarray
    speedups: np.ndarray
    terms: np.ndarray

    @cached_property
    def scores(self) -> np.ndarray:
        """In percent, `[knobs]`."""
        return compute_percent(*self.terms)

    def nearest(self, target: float) -> Mixture:
        """The knob whose speed-up is nearest to the target by ratio.

        Among equally near knobs the best score decides, then the order. Several thresholds reach
        a speed-up in many ways. With several thresholds, knobs within NEAR of the nearest therefore
        count as equally near.
        """
        i = self._find_nearest(target)
        return hold(self.knobs[i].tolist(), float(self.speedups[i]), float(self.scores[i]))

    def _find_nearest(self, target: float, among: np.ndarray | None = None) -> int:
        """The index of the nearest knob.

        among: bool `[knobs]`, the knobs to choose from; default: all
        """
        distance = np.abs(np.log(self.speedups / target))
        if among is not None:
            distance = np.where(among, distance, np.inf)
        room = NEAR if self.knobs.ndim > 1 and self.knobs.shape[1] > 1 else EXACT
        near = np.flatnonzero(distance <= distance.min() + room)
        return int(near[self.scores[near].argmax()])

    def mix(self, target: float) -> Mixture:
        """The nearest knobs on both sides of the target, mixed so that the speed-up is the target.

        Beyond the slowest or the fastest knob, the nearest knob alone.
        """
        sides = self.speedups <= target, self.speedups >= target
        if not all(side.any() for side in sides):
            return self.nearest(target)
        pair = [self._find_nearest(target, side) for side in sides]
        slower, faster = self.knobs[pair].tolist()
        return mix_points((slower, faster), self.speedups[pair], self.terms[:, pair], target)


def sweep(predictions: Predictions, rule: ExitRule, metric: str, full_cost: float) -> Sweep:
    """Speed-up and score at every knob that the rule finds worth trying on these predictions."""
    knobs = rule.knobs(predictions)
    signal = rule.signal(predictions)
    terms = compute_score_terms(metric, rule.answers(predictions), predictions.labels[:, None])
    summed = np.array([sum_taken(rule, signal, knobs, term) for term in terms])
    costs = sum_taken(rule, signal, knobs, predictions.costs) / len(signal)
    return Sweep(knobs, full_cost / costs, summed)


def choose_knob(
    dev: Predictions, rule: ExitRule, metric: str, target: float, full_cost: float
) -> Knob:
    """The knob whose speed-up on the development split is nearest to the target by ratio."""
    return sweep(dev, rule, metric, full_cost).nearest(target).slower


@dataclass(frozen=True, eq=False)
class SystemPredictions:
    """A system on a task: an exit rule and the predictions of one or more candidates.

    Raises ValueError if a split has other examples in one place than in another.

    candidates: name (such as the margin; "" for a single one) -> one entry for each replicate
                -> split name -> Predictions. Every replicate has the split "dev"; a split has the
                same examples everywhere.
    full_cost:  cost of the reference model, in the unit of the predictions' costs
    full_milliseconds: mean time of a text in the reference model, where costs are measured times;
                       else NaN
    temperatures: candidate -> the temperatures of each replicate's exits, `[replicates][exits]`, if
                  its logits were scaled; else nothing
    """

    task: str
    system: str
    rule: ExitRule
    metric: str
    full_cost: float
    candidates: dict[str, list[dict[str, Predictions]]]
    full_milliseconds: float = np.nan
    temperatures: dict[str, list[list[float]]] = field(default_factory=dict)

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
    def rules(self) -> dict[str, list[ExitRule]]:
        """Candidate -> the rule of each replicate, fitted on the development split if it learns."""
        fit = self.rule.fit
        return {
            label: [self.rule if fit is None else fit(splits[DEV]) for splits in replicates]
            for label, replicates in self.candidates.items()
        }

    @cached_property
    def sweeps(self) -> dict[str, list[Sweep]]:
        """Candidate -> the sweep of each replicate on the development split."""
        self.labels(DEV)  # raises UserError where an example has no label
        return {
            label: [
                sweep(splits[DEV], rule, self.metric, self.full_cost)
                for splits, rule in zip(replicates, self.rules[label], strict=True)
            ]
            for label, replicates in self.candidates.items()
        }

    def emit(self, candidate: str, split: str, mixtures: Sequence[Mixture]) -> Emission:
        """What the system emits when each replicate has its own mixture of knobs."""
        answers, exits, costs = [], [], []
        replicates, rules = self.candidates[candidate], self.rules[candidate]
        for splits, rule, mixture in zip(replicates, rules, mixtures, strict=True):
            predictions = splits[split]
            taken = np.array([rule.exit_index(predictions, knob) for knob in mixture.knobs])
            answers.append(np.take_along_axis(rule.answers(predictions), taken.T, axis=1).T)
            exits.append(taken)
            costs.append([1 / speedup(each, predictions.costs, self.full_cost) for each in taken])
        chances = np.array([mixture.chances for mixture in mixtures])
        return Emission(
            answers=np.stack(answers, axis=1),
            exits=np.stack(exits, axis=1),
            chances=chances.T,
            speedups=1 / (chances * costs).sum(axis=1),
        )

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

    candidate:        name of the chosen candidate
    full_cost:        that of the system (`SystemPredictions`)
    candidate_scores: candidate -> its mean development score, which decided
    knobs:            target speed-up -> the nearest knob of each replicate, as a deployed system
                      uses it
    mixtures:         target speed-up -> the mixture of each replicate, which tables compare
    temperatures:     of each replicate's exits, `[replicates][exits]`, by which a deployed system
                      divides its logits; empty without temperature scaling
    """

    candidate: str
    full_cost: float
    candidate_scores: dict[str, float]
    knobs: dict[float, list[Knob]]
    mixtures: dict[float, list[Mixture]]
    temperatures: list[list[float]] = field(default_factory=list)

    def save(self, path: File) -> None:
        """Writes JSON."""
        with replacing(path) as draft:
            draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: File) -> "Choice":
        """Raises UserError if the file is damaged."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            values["knobs"] = {float(target): row for target, row in values["knobs"].items()}
            values["mixtures"] = {
                float(target): [Mixture(**mixture) for mixture in row]
                for target, row in values["mixtures"].items()
            }
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is damaged or of another version ({error}); delete it and give the "
                "experiment's snakemake command again, which makes it anew"
            ) from error


@dataclass(frozen=True, eq=False)
class ChosenSystem:
    """A system together with its choice; methods are about the chosen candidate."""

    system: SystemPredictions
    choice: Choice

    def predictions(self, split: str) -> list[Predictions]:
        """One entry for each replicate."""
        return [splits[split] for splits in self.system.candidates[self.choice.candidate]]

    def emit(self, split: str, target: float) -> Emission:
        """What the system emits by the mixtures that were chosen for a target speed-up."""
        return self.system.emit(self.choice.candidate, split, self.choice.mixtures[target])

    def leaving(self, split: str, target: float) -> np.ndarray:
        """The chance that an example leaves at each exit, `[exits, replicates, examples]`."""
        return self.emit(split, target).leaving(len(self.predictions(split)[0].costs))

    def reaches(self, target: float, tolerance: float) -> bool:
        """Whether the system stands at the target on the development split.

        tolerance: how far, relatively, a system of a single speed-up may be from the target; a
                   system with a knob is at the target or is not
        """
        speedups = [mixture.speedup for mixture in self.choice.mixtures[target]]
        allowed = EXACT if self.system.rule.knob else tolerance
        return bool(np.abs(np.array(speedups) / target - 1).max() <= allowed)


def choose(system: SystemPredictions, targets: Sequence[float]) -> Choice:
    """Chooses a candidate, and a mixture for each of its replicates and each target speed-up.

    The mixture has exactly the target's cost where the system has knobs on both sides
    (`Sweep.mix`). The chosen candidate has the best score, averaged over targets and replicates;
    the first one wins a tie. For a system without a knob, 1 joins the targets: the full model has
    this speed-up.
    """
    wanted = targets if system.rule.knob else {1, *targets}
    targets = sorted(map(float, wanted))
    mixtures = {  # candidate -> target -> the mixture of each replicate
        label: {target: [swept.mix(target) for swept in sweeps] for target in targets}
        for label, sweeps in system.sweeps.items()
    }
    scores = {
        label: float(np.mean([mixture.score for row in rows.values() for mixture in row]))
        for label, rows in mixtures.items()
    }
    best = max(scores, key=scores.__getitem__)
    sweeps = system.sweeps[best]
    return Choice(
        best,
        system.full_cost,
        scores,
        knobs={target: [swept.nearest(target).slower for swept in sweeps] for target in targets},
        mixtures=mixtures[best],
        temperatures=system.temperatures.get(best, []),
    )
