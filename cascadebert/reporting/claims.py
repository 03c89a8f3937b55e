"""The paper's claims as a table: what `claims` finds on every split, and how often it holds."""

from collections.abc import Collection, Sequence

import pandas as pd

from cascadebert.evaluation.claims import CLAIMS, LITTLE, UNDERTRAINED, VERDICTS, Statistic
from cascadebert.evaluation.points import BELOW, NOT_RUN
from cascadebert.reporting.grid import NOTHING, ONE_EXAMPLE, places, sizes
from cascadebert.reporting.typeset import Cell, Display, Footnotes
from cascadebert.reporting.wording import bracket, signed

ALL = "all"  # tasks, or statistics of a claim


def to_frame(found: Sequence[Statistic], points: pd.DataFrame) -> pd.DataFrame:
    """The statistics of a split, one a row, and the verdict on each claim in a row ALL.

    points: its `points.operating_points`
    Columns: claim, section, task, split, statistic, holds_if, value, low, high, n, replicates,
    verdict.
    """
    place = points.iloc[0][["task", "split", "n", "replicates"]].to_dict()
    rows = []
    for claim in CLAIMS:
        mine = [statistic for statistic in found if statistic.claim == claim]
        common = {"claim": claim.name, "section": claim.section, **place}
        rows += [
            common
            | {"statistic": s.label, "holds_if": f"{s.side} {s.bound:g}", "verdict": s.verdict}
            | {"value": s.value, "low": s.low, "high": s.high}
            for s in mine
        ]
        if mine:
            rows.append(common | {"statistic": ALL, "verdict": _worst([s.verdict for s in mine])})
    columns = "claim section task split statistic holds_if value low high n replicates verdict"
    return pd.DataFrame(rows, columns=columns.split())


def _worst(verdicts: Sequence[str]) -> str:
    """One statistic that does not hold refutes a claim; one that is undecided leaves it open."""
    refuted, undecided, holds = VERDICTS.values()
    return min(verdicts, key=[refuted, undecided, UNDERTRAINED, holds].index)


def table_claims(
    table: pd.DataFrame, incomplete: Collection[str] = ()
) -> tuple[pd.DataFrame, Display]:
    """A block a claim: its verdict and its statistics on each split, and how often they hold.

    table:      `to_frame` of all splits
    incomplete: the tasks on which some systems were not run
    Returns it with one more row a claim, task ALL, whose verdict counts: "holds in 3 of 4".
    """
    missing = [claim for claim in CLAIMS if claim.name not in set(table["claim"])]
    lacking = "; ".join(f"{claim.name} (needs {claim.needs})" for claim in missing)
    left_out = f" Left out: {lacking}." if missing else ""
    if table.empty:
        return table, Display(f"The paper's claims.{left_out}", [Cell("Claim")], [])
    columns, notes, blocks, totals = places(table), Footnotes(), [], []
    at = table.set_index(["claim", "statistic", "task", "split"])
    for claim in CLAIMS:
        mine = table[table["claim"] == claim.name]
        if mine.empty:
            continue
        name = f"{claim.name}\n(Section {claim.section})"
        lines = []
        for label in [ALL, *dict.fromkeys(mine["statistic"][mine["statistic"] != ALL])]:
            keys = [(claim.name, label, *place) for place in columns]
            cells = [
                _cell(at.loc[key], notes) if key in at.index else _nothing(key, incomplete, notes)
                for key in keys
            ]
            verdicts = mine["verdict"][mine["statistic"] == label]
            held = f"{(verdicts == VERDICTS[1]).sum()} of {len(verdicts)}"
            if label == ALL:
                lines.append([Cell(name, True), Cell("all below"), *cells, Cell(held, True)])
                totals.append({"claim": claim.name, "section": claim.section, "held": held})
            else:
                condition = mine["holds_if"][mine["statistic"] == label].iloc[0]
                condition = condition.replace("-", "−")
                lines.append(
                    [Cell(label.replace(", ", "\n", 1)), Cell(condition), *cells, Cell(held)]
                )
        blocks.append(lines)
    caption = (
        f"The paper's claims, one by one{sizes(table)}. A statistic holds where its whole 95% "
        "interval (brackets; bootstrap over examples and seeds, paired over examples) meets the "
        "condition, does not hold where no part of the interval does, and is undecided otherwise. "
        "A claim holds where all its statistics do and does not where one does not. Nothing holds "
        f"against a rival of which an exit lies more than {BELOW} points below a linear probe on "
        "its own states: that rival is undertrained. Differences "
        "are in percentage points of score, DIS, ECE or accuracy; the slope in points of DIS a "
        f"layer. That little accuracy is at most {LITTLE} point is our convention. Nothing is "
        f"corrected for the number of statistics.{left_out}"
    )
    header = ["Claim", "Holds if", *("\n".join(place) for place in columns), "Holds in"]
    total = pd.DataFrame(totals).assign(task=ALL, statistic=ALL)
    total["verdict"] = "holds in " + total.pop("held")
    display = Display(caption, list(map(Cell, header)), blocks, 2, notes)
    return pd.concat([table, total], ignore_index=True), display


def _nothing(key: tuple, incomplete: Collection[str], notes: Footnotes) -> Cell:
    _, _, task, _ = key
    why = "a system has no operating point at this speed-up"
    return Cell(NOTHING, mark=notes.mark(why + (f", or was {NOT_RUN}" * (task in incomplete))))


def _cell(row: pd.Series, notes: Footnotes) -> Cell:
    if pd.isna(row["holds_if"]):
        return Cell(row["verdict"], True)
    if pd.isna(row["value"]):
        return Cell(NOTHING, mark=notes.mark("undefined: no example, or every one, is right"))
    interval = bracket(row["low"], row["high"], signed)
    if not interval:
        return Cell(f"{signed(row['value'])}\n{row['verdict']}", mark=notes.mark(ONE_EXAMPLE))
    return Cell(f"{signed(row['value'])}\n{interval}\n{row['verdict']}")
