"""Draws random splits with no text in two of them, and finds texts that a user's splits share."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd


def draw_splits(
    frame: pd.DataFrame, shares: dict[str, float], seed: int
) -> dict[str, pd.DataFrame]:
    """Gives each split its share of the rows of `frame`, and the rest to "train".

    Rows whose texts differ only in case, spaces and punctuation go to the same split, so that no
    test text is trained on. All these rows are kept, even if their labels disagree; the label of
    the first counts as theirs. Each label is divided by the shares. Splits keep the order of
    `frame`.
    """
    shares = dict(sorted(shares.items()))  # whatever their order in the configuration
    group = same_text(frame)
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    group_label = frame["label"].to_numpy(dtype=np.int64)[first]
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    group_split = np.full(len(sizes), "train", dtype=object)
    for label in np.unique(group_label):
        members = shuffled[group_label[shuffled] == label]
        before = np.cumsum(sizes[members]) - sizes[members]
        bounds = np.round(np.cumsum(list(shares.values())) * sizes[members].sum())
        names = np.array([*shares, "train"], dtype=object)
        group_split[members] = names[np.searchsorted(bounds, before, side="right")]
    row_split = group_split[group]
    return {split: frame[row_split == split].reset_index(drop=True) for split in ("train", *shares)}


def draw_rows(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Returns at most `rows` random rows of `frame`, in its order.

    With the same seed, a smaller draw is part of a larger one.
    """
    chosen = np.random.default_rng(seed).permutation(len(frame))[:rows]
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def count_shared(splits: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    """Counts the rows whose texts are in an earlier split, too, by the rule of `same_text`.

    Returns split -> earlier split -> rows, where there are any.
    """
    groups = _group_texts(splits)
    shared = {split: {} for split in splits}
    for earlier, later in combinations(splits, 2):
        if count := int(np.isin(groups[later], groups[earlier]).sum()):
            shared[later][earlier] = count
    return shared


def count_contradictory(splits: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Counts the rows whose texts have another label elsewhere in the task.

    Returns split -> rows.
    """
    groups = _group_texts(splits)
    every = pd.DataFrame(
        {
            "group": np.concatenate(list(groups.values())),
            "label": pd.concat([frame["label"] for frame in splits.values()]).to_numpy(),
        }
    )
    labels = every.dropna().groupby("group")["label"].nunique()
    disputed = labels.index[labels > 1]
    return {
        split: int((np.isin(group, disputed) & splits[split]["label"].notna()).sum())
        for split, group in groups.items()
    }


def _group_texts(splits: Mapping[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Numbers the rows of all splits by `same_text`; returns split -> numbers."""
    groups = same_text(pd.concat(list(splits.values())))
    ends = np.cumsum([len(frame) for frame in splits.values()])
    return dict(zip(splits, np.split(groups, ends[:-1]), strict=True))


def same_text(frame: pd.DataFrame) -> np.ndarray:
    """Numbers the rows, alike where texts differ only in case, spaces and punctuation."""
    return pd.factorize(_bare(frame["text"]) + "\0" + _bare(frame["text_pair"].fillna("")))[0]


def _bare(texts: pd.Series) -> pd.Series:
    words = texts.str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()
    # Texts of punctuation alone, such as ":)", keep it: it is all that tells them apart.
    return words.where(words != "", texts)
