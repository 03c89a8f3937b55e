"""The statistics of the paper's claims on one split of a task."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation import claims
from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.claims import LITTLE, Claim, Statistic
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.evaluation.measures import build_exit_statistic
from cascadebert.evaluation.points import build_point_statistic, build_score_statistic

NO_DEPTH = (
    "the two series share no depth at which their models differ, or systems of theirs were not run"
)


class Estimate(TypedDict):
    """A statistic and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Roles:
    """The systems that the claims are about.

    titles:      system -> its name
    rivals:      systems that exit early inside the model that the proposed one ends in
    ablations:   a system with DAR -> the same without
    extensions:  a cascade with a model more -> the one with fewer
    truncations: a cascade that begins with first layers -> the one with a complete small model
    series:      title -> systems, from the worst series to the best (section layerwise)
    """

    titles: Mapping[str, str]
    proposed: str
    rivals: Sequence[str]
    ablations: Mapping[str, str]
    extensions: Mapping[str, str]
    truncations: Mapping[str, str]
    series: Mapping[str, Sequence[str]]

    def keep(self, systems: Collection[str]) -> "Roles":
        """The roles of these systems alone."""

        def keep_pairs(pairs: Mapping[str, str]) -> dict[str, str]:
            return {one: other for one, other in pairs.items() if {one, other} <= set(systems)}

        return replace(
            self,
            rivals=[key for key in self.rivals if key in systems],
            ablations=keep_pairs(self.ablations),
            extensions=keep_pairs(self.extensions),
            truncations=keep_pairs(self.truncations),
            series={
                title: [key for key in keys if key in systems]
                for title, keys in self.series.items()
            },
        )

    def pair(self, system: str, other: str) -> "Pair":
        return Pair(system, other, label=f"{self.titles[system]} − {self.titles[other]}")


class Pair(NamedTuple):
    """A system and the system that it is compared with, and the name of the difference."""

    system: str
    other: str
    label: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evaluation of one split of a task.

    systems:          at least those of the roles
    points:           `points.measure_operating_points` of this split
    probes:           `measures.compare_with_probes` of this split
    differences:      `comparison.compare_systems` of this split
    exit_differences: `comparison.compare_exits` of this split
    """

    split: str
    systems: Mapping[str, ChosenSystem]
    points: pd.DataFrame
    probes: pd.DataFrame
    differences: pd.DataFrame
    exit_differences: pd.DataFrame
    resampling: Resampling

    def select_gaps(self, pair: Pair) -> pd.DataFrame:
        """The rows of differences at the targets that both systems reach."""
        of_other = self.points[self.points["system"] == pair.other].dropna(subset="score")
        frame = self.differences
        of_pair = (frame["system"] == pair.system) & (frame["against"] == pair.other)
        return frame[of_pair & frame["target_speedup"].isin(of_other["target_speedup"])]

    def is_undertrained(self, systems: Collection[str]) -> bool:
        """Whether an exit of one of these systems lies far below a linear probe."""
        return bool(self.probes["undertrained"][self.probes["system"].isin(systems)].any())

    def build_mean_score(self, answers: Sequence[np.ndarray]) -> WeightedStatistic:
        """Weights -> `[replicates, resamples]`, the mean score of several models' answers."""
        score = build_score_statistic(answers, self._any_system.system, self.split)
        return lambda weights: score(weights).mean(axis=0)

    def estimate(self, statistics: Sequence[WeightedStatistic]) -> Estimate:
        """value, low and high of a statistic, or of the first less the second."""
        system = self._any_system.system
        resampling = self.resampling.derive("claims", system.task, self.split)
        value, low, high = estimate(statistics, len(system.labels(self.split)), resampling)
        return {"value": float(value), "low": float(low), "high": float(high)}

    @property
    def _any_system(self) -> ChosenSystem:
        """Metric, labels and task are the same for all systems."""
        return next(iter(self.systems.values()))


def compute_statistics(roles: Roles, evidence: Evidence) -> list[Statistic]:
    """All statistics that a split has the systems for, in the order of CLAIMS.

    Values are means over replicates, in percentage points; intervals are paired over examples.
    """
    found = [*_compare_series(roles, evidence), *_measure_slopes(roles, evidence)]
    for rival in roles.rivals:
        pair = roles.pair(roles.proposed, rival)
        found += _compare_at_targets(claims.BEATS, pair, evidence)
        found += _compare_extreme_targets(claims.GROWS, pair, evidence, side=">")
    for truncated, complete in roles.truncations.items():
        pair = roles.pair(complete, truncated)
        found += _compare_at_targets(claims.COMPLETE, pair, evidence)
    for pair in starmap(roles.pair, roles.ablations.items()):
        found += _compare_at_targets(claims.DAR, pair, evidence)
        found += _compare_first_exits(pair, evidence)
    for pair in starmap(roles.pair, roles.extensions.items()):
        found += _compare_at_targets(claims.THIRD, pair, evidence)
        found += _compare_extreme_targets(claims.THIRD_LESS, pair, evidence, side="<")
    return sorted(found, key=lambda statistic: claims.CLAIMS.index(statistic.claim))


def _compare_at_targets(claim: Claim, pair: Pair, evidence: Evidence) -> list[Statistic]:
    """Score of the first system less the second's, at each target."""
    return [
        Statistic(
            claim=claim,
            label=f"{pair.label}, at {row.target_speedup:g}×",
            side=">",
            bound=0,
            value=row.difference,
            low=row.low,
            high=row.high,
            undertrained=evidence.is_undertrained([pair.other]),
        )
        for row in evidence.select_gaps(pair).itertuples()
    ]


def _compare_extreme_targets(
    claim: Claim, pair: Pair, evidence: Evidence, side: str
) -> list[Statistic]:
    """The difference of two systems at the highest target less their difference at the lowest."""
    targets = sorted(evidence.select_gaps(pair)["target_speedup"])
    if len(targets) < 2:
        return []
    low, high = targets[0], targets[-1]
    changes = []
    for key in (pair.system, pair.other):
        system = evidence.systems[key]
        emissions = [system.emit(evidence.split, target) for target in (low, high)]
        score = build_point_statistic(emissions, system.system, evidence.split)
        changes.append(lambda weights, s=score: np.diff(s(weights), axis=0)[0])
    return [
        Statistic(
            claim=claim,
            label=f"{pair.label}, at {high:g}× less at {low:g}×",
            side=side,
            bound=0,
            undertrained=evidence.is_undertrained([pair.other]),
            **evidence.estimate(changes),
        )
    ]


def _compare_series(roles: Roles, evidence: Evidence) -> list[Statistic]:
    """Score of a series less the score of the series before, mean over the depths of both.

    Every pair has a statistic, so that a claim about three series does not hold by one pair. The
    value is NaN where there is nothing to compare.
    """
    found = []
    for worse, better in pairwise(roles.series):
        sides = [_predict_by_depth(roles.series[title], evidence) for title in (better, worse)]
        shared = sorted(set(sides[0]) & set(sides[1]))
        # At full depth the two series may have the same model, under one name or two.
        depths = [d for d in shared if not np.array_equal(sides[0][d], sides[1][d])]
        common = Statistic(
            claim=claims.SERIES,
            label=f"{better} − {worse}, mean over depths",
            side=">",
            bound=0,
            undertrained=evidence.is_undertrained(roles.series[worse]),
        )
        if depths:
            names = join_words([f"{depth:g}" for depth in depths])
            means = [evidence.build_mean_score([side[d] for d in depths]) for side in sides]
            label = f"{common.label} {names}"
            found.append(common._replace(label=label, **evidence.estimate(means)))
        else:
            found.append(common._replace(note=NO_DEPTH))
    return found


def _predict_by_depth(series: Sequence[str], evidence: Evidence) -> dict[float, np.ndarray]:
    """Cost in layers of the reference -> answers `[replicates, examples]`."""
    found = {}
    for key in series:
        replicates = evidence.systems[key].predictions(evidence.split)
        for e, cost in enumerate(replicates[0].costs):
            found[round(float(cost), 3)] = np.array([p.predicted[:, e] for p in replicates])
    return found


def _measure_slopes(roles: Roles, evidence: Evidence) -> list[Statistic]:
    """Least-squares slope of DIS over the cost of all exits, for each system of many exits.

    A slope is linear in DIS, unlike a rank correlation. Means over replicates and resamples
    therefore keep their meaning.
    """
    found = []
    for key in dict.fromkeys(key for systems in roles.series.values() for key in systems):
        replicates = evidence.systems[key].predictions(evidence.split)
        depths = replicates[0].costs - replicates[0].costs.mean()
        if len(depths) < 2:
            continue
        measure_dis = build_exit_statistic(replicates, ["dis"])

        def slope(weights, measure_dis=measure_dis, depths=depths):
            [dis] = measure_dis(weights)
            return np.einsum("e,erw->rw", depths / (depths**2).sum(), dis)

        found.append(
            Statistic(
                claim=claims.DEPTH,
                label=f"DIS of {roles.titles[key]}, slope over layers",
                side=">",
                bound=0,
                **evidence.estimate([slope]),
            )
        )
    return found


def _compare_first_exits(pair: Pair, evidence: Evidence) -> list[Statistic]:
    """DIS, ECE and accuracy of the first exit with DAR less those without."""
    frame = evidence.exit_differences
    of_pair = (frame["system"] == pair.system) & (frame["against"] == pair.other)
    of_measure = frame[of_pair & (frame["exit"] == 1)].set_index("measure")
    conditions = [
        ("dis", claims.DAR_DIS, "DIS", ">", 0),
        ("ece", claims.DAR_ECE, "ECE", "<", 0),
        ("accuracy", claims.DAR_ACCURACY, "accuracy", ">", -LITTLE),
    ]
    return [
        Statistic(
            claim=claim,
            label=f"{name} of {pair.label}",
            side=side,
            bound=bound,
            value=of_measure.loc[measure, "difference"],
            low=of_measure.loc[measure, "low"],
            high=of_measure.loc[measure, "high"],
            undertrained=evidence.is_undertrained([pair.other]),
        )
        for measure, claim, name, side, bound in conditions
        if measure in of_measure.index
    ]
