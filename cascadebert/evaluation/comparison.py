"""One system against the others, on the same examples."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from cascadebert.core.seeds import derive_seed
from cascadebert.evaluation.choice import Choice, SystemPredictions
from cascadebert.evaluation.intervals import interval
from cascadebert.evaluation.points import EXIT_MEASURES, exit_values, paired_difference


def differences(
    systems: Mapping[str, SystemPredictions],
    choices: Mapping[str, Choice],
    points: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Score of the first of each pair at each target less that of the second there, in points.

    points: their `points.operating_points`. What stands at speed-up 1 only (the full model) is
            compared with at every target: what is lost for the speed.
    Returns columns task, split, target_speedup, system, against, difference, low, high; no
    row where one of the two does not reach the target.
    """
    reached = points.dropna(subset="score").groupby(["system", "split"])["target_speedup"].agg(list)
    rows = []
    for split in splits:
        for key, against in pairs:
            subject, other = systems[key], systems[against]
            theirs = reached.get((against, split), [])
            for target in reached.get((key, split), []):
                at = 1.0 if theirs == [1.0] else target
                if at not in theirs:
                    continue
                difference, low, high = paired_difference(
                    _answers(subject, choices[key], split, target),
                    _answers(other, choices[against], split, at),
                    subject.labels(split),
                    subject.metric,
                    seed=derive_seed(seed, "difference", subject.task, split, target),
                    resamples=resamples,
                )
                rows.append((subject.task, split, target, key, against, difference, low, high))
    columns = ["task", "split", "target_speedup", "system", "against", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def exit_differences(
    systems: Mapping[str, SystemPredictions],
    choices: Mapping[str, Choice],
    pairs: Mapping[str, str],
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """The measures of each exit of a system less those of the same exit of another, in points.

    pairs: system -> the one that it is compared with, of as many exits
    Intervals are paired over examples. Returns columns task, split, exit, measure, system, against,
    difference, low, high; see `points.exit_measures`.
    """
    rows = []
    for key, against in pairs.items():
        subject = systems[key]
        for split in splits:
            examples = len(subject.labels(split))
            arms = [
                (_measures_of(of_split), len(of_split))
                for of_split in (
                    [replicate[split] for replicate in systems[k].candidates[choices[k].candidate]]
                    for k in (key, against)
                )
            ]
            once = np.ones((1, examples))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=RuntimeWarning)  # undefined is NaN
                ours, theirs = (np.nanmean(measures(once), axis=(-2, -1)) for measures, _ in arms)
                low, high = interval(
                    arms,
                    examples,
                    seed=derive_seed(seed, "exit difference", subject.task, split),
                    resamples=resamples,
                )
            rows += [
                (
                    *(subject.task, split, e + 1, measure, key, against),
                    *(ours[m, e] - theirs[m, e], low[m, e], high[m, e]),
                )
                for e in range(ours.shape[1])
                for m, measure in enumerate(EXIT_MEASURES)
            ]
    columns = "task split exit measure system against difference low high"
    return pd.DataFrame(rows, columns=columns.split())


def _measures_of(replicates):
    """weights `[resamples, examples]` -> `[measures, exits, replicates, resamples]`."""
    return lambda weights: np.stack([exit_values(each, weights) for each in replicates], axis=-2)


def _answers(system: SystemPredictions, choice: Choice, split: str, target: float):
    """Predicted labels `[replicates, examples]`."""
    answers, _ = system.emitted(choice.candidate, split, choice.knobs[target])
    return answers
