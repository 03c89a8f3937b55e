"""What Table 1 says of tuning: the settings that were chosen, and among how many candidates.

`candidates` maps a system to the alternatives that it had, `titles` to its name in tables.
"""

from collections.abc import Sequence

from cascadebert.core.text import join_words
from cascadebert.evaluation.points import NOT_RUN
from cascadebert.reporting.typeset import Cell, Footnotes
from cascadebert.systems.method import Candidate, describe_setting


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
        setting = describe_setting(candidate.setting) if candidate else NOT_RUN
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
