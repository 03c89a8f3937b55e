"""Tables of single exits: calibration of the smallest model (Table 5), and linear probes.

Arguments are as in `tables`. Functions have the names of their rules and files.
"""

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.measures import BELOW, LEFT_WRONG
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.evaluation.temperature import UNSCALED_ECE
from cascadebert.reporting.grid import (
    COST,
    INTERVALS,
    NOTHING,
    UNDEFINED,
    Place,
    describe_paper,
    describe_sizes,
    format_paper,
    list_columns,
    make_estimate_cell,
    make_gain_cell,
    select_gains,
    select_rows,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row, Table
from cascadebert.reporting.wording import round_as_printed

CALIBRATION = {
    "dis": "DIS ↑",
    "accuracy": "Accuracy ↑",
    "ece": "ECE ↓",
    UNSCALED_ECE: "ECE, unscaled ↓",
    "aurc": "AURC ↓",
}
LOWER = ("ece", UNSCALED_ECE, "aurc")  # of these and of LEFT_WRONG, the lower is the better
NONE_LEFT = "no example leaves at this model"


def table5_calibration(
    exits: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> Table:
    """Calibration and prediction of failures by each cascade's smallest model, with DAR or without.

    exits:       `measures.measure_exits` with the paper's numbers
    differences: `comparison.compare_exits`
    """
    pairs = {system: titles[system] for pair in ablations.items() for system in pair}
    of_pairs = exits[exits["system"].isin(pairs)]
    calibration = {
        name: title
        for name, title in CALIBRATION.items()
        if name != UNSCALED_ECE or (of_pairs["measure"] == UNSCALED_ECE).any()
    }
    measures = {**calibration, **_name_left_measures(of_pairs)}
    kept = exits[(exits["exit"] == 1) & exits["measure"].isin(measures)]
    gains = select_gains(differences[differences["exit"] == 1], ablations)
    keys = ["task", "split", "measure", "system"]
    table = select_rows(kept, pairs).merge(gains, on=keys, how="left")
    at = table.set_index(["task", "split", "system", "measure"])
    notes, blocks = Footnotes(), []
    for task, split in list_columns(exits):
        for pair in ablations.items():
            lacking = [system for system in pair if (task, split, system, "dis") not in at.index]
            if lacking:
                names = join_words([titles[system] for system in lacking])
                mark = notes.mark(f"{names} on {task}: {NOT_RUN}")
                nothing = [Cell(NOTHING, mark=mark)] * len(measures)
                blocks.append([[Cell(f"{task} ({split})"), Cell(titles[pair[0]]), *nothing]])
            else:
                rows = [at.loc[(task, split, system)] for system in pair]
                columns = [_make_measure_cells(measure, rows, notes) for measure in measures]
                labels = [Cell(f"{task} ({split})"), Cell(), Cell()]
                names = [*(Cell(titles[system]) for system in pair), Cell("gain by DAR")]
                blocks.append(list(zip(labels, names, *columns, strict=True)))
    unscaled = "" if UNSCALED_ECE not in measures else "Unscaled: before temperature scaling. "
    caption = (
        "Difficulty inversion score (DIS), accuracy, expected calibration error (ECE) and area "
        "under the curve of risk against coverage (AURC), in percent, of the smallest model of the "
        "cascade on all examples; and at each target speed-up the share of wrong answers among the "
        "examples that leave at this model. With and without "
        f"difficulty-aware regularisation, DAR{describe_sizes(table)}. ↑ higher is better, ↓ lower "
        f"is better. {INTERVALS}; that of the gain is paired over examples. A resample's ECE is "
        "larger than that of the sample, so where it is small its interval may lie above it. "
        f"{unscaled}Bold: the better of the two.{describe_paper(table, 5)}"
    )
    header = [Cell(title) for title in ("Task", "System", *measures.values())]
    return table, Display(caption, header, blocks, labels=2, notes=notes)


def _name_left_measures(exits: pd.DataFrame) -> dict[str, str]:
    """The measures LEFT_WRONG -> their headers."""
    opening = LEFT_WRONG.partition("{")[0]
    measures = [name for name in exits["measure"].unique() if name.startswith(opening)]
    return {name: f"Wrong of left\n{name.removeprefix(opening)[:-1]}× ↓" for name in measures}


def _make_measure_cells(measure: str, rows: list[pd.DataFrame], notes: Footnotes) -> list[Cell]:
    """The cells of one measure: with DAR, without, and the gain.

    rows: of the two systems, by measure
    """
    if any(measure not in of.index for of in rows):
        mark = notes.mark("one of the two does not reach this speed-up")
        return [Cell(NOTHING, mark=mark)] * 3
    pair = [of.loc[measure] for of in rows]
    shown = [round_as_printed(row["score"]) for row in pair]
    lower = measure in LOWER or measure not in CALIBRATION
    best = (min if lower else max)(shown)
    both = not pd.isna(shown).any()
    why = UNDEFINED if measure in CALIBRATION else NONE_LEFT
    cells = [
        _make_measure_cell(row, both and value == best, why, notes)
        for row, value in zip(pair, shown, strict=True)
    ]
    gain = make_gain_cell(pair[0], notes) if both else Cell(NOTHING, mark=notes.mark(why))
    return [*cells, gain]


def _make_measure_cell(row: pd.Series, best: bool, why: str, notes: Footnotes) -> Cell:
    """why: the reason where there is no score"""
    paper = format_paper(row["paper_score"], digits=2)
    if pd.isna(row["score"]):
        return Cell(NOTHING + paper, mark=notes.mark(why))
    return make_estimate_cell(row[["score", "low", "high"]], notes, bold=best, end=paper)


def table_probes(
    gaps: pd.DataFrame, titles: dict[str, str], pooling: dict[str, str], cost: str = "layers"
) -> Table:
    """Accuracy of every exit beside a linear probe on the states that the exit reads.

    gaps:    `measures.compare_with_probes` of all systems and tasks
    pooling: system -> "first" or "mean", the tokens' states that its exits read
    cost:    what a cost counts: layers or seconds
    """
    table = select_rows(gaps, titles)
    table["pooling"] = table["system"].map(pooling)
    columns, notes, blocks = list_columns(table), Footnotes(), []
    at = table.set_index(["system", "exit", "task", "split"])
    for system in dict.fromkeys(table["system"]):
        lines = []
        exits = table[table["system"] == system].drop_duplicates("exit")
        for number, until in zip(exits["exit"], exits["cost"], strict=True):
            opening = [Cell(titles[system]), Cell(pooling[system])] if not lines else [Cell()] * 2
            cells = _make_probe_cells(at, (system, number), columns, notes)
            lines.append([*opening, Cell(f"{until:g}"), *cells])
        blocks.append(lines)
    caption = (
        "Accuracy (percent) of every exit, and after the stroke that of a linear probe: a logistic "
        "regression on the states of the training examples that the exit reads, whose penalty the "
        f"development split chose{describe_sizes(table)}. An exit that lies more than {BELOW} "
        "points below its probe is undertrained: a better one could be put on the same states. "
        "Pooling: what the exits read, the first token's state or the mean over all tokens; the "
        f"probe of a head that attends to all tokens reads the mean in either case.{COST[cost]}"
    )
    header = ["System", "Pooling", "Cost", *("\n".join(place) for place in columns)]
    return table, Display(caption, list(map(Cell, header)), blocks, labels=2, notes=notes)


def _make_probe_cells(
    at: pd.DataFrame, key: tuple[str, int], columns: list[Place], notes: Footnotes
) -> Row:
    """The accuracies of an exit and of its probe on each split.

    key: system and exit
    """
    cells = []
    for place in columns:
        if (*key, *place) not in at.index:
            cells.append(Cell(NOTHING, mark=notes.mark(NOT_RUN)))
            continue
        row = at.loc[(*key, *place)]
        mark = notes.mark("undertrained") if row["undertrained"] else ""
        cells.append(Cell(f"{row['accuracy']:.1f} / {row['probe']:.1f}", mark=mark))
    return cells
