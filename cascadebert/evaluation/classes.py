"""Scores of single classes: which class pays for the speed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cascadebert.evaluation.choice import ChosenSystem

CLASSES = "task system split target_speedup label n replicates precision recall f1"


def measure_classes(
    chosen: ChosenSystem, points: pd.DataFrame, labels: Sequence[str]
) -> pd.DataFrame:
    """Precision, recall and F1 of each class at the operating points of a system.

    points: the system's `points.measure_operating_points`
    labels: the names of the classes, in the order of their numbers

    Scores are in percent, means over replicates and over the coin of `mixing`, and 0 for a class
    that is never predicted. A row for each class, split and target that the system reaches. Returns
    CLASSES.
    """
    from sklearn.metrics import precision_recall_fscore_support  # slow to import

    system, rows = chosen.system, []
    reached = points[points["score"].notna()]
    for split, target in zip(reached["split"], reached["target_speedup"], strict=True):
        gold = system.labels(split)
        emission = chosen.emit(split, target)
        measured = [
            [
                precision_recall_fscore_support(
                    gold, of_replicate, labels=range(len(labels)), zero_division=0
                )[:3]
                for of_replicate in of_knob
            ]
            for of_knob in emission.answers
        ]
        # [knobs, replicates, measures, labels]; expected over the coin that picks a knob
        expected = np.einsum("kr,krml->rml", emission.chances, np.array(measured))
        precision, recall, f1 = 100 * expected.mean(axis=0)
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
