"""Expected and measured gain of one more model in a cascade: Appendix C of the paper.

A model M* of L* layers joins a cascade between M_i and M_(i+1), L_i < L* < L_(i+1). The old and the
new cascade are compared at the same speed. The paper assumes that

* a model is as accurate on the examples that reach it as on all examples;
* the other models answer as many examples as before (Eq. 10);
* nothing reaches M_(i+2): such examples would pay for M* too, which Eq. 11 leaves out.

The last assumption holds in a cascade of two models. The first contradicts the aim of a cascade, in
which an early model answers the examples that suit it. The expected gain is therefore no forecast.
Beside the measured gain it shows the cost of the assumptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cascadebert.evaluation.choice import ChosenSystem
from cascadebert.evaluation.comparison import estimate_difference
from cascadebert.evaluation.intervals import Resampling, bootstrap_interval

QUANTITIES = (
    "old_before old_after equal_before equal_after new_before new_added new_after accuracy_before "
    "accuracy_added accuracy_after expected largest"
)
COLUMNS = (
    "task split system extends target_speedup n replicates added layers assumed old_speedup "
    f"new_speedup {QUANTITIES} expected_low expected_high measured measured_low measured_high note"
)
NOT_ONE_MORE = "not the other cascade with one model more, of a size between two of its models"
NONE_REACH = "no example reaches M*, so that there is no share to assume"
TOO_FEW = "M* needs more examples than leave the two models around it"


class Around(NamedTuple):
    """A number, or an array, for each of M_i, M* and M_(i+1)."""

    before: float | np.ndarray
    added: float | np.ndarray
    after: float | np.ndarray


def equal_counts(counts: Around, layers: Around):
    """How many examples leave M_i and M_(i+1) of an old cascade with the same cost (Eq. 12).

    counts: how many examples leave the models of the new cascade
    Returns s_i and s_(i+1).
    """
    moved = layers.added / layers.after * (counts.added + counts.after)
    return counts.before + counts.added - moved, counts.after + moved


def expected_gain(counts: Around, total, layers: Around, accuracies: Around):
    """T(s*, L*): the gain in accuracy by M* in a cascade at the same cost (Eq. 13).

    counts:     how many of `total` examples leave the models of the new cascade
    accuracies: on all examples; T is in their unit
    """
    moved = layers.added / layers.after * (counts.added + counts.after)
    gain = counts.added * (accuracies.added - accuracies.before)
    return (gain - moved * (accuracies.after - accuracies.before)) / total


def largest_gain(leaving, total, layers: Around, accuracies: Around):
    """Upper bound of T over all M* with a_i <= a* <= a_(i+1) (Appendix C, last bound).

    leaving: how many of `total` examples leave M_i or M_(i+1) of the old cascade
    """
    shallow = 1 - layers.before / layers.after
    return leaving / total * (accuracies.after - accuracies.before) * shallow


def find_added_model(old_costs: ArrayLike, new_costs: ArrayLike) -> int | None:
    """Place, from 0, of the new cascade's model that the old cascade lacks.

    old_costs, new_costs: `[exits]`; costs add up along a cascade
    None unless there is one model more, between two models of the old cascade.
    """
    old, new = (np.diff(costs, prepend=0.0) for costs in (old_costs, new_costs))
    if len(new) != len(old) + 1:
        return None
    for place in range(1, len(old)):
        others = np.delete(new, place)
        if np.allclose(others, old) and new[place - 1] < new[place] < new[place + 1]:
            return place
    return None


@dataclass(frozen=True, eq=False)
class Extension:
    """A cascade with one model more than another.

    others: systems of one exit, each an M* that might have been added instead
    """

    new: ChosenSystem
    old: ChosenSystem
    others: Sequence[ChosenSystem]


def measure_gains(
    extension: Extension, points: pd.DataFrame, splits: Sequence[str], resampling: Resampling
) -> pd.DataFrame:
    """Expected and measured gain of a cascade over the cascade that it extends, at each target.

    points: `points.measure_operating_points`: the targets that the two cascades reach

    There is a row for the added model, with measured counts, and a row for every other model of a
    size between M_i and M_(i+1). No cascade has such another model, so its counts are assumed: the
    old cascade's s_i and s_(i+1), and so its speed, stay; M* answers the same share of the examples
    that reach it as the added model does. The column `added` names the system that M* is.

    The accuracies of M_i and M_(i+1) are those in the old cascade. Counts are means over
    replicates. Accuracies and gains are in percent, gains with 95% intervals over examples and
    replicates; gains are those of accuracy, also where the task's metric is F1. `equal_...` are Eq.
    12 of the new counts, comparable with the old cascade's own; `largest` is `largest_gain`; `note`
    gives the reason for a row without a gain. Returns COLUMNS.
    """
    new, old = extension.new, extension.old
    task = new.system.task
    reached = points.dropna(subset="score")
    reached = set(zip(reached["system"], reached["split"], reached["target_speedup"], strict=True))
    place = find_added_model(*(each.predictions(splits[0])[0].costs for each in (old, new)))
    rows = []
    for split in splits:
        for target in sorted(set(new.choice.knobs) & set(old.choice.knobs)):
            row = {
                "task": task,
                "split": split,
                "system": new.system.system,
                "extends": old.system.system,
                "target_speedup": target,
                "n": len(new.system.labels(split)),
            }
            names = [each.system.system for each in (old, new)]
            missed = " and ".join(name for name in names if (name, split, target) not in reached)
            if place is None:
                rows.append(row | {"note": NOT_ONE_MORE})
            elif missed:
                rows.append(row | {"note": f"{missed} cannot reach this speed-up"})
            else:
                derived = resampling.derive("appendix c", task, split, target)
                found = _measure_at_target(extension, place, split, target, derived)
                rows += [row | each for each in found]
    return pd.DataFrame(rows, columns=COLUMNS.split())


def _measure_at_target(
    extension: Extension, place: int, split: str, target: float, resampling: Resampling
) -> list[dict[str, object]]:
    """A row for each M*.

    place: of the added model in the new cascade, from 0
    """
    new, old = extension.new, extension.old
    labels = new.system.labels(split)
    # Eq. 13 is about accuracy, so the gain beside it is, too, whatever the task's metric.
    by_accuracy = [
        replace(each, system=replace(each.system, metric="accuracy")) for each in (new, old)
    ]
    first, second = ((each, target) for each in by_accuracy)
    difference = estimate_difference(first, second, split, resampling)
    new_speedups, old_speedups = (each.emit(split, target).speedups for each in (new, old))
    replicates = len(new_speedups)
    costs = {each: each.predictions(split)[0].costs for each in (old, new, *extension.others)}
    layers = Around(*np.diff(costs[new], prepend=0.0)[place - 1 : place + 2])

    def find_right(chosen: ChosenSystem, exit_index: int) -> np.ndarray:
        predictions = chosen.predictions(split)
        return np.array([p.predicted[:, exit_index] == labels for p in predictions])

    models = [(new, place, layers.added)]
    models += [
        (other, 0, costs[other][0])
        for other in extension.others
        if layers.before < costs[other][0] < layers.after
    ]
    rows = []
    for added, exit_index, size in models:
        right = [(old, place - 1), (added, exit_index), (old, place)]
        quantities = Quantities(
            old_leaving=old.leaving(split, target),
            new_leaving=new.leaving(split, target),
            right=np.array([find_right(*each) for each in right]),
            place=place,
            layers=layers._replace(added=size),
            assumed=added is not new,
        )
        # Not `estimate`: a replicate in which nothing reaches M* leaves the mean undefined.
        mean = quantities(np.ones((1, len(labels)))).mean(axis=(-2, -1))
        row: dict[str, Any] = {
            "replicates": replicates,
            "added": added.system.system,
            "layers": size,
            "assumed": quantities.assumed,
            "old_speedup": old_speedups.mean(),
            "new_speedup": new_speedups.mean(),
            **dict(zip(QUANTITIES.split(), mean, strict=True)),
        }
        if not quantities.assumed:
            row |= dict(zip(("measured", "measured_low", "measured_high"), difference, strict=True))
        if not row["new_before"] >= 0:
            row |= {"expected": np.nan, "note": TOO_FEW if row["new_before"] < 0 else NONE_REACH}
        else:
            low, high = bootstrap_interval([quantities], len(labels), resampling)
            e = QUANTITIES.split().index("expected")
            row |= {"expected_low": low[e], "expected_high": high[e]}
        rows.append(row)
    return rows


@dataclass(frozen=True, eq=False)
class Quantities:
    """The statistic weights `[resamples, examples]` -> QUANTITIES.

    old_leaving, new_leaving: the chance that an example leaves the two cascades at each exit,
                              `[exits, replicates, examples]`
    right:                    of M_i, M* and M_(i+1), bool `[3, replicates, examples]`
    place:                    of M* in the new cascade
    assumed:                  whether the counts of M* are assumed, see `measure_gains`
    """

    old_leaving: np.ndarray
    new_leaving: np.ndarray
    right: np.ndarray
    place: int
    layers: Around
    assumed: bool

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """`[quantities, replicates, resamples]`."""
        total = weights.sum(axis=-1)
        old = [self.old_leaving[self.place + k] @ weights.T for k in (-1, 0)]
        counts = Around(*(self.new_leaving[self.place + k] @ weights.T for k in (-1, 0, 1)))
        if self.assumed:
            with np.errstate(invalid="ignore"):  # the share is NaN where nothing reaches M*
                share = counts.added / (counts.added + counts.after)
            # Eq. 12 for s_(i+1), solved for the number of examples that reach M*.
            reaching = old[1] / (1 - share + self.layers.added / self.layers.after)
            counts = Around(sum(old) - reaching, share * reaching, (1 - share) * reaching)
        accuracies = Around(*(100 * (self.right @ weights.T) / total))
        return np.stack(
            [
                *old,
                *equal_counts(counts, self.layers),
                *counts,
                *accuracies,
                expected_gain(counts, total, self.layers, accuracies),
                largest_gain(old[0] + old[1], total, self.layers, accuracies),
            ]
        )
