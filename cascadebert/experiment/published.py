"""The paper's own numbers, shown beside ours where task and models are the paper's.

The numbers are in published.csv: Li et al., CascadeBERT, Findings of EMNLP 2021, Tables 1 to 7.
Tables 2, 3, 4, 6 and 7 have scores on GLUE's test splits by its server. Table 5 has measures on
GLUE's development splits. `names` maps systems and tasks to the methods and task names of the file:
{"systems": {system: method}, "tasks": {task: {split: name}}}.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

NUMBERS = Path(__file__).with_name("published.csv")


@cache
def load_numbers() -> pd.DataFrame:
    """Returns one number a row: table, method, target_speedup, task, measure, score, speedup, note.

    The column measure is "score", in percent. In Table 1 it is "margin", or a split, and the number
    is its size. In Table 5 it is "dis", "accuracy" or "ece", in percent. Values that the paper does
    not give are NaN, or "" in the note.
    """
    return pd.read_csv(NUMBERS, comment="#").fillna({"method": "", "note": ""})


def list_methods() -> list[str]:
    """Returns the methods that a system's `published` may name."""
    return sorted(set(load_numbers()["method"]) - {""})


def list_tasks() -> list[str]:
    """Returns the task names that a task's `published` may give a split."""
    return sorted(set(load_numbers()["task"]) - {"avg"})


def add_published_numbers(
    frame: pd.DataFrame, table: int, names: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    """Returns the frame with columns paper_score and paper_speedup, NaN where the paper has none.

    frame: columns task, split, system, and target_speedup or measure
    table: number of the paper's table
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
    """Returns Table 1: (task, split) -> size and note, and (task, system) -> margin and note."""
    printed = load_numbers().query("table == 1")
    found = {}
    for task, of in names["tasks"].items():
        name = next(iter(of.values()), None)  # Table 1 has the same for mnli-m and mnli-mm
        for row in printed[printed["task"] == name].itertuples():
            keys = [row.measure]
            if row.measure == "margin":
                keys = [key for key, method in names["systems"].items() if method == row.method]
            found |= {(task, key): (row.score, row.note) for key in keys}
    return found
