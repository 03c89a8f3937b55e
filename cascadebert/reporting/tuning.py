"""What Table 1 says of tuning: the settings that were chosen, and among how many candidates.

`candidates` maps a system to the alternatives that it had, `titles` to its name in tables.
"""

from collections.abc import Sequence

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.reporting.grid import restore_text
from cascadebert.reporting.typeset import Cell, Footnotes
from cascadebert.systems.method import Candidate, describe_setting


def find_chosen(
    points: pd.DataFrame, candidates: dict[str, Sequence[Candidate]]
) -> dict[tuple[str, str], Candidate]:
    """(task, system) -> the candidate that the development split chose."""
    run = points[points["note"] != NOT_RUN].drop_duplicates(["task", "system"])
    by_name = {(key, each.name): each for key, of in candidates.items() for each in of}
    return {
        (row.task, row.system): by_name[row.system, restore_text(row.candidate)]
        for row in run.itertuples()
    }


def make_settings_cell(
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
        setting = describe_setting(candidate.setting) if candidate else "not run"
        systems.setdefault(setting, []).append(titles[key])
    found = [f"{setting}: {join_words(of)}" for setting, of in sorted(systems.items())]
    return Cell(f"{len(settings)}", mark=notes.mark(f"{task}: {'; '.join(found)}"))


def describe_budget(candidates: dict[str, Sequence[Candidate]], titles: dict[str, str]) -> str:
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
