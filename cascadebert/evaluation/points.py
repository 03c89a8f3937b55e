"""Operating points of a system, and its curve of score against speed-up.

Scores are in percent. A speed-up is the cost of the reference model / mean cost of the exits taken.
The development split's choice (`choice.Choice`) is applied unchanged to the splits that are scored.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cascadebert.data.scores import compute_percent, compute_score_terms, score
from cascadebert.data.task import DEV, Task
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.systems.exits import ExitRule, Knob

CURVE_POINTS = 25
CURVE = "task system split target_speedup speedup score low high knob"
POINTS = (
    "task system split target_speedup speedup metric score low high n replicates candidate knob "
    "note undertrained majority"
)
NOT_RUN = "not run"


def measure_operating_points(
    chosen: ChosenSystem,
    splits: Sequence[str],
    resampling: Resampling,
    tolerance: float = 0.2,
) -> pd.DataFrame:
    """Score and speed-up at the targets of the choice, a row for each split and target.

    score, speedup and knob are means over replicates; several thresholds are joined by spaces. low
    and high bound the 95% interval of the score. If the nearest speed-up on dev is further than
    `tolerance` (relatively) from the target, score and speedup are NaN and the note gives the
    nearest speed-up. A system without a knob has one speed-up. It gets a row for the nearest
    target only, if this target is within the tolerance. `measures.mark_undertrained` fills the
    column `undertrained`, `add_majority` the column `majority`. Returns POINTS.
    """
    system, choice = chosen.system, chosen.choice
    on_dev = {target: float(np.mean(speedups)) for target, speedups in choice.speedups.items()}
    targets = sorted(on_dev)
    reached = [t for t in targets if abs(on_dev[t] / t - 1) <= tolerance]
    if not system.rule.knob:
        targets = reached = sorted(reached, key=lambda t: abs(np.log(on_dev[t] / t)))[:1]
    rows = []
    for split in splits:
        points = _score_knobs(chosen, split, [choice.knobs[t] for t in reached], resampling)
        point_at = dict(zip(reached, points, strict=True))
        common = {
            "task": system.task,
            "system": system.system,
            "split": split,
            "metric": system.metric,
            "n": len(system.labels(split)),
            "replicates": len(chosen.predictions(split)),
            "candidate": choice.candidate,
            "undertrained": False,
        }
        for target in targets:
            note = ""
            if target not in point_at:
                note = f"not reachable: nearest speed-up on dev is {on_dev[target]:.2f}x"
            elif split == DEV and system.rule.knob:
                note = "thresholds chosen on this split"
            place = {"target_speedup": target, "note": note}
            rows.append(common | place | point_at.get(target, {}))
    return pd.DataFrame(rows, columns=POINTS.split())


def describe_not_run(
    task: Task, system: str, rule: ExitRule, targets: Sequence[float], replicates: int
) -> pd.DataFrame:
    """Rows as of `measure_operating_points` without a score, for a system without predictions.

    replicates: of the systems that were run
    The note is NOT_RUN. A system without a knob has one row a split; its target is NaN because only
    predictions could tell which target is the nearest.
    """
    rows = [
        {
            "task": task.name,
            "system": system,
            "split": split,
            "target_speedup": target,
            "metric": task.metric,
            "n": len(task.splits[split]),
            "replicates": replicates,
            "candidate": "",
            "note": NOT_RUN,
            "undertrained": False,
        }
        for split in task.scored_splits
        for target in (sorted(targets) if rule.knob else [float("nan")])
    ]
    return pd.DataFrame(rows, columns=POINTS.split())


def add_majority(points: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The operating points; `majority` is the score of one answer to all examples of the split.

    The answer is the most frequent label of the train split.
    """
    answer = int(task.splits["train"]["label"].mode()[0])
    scores = {
        split: score(task.metric, answer, task.splits[split]["label"].to_numpy(dtype=int))
        for split in points["split"].unique()
    }
    return points.assign(majority=points["split"].map(scores))


def trace_curve(
    chosen: ChosenSystem, splits: Sequence[str], resampling: Resampling
) -> pd.DataFrame:
    """Score against speed-up over the whole range that the chosen candidate reaches on dev.

    The targets are CURVE_POINTS geometric steps from the smallest to the largest speed-up. Where
    all replicates have the same few knobs (patience), each knob has a point instead, with its mean
    speed-up on dev as target. Returns CURVE; values as in `measure_operating_points`.
    """
    sweeps = chosen.system.sweeps[chosen.choice.candidate]
    knobs = sweeps[0].knobs
    shared = all(np.array_equal(knobs, swept.knobs, equal_nan=True) for swept in sweeps)
    if shared and len(knobs) <= CURVE_POINTS:
        targets = np.mean([swept.speedups for swept in sweeps], axis=0)
        knobs_at = np.stack([knobs] * len(sweeps), axis=1)
    else:
        slowest = min(swept.speedups.min() for swept in sweeps)
        fastest = max(swept.speedups.max() for swept in sweeps)
        targets = np.geomspace(slowest, fastest, CURVE_POINTS)
        knobs_at = np.array([[swept.nearest(t)[0] for swept in sweeps] for t in targets])
    # Several targets may be nearest to the same speed-up, which needs one point only.
    _, distinct = np.unique(knobs_at, axis=0, return_index=True)
    distinct.sort()
    frames = [
        pd.DataFrame(_score_knobs(chosen, split, knobs_at[distinct], resampling)).assign(
            task=chosen.system.task,
            system=chosen.system.system,
            split=split,
            target_speedup=targets[distinct],
        )
        for split in splits
    ]
    return pd.concat(frames, ignore_index=True)[CURVE.split()]


def build_score_statistic(answers, system: SystemPredictions, split: str) -> WeightedStatistic:
    """The statistic weights -> score of predicted labels `[..., examples]` on a split."""
    numerator, denominator = compute_score_terms(
        system.metric, np.asarray(answers), system.labels(split)
    )
    return lambda weights: compute_percent(numerator @ weights.T, denominator @ weights.T)


def find_full_model(points: pd.DataFrame) -> str | None:
    """The system whose only operating point is at 1x."""
    targets = points.groupby("system", sort=False)["target_speedup"].agg(set)
    return next((system for system, found in targets.items() if found == {1}), None)


def _score_knobs(
    chosen: ChosenSystem,
    split: str,
    knobs_at: Sequence[Sequence[Knob]] | np.ndarray,
    resampling: Resampling,
) -> list[dict[str, float | str]]:
    """score, speedup, low, high and knob for each entry of knobs_at, `[points][replicates]`."""
    if not len(knobs_at):
        return []
    system = chosen.system
    emitted = [system.emitted(chosen.choice.candidate, split, knobs) for knobs in knobs_at]
    scores, low, high = estimate(
        [
            (
                build_score_statistic([answers for answers, _ in emitted], system, split),
                len(chosen.predictions(split)),
            )
        ],
        len(system.labels(split)),
        # All systems of a task share the resamples, so that their intervals can be compared.
        resampling.derive("points", system.task, split),
    )
    return [
        {
            "score": scores[i],
            "speedup": float(speedups.mean()),
            "low": low[i],
            "high": high[i],
            "knob": _format_knob(np.mean(knobs_at[i], axis=0)),
        }
        for i, (_, speedups) in enumerate(emitted)
    ]


def _format_knob(knob) -> float | str:
    """A number, or several thresholds as one cell of a table."""
    return np.mean(knob) if np.size(knob) == 1 else " ".join(f"{value:.6g}" for value in knob)
