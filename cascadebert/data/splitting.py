"""Splits drawn at random: by the seed, evenly over the labels, no text in two of them."""

import numpy as np
import pandas as pd


def draw_splits(
    frame: pd.DataFrame, shares: dict[str, float], seed: int
) -> dict[str, pd.DataFrame]:
    """Gives each split its share of the rows of `frame`, and the rest to "train".

    Rows whose texts differ in nothing but case, spaces and punctuation go to the same split, so
    that no test text is trained on; they are all kept, also where their labels disagree. The shares
    are kept within each label (of the first of several such rows), in the order of `frame`.
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
    """At most `rows` rows of `frame`, in its order; fewer rows are a part of more."""
    chosen = np.random.default_rng(seed).permutation(len(frame))[:rows]
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def same_text(frame: pd.DataFrame) -> np.ndarray:
    """A number for each row, equal where texts differ in case, spaces and punctuation only."""
    return pd.factorize(_bare(frame["text"]) + "\0" + _bare(frame["text_pair"].fillna("")))[0]


def _bare(texts: pd.Series) -> pd.Series:
    words = texts.str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()
    # What is nothing but punctuation, such as ":)", is told apart by it.
    return words.where(words != "", texts)
