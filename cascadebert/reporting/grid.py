"""Systems at target speed-ups, a column a task: the layout of Tables 2, 3, 4, 6 and 7.

A table's frame has the operating points of its systems (`points.operating_points`), with the
paper's numbers beside them (`published.beside`) and, where there are ablations, the columns GAIN.
"""

from collections.abc import Collection

import pandas as pd

from cascadebert.evaluation.points import BELOW, NOT_RUN
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row
from cascadebert.reporting.wording import bracket, reason, signed

METRICS = {"accuracy": "accuracy", "f1": "F1"}
NOTHING = "—"
GAIN = ["difference", "difference_low", "difference_high"]
PAPER = ["paper_score", "paper_speedup"]
SAME_SPLIT = "thresholds chosen on this split"
INCOMPLETE = "no average without all columns"
ONE_EXAMPLE = "no interval of a single example"
MEAN = "its exits read the mean of all tokens' states; those of the others the first token's"
UNDERTRAINED = (
    f"undertrained: an exit lies more than {BELOW} points below a linear probe on its states"
)

Place = tuple[str, str]  # task, split


def tidy(frame: pd.DataFrame, titles: dict[str, str]) -> pd.DataFrame:
    """The rows of the systems of `titles`, with these, in the order of tasks, splits and titles."""
    frame = frame[frame["system"].isin(titles)]
    order = {system: position for position, system in enumerate(titles)}
    tasks = {task: position for position, task in enumerate(dict.fromkeys(frame["task"]))}
    splits = {split: position for position, split in enumerate(dict.fromkeys(frame["split"]))}
    ranks = {"task": tasks, "split": splits, "system": order}
    keys = [k for k in ("task", "split", "target_speedup", "system", "exit") if k in frame]
    frame = frame.sort_values(
        keys, key=lambda column: column.map(ranks.get(column.name, lambda x: x)), kind="stable"
    )
    frame = frame.assign(title=frame["system"].map(titles))
    for column in {"note", "candidate"} & set(frame):
        frame[column] = frame[column].map(text)
    return frame.reset_index(drop=True)


def grid(
    caption: str,
    table: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
    averaging: Collection[str] = (),
) -> Display:
    """Blocks by target speed-up, a row a system, columns of tasks.

    averaging: the systems whose exits read the mean of all tokens' states
    Where a system of `ablations` is followed by the one without DAR, a row with the gain is next.
    """
    columns = places(table)
    at = {(r["target_speedup"], r["system"], r["task"], r["split"]): r for _, r in table.iterrows()}
    absent = table[table["note"] == NOT_RUN]
    absent = set(zip(absent["system"], absent["task"], absent["split"], strict=True))
    notes, blocks = Footnotes(), []
    header = _header(table, columns, notes)
    full_of = {without: full for full, without in ablations.items()}
    for target, block in table.groupby("target_speedup"):
        systems = [system for system in titles if system in set(block["system"])]
        best = _best(block, columns) if len(systems) > 1 else {}
        lines = []
        for system in systems:
            where = f"{titles[system]} at {target:g}×"
            found = {place: at.get((target, system, *place)) for place in columns}
            nothing = {
                place: NOT_RUN if (system, *place) in absent else "no operating point"
                for place in columns
            }
            label = Cell(titles[system], mark=notes.mark(MEAN) if system in averaging else "")
            lines.append([label, *_scores(found, best, where, nothing, notes)])
            if full_of.get(system) in systems:
                found = {place: at.get((target, full_of[system], *place)) for place in columns}
                lines.append([Cell("gain by DAR"), *_gains(found, notes)])
        first = [Cell(f"{target:g}×"), *[Cell()] * (len(lines) - 1)]
        blocks.append([[label, *line] for label, line in zip(first, lines, strict=True)])
    return Display(caption, header, blocks, 2, notes)


def _header(table: pd.DataFrame, columns: list[Place], notes: Footnotes) -> Row:
    header = [Cell("Target"), Cell("System")]
    for task, split in columns:
        mine = table[(table["task"] == task) & (table["split"] == split)]
        same = (mine["note"] == SAME_SPLIT).any()
        mark = notes.mark("thresholds were chosen on the split that is scored") if same else ""
        header.append(Cell(f"{task}\n{split} {METRICS[mine['metric'].iloc[0]]}", mark=mark))
    last = ["Average"] if len(columns) > 1 else ["95% interval", "Speed-up"]
    return [*header, *map(Cell, last)]


def _scores(
    found: dict[Place, pd.Series | None],
    best: dict,
    where: str,
    nothing: dict[Place, str],
    notes: Footnotes,
) -> list[Cell]:
    """The cells of a system at a target: a column for each place and their average; for a single
    place the score, its interval and the speed-up in columns of their own.

    nothing: why a place has no row
    """
    alone = len(found) == 1
    cells = []
    for (task, split), row in found.items():
        theirs = (None, None) if row is None else (row["paper_score"], row["paper_speedup"])
        if row is None or pd.isna(row["score"]):
            why = nothing[task, split] if row is None else reason(row["note"])
            mark = notes.mark(f"{where} on {task} ({split}): {why}")
            score, interval, real, bold = NOTHING, NOTHING, NOTHING, False
        else:
            score, real = f"{row['score']:.1f}", f"{row['speedup']:.2f}×"
            interval, bold = bracket(row["low"], row["high"]), score == best.get((task, split))
            mark = ""
        if not interval:
            interval, mark = NOTHING, notes.mark(ONE_EXAMPLE)
        if row is not None and row["undertrained"]:
            mark = ", ".join(filter(None, [mark, notes.mark(UNDERTRAINED)]))
        if alone:
            cells.append(Cell(score + paper(theirs[0]), bold, mark))
            cells.append(Cell(interval, mark=mark))
            cells.append(Cell(real + paper(None, theirs[1]), mark=mark))
        elif score == NOTHING:
            cells.append(Cell(NOTHING + paper(*theirs), mark=mark))
        else:
            cells.append(Cell(f"{score} ({real})\n{interval}{paper(*theirs)}", bold, mark))
    return cells if alone else [*cells, _average(found, best, notes)]


def _average(found: dict[Place, pd.Series | None], best: dict, notes: Footnotes) -> Cell:
    rows = pd.DataFrame([row for row in found.values() if row is not None])
    ours, theirs = (
        rows[name].mean(skipna=False) if len(rows) == len(found) else None
        for name in ("score", "paper_score")
    )
    if ours is None or pd.isna(ours):
        mark = notes.mark(INCOMPLETE)
        return Cell(NOTHING + paper(theirs), mark=mark)
    average = f"{ours:.1f}"
    return Cell(average + paper(theirs), average == best.get("average"))


def _gains(found: dict[Place, pd.Series | None], notes: Footnotes) -> list[Cell]:
    """The cells of a system's gain by DAR, as those of `_scores`."""
    if len(found) == 1:
        [row] = found.values()
        cell = gain_cell(row, notes)
        number, _, interval = cell.text.partition("\n")
        no_speedup = notes.mark("the two speed-ups stand above")
        return [
            cell._replace(text=number),
            Cell(interval) if interval else Cell(NOTHING, mark=cell.mark),
            Cell(NOTHING, mark=no_speedup),
        ]
    gains = [float("nan") if row is None else row["difference"] for row in found.values()]
    cells = [gain_cell(row, notes) for row in found.values()]
    if pd.isna(gains).any():
        return [*cells, Cell(NOTHING, mark=notes.mark(INCOMPLETE))]
    return [*cells, Cell(signed(sum(gains) / len(gains)))]


def gain_cell(row: pd.Series | None, notes: Footnotes) -> Cell:
    """The columns GAIN of a row: the difference and, below, its interval."""
    if row is None or pd.isna(row["difference"]):
        return Cell(NOTHING, mark=notes.mark("the two were not compared here"))
    interval = bracket(row["difference_low"], row["difference_high"], signed)
    if not interval:
        return Cell(signed(row["difference"]), mark=notes.mark(ONE_EXAMPLE))
    return Cell(f"{signed(row['difference'])}\n{interval}")


def _best(block: pd.DataFrame, columns: list[Place]) -> dict:
    """Column -> its highest score, as it is printed."""
    wide = block.pivot(index="system", columns=["task", "split"], values="score")
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(columns))
    highest = {column: f"{wide[column].max():.1f}" for column in columns}
    return highest | {"average": f"{wide.mean(axis=1, skipna=False).max():.1f}"}


def paper(score: float | None, speedup: float | None = None, digits: int = 1) -> str:
    """One more line of a cell: the paper's number and speed-up, as far as it has them."""
    parts = [] if pd.isna(score) else [f"{score:.{digits}f}"]
    parts += [] if pd.isna(speedup) else [f"({speedup:.2f}×)" if parts else f"{speedup:.2f}×"]
    return f"\npaper {' '.join(parts)}" if parts else ""


def places(table: pd.DataFrame) -> list[Place]:
    """The columns of the table, in order."""
    return list(dict.fromkeys(zip(table["task"], table["split"], strict=True)))


def sizes(table: pd.DataFrame) -> str:
    """Which splits, how many examples and seeds, as the end of a sentence."""
    examples = [
        f"{task} {split}, n = {n:,}"
        for (task, split), n in table.groupby(["task", "split"], sort=False)["n"].first().items()
    ]
    return f" ({'; '.join(examples)}); {seeds(table)}"


def seeds(table: pd.DataFrame) -> str:
    """How many trainings a score is the mean of."""
    low, high = int(table["replicates"].min()), int(table["replicates"].max())
    if high == 1:
        return "a single seed"
    return f"mean of {low if low == high else f'{low} to {high}'} seeds"


def text(value) -> str:
    """A cell of a CSV file that pandas may have read as a number or as missing."""
    return "" if value is None or pd.isna(value) else str(value)
