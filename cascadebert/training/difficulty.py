"""Which training examples are difficult for a model: K folds x S seeds (paper, Section 3.2)."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cascadebert.core.errors import UserError
from cascadebert.core.files import File


def assign_folds(
    labels: np.ndarray, folds: int, seed: int, task: str, names: Sequence[str]
) -> np.ndarray:
    """The fold of every training example, int64 `[examples]`; classes are spread evenly.

    labels: class numbers `[examples]`, of the task's label names
    Raises UserError if a class has fewer examples than there are folds.
    """
    # Imported here, since every training starts this module and few make folds.
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels)
    rare = np.flatnonzero((counts > 0) & (counts < folds))
    if len(rare):
        raise UserError(
            f"task {task}: {counts[rare[0]]} training examples are labelled {names[rare[0]]}, "
            f"fewer than the {folds} folds of the difficulty labelling; lower difficulty.folds, or "
            "give more data (perhaps limit.train leaves too little)"
        )
    fold = np.empty(len(labels), dtype=np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels)):
        fold[held_out] = number
    return fold


def combine_answers(runs: Iterable[File], ids: np.ndarray) -> pd.DataFrame:
    """Difficulty labels from the held-out predictions of all folds and seeds.

    An example is easy if the models of all seeds that did not see it predict it correctly, else
    difficult.

    runs: parquet files with columns id, correct; one for each fold and seed
    ids:  the training examples, `[examples]`
    Returns columns id, correct (how many seeds were), runs (of how many), difficult; in the order
    of `ids`. Raises UserError unless every example was predicted, and equally often.
    """
    correct = pd.concat([pd.read_parquet(run) for run in runs]).groupby("id")["correct"]
    table = pd.DataFrame({"correct": correct.sum(), "runs": correct.size()})
    if set(table.index) != set(ids) or table["runs"].nunique() != 1:
        raise UserError(
            "the difficulty runs do not predict every training example equally often; they are of "
            "another version of the data: delete the experiment's difficulty/ folder and run again"
        )
    table["difficult"] = table["correct"] < table["runs"]
    return table.loc[ids].rename_axis("id").reset_index()
