"""The table of single classes."""

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.data.task import DEV
from cascadebert.reporting.grid import IN_SAMPLE, NOTHING, list_columns, select_place
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Table


def table_classes(
    classes: pd.DataFrame, titles: dict[str, str], proposed: str, full: str | None
) -> Table:
    """F1 of each class by the full model, and by the proposed system at its targets.

    classes: `classes.measure_classes` of all systems and of the tasks of more than two classes
    titles:  system -> its name
    full:    the full model, if it was run
    """
    targets = sorted(classes.loc[classes["system"] == proposed, "target_speedup"].unique())
    places = [(proposed, target) for target in targets]
    if full:
        places = [(full, 1), *places]
    at = classes.set_index(["task", "split", "label", "system", "target_speedup"])["f1"]
    notes, blocks = Footnotes(), []
    for task, split in list_columns(classes):
        here = select_place(classes, (task, split))
        lines = []
        for label, n in here.groupby("label", sort=False)["n"].first().items():
            scores = [at.get((task, split, label, *place)) for place in places]
            cells = [_make_cell(score, notes) for score in scores]
            opening = Cell("" if lines else f"{task} ({split})")
            lines.append([opening, Cell(label), Cell(f"{n:,}"), *cells])
        blocks.append(lines)
    names = [titles[system] for system in dict.fromkeys(system for system, _ in places)]
    same = f" ({IN_SAMPLE})" if DEV in set(classes["split"]) else ""
    caption = (
        f"F1 (percent) of each class by {join_words(names)}{same}; means over seeds. A class whose "
        "F1 falls faster than the others' pays for the speed. The .csv beside this table has "
        "precision, recall and F1 of all systems."
    )
    heads = [f"{titles[system]}\n{target:g}×" for system, target in places]
    header = [Cell(text) for text in ("Task", "Class", "n", *heads)]
    return classes, Display(caption, header, blocks, labels=2, notes=notes)


def _make_cell(score: float | None, notes: Footnotes) -> Cell:
    if score is None:
        return Cell(NOTHING, mark=notes.mark("the task has no threshold for this speed-up"))
    return Cell(f"{score:.1f}")
