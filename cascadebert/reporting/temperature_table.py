"""The table of temperature scaling: DIS and ECE of every exit with and without it."""

import pandas as pd

from cascadebert.reporting.grid import (
    COST,
    NOTHING,
    UNDEFINED,
    Place,
    describe_sizes,
    list_columns,
    select_rows,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row, Table
from cascadebert.reporting.wording import format_interval, format_signed

HEADS = {"ece": "ECE ↓", "dis": "DIS ↑"}


def table_temperature(
    temperatures: pd.DataFrame, titles: dict[str, str], cost: str = "layers"
) -> Table:
    """DIS and ECE of every exit, unscaled and scaled, and the temperature.

    temperatures: `temperature.compare_calibration` of all systems and tasks
    cost:         what a cost counts: layers or seconds
    """
    table = select_rows(temperatures, titles)
    columns, notes, blocks = list_columns(table), Footnotes(), []
    keys = ["system", "exit", "task", "split", "measure"]
    at = {tuple(row[key] for key in keys): row for _, row in table.iterrows()}
    for system in dict.fromkeys(table["system"]):
        lines = []
        exits = table[table["system"] == system].drop_duplicates("exit")
        for number, until in zip(exits["exit"], exits["cost"], strict=True):
            opening = [Cell("" if lines else titles[system]), Cell(f"{until:g}")]
            cells = [
                cell
                for place in columns
                for cell in _make_cells(at, (system, number, *place), notes)
            ]
            lines.append([*opening, *cells])
        blocks.append(lines)
    caption = (
        "Expected calibration error (ECE) and difficulty inversion score (DIS), in percent, of "
        "every exit without → with temperature scaling (Guo et al. 2017)"
        f"{describe_sizes(table)}. T: the temperature, by which the logits of an exit are divided; "
        "the development split chose it by the negative log-likelihood. Thresholds of this "
        "experiment are those of the scaled confidences. Brackets: 95% bootstrap interval of the "
        "difference over examples and seeds, paired over examples. With two classes, scaling keeps "
        f"the order of the examples, and so DIS.{COST[cost]}"
    )
    header = ["System", "Cost", *(title for place in columns for title in _name_columns(place))]
    return table, Display(caption, list(map(Cell, header)), blocks, labels=2, notes=notes)


def _name_columns(place: Place) -> list[str]:
    task, split = place
    return [f"{task}\nT", *(f"{task} ({split})\n{head}" for head in HEADS.values())]


def _make_cells(at: dict[tuple, pd.Series], key: tuple, notes: Footnotes) -> Row:
    """The temperature, and a cell for each of HEADS."""
    rows = [at.get((*key, measure)) for measure in HEADS]
    if rows[0] is None:
        return [Cell(NOTHING, mark=notes.mark("not run"))] * (1 + len(HEADS))
    cells = [_make_measure_cell(row, notes) for row in rows]
    return [Cell(f"{rows[0]['temperature']:.2f}"), *cells]


def _make_measure_cell(row: pd.Series, notes: Footnotes) -> Cell:
    if pd.isna(row["difference"]):
        return Cell(NOTHING, mark=notes.mark(UNDEFINED))
    interval = format_interval(row["low"], row["high"], format_signed)
    return Cell(f"{row['unscaled']:.1f} → {row['scaled']:.1f}\n{interval}".strip())
