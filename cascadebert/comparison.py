"""One system against the others, on the same examples."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cascadebert.choice import Choice, SystemPredictions
from cascadebert.evaluation import paired_difference
from cascadebert.seeds import derive_seed


def differences(
    systems: Mapping[str, SystemPredictions],
    choices: Mapping[str, Choice],
    points: pd.DataFrame,
    proposed: str,
    splits: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Score of `proposed` at each target less that of every other system there, in points.

    points: their `evaluation.operating_points`. What stands at speed-up 1 (the full model) is
            compared with at every target: what is lost for the speed.
    Returns columns task, split, target_speedup, system, against, difference, low, high; no
    row where one of the two does not reach the target.
    """
    reached = points.dropna(subset="score").set_index(["system", "split"])["target_speedup"]
    subject = systems[proposed]
    rows = []
    for split in splits:
        labels = subject.labels(split)
        for target in reached.loc[[(proposed, split)]] if (proposed, split) in reached else []:
            ours = _answers(subject, choices[proposed], split, target)
            for key, other in systems.items():
                theirs = list(reached.loc[[(key, split)]]) if (key, split) in reached else []
                at = target if target in theirs else 1.0
                if key == proposed or at not in theirs:
                    continue
                difference, low, high = paired_difference(
                    ours,
                    _answers(other, choices[key], split, at),
                    labels,
                    subject.metric,
                    seed=derive_seed(seed, "difference", subject.task, split, target),
                    resamples=resamples,
                )
                rows.append((subject.task, split, target, proposed, key, difference, low, high))
    columns = ["task", "split", "target_speedup", "system", "against", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _answers(system: SystemPredictions, choice: Choice, split: str, target: float):
    """Predicted labels `[replicates, examples]`."""
    answers, _ = system.emitted(choice.candidate, split, choice.knobs[target])
    return answers
