"""The table of Appendix C: expected and measured gain of one more model in a cascade."""

from collections.abc import Mapping

import pandas as pd

from cascadebert.data.task import DEV
from cascadebert.reporting.grid import IN_SAMPLE, NOTHING
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row, Table
from cascadebert.reporting.wording import format_interval, format_signed


def table_appendix_c(table: pd.DataFrame, titles: Mapping[str, str]) -> Table:
    """A block for each task and each cascade that extends another, a row for each M* and target.

    table:  `measure_gains` of all tasks and pairs of cascades
    titles: system -> its name
    """
    pairs = ["task", "split", "system", "extends"]
    notes, blocks = Footnotes(), []
    for (task, split, *_), block in table.groupby(pairs, sort=False):
        lines = [_make_line(row, titles, notes) for row in block.to_dict("records")]
        first = Cell(f"{task} ({split})")
        blocks.append([[first if k == 0 else Cell(), *line] for k, line in enumerate(lines)])
    header = [
        "Task",
        "Target\n(old, new)",
        "M*",
        "Left the old at\ni / i+1",
        "Equal cost, Eq. 12\ni / i+1",
        "Left the new at\ni / * / i+1",
        "Accuracy of\ni / * / i+1",
        "Expected gain",
        "Measured gain",
    ]
    same = f" ({IN_SAMPLE})" if DEV in set(table["split"]) else ""
    caption = (
        "What one more model M* should give a cascade at equal speed, by Eq. 13 of the paper, and "
        f"what it gives, in points of accuracy{same}; with the real speed-ups of the old and the "
        "new cascade. M* stands between the models i and i+1 of the old one. How many examples "
        "leave each model: measured in the old and the new cascade, and by Eq. 12 in an old "
        "cascade that costs as much as the new one. The expectation takes every model to be as "
        "accurate on what reaches it as on all examples. Means over seeds; brackets: 95% "
        "bootstrap interval over examples and seeds."
    )
    return table, Display(caption, list(map(Cell, header)), blocks, labels=3, notes=notes)


def _make_line(row: dict, titles: Mapping[str, str], notes: Footnotes) -> Row:
    new, old = titles[row["system"]], titles[row["extends"]]
    target = f"{row['target_speedup']:g}×"
    joins = new if pd.isna(row["added"]) else f"{row['layers']:g} layers, {titles[row['added']]}"
    if pd.notna(row["note"]):
        nothing = Cell(NOTHING, mark=notes.mark(f"{new} against {old}: {row['note']}"))
        return [Cell(target), Cell(joins), *[nothing] * 6]
    measured = Cell(_format_gain(row, "measured"))
    if row["assumed"]:
        mark = notes.mark(
            f"no cascade has this model: {old} keeps its counts, and M* answers the same share of "
            f"what reaches it as in {new}"
        )
        measured = Cell(NOTHING, mark=mark)
    return [
        Cell(f"{target} ({row['old_speedup']:.2f}, {row['new_speedup']:.2f})"),
        Cell(joins),
        _join_numbers(row, "{:,.0f}", "old_before", "old_after"),
        _join_numbers(row, "{:,.0f}", "equal_before", "equal_after"),
        _join_numbers(row, "{:,.0f}", "new_before", "new_added", "new_after"),
        _join_numbers(row, "{:.1f}", "accuracy_before", "accuracy_added", "accuracy_after"),
        Cell(_format_gain(row, "expected")),
        measured,
    ]


def _join_numbers(row: dict, form: str, *names: str) -> Cell:
    return Cell(" / ".join(form.format(row[name]) for name in names))


def _format_gain(row: dict, name: str) -> str:
    interval = format_interval(row[f"{name}_low"], row[f"{name}_high"], format_signed)
    return f"{format_signed(row[name])} {interval}".rstrip()
