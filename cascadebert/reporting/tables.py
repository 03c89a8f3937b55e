"""The paper's tables of systems at target speed-ups: Tables 2, 3, 4, 6 and 7.

A table is made from the evaluation's operating points (`points.measure_operating_points`) of all
tasks and systems, with the paper's numbers beside them (`published.add_published_numbers`).
`titles` maps the systems of the table to their names, in the order of the rows. `ablations` maps a
system to the same system without DAR. `averaging` has the systems whose exits read the mean of all
tokens' states.
Scores are in percent. Functions have the names of their rules and files.
"""

from collections.abc import Collection

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.reporting.grid import (
    INTERVALS,
    Grid,
    describe_paper,
    describe_sizes,
    list_columns,
    select_gains,
    select_rows,
)
from cascadebert.reporting.typeset import Cell, Display, Table

NO_CONTEST = "There is no target speed-up at which these systems can be compared."
CHOSEN = (
    "On the development split every system with a threshold has exactly the target's cost: a coin "
    "picks one of two neighbouring thresholds for each input. Scores and speed-ups are expected "
    "values; the speed-ups shown are those of the scored split."
)


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

    backbone: the encoders that the systems start from -> their architecture (`model_type`); none
              where nothing was run and they are not there
    """
    opening = (
        "A family without a pre-trained small model: the cascade begins with the first layers of "
        "the large one, fine-tuned or distilled."
    )
    if backbone:
        names = join_words([f"{name} (architecture: {kind})" for name, kind in backbone.items()])
        opening += f" All systems of this table start from {names}."
    if backbone and "roberta" not in backbone.values():
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
