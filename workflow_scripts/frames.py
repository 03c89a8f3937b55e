"""The evaluation's frames as tables, figures and the summary take them."""

import os

import pandas as pd

# They stay text, even if it reads as a number or as nothing: a candidate "", a label "NA".
NAMES = ("task", "system", "against", "split", "candidate", "label", "leaving", "note")
TEXTS = dict.fromkeys(NAMES, str)


def frames(snakemake, *names: str) -> list[pd.DataFrame]:
    """Each named input of the rule, over all tasks."""
    return [pd.concat(map(read_frame, snakemake.input[name]), ignore_index=True) for name in names]


def read_frame(path: str | os.PathLike) -> pd.DataFrame:
    # Only an empty cell is a missing number; pandas takes "NA", "None" and others for it, too.
    frame = pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=[""])
    return frame.fillna(dict.fromkeys(TEXTS, ""))
