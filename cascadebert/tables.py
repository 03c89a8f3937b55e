"""The paper's tables from the evaluation's frames: each as tidy data and as a reader sees it.

The frames are those of `cascadebert.evaluation` (operating_points, exit_measures), concatenated
over tasks and systems. `titles` maps a system's key to its name, in the order of the rows;
`ablations` maps a system to the same one without DAR. Scores are in percent.
"""

import re
from collections.abc import Callable

import pandas as pd

from cascadebert.typeset import Cell, Display, Footnotes

METRICS = {"accuracy": "accuracy", "f1": "F1"}
CALIBRATION = {"dis": "DIS ↑", "accuracy": "Accuracy ↑", "ece": "ECE ↓"}
NOTHING = "—"
NO_PAIR = "The experiment has no system with and without difficulty-aware regularisation (DAR)."

Place = tuple[str, str]  # task, split
SAME_SPLIT = "thresholds chosen on this split"


def table1_data(
    tasks: list[dict], points: pd.DataFrame, titles: dict[str, str], ablations: dict[str, str]
) -> tuple[pd.DataFrame, Display]:
    """Sizes of the tasks and the margin that the development split chose for each cascade.

    tasks: the contents of each task's task.json
    """
    chosen = points.drop_duplicates(["task", "system"]).set_index(["task", "system"])["candidate"]
    rows, lines, notes = [], [], Footnotes()
    splits = list(dict.fromkeys(split for task in tasks for split in task["splits"]))
    for task in tasks:
        name, metric = task["name"], task["metric"]
        margins = {system: _text(chosen.get((name, system))) for system in ablations}
        sizes = []
        for split in splits:
            about = task["splits"].get(split)
            if about is None:
                sizes.append(Cell(NOTHING, mark=notes.mark("the task has no such split")))
                continue
            mark = "" if about["labelled"] else notes.mark("without labels, cannot be scored")
            sizes.append(Cell(f"{about['rows']:,}", mark=mark))
            row = {"task": name, "metric": metric, "labels": len(task["labels"]), "split": split}
            row |= {key: about[key] for key in ("rows", "labelled", "source")}
            rows.append(row | {f"margin_{system}": margin for system, margin in margins.items()})
        sources = dict.fromkeys(about["source"] for about in task["splits"].values())
        label = Cell(name, mark=notes.mark(f"{name}: {'; '.join(sources)}"))
        of_cascades = [
            Cell(margin) if margin else Cell(NOTHING, mark=notes.mark("not run on this task"))
            for margin in margins.values()
        ]
        lines.append(
            [label, Cell(METRICS[metric]), Cell(f"{len(task['labels'])}"), *sizes, *of_cascades]
        )
    margin_columns = [
        "Margin ε" if len(ablations) == 1 else f"Margin ε\n{titles[system]}" for system in ablations
    ]
    header = ["Task", "Metric", "Labels", *(f"{split} rows" for split in splits), *margin_columns]
    caption = (
        "Tasks: number of examples in each split, metric, and the difficulty margin ε that gave "
        "the best mean score on the development split."
    )
    return pd.DataFrame(rows), Display(caption, list(map(Cell, header)), [lines], 2, notes)


def table2_main(points: pd.DataFrame, titles: dict[str, str]) -> tuple[pd.DataFrame, Display]:
    """Score and real speed-up of every system at every target speed-up."""
    table = _tidy(points, titles)
    caption = (
        "Score (percent) and real speed-up of each system at the target speed-ups"
        f"{_where(table)}. Every threshold was chosen on the development split as the one nearest "
        "to its target. Brackets: 95% bootstrap interval over examples and seeds. "
        f"Bold: highest score of a block, whether or not the intervals tell the systems apart."
        f"{_average(table)}"
    )
    return table, _grid(caption, table, titles, {})


def table4_dar(
    points: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> tuple[pd.DataFrame, Display]:
    """Each cascade with and without difficulty-aware regularisation, and the difference.

    differences: task, split, target_speedup, system, against, difference, low, high (points)
    """
    kept = points[points["system"].isin([*ablations, *ablations.values()])]
    gains = _gains(differences, ablations)
    keys = ["task", "split", "target_speedup", "system"]
    table = _tidy(kept, titles).merge(gains, on=keys, how="left")
    if kept.empty:
        return table, Display(NO_PAIR, [Cell("System")], [])
    caption = (
        "The cascade with and without difficulty-aware regularisation, DAR"
        f"{_where(table)}. Brackets: 95% bootstrap interval over examples and seeds; that of the "
        "gain is paired over examples. Bold: highest score of a block."
        f"{_average(table)}"
    )
    pairs = {system: titles[system] for pair in ablations.items() for system in pair}
    return table, _grid(caption, table, pairs, ablations)


def table5_calibration(
    exits: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> tuple[pd.DataFrame, Display]:
    """DIS, accuracy and ECE of each cascade's smallest model, with and without DAR.

    differences: task, split, exit, measure, system, against, difference, low, high (points)
    """
    kept = exits[(exits["exit"] == 1) & exits["measure"].isin(CALIBRATION)]
    kept = kept[kept["system"].isin([*ablations, *ablations.values()])]
    gains = _gains(differences[differences["exit"] == 1], ablations)
    keys = ["task", "split", "measure", "system"]
    table = _tidy(kept, titles).merge(gains[[*keys, *GAIN]], on=keys, how="left")
    if kept.empty:
        return table, Display(NO_PAIR, [Cell("System")], [])
    at = table.set_index(["task", "split", "system", "measure"])
    notes, blocks = Footnotes(), []
    for task, split in _columns(table):
        for full, without in ablations.items():
            if not {(task, split, s, "dis") for s in (full, without)} <= set(at.index):
                continue
            lines = [[Cell(f"{task} ({split})"), Cell(titles[full])]]
            lines += [[Cell(), Cell(titles[without])], [Cell(), Cell("gain by DAR")]]
            for measure in CALIBRATION:
                pair = [at.loc[(task, split, system, measure)] for system in (full, without)]
                shown = [round(row["score"], 1) for row in pair]
                best = (min if measure == "ece" else max)(shown)
                for line, row, value in zip(lines, pair, shown, strict=False):
                    if pd.isna(row["score"]):
                        mark = notes.mark("undefined: no example, or every one, is right")
                        line.append(Cell(NOTHING, mark=mark))
                    else:
                        text = f"{row['score']:.1f}\n{_bracket(row['low'], row['high'])}"
                        line.append(Cell(text, bold=value == best))
                lines[2].append(_gain_cell(pair[0], notes))
            blocks.append(lines)
    caption = (
        "Difficulty inversion score (DIS), accuracy and expected calibration error (ECE), in "
        "percent, of the smallest model of the cascade on all examples, with and without "
        f"difficulty-aware regularisation (DAR); {_seeds(table)}. ↑ higher is better, ↓ lower is "
        "better. Brackets: 95% bootstrap interval over examples and seeds; that of the gain is "
        "paired over examples. A resample's ECE is larger than that of the sample, so where it is "
        "small its interval may lie above it. Bold: the better of the two."
    )
    header = [Cell(text) for text in ("Task", "System", *CALIBRATION.values())]
    return table, Display(caption, header, blocks, 2, notes)


def reference_system(points: pd.DataFrame) -> str | None:
    """The full model: the system whose only operating point is at 1x."""
    targets = points.groupby("system", sort=False)["target_speedup"].agg(set)
    return next((system for system, found in targets.items() if found == {1}), None)


GAIN = ["difference", "difference_low", "difference_high"]


def _gains(differences: pd.DataFrame, ablations: dict[str, str]) -> pd.DataFrame:
    """The differences between a system and the same without DAR, columns renamed to GAIN."""
    of_dar = differences["against"] == differences["system"].map(ablations)
    gains = differences[of_dar].rename(columns={"low": "difference_low", "high": "difference_high"})
    keys = [k for k in ("task", "split", "target_speedup", "measure", "system") if k in gains]
    return gains[[*keys, *GAIN]]


def _tidy(frame: pd.DataFrame, titles: dict[str, str]) -> pd.DataFrame:
    """Rows in the order of tasks, splits and titles; with the systems' titles."""
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
        frame[column] = frame[column].map(_text)
    return frame.reset_index(drop=True)


def _grid(
    caption: str, table: pd.DataFrame, titles: dict[str, str], ablations: dict[str, str]
) -> Display:
    """As the paper's Table 2: blocks by target speed-up, a row a system, columns of tasks.

    Where a system of `ablations` is followed by the one without DAR, a row with the gain is next.
    """
    columns = _columns(table)
    at = {(r["target_speedup"], r["system"], r["task"], r["split"]): r for _, r in table.iterrows()}
    notes, blocks = Footnotes(), []
    header = _grid_header(table, columns, notes)
    full_of = {without: full for full, without in ablations.items()}
    for target, block in table.groupby("target_speedup"):
        systems = [system for system in titles if system in set(block["system"])]
        best = _best(block, columns) if len(systems) > 1 else {}
        lines = []
        for system in systems:
            where = f"{titles[system]} at {target:g}×"
            found = {place: at.get((target, system, *place)) for place in columns}
            lines.append([Cell(titles[system]), *_scores(found, best, where, notes)])
            if full_of.get(system) in systems:
                found = {place: at.get((target, full_of[system], *place)) for place in columns}
                lines.append([Cell("gain by DAR"), *_gains_of(found, notes)])
        first = [Cell(f"{target:g}×"), *[Cell()] * (len(lines) - 1)]
        blocks.append([[label, *line] for label, line in zip(first, lines, strict=True)])
    return Display(caption, header, blocks, 2, notes)


def _grid_header(table: pd.DataFrame, columns: list[Place], notes: Footnotes) -> list[Cell]:
    header = [Cell("Target"), Cell("System")]
    for task, split in columns:
        mine = table[(table["task"] == task) & (table["split"] == split)]
        same = (mine["note"] == SAME_SPLIT).any()
        mark = notes.mark("thresholds were chosen on the split that is scored") if same else ""
        header.append(Cell(f"{task}\n{split} {METRICS[mine['metric'].iloc[0]]}", mark=mark))
    return header + list(
        map(Cell, ["Average"] if len(columns) > 1 else ["95% interval", "Speed-up"])
    )


def _scores(
    found: dict[Place, pd.Series | None], best: dict, where: str, notes: Footnotes
) -> list[Cell]:
    """The cells of a system at a target: a column for each place and their average; for a single
    place the score, its interval and the speed-up in columns of their own."""
    alone = len(found) == 1
    cells, values = [], []
    for (task, split), row in found.items():
        if row is None or pd.isna(row["score"]):
            why = "no operating point" if row is None else reason(row["note"])
            mark = notes.mark(f"{where} on {task} ({split}): {why}")
            cells += [Cell(NOTHING, mark=mark)] + [Cell(NOTHING)] * (2 * alone)
            continue
        values.append(row["score"])
        text, real = f"{row['score']:.1f}", f"{row['speedup']:.2f}×"
        bracket = _bracket(row["low"], row["high"])
        bold = text == best.get((task, split))
        if alone:
            cells += [Cell(text, bold), Cell(bracket), Cell(real)]
        else:
            cells.append(Cell(f"{text} ({real})\n{bracket}", bold))
    if alone:
        return cells
    if len(values) < len(found):
        return [*cells, Cell(NOTHING, mark=notes.mark("no average without all columns"))]
    average = f"{sum(values) / len(values):.1f}"
    return [*cells, Cell(average, average == best.get("average"))]


def _gains_of(found: dict[Place, pd.Series | None], notes: Footnotes) -> list[Cell]:
    """The cells of a system's gain by DAR, as those of `_scores`."""
    cells = [Cell(NOTHING) if row is None else _gain_cell(row, notes) for row in found.values()]
    if len(cells) == 1:
        number, _, bracket = cells[0].text.partition("\n")
        return [Cell(number, mark=cells[0].mark), Cell(bracket), Cell()]
    gains = [float("nan") if row is None else row["difference"] for row in found.values()]
    average = sum(gains) / len(gains)
    return [*cells, Cell(NOTHING if pd.isna(average) else signed(average))]


def _best(block: pd.DataFrame, columns: list[Place]) -> dict:
    """Column -> its highest score, as it is printed."""
    wide = block.pivot(index="system", columns=["task", "split"], values="score")
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(columns))
    highest = {column: f"{wide[column].max():.1f}" for column in columns}
    return highest | {"average": f"{wide.mean(axis=1, skipna=False).max():.1f}"}


def _gain_cell(row: pd.Series, notes: Footnotes) -> Cell:
    if pd.isna(row["difference"]):
        return Cell(NOTHING, mark=notes.mark("the two were not compared here"))
    bracket = _bracket(row["difference_low"], row["difference_high"], signed)
    return Cell(f"{signed(row['difference'])}\n{bracket}")


def signed(value: float) -> str:
    """One decimal and the sign, also of what rounds to nothing: −0.0 is an end below 0."""
    return f"{value:+.1f}".replace("-", "−") if value else "0.0"


def reason(note: str) -> str:
    """The note of an operating point as a reader sees it."""
    return re.sub(r"(?<=\d)x\b", "×", note)


def _bracket(low: float, high: float, number: Callable[[float], str] = "{:.1f}".format) -> str:
    return "" if pd.isna(low) or pd.isna(high) else f"[{number(low)}, {number(high)}]"


def _columns(table: pd.DataFrame) -> list[Place]:
    return list(dict.fromkeys(zip(table["task"], table["split"], strict=True)))


def _where(table: pd.DataFrame) -> str:
    """Which splits, how many examples and seeds, as the end of a sentence."""
    sizes = [
        f"{task} {split}, n = {n:,}"
        for (task, split), n in table.groupby(["task", "split"], sort=False)["n"].first().items()
    ]
    return f" ({'; '.join(sizes)}); {_seeds(table)}"


def _seeds(table: pd.DataFrame) -> str:
    low, high = int(table["replicates"].min()), int(table["replicates"].max())
    if high == 1:
        return "a single seed"
    return f"mean of {low if low == high else f'{low} to {high}'} seeds"


def _average(table: pd.DataFrame) -> str:
    return " Average: over the columns, each counted once." if len(_columns(table)) > 1 else ""


def _text(value) -> str:
    """A cell of a CSV file that pandas may have read as a number or as missing."""
    return "" if value is None or pd.isna(value) else str(value)
