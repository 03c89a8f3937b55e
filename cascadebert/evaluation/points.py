"""Operating points of a system, and its curve of score against speed-up.

Scores are in percent. A speed-up is the cost of the reference model / mean cost of the exits taken.
The development split's choice (`choice.Choice`) is applied unchanged to the splits that are scored.
Operating points mix two knobs, so that their speed-up on the development split is the target;
scores and speed-ups are expected values (`mixing`). A curve has the knobs as they are.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cascadebert.data.scores import compute_percent, compute_score_terms, score
from cascadebert.data.task import DEV, Task
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions
from cascadebert.evaluation.intervals import Resampling, WeightedStatistic, estimate
from cascadebert.evaluation.mixing import Emission, Mixture, hold
from cascadebert.systems.exits import ExitRule

CURVE_POINTS = 25
CURVE = "task system split target_speedup speedup score low high knob leaving milliseconds"
POINTS = (
    "task system split target_speedup speedup metric score low high n replicates candidate knob "
    "note undertrained majority leaving milliseconds"
)
NOT_RUN = "not run"
SAME_SPLIT = "thresholds chosen on this split"


def measure_operating_points(
    chosen: ChosenSystem,
    splits: Sequence[str],
    resampling: Resampling,
    tolerance: float = 0.2,
) -> pd.DataFrame:
    """Score and speed-up at the targets of the choice, a row for each split and target.

    score, speedup and knob are means over replicates and over the coin that mixes two knobs;
    several thresholds are joined by spaces. low and high bound the 95% interval of the score.
    leaving is the share of the examples that leaves at each exit, joined by spaces. milliseconds is
    the mean time of a text, NaN unless costs are measured times. If the target lies beyond the
    slowest or the fastest knob on dev, score and speedup are NaN and the note gives the nearest
    speed-up. A system without a knob has one speed-up. It gets a row for the
    nearest target only, if this target is within the `tolerance` (relative).
    `measures.mark_undertrained` fills the column `undertrained`, `add_majority` the column
    `majority`. Returns POINTS.
    """
    system, choice = chosen.system, chosen.choice
    on_dev = {
        target: float(np.mean([mixture.speedup for mixture in mixtures]))
        for target, mixtures in choice.mixtures.items()
    }
    targets = sorted(on_dev)
    reached = [target for target in targets if chosen.reaches(target, tolerance)]
    if not system.rule.knob:
        targets = reached = sorted(reached, key=lambda t: abs(np.log(on_dev[t] / t)))[:1]
    rows = []
    for split in splits:
        mixtures = [choice.mixtures[target] for target in reached]
        points = _score_mixtures(chosen, split, mixtures, resampling)
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
                note = SAME_SPLIT
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
    shared = all(np.array_equal(knobs, swept.knobs) for swept in sweeps)
    if shared and len(knobs) <= CURVE_POINTS:
        targets = np.mean([swept.speedups for swept in sweeps], axis=0)
        knobs_at = [[knob] * len(sweeps) for knob in knobs.tolist()]
    else:
        slowest = min(swept.speedups.min() for swept in sweeps)
        fastest = max(swept.speedups.max() for swept in sweeps)
        targets = np.geomspace(slowest, fastest, CURVE_POINTS)
        knobs_at = [[swept.nearest(target).slower for swept in sweeps] for target in targets]
    # Several targets may be nearest to the same speed-up, which needs one point only.
    _, distinct = np.unique(np.array(knobs_at), axis=0, return_index=True)
    distinct.sort()
    mixtures = [[hold(knob) for knob in knobs_at[i]] for i in distinct]
    frames = [
        pd.DataFrame(_score_mixtures(chosen, split, mixtures, resampling)).assign(
            task=chosen.system.task,
            system=chosen.system.system,
            split=split,
            target_speedup=targets[distinct],
        )
        for split in splits
    ]
    return pd.concat(frames, ignore_index=True)[CURVE.split()]


def build_score_statistic(
    answers: ArrayLike,
    system: SystemPredictions,
    split: str,
    chances: ArrayLike | None = None,
) -> WeightedStatistic:
    """The statistic weights -> score `[..., replicates, resamples]` of answers on a split.

    answers: predicted labels `[..., replicates, examples]`, or with chances
             `[..., knobs, replicates, examples]`
    chances: of each knob, `[..., knobs, replicates]`; the score is then that of the mixture
             (`mixing`)
    """
    numerator, denominator = compute_score_terms(
        system.metric, np.asarray(answers), system.labels(split)
    )
    if chances is not None:
        numerator, denominator = (
            np.einsum("...kr,...krn->...rn", np.asarray(chances), terms)
            for terms in (numerator, denominator)
        )
    return lambda weights: compute_percent(numerator @ weights.T, denominator @ weights.T)


def build_point_statistic(
    emissions: Sequence[Emission], system: SystemPredictions, split: str
) -> WeightedStatistic:
    """The statistic weights -> score of mixtures `[emissions, replicates, resamples]`."""
    answers = np.stack([emission.answers for emission in emissions])
    chances = np.stack([emission.chances for emission in emissions])
    return build_score_statistic(answers, system, split, chances)


def _score_mixtures(
    chosen: ChosenSystem,
    split: str,
    mixtures_at: Sequence[Sequence[Mixture]],
    resampling: Resampling,
) -> list[dict[str, float | str]]:
    """The measured columns for each entry of mixtures_at, `[points][replicates]`."""
    if not len(mixtures_at):
        return []
    system, exits = chosen.system, len(chosen.predictions(split)[0].costs)
    emissions = [system.emit(chosen.choice.candidate, split, each) for each in mixtures_at]
    scores, low, high = estimate(
        [build_point_statistic(emissions, system, split)],
        len(system.labels(split)),
        # All systems of a task share the resamples, so that their intervals can be compared.
        resampling.derive("points", system.task, split),
    )
    return [
        {
            "score": scores[i],
            "speedup": float(emission.speedups.mean()),
            "low": low[i],
            "high": high[i],
            "knob": _format_knob(np.mean([each.mean_knob for each in mixtures_at[i]], axis=0)),
            "leaving": " ".join(
                f"{share:.4f}" for share in emission.leaving(exits).mean(axis=(1, 2))
            ),
            "milliseconds": float(np.mean(system.full_milliseconds / emission.speedups)),
        }
        for i, emission in enumerate(emissions)
    ]


def _format_knob(knob) -> float | str:
    """A number, or several thresholds as one cell of a table."""
    return np.mean(knob) if np.size(knob) == 1 else " ".join(f"{value:.6g}" for value in knob)
