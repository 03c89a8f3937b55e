import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.core.errors import UserError
from cascadebert.training.difficulty import assign_folds, combine_answers


@given(st.lists(st.integers(0, 2), min_size=40, max_size=200), st.integers(2, 5))
def test_folds_partition_the_examples_and_spread_the_classes(labels, folds):
    labels = np.array(labels)
    counts = np.bincount(labels)
    if (counts[counts > 0] < folds).any():
        with pytest.raises(UserError, match=r"task x: \d+ training .* labelled [abc], fewer than"):
            assign_folds(labels, folds, 0, "x", "abc")
        return
    fold = assign_folds(labels, folds, 0, "x", "abc")
    assert set(fold) == set(range(folds))
    for label in np.unique(labels):
        sizes = np.bincount(fold[labels == label], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    for number in range(folds):  # who is trained on the others has seen every class
        assert set(labels[fold != number]) == set(labels)
    assert (fold == assign_folds(labels, folds, 0, "x", "abc")).all()
    assert (fold != assign_folds(labels, folds, 1, "x", "abc")).any()


def runs(tmp_path, correct):
    """A file for each fold and seed; correct: bool [seeds, examples]; fold i % 2 has example i."""
    ids = np.array([f"x{i}" for i in range(correct.shape[1])])
    files = []
    for fold in range(2):
        for seed, row in enumerate(correct):
            table = pd.DataFrame({"id": ids, "correct": row})[fold::2]
            files.append(tmp_path / f"fold{fold}-seed{seed}.parquet")
            table.to_parquet(files[-1])
    return files, ids


def test_easy_is_what_all_seeds_get_right(tmp_path):
    correct = np.random.default_rng(0).random((5, 40)) < 0.8
    files, ids = runs(tmp_path, correct)
    table = combine_answers(files, ids)
    assert list(table["id"]) == list(ids)
    assert (table["difficult"] == ~correct.all(axis=0)).all()
    assert (table["correct"] == correct.sum(axis=0)).all()


def test_a_missing_run_is_refused(tmp_path):
    files, ids = runs(tmp_path, np.ones((3, 10), dtype=bool))
    with pytest.raises(UserError, match="equally often"):
        combine_answers(files[1:], ids)
    with pytest.raises(UserError, match="equally often"):
        combine_answers(files, ids[1:])
