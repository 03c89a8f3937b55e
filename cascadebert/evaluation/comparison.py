"""Two systems compared on the same examples."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.intervals import Resampling, estimate
from cascadebert.evaluation.measures import (
    EXIT_MEASURES,
    LEFT_WRONG,
    build_exit_statistic,
    build_left_statistic,
    list_left_targets,
)
from cascadebert.evaluation.points import build_point_statistic

DIFFERENCES = "task split target_speedup system against difference low high"
EXIT_DIFFERENCES = "task split exit measure system against difference low high"


def compare_systems(
    systems: Mapping[str, ChosenSystem],
    points: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    splits: Sequence[str],
    resampling: Resampling,
    full: str | None = None,
) -> pd.DataFrame:
    """Score of the first system of each pair less the second's, at each target, in points.

    points: `points.measure_operating_points` of the systems
    full:   the full model, which is compared with at every target: the difference is the loss for
            the speed
    Returns DIFFERENCES, without a row where one of the two does not reach the target.
    """
    reached = points.dropna(subset="score").groupby(["system", "split"])["target_speedup"].agg(list)
    rows = []
    for split in splits:
        for key, against in pairs:
            subject, other = systems[key], systems[against]
            task = subject.system.task
            theirs = reached.get((against, split), [])
            for target in reached.get((key, split), []):
                at = 1.0 if against == full else target
                if at not in theirs:
                    continue
                found = estimate_difference(
                    (subject, target),
                    (other, at),
                    split,
                    resampling.derive("difference", task, split, target),
                )
                rows.append((task, split, target, key, against, *found))
    return pd.DataFrame(rows, columns=DIFFERENCES.split())


def estimate_difference(
    first: tuple[ChosenSystem, float],
    second: tuple[ChosenSystem, float],
    split: str,
    resampling: Resampling,
) -> tuple[float, float, float]:
    """Mean score of one system at its target less the other's, and the 95% interval, in points.

    first, second: system and target speed-up. The two may differ in the number of replicates.
                   Replicates are resampled apart, examples in common.
    Returns difference, low, high.
    """
    # Metric and labels belong to the task, so both systems have the same.
    system = first[0].system
    scores = [
        build_point_statistic([chosen.emit(split, target)], system, split)
        for chosen, target in (first, second)
    ]
    found = estimate(scores, len(system.labels(split)), resampling)
    difference, low, high = (float(value[0]) for value in found)
    return difference, low, high


def compare_exits(
    systems: Mapping[str, ChosenSystem],
    pairs: Mapping[str, str],
    splits: Sequence[str],
    resampling: Resampling,
) -> pd.DataFrame:
    """The measures of each exit of a system less the same exit of another system, in points.

    pairs: system -> the one that it is compared with, with as many exits
    Intervals are paired over examples. Returns EXIT_DIFFERENCES; see `measures.measure_exits`.
    """
    rows = []
    for key, against in pairs.items():
        subject, other = systems[key], systems[against]
        task = subject.system.task
        both = sorted(set(list_left_targets(subject)) & set(list_left_targets(other)))
        for split in splits:
            examples = len(subject.system.labels(split))
            common = {"task": task, "split": split, "system": key, "against": against}
            derived = resampling.derive("exit difference", task, split)
            sides = [build_exit_statistic(each.predictions(split)) for each in (subject, other)]
            found = np.array(estimate(sides, examples, derived))  # [3, measures, exits]
            rows += [
                common | {"exit": e + 1, "measure": measure} | _name_numbers(found[:, m, e])
                for e in range(found.shape[2])
                for m, measure in enumerate(EXIT_MEASURES)
            ]
            for target in both:
                sides = [build_left_statistic(each, split, target) for each in (subject, other)]
                left = {"exit": 1, "measure": LEFT_WRONG.format(target)}
                numbers = np.array(estimate(sides, examples, derived))
                rows.append(common | left | _name_numbers(numbers))
    return pd.DataFrame(rows, columns=EXIT_DIFFERENCES.split())


def _name_numbers(found: np.ndarray) -> dict[str, float]:
    return dict(zip(("difference", "low", "high"), map(float, found), strict=True))
