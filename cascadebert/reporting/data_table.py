"""The table of data, Table 1: the sizes of the tasks, and what the development split chose.

`candidates` maps a system to the alternatives that it had, `titles` to its name in tables.
`ablations` maps a system to the same system without DAR.
"""

import json
from collections.abc import Sequence

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.experiment.configuration import WIDEST_OF_TWO_CLASSES
from cascadebert.reporting.grid import METRICS, NOTHING, format_paper
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Table
from cascadebert.systems.method import Candidate, describe_setting

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
        cells.append(_make_majority_cell(name, points, notes))
        for system, margin in margins.items():
            mark = "" if margin else notes.mark("not run on this task")
            if margin and labels == 2 and float(margin) >= WIDEST_OF_TWO_CLASSES:
                mark = notes.mark("with two classes, all margins of 0.5 and more train the same")
            paper = format_paper(theirs.get(system, NO_NUMBER)[0])
            cells.append(Cell(f"{margin or NOTHING}{paper}", mark=mark))
        if tuned:
            cells.append(_make_settings_cell(name, of_task, candidates, titles, notes))
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
        caption += _describe_budget(candidates, titles)
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


def _make_majority_cell(task: str, points: pd.DataFrame, notes: Footnotes) -> Cell:
    """The score of the most frequent label on each scored split: MNLI has two."""
    scores = points[points["task"] == task].groupby("split", sort=False)["majority"].first()
    if scores.empty:
        return Cell(NOTHING)
    mark = notes.mark(f"on {join_words(list(scores.index))}") if len(scores) > 1 else ""
    return Cell(" / ".join(f"{score:.1f}" for score in scores), mark=mark)


def _make_settings_cell(
    task: str,
    chosen: dict[str, Candidate | None],
    candidates: dict[str, Sequence[Candidate]],
    titles: dict[str, str],
    notes: Footnotes,
) -> Cell:
    """How many settings there were; a footnote says which one each system got."""
    settings = {each.setting for of in candidates.values() for each in of}
    systems: dict[str, list[str]] = {}
    for key, candidate in chosen.items():
        setting = describe_setting(candidate.setting) if candidate else NOT_RUN
        systems.setdefault(setting, []).append(titles[key])
    found = [f"{setting}: {join_words(of)}" for setting, of in sorted(systems.items())]
    return Cell(f"{len(settings)}", mark=notes.mark(f"{task}: {'; '.join(found)}"))


def _describe_budget(candidates: dict[str, Sequence[Candidate]], titles: dict[str, str]) -> str:
    """The number of candidates among which the development split chose, for every system."""
    systems: dict[int, list[str]] = {}
    for key in titles:
        systems.setdefault(len(candidates[key]), []).append(titles[key])
    fewest, *more = sorted(systems)
    others = "".join(f", {count} for {join_words(systems[count])}" for count in more)
    return (
        " Settings: the number of settings in `tuning`, all of which every system had; a note says "
        "which were chosen, by the same mean score. Candidates to choose from, with a method's own "
        f"alternatives: {fewest} for each system{others}."
    )
