"""The paper's claims, one by one: what was measured, its interval, and whether the claim holds.

A claim consists of one or more statistics, each with a condition such as "> 0". A statistic holds
if its whole 95% interval meets the condition, does not hold if no point of it does, and is
undecided otherwise. A claim holds on a split if all its statistics do, does not hold if one does
not, and is undecided otherwise. Nothing holds against a rival of which an exit lies below a linear
probe on its own states (`points.probe_gaps`): such a rival was not trained to the end.
"""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from cascadebert.core.seeds import derive_seed
from cascadebert.core.text import join_words
from cascadebert.evaluation.choice import Choice, SystemPredictions
from cascadebert.evaluation.intervals import interval, verdict
from cascadebert.evaluation.metrics import difficulty_inversion_score
from cascadebert.evaluation.points import score_of
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.predictions import Predictions

VERDICTS = {-1: "does not hold", 0: "undecided", 1: "holds"}
UNDERTRAINED = "undecided: the rival is undertrained"  # where the claim would hold
LITTLE = 1  # point of accuracy that DAR may cost the smallest model: our convention


class Claim(NamedTuple):
    """name, with the section of the paper that makes it, and what the experiment must have."""

    name: str
    section: str
    needs: str


EARLY_EXIT = "a system that exits early inside the model that the cascade ends in"
ABLATION = "a cascade with and without DAR (ablation_of)"
EXTENSION = "a cascade with a model more than another (extends)"
BEATS = Claim("A cascade beats early exits", "4.3", EARLY_EXIT)
GROWS = Claim("The gap grows with the speed-up", "4.3", EARLY_EXIT)
SERIES = Claim(
    "Complete models beat first layers beat internal off-ramps",
    "2.1",
    "the section layerwise, with two series that share a depth",
)
DEPTH = Claim("DIS grows with depth", "2.2", "the section layerwise, with a system of many exits")
DAR_DIS = Claim("DAR raises the DIS of the smallest model", "5.2", ABLATION)
DAR_ECE = Claim("DAR lowers the ECE of the smallest model", "5.2", ABLATION)
DAR_ACCURACY = Claim("DAR costs little accuracy of the smallest model", "5.2", ABLATION)
DAR = Claim("DAR helps the cascade", "5.2", ABLATION)
THIRD = Claim("A third model helps", "5.3", EXTENSION)
THIRD_LESS = Claim("A third model helps less at high speed-up", "5.3", EXTENSION)
CLAIMS = (
    *(SERIES, DEPTH, BEATS, GROWS),
    *(DAR, DAR_DIS, DAR_ECE, DAR_ACCURACY, THIRD, THIRD_LESS),
)


class Statistic(NamedTuple):
    """One number of a claim; the claim is right if it lies above, or below, the bound."""

    claim: Claim
    label: str
    side: str  # ">" or "<"
    bound: float
    value: float
    low: float
    high: float
    undertrained: bool = False  # whether the rival is

    @property
    def verdict(self) -> str:
        direction = 1 if self.side == ">" else -1
        found = VERDICTS[direction * verdict(self.low - self.bound, self.high - self.bound)]
        return UNDERTRAINED if self.undertrained and found == VERDICTS[1] else found


@dataclass(frozen=True)
class Roles:
    """Which systems the claims are about.

    titles:     system -> its name
    rivals:     systems that exit early inside the model that the proposed one ends in
    ablations:  a system with DAR -> the same without
    extensions: a cascade with a model more -> the one with fewer
    series:     title -> systems, see the section layerwise; from the worst to the best
    """

    titles: Mapping[str, str]
    proposed: str
    rivals: Sequence[str]
    ablations: Mapping[str, str]
    extensions: Mapping[str, str]
    series: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, experiment: Experiment) -> "Roles":
        return cls(
            {key: system.title for key, system in experiment.systems.items()},
            experiment.config["proposed"],
            experiment.rivals,
            experiment.ablations,
            experiment.extensions,
            experiment.config.get("layerwise", {}).get("series", {}),
        )

    def among(self, systems: Collection[str]) -> "Roles":
        """Without the systems that are not among these."""

        def there(pairs: Mapping[str, str]) -> dict[str, str]:
            return {one: other for one, other in pairs.items() if {one, other} <= set(systems)}

        return replace(
            self,
            rivals=[key for key in self.rivals if key in systems],
            ablations=there(self.ablations),
            extensions=there(self.extensions),
            series={
                title: [key for key in keys if key in systems]
                for title, keys in self.series.items()
            },
        )

    def less(self, system: str, other: str) -> str:
        return f"{self.titles[system]} − {self.titles[other]}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one split of a task.

    systems, choices: at least the proposed, rivals, ablations, extensions and series
    points:           `points.mark_undertrained` of this split
    differences:      `comparison.differences` of this split
    exit_differences: `comparison.exit_differences` of this split
    """

    split: str
    systems: Mapping[str, SystemPredictions]
    choices: Mapping[str, Choice]
    points: pd.DataFrame
    differences: pd.DataFrame
    exit_differences: pd.DataFrame
    seed: int
    resamples: int

    def gaps(self, system: str, other: str) -> pd.DataFrame:
        """The rows of differences at the targets that both systems reach."""
        of_other = self.points[self.points["system"] == other].dropna(subset="score")
        frame = self.differences
        pair = (frame["system"] == system) & (frame["against"] == other)
        return frame[pair & frame["target_speedup"].isin(of_other["target_speedup"])]

    def is_undertrained(self, systems: Collection[str]) -> bool:
        """Whether an exit of one of these systems lies far below a linear probe."""
        return bool(self.points["undertrained"][self.points["system"].isin(systems)].any())

    def answers(self, system: str, target: float) -> np.ndarray:
        """Predicted labels at a target, `[replicates, examples]`."""
        choice = self.choices[system]
        return self.systems[system].emitted(choice.candidate, self.split, choice.knobs[target])[0]

    def replicates(self, system: str) -> list[Predictions]:
        """Of the candidate that was chosen."""
        candidates = self.systems[system].candidates
        return [splits[self.split] for splits in candidates[self.choices[system].candidate]]

    def score(self, answers: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """Weights -> score `[answers, replicates, resamples]` of predicted labels."""
        system = next(iter(self.systems.values()))
        return score_of(answers, system.labels(self.split), system.metric)

    def estimate(self, arms: Sequence[tuple[Callable, int]]) -> tuple[float, float, float]:
        """Value, low and high of a statistic, or of the first less the second; see `interval`."""
        system = next(iter(self.systems.values()))
        examples = len(system.labels(self.split))
        once = np.ones((1, examples))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning)  # undefined is NaN
            first, *others = (float(np.nanmean(statistic(once))) for statistic, _ in arms)
            low, high = interval(
                arms,
                examples,
                seed=derive_seed(self.seed, "claims", system.task, self.split),
                resamples=self.resamples,
            )
        return first - sum(others), float(low), float(high)


def statistics(roles: Roles, evidence: Evidence) -> list[Statistic]:
    """All that can be had on a split, in the order of CLAIMS.

    Values are means over replicates, in percentage points; intervals are paired over examples.
    """
    found = [*_series(roles, evidence), *_depth(roles, evidence)]
    for rival in roles.rivals:
        found += _at_targets(BEATS, roles, roles.proposed, rival, evidence)
        found += _change(GROWS, ">", roles, roles.proposed, rival, evidence)
    for full, without in roles.ablations.items():
        found += _at_targets(DAR, roles, full, without, evidence)
        found += _calibration(roles, full, without, evidence)
    for longer, shorter in roles.extensions.items():
        found += _at_targets(THIRD, roles, longer, shorter, evidence)
        found += _change(THIRD_LESS, "<", roles, longer, shorter, evidence)
    return sorted(found, key=lambda statistic: CLAIMS.index(statistic.claim))


def _at_targets(claim: Claim, roles: Roles, system: str, other: str, evidence: Evidence):
    """Score of a system less that of the other, at each target."""
    return [
        Statistic(
            claim=claim,
            label=f"{roles.less(system, other)}, at {row.target_speedup:g}×",
            side=">",
            bound=0,
            value=row.difference,
            low=row.low,
            high=row.high,
            undertrained=evidence.is_undertrained([other]),
        )
        for row in evidence.gaps(system, other).itertuples()
    ]


def _change(claim: Claim, side: str, roles: Roles, system: str, other: str, evidence: Evidence):
    """That difference at the highest target less that at the lowest."""
    targets = sorted(evidence.gaps(system, other)["target_speedup"])
    if len(targets) < 2:
        return []
    low, high = targets[0], targets[-1]
    arms = []
    for key in (system, other):
        answers = [evidence.answers(key, target) for target in (low, high)]
        score = evidence.score(answers)
        arms.append((lambda weights, s=score: np.diff(s(weights), axis=0)[0], len(answers[0])))
    label = f"{roles.less(system, other)}, at {high:g}× less at {low:g}×"
    undertrained = evidence.is_undertrained([other])
    return [Statistic(claim, label, side, 0, *evidence.estimate(arms), undertrained)]


def _series(roles: Roles, evidence: Evidence):
    """Score of a series less that of the one before it, mean over the depths that both have."""
    found, titles = [], list(roles.series)
    for worse, better in pairwise(titles):
        sides = [_by_layers(roles.series[title], evidence) for title in (better, worse)]
        shared = sorted(set(sides[0]) & set(sides[1]))
        # At full depth both may have the same model.
        layers = [depth for depth in shared if sides[0][depth][0] != sides[1][depth][0]]
        if not layers:
            continue
        arms = []
        for side in sides:
            answers = [side[depth][1] for depth in layers]
            score = evidence.score(answers)
            arms.append((lambda weights, s=score: s(weights).mean(axis=0), len(answers[0])))
        depths = join_words([f"{depth:g}" for depth in layers])
        label = f"{better} − {worse}, mean over depths {depths}"
        undertrained = evidence.is_undertrained(roles.series[worse])
        found.append(Statistic(SERIES, label, ">", 0, *evidence.estimate(arms), undertrained))
    return found


def _by_layers(series: Sequence[str], evidence: Evidence) -> dict[float, tuple[str, np.ndarray]]:
    """Cost in layers of the reference -> system, and what it predicts `[replicates, examples]`."""
    found = {}
    for key in series:
        replicates = evidence.replicates(key)
        for e, cost in enumerate(replicates[0].costs):
            found[round(float(cost), 3)] = key, np.array([p.predicted[:, e] for p in replicates])
    return found


def _depth(roles: Roles, evidence: Evidence):
    """Least-squares slope of DIS over the cost of all exits of a system.

    A slope and not a rank correlation: it is linear in DIS, so means over replicates and resamples
    keep their meaning.
    """
    found = []
    for key in dict.fromkeys(key for systems in roles.series.values() for key in systems):
        replicates = evidence.replicates(key)
        depths = replicates[0].costs - replicates[0].costs.mean()
        if len(depths) < 2:
            continue

        def slope(weights, replicates=replicates, depths=depths):
            dis = [_dis(each, weights) for each in replicates]
            return np.einsum("e,rew->rw", depths / (depths**2).sum(), np.array(dis))

        estimate = evidence.estimate([(slope, len(replicates))])
        label = f"DIS of {roles.titles[key]}, slope over layers"
        found.append(Statistic(DEPTH, label, ">", 0, *estimate))
    return found


def _dis(predictions: Predictions, weights: np.ndarray) -> np.ndarray:
    """Percent, `[exits, resamples]`."""
    correct = predictions.predicted == predictions.labels[:, None]
    pairs = zip(predictions.confidence.T, correct.T, strict=True)
    return 100 * np.array([difficulty_inversion_score(c, right, weights) for c, right in pairs])


def _calibration(roles: Roles, full: str, without: str, evidence: Evidence):
    """What DAR changes at the first exit."""
    frame = evidence.exit_differences
    pair = (frame["system"] == full) & (frame["against"] == without) & (frame["exit"] == 1)
    of_measure = frame[pair].set_index("measure")
    conditions = [
        ("dis", DAR_DIS, "DIS", ">", 0),
        ("ece", DAR_ECE, "ECE", "<", 0),
        ("accuracy", DAR_ACCURACY, "accuracy", ">", -LITTLE),
    ]
    return [
        Statistic(
            *(claim, f"{name} of {roles.less(full, without)}", side, bound),
            *of_measure.loc[measure, ["difference", "low", "high"]],
        )
        for measure, claim, name, side, bound in conditions
        if measure in of_measure.index
    ]
