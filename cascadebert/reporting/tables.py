"""The paper's tables of data and of systems at target speed-ups: Tables 1 to 4, 6 and 7.

A table is made from the evaluation's operating points (`points.measure_operating_points`) of all
tasks and systems, with the paper's numbers beside them (`published.add_published_numbers`).
`titles` maps the systems of the table to their names, in the order of the rows. `ablations` maps a
system to the same system without DAR. `averaging` has the systems whose exits read the mean of all
tokens' states.
Scores are in percent. Functions have the names of their rules and files.
"""

import json
from collections.abc import Collection, Sequence

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.experiment.configuration import WIDEST_OF_TWO_CLASSES
from cascadebert.reporting.grid import (
    INTERVALS,
    METRICS,
    NOTHING,
    Grid,
    describe_paper,
    describe_sizes,
    format_paper,
    list_columns,
    select_gains,
    select_rows,
)
from cascadebert.reporting.tuning import describe_budget, make_settings_cell
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Table
from cascadebert.systems.method import Candidate, describe_setting

NO_CONTEST = "There is no target speed-up at which these systems can be compared."
CHOSEN = (
    "On the development split every system with a threshold has exactly the target's cost: a coin "
    "picks one of two neighbouring thresholds for each input. Scores and speed-ups are expected "
    "values; the speed-ups shown are those of the scored split."
)
NO_NUMBER = (float("nan"), "")  # of the paper: size and remark


def table1_data(
    tasks: list[dict],
    points: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
    published: dict[tuple[str, str], tuple[float, str]],
    candidates: dict[str, Sequence[Candidate]],
    chosen: dict[tuple[str, str], str],
) -> Table:
    """Sizes of the tasks, and the margin and setting that the development split chose.

    tasks:      the contents of each task's task.json
    published:  the paper's numbers, see `published.read_published_sizes`
    candidates: system -> the alternatives that it had; the settings of `tuning` are a part of them
    chosen:     (task, system) -> the name of the chosen one (`choice.Choice`), of what was run
    """
    by_name = {(key, each.name): each for key, of in candidates.items() for each in of}
    tuned = any(of[0].setting for of in candidates.values())
    rows, lines, notes = [], [], Footnotes()
    splits = list(dict.fromkeys(split for task in tasks for split in task["splits"]))
    for task in tasks:
        name, metric, labels = task["name"], task["metric"], len(task["labels"])
        of_task = {
            system: by_name[system, chosen[name, system]] if (name, system) in chosen else None
            for system in titles
        }
        margins = {key: found.label if (found := of_task[key]) else "" for key in ablations}
        theirs = {key: value for (of, key), value in published.items() if of == name}
        cells = [_make_size_cell(task, split, theirs, notes) for split in splits]
        chance = points.loc[points["task"] == name, "majority"]
        cells.append(Cell(f"{chance.iloc[0]:.1f}" if len(chance) else NOTHING))
        for system, margin in margins.items():
            mark = "" if margin else notes.mark("not run on this task")
            if margin and labels == 2 and float(margin) >= WIDEST_OF_TWO_CLASSES:
                mark = notes.mark("with two classes, all margins of 0.5 and more train the same")
            paper = format_paper(theirs.get(system, NO_NUMBER)[0])
            cells.append(Cell(f"{margin or NOTHING}{paper}", mark=mark))
        if tuned:
            cells.append(make_settings_cell(name, of_task, candidates, titles, notes))
        for split in splits:
            if (about := task["splits"].get(split)) is None:
                continue
            row = {"task": name, "metric": metric, "labels": labels, "split": split}
            row |= {key: about[key] for key in ("rows", "labelled", "source", "contradictory")}
            row["cut"] = about.get("cut")
            row["classes"] = json.dumps(about["classes"], ensure_ascii=False)
            row |= {f"shared_with_{of}": about["shared"].get(of, 0) for of in splits[:-1]}
            row["paper_rows"] = theirs.get(split, NO_NUMBER)[0]
            for system, margin in margins.items():
                row[f"margin_{system}"] = margin
                row[f"paper_margin_{system}"] = theirs.get(system, NO_NUMBER)[0]
            for system, candidate in of_task.items() if tuned else ():
                row[f"candidates_{system}"] = len(candidates[system])
                row[f"setting_{system}"] = describe_setting(candidate.setting) if candidate else ""
            rows.append(row)
        sources = dict.fromkeys(about["source"] for about in task["splits"].values())
        label = Cell(name, mark=notes.mark(f"{name}: {'; '.join(sources)}"))
        lines.append([label, Cell(METRICS[metric]), Cell(f"{labels}"), *cells])
    margin_columns = [
        "Margin ε" if len(ablations) == 1 else f"Margin ε\n{titles[system]}" for system in ablations
    ]
    sizes = [f"{split} rows" for split in splits]
    header = ["Task", "Metric", "Labels", *sizes, "Majority class", *margin_columns]
    header += ["Settings"] if tuned else []
    shown = ["number of examples in each split", "metric"]
    shown += ["the score of always answering the most frequent label of train"]
    if ablations:
        shown += ["the difficulty margin ε with the best mean score on the development split"]
    caption = f"Tasks: {join_words(shown)}."
    if tuned:
        caption += describe_budget(candidates, titles)
    if published:
        caption += " Lines that begin with paper: Table 1 of Li et al. (2021)."
    display = Display(caption, list(map(Cell, header)), [lines], labels=2, notes=notes)
    return pd.DataFrame(rows), display


def _make_size_cell(task: dict, split: str, theirs: dict, notes: Footnotes) -> Cell:
    about = task["splits"].get(split)
    if about is None:
        return Cell(NOTHING, mark=notes.mark("the task has no such split"))
    size, remark = theirs.get(split, NO_NUMBER)
    # The paper rounds its sizes: `393k`.
    paper = "" if pd.isna(size) else f"\npaper {size / 1000:g}k"
    if about["labelled"]:
        classes = [f"{label} {count:,}" for label, count in about["classes"].items()]
        remarks = [", ".join(classes)]
    else:
        remarks = ["without labels, cannot be scored"]
    remarks += [f"{count:,} texts are in {of}, too" for of, count in about["shared"].items()]
    if count := about.get("cut"):
        remarks.append(f"{count:,} texts were cut at training.max_length")
    if count := about["contradictory"]:
        remarks.append(f"{count:,} texts have another label in another row")
    remarks += [f"in the paper {remark}"] if remark else []
    mark = notes.mark("; ".join(remarks)) if remarks else ""
    return Cell(f"{about['rows']:,}{paper}", mark=mark)


def table2_main(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str] = ()
) -> Table:
    """Score and real speed-up of every system at every target speed-up."""
    opening = "Score (percent) and real speed-up of each system at the target speed-ups"
    grid = Grid(select_rows(points, titles), titles, averaging=averaging)
    return _tabulate_systems(opening, grid, number=2)


def table3_distillation(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str] = ()
) -> Table:
    """Students of a fixed depth beside the cascade at the students' speed-up."""
    opening = (
        "Distilled students, each of a fixed cost, and the cascade at the speed-up of the students."
    )
    return _tabulate_contest(opening, _select_contest(points, titles, averaging), number=3)


def table4_dar(
    points: pd.DataFrame,
    differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
) -> Table:
    """Each cascade with and without difficulty-aware regularisation, and the difference.

    differences: `comparison.compare_systems`
    """
    pairs = {system: titles[system] for pair in ablations.items() for system in pair}
    gains = select_gains(differences, ablations)
    keys = ["task", "split", "target_speedup", "system"]
    table = select_rows(points, pairs).merge(gains, on=keys, how="left")
    caption = (
        "The cascade with and without difficulty-aware regularisation, DAR"
        f"{describe_sizes(table)}. {CHOSEN} {INTERVALS}; that of the gain is paired over examples. "
        f"Bold: highest score of a block.{_describe_average(table)}{describe_paper(table, 4)}"
    )
    return table, Grid(table, pairs, ablations).display(caption)


def table6_backbone(
    points: pd.DataFrame,
    titles: dict[str, str],
    backbone: dict[str, str],
    averaging: Collection[str] = (),
) -> Table:
    """The cascade in a family without a small model: the large model's first layers begin.

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
    return _tabulate_contest(opening, _select_contest(points, titles, averaging), number=6)


def table7_fastbert(
    points: pd.DataFrame,
    titles: dict[str, str],
    averaging: Collection[str] = (),
    cost: str = "layers",
) -> Table:
    """FastBERT, whose heads are small models themselves, beside the cascade.

    cost: what a speed-up counts: layers or seconds
    """
    counted = {
        "layers": "Speed-ups count encoder layers only: the work of FastBERT's heads, with "
        "self-attention over all tokens, is left out, in its favour.",
        "seconds": "Speed-ups count the seconds up to each exit, measured in torch, with the work "
        "of FastBERT's heads.",
    }
    opening = f"FastBERT and the cascade. {counted[cost]}"
    return _tabulate_contest(opening, _select_contest(points, titles, averaging), number=7)


TABLES_OF_SYSTEMS = {
    "table2_main": table2_main,
    "table3_distillation": table3_distillation,
    "table6_backbone": table6_backbone,
    "table7_fastbert": table7_fastbert,
}


def _select_contest(
    points: pd.DataFrame, titles: dict[str, str], averaging: Collection[str]
) -> Grid:
    """The targets at which systems can be compared, and 1x, the full model's."""
    table = select_rows(points, titles)
    standing = table[table["score"].notna()].groupby("target_speedup")["system"].nunique()
    kept = [target for target, systems in standing.items() if systems > 1 or target == 1]
    # The caption names systems that were not run. So their rows stay, and lose their target where
    # the target is not shown.
    targets = table["target_speedup"].where(table["target_speedup"].isin(kept))
    table = table.assign(target_speedup=targets)[targets.notna() | (table["note"] == NOT_RUN)]
    return Grid(table.drop_duplicates(ignore_index=True), titles, averaging=averaging)


def _tabulate_contest(opening: str, grid: Grid, number: int) -> Table:
    opening += (
        " Score (percent) and real speed-up at each target at which at least two of the systems "
        "stand"
    )
    return _tabulate_systems(opening, grid, number=number)


def _tabulate_systems(opening: str, grid: Grid, number: int) -> Table:
    """The grid with a caption that names the systems without a row.

    number: of the paper's table
    """
    table, titles = grid.table, grid.titles
    shown = set(table["system"][table["target_speedup"].notna()])
    noted = set(table["system"][table["note"] == NOT_RUN])
    absent = [key for key in titles if key not in shown]
    not_run = _name_systems("Not run", [titles[key] for key in absent if key in noted])
    if not shown:
        return table, Display(NO_CONTEST + not_run, [Cell("System")], [])
    far = [titles[key] for key in absent if key not in noted]
    caption = (
        f"{opening}{describe_sizes(table)}. {CHOSEN} {INTERVALS}. Bold: highest score of a block, "
        f"whether or not the intervals tell the systems apart.{_describe_average(table)}"
        f"{_name_systems('Not near any of these targets', far)}{not_run}"
        f"{describe_paper(table, number)}"
    )
    return table, grid.display(caption, majority=number == 2)


def _name_systems(opening: str, systems: list[str]) -> str:
    return f" {opening}: {join_words(systems)}." if systems else ""


def _describe_average(table: pd.DataFrame) -> str:
    several = len(list_columns(table)) > 1
    return " Average: over the columns, each counted once." if several else ""
