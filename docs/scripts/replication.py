"""Writes the tables of docs/replication.md from the CSV files in docs/replication/.

    PYTHONPATH=. python docs/scripts/replication.py

A table stands between `<!-- NAME -->` and `<!-- end -->`; NAME is one of TABLES, or of a task. The
CSV files are those of an experiment's tables/ folder. A test says when the page is stale.
"""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/replication.md"
DATA = ROOT / "docs/replication"
MARKED = re.compile(r"(?<=<!-- )(?!end )([\w-]+)( -->\n).*?(?=<!-- end -->)", re.S)

# What the paper says of its own numbers: the first system less the second.
PAIRS = [("cascadebert", rival) for rival in ("first-6", "first-4", "first-3", "deebert", "pabee")]
PAIRS.append(("cascadebert", "cascadebert-without-dar"))
MEASURES = {"accuracy": "accuracy", "dis": "DIS", "ece": "ECE"}
VERDICTS = ["holds", "undecided", "does not hold"]


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / f"{name}.csv")


def write_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_score(row: pd.Series) -> str:
    if pd.isna(row["score"]):
        return "not reached"
    mark = "*" if row["undertrained"] else ""
    return f"{row['score']:.1f}{mark} ({row['low']:.1f} to {row['high']:.1f})"


def format_difference(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def write_scores(task: str) -> str:
    """The score of every system at every target speed-up on a task, with intervals."""
    points = read("table2_main")
    points = points[points["task"] == task]
    targets = sorted(points["target_speedup"].unique())
    rows = []
    for title, of_system in points.groupby("title", sort=False):
        cells = {row["target_speedup"]: format_score(row) for _, row in of_system.iterrows()}
        rows.append([str(title), *(cells.get(target, "") for target in targets)])
    return write_table(["", *(f"{target:g}x" for target in targets)], rows)


def write_paper() -> str:
    """The differences that the paper reports, and ours, with their signs."""
    points = read("table2_main").set_index(["task", "system", "target_speedup"])
    rows = []
    for task in points.index.unique("task"):
        for target in sorted(points.index.unique("target_speedup")):
            for pair in PAIRS:
                both = [(task, system, target) for system in pair]
                if not all(key in points.index for key in both):
                    continue
                found = points.loc[both]
                columns = found[["score", "paper_score"]].astype(float)
                ours, theirs = columns.iloc[0] - columns.iloc[1]
                if pd.isna(ours) or pd.isna(theirs):
                    continue
                name = " − ".join(found["title"])
                same = "yes" if round(ours, 1) * round(theirs, 1) > 0 else "no"
                shown = [format_difference(value) for value in (theirs, ours)]
                rows.append([task, f"{target:g}x", name, *shown, same])
    return write_table(["", "", "difference", "the paper", "here", "same sign"], rows)


def write_dar() -> str:
    """Accuracy, DIS and ECE of the small model, with and without DAR."""
    exits = read("table5_calibration")
    exits = exits[exits["exit"] == 1]
    plain = exits[exits["difference"].isna()].set_index(["task", "measure"])["score"]
    rows = []
    for _, row in exits.dropna(subset="difference").iterrows():
        key = (row["task"], row["measure"])
        if row["measure"] in MEASURES and key in plain.index:
            low, high = (format_difference(row[f"difference_{end}"]) for end in ("low", "high"))
            gain = f"{format_difference(row['difference'])} ({low} to {high})"
            scores = [f"{plain[key]:.1f}", f"{row['score']:.1f}"]
            rows.append([row["task"], MEASURES[row["measure"]], *scores, gain])
    return write_table(["", "", "without DAR", "with DAR", "difference"], rows)


def write_claims() -> str:
    """The tasks on which each claim holds: as the intervals say, and after Holm's correction."""
    claims = read("claims")
    of_tasks = claims[(claims["statistic"] == "all") & (claims["task"] != "all")]
    rows = []
    for claim, found in of_tasks.groupby("claim", sort=False):
        counts = []
        for column in ("verdict", "verdict_holm"):
            said = found[column].str.split(":").str[0]
            counts += [str(int((said == verdict).sum())) for verdict in VERDICTS]
        rows.append([str(claim), *counts])
    return write_table(["claim", *VERDICTS, *(f"{name}, corrected" for name in VERDICTS)], rows)


TABLES = {"paper": write_paper, "dar": write_dar, "claims": write_claims}


def fill(page: str) -> str:
    """The page with every table made anew."""

    def make(found: re.Match[str]) -> str:
        name = found.group(1)
        table = TABLES[name]() if name in TABLES else write_scores(name)
        return f"{name}{found.group(2)}{table}\n"

    return MARKED.sub(make, page)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
