"""What this project aims at, beside what a table of `performance.py` reached."""

import pandas as pd
from serving import CHOSEN

from cascadebert.deployment.members import INT8

NEAR = 0.5  # points below the full model in int8

# What -> the goal for one text at a time, and for batches of 32.
AGAINST_INT8 = "fastest cascade within 0.5 points of the full model in int8, against it"
KEPT_BY_CASCADE = "kept by the proposed cascade at 2x"
KEPT_BY_EXITS = "kept by early exits at 2x"
GOALS = {
    AGAINST_INT8: {1: 2.5, 32: 2.0},
    KEPT_BY_CASCADE: {1: 0.95, 32: 0.90},
    KEPT_BY_EXITS: {1: 0.90, 32: 0.80},
}


def judge_goals(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each goal and system: what was reached with each batch size."""
    cascades = table["kind"].isin(["cascade", CHOSEN])
    is_full = (table["kind"] == "full model") & (table["runtime"] == INT8)
    [least, *_] = table.loc[is_full, "score"] - NEAR
    at_2x = table["target"] == 2
    near = table[cascades & (table["score"] >= least)]
    fastest = near.sort_values("against_int8").groupby("batch").tail(1)
    rows = [_judge(AGAINST_INT8, fastest, "against_int8")]
    kept = {"cascade": KEPT_BY_CASCADE, "early exits": KEPT_BY_EXITS}
    for kind, what in kept.items():
        for _, of_one in table[at_2x & (table["kind"] == kind)].groupby(["system", "runtime"]):
            rows.append(_judge(what, of_one, "kept"))
    return pd.DataFrame(rows)


def _judge(what: str, found: pd.DataFrame, measure: str) -> dict[str, str]:
    """found: a row for each batch size"""
    row = {"what": what, "by": ""}
    for each in found.sort_values("batch").itertuples():
        value, goal = getattr(each, measure), GOALS[what][each.batch]
        said = "reached" if value >= goal else "missed"
        row[f"batch {each.batch}: goal"] = f"{goal:.2f}"
        name = f"{each.title}, {each.runtime}"
        row["by"] = name if row["by"] in ("", name) else f"{row['by']}; {name}"
        row[f"batch {each.batch}"] = f"{value:.2f}, {said}"
    return row
