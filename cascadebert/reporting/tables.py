"""The paper's tables from the evaluation's frames: each as tidy data and as a reader sees it.

The frames are those of `evaluation.points` (operating_points, exit_measures), concatenated over
tasks and systems, with the paper's numbers beside them (`published.beside`). `titles` maps the
systems of the table to their names, in the order of the rows. `ablations` maps a system to the same
one without DAR. Scores are in percent.
"""

from collections.abc import Collection

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import BELOW, NOT_RUN
from cascadebert.reporting.grid import (
    GAIN,
    METRICS,
    NOTHING,
    ONE_EXAMPLE,
    gain_cell,
    grid,
    paper,
    places,
    sizes,
    text,
    tidy,
)
from cascadebert.reporting.typeset import Cell, Display, Footnotes
from cascadebert.reporting.wording import bracket

CALIBRATION = {"dis": "DIS ↑", "accuracy": "Accuracy ↑", "ece": "ECE ↓"}
NO_PAIR = "No system was run with and without difficulty-aware regularisation (DAR)."
NO_CONTEST = "There is no target speed-up at which these systems can be compared."
INTERVALS = "Brackets: 95% bootstrap interval over examples and seeds"
CHOSEN = "Every threshold was chosen on the development split as the one nearest to its target."

Table = tuple[pd.DataFrame, Display]


def table1_data(
    tasks: list[dict],
    points: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
    published: dict[tuple[str, str], tuple[float, str]],
) -> Table:
    """Sizes of the tasks and the margin that the development split chose for each cascade.

    tasks:     the contents of each task's task.json
    published: the paper's, see `published.data_table`
    """
    chosen = points.drop_duplicates(["task", "system"]).set_index(["task", "system"])["candidate"]
    rows, lines, notes = [], [], Footnotes()
    splits = list(dict.fromkeys(split for task in tasks for split in task["splits"]))
    for task in tasks:
        name, metric = task["name"], task["metric"]
        margins = {system: text(chosen.get((name, system))) for system in ablations}
        theirs = {key: value for (of, key), value in published.items() if of == name}
        nobody = (float("nan"), "")
        columns = []
        for split in splits:
            about = task["splits"].get(split)
            if about is None:
                columns.append(Cell(NOTHING, mark=notes.mark("the task has no such split")))
                continue
            size, remark = theirs.get(split, nobody)
            remarks = [] if about["labelled"] else ["without labels, cannot be scored"]
            remarks += [f"in the paper {remark}"] if remark else []
            mark = notes.mark("; ".join(remarks)) if remarks else ""
            columns.append(Cell(f"{about['rows']:,}{_thousands(size)}", mark=mark))
            row = {"task": name, "metric": metric, "labels": len(task["labels"]), "split": split}
            row |= {key: about[key] for key in ("rows", "labelled", "source")}
            row["paper_rows"] = size
            for system, margin in margins.items():
                row[f"margin_{system}"] = margin
                row[f"paper_margin_{system}"] = theirs.get(system, nobody)[0]
            rows.append(row)
        for system, margin in margins.items():
            mark = "" if margin else notes.mark("not run on this task")
            columns.append(
                Cell(f"{margin or NOTHING}{paper(theirs.get(system, nobody)[0])}", mark=mark)
            )
        sources = dict.fromkeys(about["source"] for about in task["splits"].values())
        label = Cell(name, mark=notes.mark(f"{name}: {'; '.join(sources)}"))
        lines.append([label, Cell(METRICS[metric]), Cell(f"{len(task['labels'])}"), *columns])
    margin_columns = [
        "Margin ε" if len(ablations) == 1 else f"Margin ε\n{titles[system]}" for system in ablations
    ]
    header = ["Task", "Metric", "Labels", *(f"{split} rows" for split in splits), *margin_columns]
    caption = (
        "Tasks: number of examples in each split, metric, and the difficulty margin ε that gave "
        "the best mean score on the development split."
    )
    if published:
        caption += " Lines that begin with paper: Table 1 of Li et al. (2021)."
    return pd.DataFrame(rows), Display(caption, list(map(Cell, header)), [lines], 2, notes)


def table2_main(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str] = ()
) -> Table:
    """Score and real speed-up of every system at every target speed-up.

    averaging: here and below, the systems whose exits read the mean of all tokens' states
    """
    opening = "Score (percent) and real speed-up of each system at the target speed-ups"
    return _systems(opening, tidy(points, titles), titles, 2, averaging)


def table3_distillation(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str] = ()
) -> Table:
    """Students of a fixed depth beside the cascade at their speed-up."""
    opening = (
        "Distilled students, each of a fixed cost, and the cascade at the speed-up of the students."
    )
    return _contest(opening, points, titles, 3, averaging)


def table4_dar(
    points: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> Table:
    """Each cascade with and without difficulty-aware regularisation, and the difference.

    differences: task, split, target_speedup, system, against, difference, low, high (points)
    """
    pairs = {system: titles[system] for pair in ablations.items() for system in pair}
    gains = _gains(differences, ablations)
    keys = ["task", "split", "target_speedup", "system"]
    table = tidy(points, pairs).merge(gains, on=keys, how="left")
    if table.empty:
        return table, Display(NO_PAIR, [Cell("System")], [])
    caption = (
        "The cascade with and without difficulty-aware regularisation, DAR"
        f"{sizes(table)}. {CHOSEN} {INTERVALS}; that of the gain is paired over examples. "
        f"Bold: highest score of a block.{_average(table)}{_paper(table, 4)}"
    )
    return table, grid(caption, table, pairs, ablations)


def table5_calibration(
    exits: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> Table:
    """DIS, accuracy and ECE of each cascade's smallest model, with and without DAR.

    differences: task, split, exit, measure, system, against, difference, low, high (points)
    """
    pairs = {system: titles[system] for pair in ablations.items() for system in pair}
    kept = exits[(exits["exit"] == 1) & exits["measure"].isin(CALIBRATION)]
    gains = _gains(differences[differences["exit"] == 1], ablations)
    keys = ["task", "split", "measure", "system"]
    table = tidy(kept, pairs).merge(gains[[*keys, *GAIN]], on=keys, how="left")
    if table.empty:
        return table, Display(NO_PAIR, [Cell("System")], [])
    at = table.set_index(["task", "split", "system", "measure"])
    notes, blocks = Footnotes(), []
    for task, split in places(exits):
        for full, without in ablations.items():
            lacking = [s for s in (full, without) if (task, split, s, "dis") not in at.index]
            if lacking:
                mark = notes.mark(
                    f"{join_words([titles[s] for s in lacking])} on {task}: {NOT_RUN}"
                )
                nothing = [Cell(NOTHING, mark=mark)] * len(CALIBRATION)
                blocks.append([[Cell(f"{task} ({split})"), Cell(titles[full]), *nothing]])
                continue
            lines = [[Cell(f"{task} ({split})"), Cell(titles[full])]]
            lines += [[Cell(), Cell(titles[without])], [Cell(), Cell("gain by DAR")]]
            for measure in CALIBRATION:
                pair = [at.loc[(task, split, system, measure)] for system in (full, without)]
                shown = [round(row["score"], 1) for row in pair]
                best = (min if measure == "ece" else max)(shown)
                for line, row, value in zip(lines, pair, shown, strict=False):
                    line.append(_measure_cell(row, value == best, notes))
                lines[2].append(gain_cell(pair[0], notes))
            blocks.append(lines)
    caption = (
        "Difficulty inversion score (DIS), accuracy and expected calibration error (ECE), in "
        "percent, of the smallest model of the cascade on all examples, with and without "
        f"difficulty-aware regularisation, DAR{sizes(table)}. ↑ higher is better, ↓ lower is "
        f"better. {INTERVALS}; that of the gain is paired over examples. A resample's ECE is "
        "larger than that of the sample, so where it is small its interval may lie above it. "
        f"Bold: the better of the two.{_paper(table, 5)}"
    )
    header = [Cell(title) for title in ("Task", "System", *CALIBRATION.values())]
    return table, Display(caption, header, blocks, 2, notes)


def table6_backbone(
    points: pd.DataFrame,
    titles: dict[str, str],
    backbone: dict[str, str],
    averaging: Collection[str] = (),
) -> Table:
    """The cascade where there is no small model of the family: the large one's first layers.

    backbone: the encoders that the systems start from -> their architecture (`model_type`)
    """
    names = join_words([f"{name} (architecture: {kind})" for name, kind in backbone.items()])
    opening = (
        "A family without a pre-trained small model: the cascade begins with the first layers of "
        f"the large one, fine-tuned or distilled. All systems of this table start from {names}."
    )
    if "roberta" not in backbone.values():
        opening += (
            " The paper's backbone is RoBERTa; where an experiment has none, this is the closest "
            "that it can show."
        )
    return _contest(opening, points, titles, 6, averaging)


def table7_fastbert(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str] = ()
) -> Table:
    """FastBERT, whose heads are small models themselves, beside the cascade."""
    opening = (
        "FastBERT and the cascade. Speed-ups count encoder layers only: the work of FastBERT's "
        "heads, with self-attention over all tokens, is left out, in its favour."
    )
    return _contest(opening, points, titles, 7, averaging)


TABLES_OF_SYSTEMS = {
    "table2_main": table2_main,
    "table3_distillation": table3_distillation,
    "table6_backbone": table6_backbone,
    "table7_fastbert": table7_fastbert,
}


def table_probes(gaps: pd.DataFrame, titles: dict[str, str], pooling: dict[str, str]) -> Table:
    """Accuracy of every exit beside that of a linear probe on the states that the exit reads.

    gaps:    `points.probe_gaps` of all systems and tasks
    pooling: system -> "first" or "mean", what its exits read of an encoder's states
    """
    table = tidy(gaps, titles)
    table["pooling"] = table["system"].map(pooling)
    columns, notes, blocks = places(table), Footnotes(), []
    at = table.set_index(["system", "exit", "task", "split"])
    for system in dict.fromkeys(table["system"]):
        lines = []
        exits = table[table["system"] == system].drop_duplicates("exit")
        for number, cost in zip(exits["exit"], exits["cost"], strict=True):
            cells = []
            for place in columns:
                if (system, number, *place) not in at.index:
                    cells.append(Cell(NOTHING, mark=notes.mark(NOT_RUN)))
                    continue
                row = at.loc[(system, number, *place)]
                mark = notes.mark("undertrained") if row["undertrained"] else ""
                cells.append(Cell(f"{row['accuracy']:.1f} / {row['probe']:.1f}", mark=mark))
            opening = [Cell(titles[system]), Cell(pooling[system])] if not lines else [Cell()] * 2
            lines.append([*opening, Cell(f"{cost:g}"), *cells])
        blocks.append(lines)
    caption = (
        "Accuracy (percent) of every exit, and after the stroke that of a linear probe: a logistic "
        "regression on the states of the training examples that the exit reads, whose penalty the "
        f"development split chose{sizes(table)}. An exit that lies more than {BELOW} points below "
        "its probe is undertrained: a better one could be put on the same states. Pooling: what "
        "the exits read, the first token's state or the mean over all tokens; the probe of a head "
        "that attends to all tokens reads the mean in either case. Cost: in layers of "
        "the reference model."
    )
    header = ["System", "Pooling", "Cost", *("\n".join(place) for place in columns)]
    return table, Display(caption, list(map(Cell, header)), blocks, 2, notes)


def _contest(
    opening: str,
    points: pd.DataFrame,
    titles: dict[str, str],
    number: int,
    averaging: Collection[str],
) -> Table:
    """A grid of the targets at which systems can be compared, and of 1x, the full model."""
    table = tidy(points, titles)
    standing = table[table["score"].notna()].groupby("target_speedup")["system"].nunique()
    kept = [target for target, systems in standing.items() if systems > 1 or target == 1]
    # What was not run stays, to be named; at a target that is not shown it is as one without.
    targets = table["target_speedup"].where(table["target_speedup"].isin(kept))
    table = table.assign(target_speedup=targets)[targets.notna() | (table["note"] == NOT_RUN)]
    table = table.drop_duplicates(ignore_index=True)
    opening += (
        " Score (percent) and real speed-up at each target at which at least two of the systems "
        "stand"
    )
    return _systems(opening, table, titles, number, averaging)


def _systems(
    opening: str,
    table: pd.DataFrame,
    titles: dict[str, str],
    number: int,
    averaging: Collection[str],
) -> Table:
    shown = set(table["system"][table["target_speedup"].notna()])
    noted = set(table["system"][table["note"] == NOT_RUN])
    absent = [key for key in titles if key not in shown]
    not_run = _sentence("Not run", [titles[key] for key in absent if key in noted])
    if not shown:
        return table, Display(NO_CONTEST + not_run, [Cell("System")], [])
    far = [titles[key] for key in absent if key not in noted]
    caption = (
        f"{opening}{sizes(table)}. {CHOSEN} {INTERVALS}. Bold: highest score of a block, whether "
        f"or not the intervals tell the systems apart.{_average(table)}"
        f"{_sentence('Not near any of these targets', far)}{not_run}"
        f"{_paper(table, number)}"
    )
    return table, grid(caption, table, titles, {}, averaging)


def _sentence(opening: str, systems: list[str]) -> str:
    return f" {opening}: {join_words(systems)}." if systems else ""


def _average(table: pd.DataFrame) -> str:
    return " Average: over the columns, each counted once." if len(places(table)) > 1 else ""


def _paper(table: pd.DataFrame, number: int) -> str:
    """Whose numbers stand beside ours, if any do."""
    if table["paper_score"].isna().all():
        return ""
    data = "GLUE's development splits" if number == 5 else "GLUE's test splits, by its server"
    return (
        f" Lines that begin with paper: Table {number} of Li et al. (2021), on {data}; ours are "
        "on the splits named here."
    )


def _gains(differences: pd.DataFrame, ablations: dict[str, str]) -> pd.DataFrame:
    """The differences between a system and the same without DAR, columns renamed to GAIN."""
    of_dar = differences["against"] == differences["system"].map(ablations)
    gains = differences[of_dar].rename(columns={"low": "difference_low", "high": "difference_high"})
    keys = [k for k in ("task", "split", "target_speedup", "measure", "system") if k in gains]
    return gains[[*keys, *GAIN]]


def _measure_cell(row: pd.Series, best: bool, notes: Footnotes) -> Cell:
    theirs = paper(row["paper_score"], digits=2)
    if pd.isna(row["score"]):
        mark = notes.mark("undefined: no example, or every one, is right")
        return Cell(NOTHING + theirs, mark=mark)
    score, interval = f"{row['score']:.1f}", bracket(row["low"], row["high"])
    if not interval:
        return Cell(score + theirs, best, notes.mark(ONE_EXAMPLE))
    return Cell(f"{score}\n{interval}{theirs}", best)


def _thousands(size: float) -> str:
    """The paper rounds its sizes: `393k`."""
    return "" if pd.isna(size) else f"\npaper {size / 1000:g}k"


def reference_system(points: pd.DataFrame) -> str | None:
    """The full model: the system whose only operating point is at 1x."""
    targets = points.groupby("system", sort=False)["target_speedup"].agg(set)
    return next((system for system, found in targets.items() if found == {1}), None)
