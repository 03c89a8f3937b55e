"""Draws random splits with no text in two of them, and finds texts that a user's splits share."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def draw_splits(
    frame: pd.DataFrame, shares: dict[str, float], seed: int
) -> dict[str, pd.DataFrame]:
    """Gives each split its share of the rows of `frame`, and the rest to "train".

    Rows whose texts differ only in case, spaces and punctuation go to the same split, so that no
    test text is trained on. All these rows are kept, even if their labels disagree; the label of
    the first counts as theirs. Each label is divided by the shares, and has a text in "train".
    Splits keep the order of `frame`.
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
        chosen = names[np.searchsorted(bounds, before, side="right")]
        if "train" not in chosen:  # as of a label whose rows all have one text
            chosen[-1] = "train"
        group_split[members] = chosen
    row_split = group_split[group]
    return {split: frame[row_split == split].reset_index(drop=True) for split in ("train", *shares)}


def draw_rows(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Returns at most `rows` random rows of `frame`, in its order.

    With the same seed, a smaller draw is part of a larger one.
    """
    chosen = np.random.default_rng(seed).permutation(len(frame))[:rows]
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def compare_splits(splits: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Counts what makes scores doubtful; texts are the same by the rule of `same_text`.

    Returns of every split:
    shared:        earlier split -> rows with a text that is there, too, if there are any
    contradictory: rows with a text that has another label in another row of any split
    """
    every = pd.concat(splits, names=["split"])
    every["group"] = same_text(every)
    disputed = every.groupby("group")["label"].transform("nunique") > 1
    counted: dict[str, dict[str, Any]] = {}
    for split, rows in every.groupby("split", sort=False):
        shared = {
            earlier: int(rows["group"].isin(every.loc[earlier, "group"]).sum())
            for earlier in counted
        }
        counted[str(split)] = {
            "shared": {earlier: count for earlier, count in shared.items() if count},
            "contradictory": int((disputed[split] & rows.loc[split, "label"].notna()).sum()),
        }
    return counted


def same_text(frame: pd.DataFrame) -> np.ndarray:
    """Numbers the rows, alike where texts differ only in case, spaces and punctuation."""
    return pd.factorize(_bare(frame["text"]) + "\0" + _bare(frame["text_pair"].fillna("")))[0]


def _bare(texts: pd.Series) -> pd.Series:
    words = texts.str.casefold().str.replace(r"[\W_]+", _separator, regex=True).str.strip()
    # Texts of punctuation alone, such as ":)", keep it: it is all that tells them apart.
    return words.where(words != "", texts)


def _separator(between: re.Match[str]) -> str:
    """Returns a space, or what is neither space nor punctuation: vowel signs and emoji."""
    if between[0].isascii():
        return " "
    kept = [sign for sign in between[0] if unicodedata.category(sign) in ("Mc", "Mn", "So")]
    return "".join(kept) or " "
