"""The table of whole curves: mean score over all speed-ups, and the ELUE score."""

import pandas as pd

from cascadebert.evaluation.curve_scores import FASTEST, REFERENCE, SLOWEST
from cascadebert.reporting.grid import (
    INCOMPLETE,
    NOTHING,
    UNDERTRAINED,
    describe_sizes,
    list_columns,
    list_undertrained,
    make_estimate_cell,
    select_place,
    select_rows,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Table
from cascadebert.reporting.wording import format_signed, round_as_printed

RANGE = f"{SLOWEST:g}× to {FASTEST:g}×"
MEASURES = {"mean": f"Mean score, {RANGE}", "elue": "ELUE score"}
CURVE = "First layers, interpolated"


def table_curve_scores(
    scores: pd.DataFrame, probes: pd.DataFrame, titles: dict[str, str], reference: list[str]
) -> Table:
    """A block for each measure, a row for each system.

    scores:    `curve_scores.measure_curves` of all tasks
    probes:    `measures.compare_with_probes` of all tasks, which say what is undertrained
    reference: the systems of the reference curve, which is undertrained where one of them is
    """
    titles = {**titles, REFERENCE: CURVE}
    table = select_rows(scores, titles)
    columns, notes = list_columns(table), Footnotes()
    weak = list_undertrained(probes)
    weak |= {(REFERENCE, *place) for system, *place in weak if system in reference}
    blocks = []
    for measure, label in MEASURES.items():
        mine = table[table["measure"] == measure]
        at = {(row.system, row.task, row.split): row for row in mine.itertuples()}
        systems = [system for system in titles if system in set(mine["system"])]
        best = {
            place: select_place(mine, place)["score"].map(round_as_printed).max()
            for place in columns
        }
        lines = []
        for system in systems:
            cells = []
            for place in columns:
                cell = _make_cell(at.get((system, *place)), measure, best[place], notes)
                if (system, *place) in weak:
                    marks = [cell.mark, notes.mark(UNDERTRAINED)]
                    cell = cell._replace(mark=", ".join(filter(None, marks)))
                cells.append(cell)
            if len(columns) > 1:
                found = mine[mine["system"] == system]["score"]
                cells.append(_make_average(found, len(columns), measure, notes))
            lines.append([Cell("" if lines else label), Cell(titles[system]), *cells])
        blocks.append(lines)
    header = ["Measure", "System", *("\n".join(place) for place in columns)]
    header += ["Average"] * (len(columns) > 1)
    ours = "here there is none, since it takes the full model and a model of its first layers"
    if len(reference) > 1:
        names = ", ".join(titles[key] for key in reference)
        ours = f"ours is {names}, interpolated linearly in cost"
    caption = (
        f"A whole curve in one number{describe_sizes(table)}. Mean score: percent, over the "
        f"logarithm of the speed-up from {RANGE}, at exactly these costs on the development split. "
        "ELUE score (Liu et al. 2022): mean over the same speed-ups of the score less that of a "
        "reference curve at the same cost, in points; 0 is the reference. Their reference is "
        f"ElasticBERT; {ours}. Brackets: 95% bootstrap interval over examples and seeds; that of "
        "the ELUE score is paired over examples. Bold: highest of a block."
    )
    return table, Display(caption, list(map(Cell, header)), blocks, labels=2, notes=notes)


def _make_cell(row, measure: str, best: float, notes: Footnotes) -> Cell:
    if row is None or pd.isna(row.score):
        return Cell(NOTHING, mark=notes.mark(row.note if row is not None else "not run"))
    number = format_signed if measure == "elue" else "{:.1f}".format
    bold = round_as_printed(row.score) == best
    return make_estimate_cell((row.score, row.low, row.high), notes, number=number, bold=bold)


def _make_average(scores: pd.Series, columns: int, measure: str, notes: Footnotes) -> Cell:
    if scores.count() < columns:
        return Cell(NOTHING, mark=notes.mark(INCOMPLETE))
    number = format_signed if measure == "elue" else "{:.1f}".format
    return Cell(number(scores.mean()))
