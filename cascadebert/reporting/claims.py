"""The paper's claims as a table: the verdicts on every split, and how often each claim holds."""

from collections.abc import Collection

import pandas as pd

from cascadebert.evaluation.claims import CLAIMS, LITTLE, VERDICTS, Claim
from cascadebert.evaluation.measures import BELOW
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.experiment.catalogue import ALL
from cascadebert.reporting.grid import (
    NOTHING,
    UNDEFINED,
    Place,
    describe_sizes,
    list_columns,
    make_estimate_cell,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row, Table
from cascadebert.reporting.wording import format_signed

CORRECTED = "Holm:"  # before a verdict


def table_claims(table: pd.DataFrame, incomplete: Collection[str] = ()) -> Table:
    """A block a claim: its verdict and its statistics on each split, and how often they hold.

    table:      `evaluation.claims.tabulate_statistics` of all splits
    incomplete: the tasks on which some systems were not run
    The returned frame has one more row a claim, task ALL, whose verdict counts: "holds in 3 of 4".
    """
    missing = [claim for claim in CLAIMS if claim.name not in set(table["claim"])]
    lacking = "; ".join(f"{claim.name} (needs {claim.needs})" for claim in missing)
    left_out = f" Left out: {lacking}." if missing else ""
    if table.empty:
        return table, Display(f"The paper's claims.{left_out}", [Cell("Claim")], [])
    columns, notes = list_columns(table), Footnotes()
    at = table.set_index(["claim", "statistic", "task", "split"])
    blocks, totals = [], []
    for claim in CLAIMS:
        mine = table[table["claim"] == claim.name]
        if mine.empty:
            continue
        lines = []
        for label in [ALL, *dict.fromkeys(mine["statistic"][mine["statistic"] != ALL])]:
            cells = [
                _make_cell(at.loc[(claim.name, label, *place)], notes)
                if (claim.name, label, *place) in at.index
                else _make_empty_cell(place, incomplete, notes)
                for place in columns
            ]
            lines.append(_make_line(claim, mine[mine["statistic"] == label], cells))
        held = lines[0][-1].text
        totals.append(
            {
                "claim": claim.name,
                "section": claim.section,
                "task": ALL,
                "statistic": ALL,
                "verdict": f"holds in {held}",
            }
        )
        blocks.append(lines)
    header = ["Claim", "Holds if", *("\n".join(place) for place in columns), "Holds in"]
    caption = _write_caption(table, left_out)
    display = Display(caption, list(map(Cell, header)), blocks, labels=2, notes=notes)
    return pd.concat([table, pd.DataFrame(totals)], ignore_index=True), display


def _make_line(claim: Claim, rows: pd.DataFrame, cells: list[Cell]) -> Row:
    """A statistic of a claim, or all of them, on every split.

    rows:  of the statistic
    cells: one for each split
    """
    label = rows["statistic"].iloc[0]
    held = f"{(rows['verdict'] == VERDICTS[1]).sum()} of {len(rows)}"
    if label == ALL:
        name = Cell(f"{claim.name}\n(Section {claim.section})", True)
        return [name, Cell("all below"), *cells, Cell(held, True)]
    condition = rows["holds_if"].iloc[0].replace("-", "−")
    return [Cell(label.replace(", ", "\n", 1)), Cell(condition), *cells, Cell(held)]


def _make_empty_cell(place: Place, incomplete: Collection[str], notes: Footnotes) -> Cell:
    task, _ = place
    why = "a system has no operating point at this speed-up"
    return Cell(NOTHING, mark=notes.mark(why + (f", or was {NOT_RUN}" * (task in incomplete))))


def _make_cell(row: pd.Series, notes: Footnotes) -> Cell:
    verdict = row["verdict"]
    if row["verdict_holm"] != verdict:
        verdict += f"\n({CORRECTED} {row['verdict_holm']})"
    if pd.isna(row["holds_if"]):
        return Cell(verdict, True)
    if pd.isna(row["value"]):
        return Cell(NOTHING, mark=notes.mark(row["note"] or UNDEFINED))
    estimate = row[["value", "low", "high"]]
    return make_estimate_cell(estimate, notes, number=format_signed, end=f"\n{verdict}")


def _write_caption(table: pd.DataFrame, left_out: str) -> str:
    return (
        f"The paper's claims, one by one{describe_sizes(table)}. A statistic holds where its whole "
        "95% interval (brackets; bootstrap over examples and seeds, paired over examples) meets "
        "the condition, does not hold where no part of the interval does, and is undecided "
        "otherwise. A claim holds where all its statistics do and does not where one does not. "
        "Nothing holds "
        f"against a rival of which an exit lies more than {BELOW} points below a linear probe on "
        "its own states: that rival is undertrained. Differences "
        "are in percentage points of score, DIS, ECE or accuracy; the slope in points of DIS a "
        f"layer. That little accuracy is at most {LITTLE} point is our convention. Parentheses: "
        "the verdict after Holm's correction for the number of statistics of the claim, where it "
        f"is another one.{left_out}"
    )
