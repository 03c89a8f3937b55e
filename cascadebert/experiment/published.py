"""The paper's own numbers, to stand beside ours where task and models are the paper's.

They are in published.csv: Li et al., CascadeBERT, Findings of EMNLP 2021, Tables 1 to 7. Tables 2,
3, 4, 6 and 7 are scores on GLUE's test splits by its server, Table 5 on its development splits.
`names` says what they belong to: {"systems": {system: method}, "tasks": {task: {split: name}}},
with methods and names as in the file.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

NUMBERS = Path(__file__).with_name("published.csv")


@cache
def load_numbers() -> pd.DataFrame:
    """One number a row: table, method, target_speedup, task, measure, score, speedup, note.

    measure is "score", in percent; in Table 1 "margin", or a split, whose size it is; in Table 5
    "dis", "accuracy" or "ece", in percent. What the paper does not say is NaN, or "" in the note.
    """
    return pd.read_csv(NUMBERS, comment="#").fillna({"method": "", "note": ""})


def list_methods() -> list[str]:
    """What a system may be called."""
    return sorted(set(load_numbers()["method"]) - {""})


def list_tasks() -> list[str]:
    """What a task's split may be called."""
    return sorted(set(load_numbers()["task"]) - {"avg"})


def add_published_numbers(
    frame: pd.DataFrame, table: int, names: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    """The frame with the columns paper_score and paper_speedup; NaN where the paper has none.

    frame: columns task, split, system, and target_speedup or measure
    table: the paper's, whose numbers they are
    """
    printed = (
        load_numbers()
        .query("table == @table")
        .rename(columns={"score": "paper_score", "speedup": "paper_speedup"})
    )
    key = "measure" if "measure" in frame else "target_speedup"
    splits = {
        (task, split): name for task, of in names["tasks"].items() for split, name in of.items()
    }
    places = zip(frame["task"], frame["split"], strict=True)
    ours = frame[[key]].assign(
        method=frame["system"].map(names["systems"]).values,
        task=[splits.get(place) for place in places],
    )
    printed = printed[["method", "task", key, "paper_score", "paper_speedup"]]
    found = ours.astype({"method": object, "task": object}).merge(
        printed, on=["method", "task", key], how="left"
    )
    return frame.assign(**{c: found[c].values for c in ("paper_score", "paper_speedup")})


def read_published_sizes(
    names: dict[str, dict[str, Any]],
) -> dict[tuple[str, str], tuple[float, str]]:
    """Table 1: (task, split) -> size and note; (task, system) -> margin of the paper's cascade."""
    printed = load_numbers().query("table == 1")
    found = {}
    for task, of in names["tasks"].items():
        name = next(iter(of.values()), None)  # of mnli-m and mnli-mm the paper says the same
        for row in printed[printed["task"] == name].itertuples():
            keys = [row.measure]
            if row.measure == "margin":
                keys = [key for key, method in names["systems"].items() if method == row.method]
            found |= {(task, key): (row.score, row.note) for key in keys}
    return found
