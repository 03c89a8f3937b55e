"""Scores of single classes: which class pays for the speed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cascadebert.data.scores import compute_percent
from cascadebert.evaluation.choice import ChosenSystem

CLASSES = "task system split target_speedup label n replicates precision recall f1"


def measure_classes(
    chosen: ChosenSystem, points: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """Precision, recall and F1 of each class at the operating points of a system.

    points: the system's `points.measure_operating_points`
    labels: the names of the classes, in the order of their numbers

    Scores are in percent, means over replicates, of the counts that the coin of `mixing` is
    expected to give; 0 for a class that is never predicted. A row for each class, split and target
    that the system reaches. Returns CLASSES.
    """
    system, rows = chosen.system, []
    reached = points[points["score"].notna()]
    for split, target in zip(reached["split"], reached["target_speedup"], strict=True):
        gold = system.labels(split)
        emission = chosen.emit(split, target)
        real = np.arange(len(labels))[:, None] == gold  # [labels, examples]
        given = emission.answers[..., None, :] == np.arange(len(labels))[:, None]
        # [replicates, labels]
        true, predicted = (
            np.einsum("kr,krl->rl", emission.chances, counted.sum(axis=-1))
            for counted in (given & real, given)
        )
        precision, recall, f1 = (
            compute_percent(above, below).mean(axis=0)
            for above, below in (
                (true, predicted),
                (true, real.sum(axis=-1)),
                (2 * true, predicted + real.sum(axis=-1)),
            )
        )
        rows.append(
            pd.DataFrame(
                {
                    "task": system.task,
                    "system": system.system,
                    "split": split,
                    "target_speedup": target,
                    "label": labels,
                    "n": np.bincount(gold, minlength=len(labels)),
                    "replicates": len(emission.speedups),
                    "precision": precision,
                    "recall": recall,
                    "f1": f1,
                }
            )
        )
    if not rows:
        return pd.DataFrame(columns=CLASSES.split())
    return pd.concat(rows, ignore_index=True)[CLASSES.split()]
