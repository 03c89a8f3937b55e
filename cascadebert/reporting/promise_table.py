"""The table of promises: the loss that a cascade promises, and the loss on the scored split."""

import pandas as pd

from cascadebert.reporting.grid import (
    INTERVALS,
    NOTHING,
    Place,
    describe_sizes,
    list_columns,
    select_rows,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Table
from cascadebert.reporting.wording import format_interval, format_signed

NONE_KEEPS_IT = "none keeps it"


def table_promises(promises: pd.DataFrame, titles: dict[str, str]) -> Table:
    """Promised and realised loss of every cascade.

    promises: `promises.measure_promises` of all cascades and tasks
    """
    table = select_rows(promises, titles)
    columns, notes, blocks = list_columns(table), Footnotes(), []
    keys = ["promised", "system", "task", "split"]
    rows = {tuple(row[key] for key in keys): row for _, row in table.iterrows()}
    for promised, block in table.groupby("promised"):
        lines = []
        for system in dict.fromkeys(block["system"]):
            opening = Cell("" if lines else f"{promised:g}")
            found = [rows.get((promised, system, *place)) for place in columns]
            cells = [cell for row in found for cell in _make_cells(row, notes)]
            lines.append([opening, Cell(titles[system]), *cells])
        blocks.append(lines)
    delta = table["delta"].iloc[0]
    caption = (
        "Promised and realised loss of accuracy, in points, against the last model of the cascade "
        f"alone{describe_sizes(table)}. The promise: with a probability of at least "
        f"{1 - delta:.0%} over the draw of the development split, the expected loss on new texts "
        "is at most the promised one (Learn then Test, Angelopoulos et al. 2021). The development "
        "split certifies one threshold for each seed; where none passes, every text goes to the "
        "last model. That split also chose the best epoch, the margin of DAR, and the temperatures "
        "where they were asked for, which the theory does not allow for. Thresholds, losses and "
        "speed-ups are means over seeds; losses and speed-ups are those of the split named. A "
        f"negative loss is a gain. {INTERVALS}."
    )
    header = ["Promised", "System", *(title for place in columns for title in _name_columns(place))]
    return table, Display(caption, list(map(Cell, header)), blocks, labels=2, notes=notes)


def _name_columns(place: Place) -> list[str]:
    task, split = place
    return [f"{task}\nthreshold", f"{task} ({split})\nloss", f"{task} ({split})\nspeed-up"]


def _make_cells(row: pd.Series | None, notes: Footnotes) -> list[Cell]:
    """Threshold, realised loss and speed-up."""
    if row is None:
        return [Cell(NOTHING, mark=notes.mark("not run"))] * 3
    if not row["certified"]:
        return [Cell(NONE_KEEPS_IT), Cell("0.0"), Cell(f"{row['speedup']:.2f}×")]
    marks = []
    if lacking := row["replicates"] - row["certified"]:
        marks.append(notes.mark(f"{NONE_KEEPS_IT} with {lacking} of {row['replicates']} seeds"))
    broken = notes.mark("above the promised loss") if row["loss"] > row["promised"] else ""
    interval = format_interval(row["low"], row["high"], format_signed)
    return [
        Cell(f"{row['threshold']:.3f}", mark=", ".join(marks)),
        Cell(f"{format_signed(row['loss'])}\n{interval}".strip(), mark=broken),
        Cell(f"{row['speedup']:.2f}×"),
    ]
