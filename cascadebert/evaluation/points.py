"""How fast and how good a system is: its operating points, its curve and its exits' measures.

Scores are in percent; speed-ups are cost of the reference model / mean cost. What the development
split chose (`choice.Choice`) is applied unchanged to the splits that are scored.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from cascadebert.core.seeds import derive_seed
from cascadebert.data.scores import percent, score_terms
from cascadebert.data.task import DEV, Task
from cascadebert.evaluation import metrics
from cascadebert.evaluation.choice import Choice, SystemPredictions
from cascadebert.evaluation.exits import ExitRule, Knob
from cascadebert.evaluation.intervals import RESAMPLES, interval
from cascadebert.training.predictions import Predictions

CURVE_POINTS = 25
POINTS = (
    *("task", "system", "split", "target_speedup", "speedup", "metric", "score", "low", "high"),
    *("n", "replicates", "candidate", "knob", "note", "undertrained"),
)
NOT_RUN = "not run"
BELOW = 2  # points below a linear probe at which an exit counts as undertrained: our convention
EXIT_MEASURES = ("accuracy", "dis", "ece", "confidence_correct", "confidence_wrong")


def operating_points(
    system: SystemPredictions,
    choice: Choice,
    splits: Sequence[str],
    *,
    seed: int,
    tolerance: float = 0.2,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Score and speed-up at the targets of the choice, a row for each split and target.

    score, speedup and knob (if several thresholds, joined by spaces) are means over replicates; low
    and high bound the 95% interval of the score (`intervals.interval`). Where even the nearest
    speed-up on dev is off by more than `tolerance` of the target, score and speedup are NaN and the
    note says so. A system without a knob has a row only for the target that its one speed-up is
    nearest to, if within tolerance. The column `undertrained` is for `mark_undertrained`.
    """
    on_dev = {target: float(np.mean(speedups)) for target, speedups in choice.speedups.items()}
    targets = sorted(on_dev)
    reached = [t for t in targets if abs(on_dev[t] / t - 1) <= tolerance]
    if not system.rule.knob:
        targets = reached = sorted(reached, key=lambda t: abs(np.log(on_dev[t] / t)))[:1]
    rows = []
    for split in splits:
        points = _points(
            system, choice.candidate, split, [choice.knobs[t] for t in reached], seed, resamples
        )
        point_at = dict(zip(reached, points, strict=True))
        for target in targets:
            note = ""
            if target not in point_at:
                note = f"not reachable: nearest speed-up on dev is {on_dev[target]:.2f}x"
            elif split == DEV and system.rule.knob:
                note = "thresholds chosen on this split"
            rows.append(
                {
                    "task": system.task,
                    "system": system.system,
                    "split": split,
                    "target_speedup": target,
                    "metric": system.metric,
                    "n": len(system.labels(split)),
                    "replicates": len(system.candidates[choice.candidate]),
                    "candidate": choice.candidate,
                    "note": note,
                    "undertrained": False,
                    **point_at.get(target, {}),
                }
            )
    return pd.DataFrame(rows, columns=POINTS)


def not_run(
    task: Task,
    system: str,
    rule: ExitRule,
    splits: Sequence[str],
    targets: Sequence[float],
    replicates: int,
) -> pd.DataFrame:
    """As `operating_points`, of a system that has no predictions: no score, and the note NOT_RUN.

    replicates: of the systems that were run
    A system without a knob has one target, which only its predictions tell: NaN here.
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
        for split in splits
        for target in (sorted(targets) if rule.knob else [float("nan")])
    ]
    return pd.DataFrame(rows, columns=POINTS)


def curve(
    system: SystemPredictions,
    choice: Choice,
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Score against speed-up over all that the chosen candidate can reach on dev.

    As `operating_points`, for CURVE_POINTS targets in geometric steps from the smallest to the
    largest speed-up. Where all replicates have the same few knobs (patience), a point for each
    knob instead, with its mean dev speed-up as target. Columns: task, system, split,
    target_speedup, speedup, score, low, high, knob.
    """
    sweeps = system.sweeps[choice.candidate]
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
    # One point where several targets are nearest to the same speed-up.
    _, distinct = np.unique(knobs_at, axis=0, return_index=True)
    distinct.sort()
    frames = [
        pd.DataFrame(
            _points(system, choice.candidate, split, knobs_at[distinct], seed, resamples)
        ).assign(
            task=system.task, system=system.system, split=split, target_speedup=targets[distinct]
        )
        for split in splits
    ]
    columns = "task system split target_speedup speedup score low high knob"
    return pd.concat(frames, ignore_index=True)[columns.split()]


def _points(
    system: SystemPredictions,
    candidate: str,
    split: str,
    knobs_at: Sequence[Sequence[Knob]] | np.ndarray,
    seed: int,
    resamples: int,
) -> list[dict[str, float | str]]:
    """score, speedup, low, high and knob for each entry of knobs_at, `[points][replicates]`."""
    if not len(knobs_at):
        return []
    emitted = [system.emitted(candidate, split, knobs) for knobs in knobs_at]
    labels = system.labels(split)
    statistic = score_of([answers for answers, _ in emitted], labels, system.metric)
    scores = statistic(np.ones((1, len(labels)))).mean(axis=(-2, -1))
    low, high = interval(
        [(statistic, len(system.candidates[candidate]))],
        len(labels),
        # The same resamples for every system of a task, so that their intervals compare.
        seed=derive_seed(seed, "points", system.task, split),
        resamples=resamples,
    )
    return [
        {
            "score": scores[i],
            "speedup": float(speedups.mean()),
            "low": low[i],
            "high": high[i],
            "knob": _shown(np.mean(knobs_at[i], axis=0)),
        }
        for i, (_, speedups) in enumerate(emitted)
    ]


def _shown(knob) -> float | str:
    """Several thresholds share a column of a table."""
    return np.mean(knob) if np.size(knob) == 1 else " ".join(f"{value:.6g}" for value in knob)


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    labels: np.ndarray,
    metric: str,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[float, float, float]:
    """Mean score of system a less that of b on the same examples, with its 95% interval.

    a, b:   predicted labels `[replicates, examples]` (`SystemPredictions.emitted`), not necessarily
            of as many replicates; replicates are resampled apart, examples in common
    labels: `[examples]`
    Returns difference, low, high in percentage points.
    """
    arms = [score_of(answers, labels, metric) for answers in (a, b)]
    mean_a, mean_b = (float(arm(np.ones((1, len(labels)))).mean()) for arm in arms)
    replicates = [len(a), len(b)]
    low, high = interval(
        list(zip(arms, replicates, strict=True)), len(labels), seed=seed, resamples=resamples
    )
    return mean_a - mean_b, float(low), float(high)


def score_of(answers, labels: np.ndarray, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    """The statistic weights -> score of `[..., examples]` answers (see `intervals.interval`)."""
    numerator, denominator = score_terms(metric, np.asarray(answers), labels)
    return lambda weights: percent(numerator @ weights.T, denominator @ weights.T)


def exit_measures(
    system: SystemPredictions,
    choice: Choice,
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """How right and how well calibrated each exit of the chosen candidate is on all examples.

    Columns: task, system, split, exit (from 1), cost, measure, score, low, high, n, replicates.
    Measures, in percent: accuracy, dis (difficulty inversion score), ece, and the mean confidence
    of correct and of wrong examples. Replicates without correct, or wrong, examples do not count
    for the measures that need them. ECE is larger in a resample than in the sample that it comes
    from, so where it is small, its interval may lie above it.
    """
    replicates = system.candidates[choice.candidate]
    rows = []
    for split in splits:
        of_split = [splits_of[split] for splits_of in replicates]
        n = len(system.labels(split))

        def statistic(weights, of_split=of_split):  # [measures, exits, replicates, resamples]
            return np.stack([exit_values(each, weights) for each in of_split], axis=-2)

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning)  # undefined is NaN
            scores = np.nanmean(statistic(np.ones((1, n))), axis=(-2, -1))
            low, high = interval(
                [(statistic, len(replicates))],
                n,
                seed=derive_seed(seed, "exits", system.task, split),
                resamples=resamples,
            )
        rows += [
            {
                "task": system.task,
                "system": system.system,
                "split": split,
                "exit": e + 1,
                "cost": cost,
                "measure": measure,
                "score": scores[m, e],
                "low": low[m, e],
                "high": high[m, e],
                "n": n,
                "replicates": len(replicates),
            }
            for e, cost in enumerate(of_split[0].costs)
            for m, measure in enumerate(EXIT_MEASURES)
        ]
    return pd.DataFrame(rows)


def probe_gaps(
    system: SystemPredictions, probes: SystemPredictions, choice: Choice, splits: Sequence[str]
) -> pd.DataFrame:
    """Accuracy of each exit of the chosen candidate beside a linear probe on the states it reads.

    probes: the same system, with the probes' logits in place of the exits' own

    Columns: task, system, split, exit (from 1), cost, accuracy, probe (both in percent, means over
    replicates), gap (accuracy less probe), undertrained (whether the gap is below -BELOW), n,
    replicates.
    """
    rows = []
    for split in splits:
        own, probed = (
            np.mean([_accuracies(of[split]) for of in each.candidates[choice.candidate]], axis=0)
            for each in (system, probes)
        )
        replicates = system.candidates[choice.candidate]
        rows += [
            {
                "task": system.task,
                "system": system.system,
                "split": split,
                "exit": e + 1,
                "cost": cost,
                "accuracy": own[e],
                "probe": probed[e],
                "gap": own[e] - probed[e],
                "undertrained": own[e] - probed[e] < -BELOW,
                "n": len(system.labels(split)),
                "replicates": len(replicates),
            }
            for e, cost in enumerate(replicates[0][split].costs)
        ]
    return pd.DataFrame(rows)


def _accuracies(predictions: Predictions) -> np.ndarray:
    """Percent, `[exits]`."""
    return 100 * (predictions.predicted == predictions.labels[:, None]).mean(axis=0)


def mark_undertrained(points: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """Operating points whose column `undertrained` says whether an exit of the system is, there.

    gaps: `probe_gaps` of these systems
    """
    keys = ["task", "system", "split"]
    found = gaps[gaps["undertrained"]].set_index(keys).index
    return points.assign(undertrained=points.set_index(keys).index.isin(found))


def exit_values(predictions: Predictions, weights: np.ndarray) -> np.ndarray:
    """EXIT_MEASURES in percent, `[measures, exits, resamples]`, of `[resamples, examples]`."""
    values = []
    for e in range(len(predictions.costs)):
        confidence = predictions.confidence[:, e]
        correct = predictions.predicted[:, e] == predictions.labels
        values.append(
            [
                weights @ correct / weights.sum(axis=-1),
                metrics.difficulty_inversion_score(confidence, correct, weights),
                metrics.expected_calibration_error(confidence, correct, weights=weights),
                weights @ (confidence * correct) / (weights @ correct),
                weights @ (confidence * ~correct) / (weights @ ~correct),
            ]
        )
    return 100 * np.array(values).swapaxes(0, 1)
