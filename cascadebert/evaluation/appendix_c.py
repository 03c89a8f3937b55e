"""What one more model should give a cascade, and what it gives: Appendix C of the paper.

A model M* of L* layers joins a cascade between M_i and M_(i+1), L_i < L* < L_(i+1), and the old and
the new cascade are compared at the same speed. The paper assumes that

* a model is as accurate on whatever reaches it as on all examples;
* the other models answer as many examples as before (Eq. 10);
* nothing reaches M_(i+2): such examples would pay for M* too, which Eq. 11 leaves out.

The last holds in a cascade of two models. The first is what a cascade wants to be false: an early
model should answer what it is good at. So the expected gain is not a forecast; it is set beside the
measured one to show what the assumptions cost.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from cascadebert.core.seeds import derive_seed
from cascadebert.evaluation.choice import Choice, SystemPredictions
from cascadebert.evaluation.intervals import RESAMPLES, interval
from cascadebert.evaluation.points import paired_difference

QUANTITIES = [
    *("old_before", "old_after", "equal_before", "equal_after"),
    *("new_before", "new_added", "new_after"),
    *("accuracy_before", "accuracy_added", "accuracy_after", "expected", "largest"),
]
COLUMNS = [
    *("task", "split", "system", "extends", "target_speedup", "n", "replicates"),
    *("added", "layers", "assumed", "old_speedup", "new_speedup", *QUANTITIES),
    *("expected_low", "expected_high", "measured", "measured_low", "measured_high", "note"),
]
NOT_ONE_MORE = "not the other cascade with one model more, of a size between two of its models"
NONE_REACH = "no example reaches M*, so that there is no share to assume"
TOO_FEW = "M* needs more examples than leave the two models around it"


def equal_counts(before, added, after, layers, layers_after):
    """How many examples leave M_i and M_(i+1) of an old cascade that costs the same (Eq. 12).

    before, added, after: how many leave M_i, M* and M_(i+1) of the new cascade
    layers, layers_after: of M* and of M_(i+1)
    Numbers or arrays. Returns s_i and s_(i+1).
    """
    moved = layers / layers_after * (added + after)
    return before + added - moved, after + moved


def expected_gain(
    added, after, total, layers, layers_after, accuracy_before, accuracy_added, accuracy_after
):
    """T(s*, L*): what M* adds to the accuracy of a cascade at the same cost (Eq. 13).

    added, after:         how many of `total` examples leave M* and M_(i+1) of the new cascade
    layers, layers_after: of M* and of M_(i+1)
    accuracy_...:         of M_i, M* and M_(i+1) on all examples; T is in their unit
    Numbers or arrays.
    """
    moved = layers / layers_after * (added + after)
    gain = added * (accuracy_added - accuracy_before) - moved * (accuracy_after - accuracy_before)
    return gain / total


def largest_gain(
    before, after, total, layers_before, layers_after, accuracy_before, accuracy_after
):
    """What T cannot exceed, whatever M* is, if a_i <= a* <= a_(i+1) (Appendix C, last bound).

    before, after: how many of `total` examples leave M_i and M_(i+1) of the old cascade
    """
    shallow = 1 - layers_before / layers_after
    return (before + after) / total * (accuracy_after - accuracy_before) * shallow


def added_model(old_costs: Sequence[float], new_costs: Sequence[float]) -> int | None:
    """Which model of the new cascade is not in the old one, from 0; None if Appendix C is of
    another case: not one model more, or not one between two of the old.

    old_costs, new_costs: of the exits, which add up in a cascade
    """
    old, new = (np.diff(costs, prepend=0.0) for costs in (old_costs, new_costs))
    if len(new) != len(old) + 1:
        return None
    for place in range(1, len(old)):
        others = np.delete(new, place)
        if np.allclose(others, old) and new[place - 1] < new[place] < new[place + 1]:
            return place
    return None


def gains(
    new: SystemPredictions,
    old: SystemPredictions,
    others: Sequence[SystemPredictions],
    choices: Mapping[str, Choice],
    points: pd.DataFrame,
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Expected and measured gain of a cascade over the one that it extends, at each target.

    others:  systems of one exit, each an M* that might have been added
    choices: of all these systems
    points:  `points.operating_points`: which targets the two cascades reach

    A row for the model that was added, whose counts are measured, and one for each other of a size
    between M_i and M_(i+1). There is no cascade with that one, so its counts are assumed: the old
    cascade's s_i and s_(i+1), hence its speed, stay, and M* answers the same share of what reaches
    it as the model that was added. `added` names the system whose M* it is.

    The accuracies of M_i and M_(i+1) are those of the old cascade's. Counts are means over
    replicates; accuracies and gains are in percent, gains with 95% intervals over examples and
    replicates. `equal_...` are Eq. 12 of the new counts, to set beside the old cascade's own;
    `largest` is `largest_gain`; `note` says why a row has no gain. Returns COLUMNS.
    """
    reached = points.dropna(subset="score")
    reached = set(zip(reached["system"], reached["split"], reached["target_speedup"], strict=True))
    old_costs, new_costs = (
        system.candidates[choices[system.system].candidate][0][splits[0]].costs
        for system in (old, new)
    )
    place = added_model(old_costs.tolist(), new_costs.tolist())
    rows = []
    for split in splits:
        for target in sorted(set(choices[new.system].knobs) & set(choices[old.system].knobs)):
            row = {"task": new.task, "split": split, "system": new.system, "extends": old.system}
            row |= {"target_speedup": target, "n": len(new.labels(split))}
            missed = [s.system for s in (old, new) if (s.system, split, target) not in reached]
            if place is None or missed:
                note = f"{' and '.join(missed)} cannot come near this speed-up"
                rows.append({**row, "note": NOT_ONE_MORE if place is None else note})
                continue
            options = {"seed": derive_seed(seed, "appendix c", new.task, split, target)}
            options |= {"resamples": resamples}
            found = _gains_at(new, old, others, choices, split, target, place, options)
            rows += [{**row, **each} for each in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _gains_at(new, old, others, choices, split, target, place, options) -> list[dict]:
    """A row for each M*, at one target on one split."""
    labels = new.labels(split)

    def of_split(system):
        return [of[split] for of in system.candidates[choices[system.system].candidate]]

    def taken(system):  # exit index [replicates, examples]
        knobs = choices[system.system].knobs[target]
        pairs = zip(of_split(system), knobs, strict=True)
        return np.array([system.rule.exit_index(p, knob) for p, knob in pairs])

    def right(system, exit_index):  # bool [replicates, examples]
        return np.array([p.predicted[:, exit_index] == labels for p in of_split(system)])

    def answers(system):
        choice = choices[system.system]
        return system.emitted(choice.candidate, split, choice.knobs[target])

    (new_answers, new_speedups), (old_answers, old_speedups) = map(answers, (new, old))
    difference = paired_difference(new_answers, old_answers, labels, "accuracy", **options)
    measured = dict(zip(("measured", "measured_low", "measured_high"), difference, strict=True))
    layers = np.diff(of_split(new)[0].costs, prepend=0.0)[place - 1 : place + 2]
    models = [(new, place, layers[1])]
    models += [
        (other, 0, size)
        for other in others
        if layers[0] < (size := of_split(other)[0].costs[0]) < layers[2]
    ]
    rows = []
    for system, exit_index, size in models:
        assumed = system is not new
        quantities = partial(
            _quantities,
            old_taken=taken(old),
            new_taken=taken(new),
            right=np.array([right(old, place - 1), right(system, exit_index), right(old, place)]),
            place=place,
            layers=(layers[0], size, layers[2]),
            assumed=assumed,
        )
        mean = quantities(np.ones((1, len(labels)))).mean(axis=(-2, -1))
        row = {"added": system.system, "layers": size, "assumed": assumed}
        row |= {"replicates": len(new_speedups)}
        row |= {"old_speedup": old_speedups.mean(), "new_speedup": new_speedups.mean()}
        row |= dict(zip(QUANTITIES, mean, strict=True)) | ({} if assumed else measured)
        if not row["new_before"] >= 0:
            row |= {"expected": np.nan, "note": TOO_FEW if row["new_before"] < 0 else NONE_REACH}
        else:
            low, high = interval([(quantities, len(new_speedups))], len(labels), **options)
            e = QUANTITIES.index("expected")
            row |= {"expected_low": low[e], "expected_high": high[e]}
        rows.append(row)
    return rows


def _quantities(weights, old_taken, new_taken, right, place, layers, assumed) -> np.ndarray:
    """QUANTITIES `[quantities, replicates, resamples]`.

    weights:              `[resamples, examples]`
    old_taken, new_taken: exits of the two cascades, index `[replicates, examples]`
    right:                of M_i, M* and M_(i+1), `[3, replicates, examples]`
    place:                of M* in the new cascade
    layers:               of M_i, M* and M_(i+1)
    """
    total = weights.sum(axis=-1)
    size_before, size, size_after = layers
    old = [(old_taken == place + k) @ weights.T for k in (-1, 0)]
    before, added, after = ((new_taken == place + k) @ weights.T for k in (-1, 0, 1))
    if assumed:
        with np.errstate(invalid="ignore"):
            share = added / (added + after)
        # Eq. 12 for s_(i+1), solved for what reaches M*.
        reaching = old[1] / (1 - share + size / size_after)
        before, added, after = sum(old) - reaching, share * reaching, (1 - share) * reaching
    accuracies = 100 * (right @ weights.T) / total
    low, middle, high = accuracies
    return np.stack(
        [
            *old,
            *equal_counts(before, added, after, size, size_after),
            *(before, added, after),
            *accuracies,
            expected_gain(added, after, total, size, size_after, low, middle, high),
            largest_gain(old[0], old[1], total, size_before, size_after, low, high),
        ]
    )
