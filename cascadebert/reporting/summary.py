"""The report's first page: how much faster, at what loss, and does DAR help here?

Every sentence is computed from the evaluation's frames; a difference counts only where its 95%
interval leaves out 0.
"""

import base64
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cascadebert.core.text import join_words
from cascadebert.evaluation.claims import UNDERTRAINED, VERDICTS
from cascadebert.evaluation.intervals import verdict
from cascadebert.evaluation.points import BELOW, NOT_RUN
from cascadebert.reporting.claims import ALL
from cascadebert.reporting.grid import METRICS, SAME_SPLIT
from cascadebert.reporting.tables import reference_system
from cascadebert.reporting.typeset import Cell, Display, rst_escape, to_rst
from cascadebert.reporting.wording import (
    bounds,
    conclusion,
    effect,
    loses,
    reason,
    signed,
)

WORDS = {"dis": "DIS", "ece": "ECE", "accuracy": "accuracy"}

# Snakemake centres its landing page on the screen, so that the top of a longer one is out of reach,
# keeps it narrower than a table, and sets all headings alike.
STYLE = """.. raw:: html

   <style>
   .h-screen.overflow-auto { align-items: flex-start; }
   .prose.max-w-lg { max-width: 46rem; }
   .prose h1:not(.title), .prose h2 { font-size: 1.3rem; }
   .prose img { max-width: 34rem; }
   </style>"""


def summary(
    points: pd.DataFrame,
    differences: pd.DataFrame,
    exits: pd.DataFrame,
    exit_differences: pd.DataFrame,
    claims: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
    proposed: str,
    experiment: str,
    figure: str | os.PathLike | None = None,
    missing: Sequence[str] = (),
) -> str:
    """The landing page as reStructuredText that goes through Jinja unchanged.

    points, exits:    `points.operating_points` and `exit_measures` of all systems
    differences:      task, split, target_speedup, system, against, difference, low, high: the
                      proposed system at each target less the others there and the full model
    exit_differences: task, split, exit, measure, system, against, difference, low, high: systems
                      with DAR less the same without
    claims:           the table of `claims.table_claims`
    titles:           system -> name; ablations: system -> the same without DAR
    proposed:         the system that the page is about
    figure:           PNG to show on the page
    missing:          what of the experiment was not run, in sentences
    """
    page = Page(points, differences, exits, exit_differences, titles, ablations, proposed)
    places = list(dict.fromkeys(zip(points["task"], points["split"], strict=True)))
    name = rst_escape(titles[proposed])
    parts = [_heading(f"How much faster is {name}, at what loss, and does DAR help?", "=")]
    parts.append(f"Experiment *{rst_escape(experiment)}*. {page.total()}")
    if missing:
        parts.append(
            "**Not all of it was run**: the list under *Before you quote this* begins with what is "
            "missing."
        )
    for place in places:
        parts.append(_heading(rst_escape(_where(place)), "-"))
        parts += [f"* **{label}.** {text}" for label, text in page.answers(place) if text]
    if figure is not None:
        parts.append("|tradeoff|")
    if not claims.empty:
        parts += [_heading("The paper's claims here", "-"), _claims(claims)]
    parts.append(_heading("The numbers behind it", "-"))
    for place in places:
        parts += [page.table_against(place), page.table_regularisation(place)]
    parts.append(_heading("Before you quote this", "-"))
    parts += [f"* {rst_escape(text)}" for text in [*missing, *page.caveats()]]
    parts.append(STYLE)
    if figure is not None:
        # At the end, so that the text above can be read in a text editor; in short lines, because
        # docutils refuses long ones.
        image = base64.encodebytes(Path(figure).read_bytes()).decode().replace("\n", "\n   ")
        parts.append(
            f".. |tradeoff| image:: data:image/png;base64,\n   {image.rstrip()}\n   :alt: trade-off"
        )
    return "\n\n".join(part for part in parts if part) + "\n"


class Page:
    """The parts of the page; a place is a (task, split)."""

    def __init__(self, points, differences, exits, exit_differences, titles, ablations, proposed):
        self.points, self.titles, self.proposed = points, titles, proposed
        self.name = titles[proposed]
        self.full = reference_system(points)
        self.plain = ablations.get(proposed)
        self.pairs = _paired(differences[differences["system"] == proposed], points)
        self.lost = self.pairs[self.pairs["against"] == self.full]
        self.gained = self.pairs[self.pairs["against"] == self.plain]
        same_speed = self.pairs["their_target"] == self.pairs["target_speedup"]
        apart = self.pairs["against"].isin([self.full, self.plain])
        self.rivals = self.pairs[same_speed & ~apart]
        of_pair = exit_differences["against"] == self.plain
        of_pair &= exit_differences["system"] == proposed
        self.calibration = _of_smallest(exits, exit_differences[of_pair])

    def total(self) -> str:
        """The balance of all comparisons."""
        verdicts = [verdict(row.low, row.high) for row in self.rivals.itertuples()]
        if not verdicts:
            return "There is no other system to compare with at equal speed."
        return (
            f"At equal target speed-ups {rst_escape(self.name)} is better than another system in "
            f"{verdicts.count(1)} of {len(verdicts)} comparisons, worse in {verdicts.count(-1)}, "
            f"and undecided in {verdicts.count(0)}. {self._highest_of_all()}"
        )

    def _highest_of_all(self) -> str:
        """At how many targets, over all places, its score is the highest as printed."""
        targets = set(self.rivals["target_speedup"])
        scored = self.points[self.points["target_speedup"].isin(targets)].dropna(subset="score")
        blocks = scored.assign(score=scored["score"].round(1)).groupby(
            ["task", "split", "target_speedup"]
        )
        highest = [
            (block.loc[block["system"] == self.proposed, "score"] == block["score"].max()).any()
            for _, block in blocks
        ]
        return (
            f"Its score is the highest, alone or shared, at {sum(highest)} of {len(highest)} "
            "target speed-ups."
        )

    def answers(self, place) -> list[tuple[str, str]]:
        """Label and text of each answer."""
        return [
            ("Speed and loss", rst_escape(self._loss(place))),
            ("Against the others at equal speed", rst_escape(self._against(place))),
            ("DAR", rst_escape(self._regularisation(place))),
        ]

    def _loss(self, place) -> str:
        pieces = []
        for row in _at(self.lost, place).itertuples():
            first = not pieces
            than = f" than {self.titles[self.full]}" if first else ""
            of = f" of {METRICS[row.metric]}" if first else ""
            undecided = "" if verdict(row.low, row.high) else ", undecided"
            pieces.append(
                f"{row.speedup:.1f}× faster{than} and {loses(row.difference)}{of} "
                f"({row.their_score:.1f} → {row.score:.1f}; {'95% interval ' if first else ''}"
                f"{bounds(row)}{undecided})"
            )
        if not pieces:
            return f"{self.name} was not compared with the full model."
        return f"{self.name} is {'; '.join(pieces)}."

    def _against(self, place) -> str:
        phrases = {1: "better than", -1: "worse than", 0: "not told apart from"}
        sentences = []
        for target, rows in _at(self.rivals, place).groupby("target_speedup"):
            groups = {sign: [] for sign in phrases}
            for row in rows.itertuples():
                groups[verdict(row.low, row.high)].append(self.titles[row.against])
            told = [
                f"{phrases[sign]} {join_words(names)}" for sign, names in groups.items() if names
            ]
            sentences.append(f"At {target:g}× it is {'; '.join(told)}.")
            sentences.append(self._highest(place, target))
        return " ".join(sentences)

    def _highest(self, place, target: float) -> str:
        here = _at(self.points, place)
        here = here[here["target_speedup"] == target].set_index("system")["score"].round(1)
        best = list(here.index[here == here.max()])
        if best == [self.proposed]:
            return f"The highest score there is its own ({here.max():.1f})."
        names = join_words([self.titles[system] for system in best])
        if self.proposed in best:
            return f"The highest score there is shared by {names} ({here.max():.1f})."
        return (
            f"The highest score there is not its {here[self.proposed]:.1f} but "
            f"{here.max():.1f} ({names})."
        )

    def _regularisation(self, place) -> str:
        if self.plain is None:
            return "The experiment has no system without DAR to compare with."
        gained = list(_at(self.gained, place).itertuples())
        effects = [effect(row.low, row.high) for row in gained]
        sentences = []
        if gained:
            pieces = [
                f"{signed(row.difference)} at {row.target_speedup:g}× ({bounds(row)}: {word})"
                for row, word in zip(gained, effects, strict=True)
            ]
            sentences.append(f"{conclusion(effects)}: {join_words(pieces)}.")
        pieces = [
            f"{WORDS[row.measure]} from {row.their_score:.1f} to {row.score:.1f} "
            f"({signed(row.difference)}; {bounds(row)}: {effect(row.low, row.high, row.measure)})"
            for row in _at(self.calibration, place).itertuples()
        ]
        if pieces:
            sentences.append(f"In the smallest model it takes {join_words(pieces)}.")
        return " ".join(sentences) or f"{self.titles[self.plain]} was {NOT_RUN} here."

    def table_against(self, place) -> str:
        """The proposed system less every other, at each target."""
        verdicts = {1: "better", -1: "worse", 0: "undecided"}
        lines = [
            [
                f"{row.score:.1f} at {row.speedup:.2f}×",
                f"{self.titles[row.against]}: {row.their_score:.1f} at {row.their_speedup:.2f}×",
                f"{signed(row.difference)} ({bounds(row)})",
                verdicts[verdict(row.low, row.high)],
            ]
            for row in _at(self.pairs, place).itertuples()
        ]
        title = f"{_where(place)}: {self.name} against the others"
        return _table(title, [self.name, "Against", "Difference", "Verdict"], lines)

    def table_regularisation(self, place) -> str:
        """What DAR changes in the smallest model and in the cascade."""
        changed = [
            (f"{WORDS[row.measure]} of the smallest model", row, row.measure)
            for row in _at(self.calibration, place).itertuples()
        ]
        changed += [
            (f"Cascade at {row.target_speedup:g}×", row, row.metric)
            for row in _at(self.gained, place).itertuples()
        ]
        lines = [
            [
                label,
                f"{row.score:.1f}",
                f"{row.their_score:.1f}",
                f"{signed(row.difference)} ({bounds(row)})",
                effect(row.low, row.high, measure),
            ]
            for label, row, measure in changed
        ]
        header = ["", "With DAR", "Without", "Difference", "DAR"]
        return _table(f"{_where(place)}: what DAR changes", header, lines)

    def caveats(self) -> list[str]:
        points = self.points
        scored = points[points["score"].notna()]
        low, high = int(points["replicates"].min()), int(points["replicates"].max())
        seeds = "one seed" if high == 1 else f"{low if low == high else f'{low} to {high}'} seeds"
        sizes = points.groupby(["task", "split"], sort=False)["n"].first()
        texts = [
            f"Scores are means over {seeds} and over all examples of the split: "
            f"{join_words([f'{task} {split} {n:,}' for (task, split), n in sizes.items()])}.",
            "Thresholds (and the difficulty margin) were chosen on the development split, for each "
            "target, and applied unchanged.",
        ]
        same = points.loc[points["note"] == SAME_SPLIT, ["task", "split"]].drop_duplicates()
        texts += [
            f"{row.task} has no labelled test split: thresholds were chosen on the {row.split} "
            "split that is scored, which flatters every system that has one."
            for row in same.itertuples()
        ]
        texts.append(
            "Intervals (95%) are bootstrapped over examples and seeds, differences paired over "
            "examples. Undecided: the interval of the difference contains 0."
            + (" With so few seeds they say little about the luck of training." if high < 5 else "")
        )
        texts.append(
            f"{len(self.pairs) + len(self.calibration)} differences are judged here, without "
            "correction for their number: one in twenty would look decided if there were none."
        )
        off = (scored["speedup"] / scored["target_speedup"] - 1).abs().reset_index(drop=True)
        if len(off):
            worst = scored.iloc[off.argmax()]
            texts.append(
                "Speed-ups count layers, not seconds. On the scored examples they are up to "
                f"{off.max():.0%} off their target ({self.titles[worst['system']]} on "
                f"{worst['task']} at {worst['target_speedup']:g}×: {worst['speedup']:.2f}×)."
            )
        texts += [
            f"{self.titles[row.system]} is undertrained on {row.task} ({row.split}): one of its "
            f"exits lies more than {BELOW} points below a linear probe on the states that it "
            "reads. Nothing here says how good the method is."
            for row in points[points["undertrained"]]
            .drop_duplicates(["task", "split", "system"])
            .itertuples()
        ]
        texts += [
            f"{self.titles[row.system]} at {row.target_speedup:g}× on {row.task}: "
            f"{reason(row.note)}."
            for row in points[points["score"].isna() & (points["note"] != NOT_RUN)].itertuples()
        ]
        texts.append(
            "What all this was made from and by is under Provenance, and whole in provenance.json."
        )
        return texts


def _claims(claims: pd.DataFrame) -> str:
    """How often each claim holds."""
    verdicts = claims[(claims["statistic"] == ALL) & (claims["task"] != ALL)]
    found = verdicts["verdict"].replace(UNDERTRAINED, VERDICTS[0])
    counts = pd.crosstab(verdicts["claim"], found).reindex(
        verdicts["claim"].unique(), columns=list(VERDICTS.values())[::-1], fill_value=0
    )
    lines = [[claim, *map(str, row)] for claim, *row in counts.itertuples()]
    header = ["Claim", *counts.columns]
    return _table(
        "Number of scored splits; the statistics are in the table of claims", header, lines
    )


def _paired(differences: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Differences with score and speedup of their system, and their_target, their_score and
    their_speedup of the other: at the same target, or at 1x where it has no score there."""
    keys = ["task", "split", "target_speedup"]
    scored = points[points["score"].notna()]
    mine = scored[[*keys, "system", "metric", "score", "speedup"]]
    theirs = scored.rename(
        columns={"system": "against", "score": "their_score", "speedup": "their_speedup"}
    )
    theirs = theirs[[*keys, "against", "their_score", "their_speedup"]]
    theirs = theirs.assign(their_target=theirs["target_speedup"])
    at_one = theirs[theirs["their_target"] == 1].drop(columns="target_speedup")
    pairs = differences.merge(mine, on=[*keys, "system"])
    same = pairs.merge(theirs, on=[*keys, "against"])
    found = pairs.set_index([*keys, "against"]).index.isin(same.set_index([*keys, "against"]).index)
    slower = pairs[~found].merge(at_one, on=["task", "split", "against"])
    return pd.concat([same, slower]).sort_values("target_speedup", kind="stable")


def _of_smallest(exits: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """Differences of WORDS at the first exit, in that order, with score and their_score."""
    keys = ["task", "split", "exit", "measure"]
    scores = exits[[*keys, "system", "score"]]
    theirs = scores.rename(columns={"system": "against", "score": "their_score"})
    kept = differences[(differences["exit"] == 1) & differences["measure"].isin(WORDS)]
    table = kept.merge(scores, on=[*keys, "system"]).merge(theirs, on=[*keys, "against"])
    rank = table["measure"].map(list(WORDS).index)
    return table.iloc[rank.argsort(kind="stable")]


def _at(frame: pd.DataFrame, place: tuple[str, str]) -> pd.DataFrame:
    task, split = place
    return frame[(frame["task"] == task) & (frame["split"] == split)]


def _where(place: tuple[str, str]) -> str:
    return "{} ({})".format(*place)


def _heading(text: str, underline: str) -> str:
    return f"{text}\n{underline * len(text)}"


def _table(title: str, header: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return ""
    display = Display("", list(map(Cell, header)), [[list(map(Cell, line)) for line in lines]])
    return f"**{rst_escape(title)}**\n\n{to_rst(display)}"
