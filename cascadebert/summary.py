"""The report's first page: how much faster, at what loss, and does DAR help here?

Every sentence is computed from the evaluation's frames; a difference counts only where its 95%
interval leaves out 0.
"""

import base64
import os
from pathlib import Path

import pandas as pd

from cascadebert.tables import METRICS, SAME_SPLIT, reference_system, signed
from cascadebert.typeset import Cell, Display, rst_escape, to_rst

WORDS = {"dis": "DIS", "ece": "ECE", "accuracy": "accuracy"}


def summary(
    points: pd.DataFrame,
    differences: pd.DataFrame,
    exits: pd.DataFrame,
    exit_differences: pd.DataFrame,
    titles: dict[str, str],
    ablations: dict[str, str],
    proposed: str,
    experiment: str,
    figure: str | os.PathLike | None = None,
) -> str:
    """The landing page as reStructuredText that goes through Jinja unchanged.

    points, exits:    `evaluation.operating_points` and `exit_measures` of all systems
    differences:      task, split, target_speedup, system, against, difference, low, high: the
                      proposed system at each target less the others there and the full model
    exit_differences: task, split, exit, measure, system, against, difference, low, high: systems
                      with DAR less the same without
    titles:           system -> name; ablations: system -> the same without DAR
    proposed:         the system that the page is about
    figure:           PNG to show on the page
    """
    page = Page(points, differences, exits, exit_differences, titles, ablations, proposed)
    places = list(dict.fromkeys(zip(points["task"], points["split"], strict=True)))
    name = rst_escape(titles[proposed])
    parts = [_heading(f"How much faster is {name}, at what loss, and does DAR help?", "=")]
    parts.append(f"Experiment *{rst_escape(experiment)}*. {page.total()}")
    for place in places:
        parts.append(_heading(rst_escape(_where(place)), "-"))
        parts += [f"* **{label}.** {text}" for label, text in page.answers(place) if text]
    if figure is not None:
        parts.append("|tradeoff|")
    parts.append(_heading("The numbers behind it", "-"))
    for place in places:
        parts += [page.rivals(place), page.regularisation(place)]
    parts.append(_heading("Before you quote this", "-"))
    parts += [f"* {rst_escape(text)}" for text in page.caveats()]
    if figure is not None:
        # At the end, so that the text above can be read in a text editor; in short lines, because
        # docutils refuses long ones.
        image = base64.encodebytes(Path(figure).read_bytes()).decode().replace("\n", "\n   ")
        parts.append(
            f".. |tradeoff| image:: data:image/png;base64,\n   {image.rstrip()}\n   :alt: trade-off"
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(low: float, high: float) -> int:
    """1 or -1 where an interval lies above or below 0; 0, undecided, where it does not."""
    return int(low > 0) - int(high < 0)


class Page:
    """The parts of the page; a place is a (task, split)."""

    def __init__(self, points, differences, exits, exit_differences, titles, ablations, proposed):
        self.points, self.titles, self.proposed = points, titles, proposed
        self.name = titles[proposed]
        self.full = reference_system(points)
        self.plain = ablations.get(proposed)
        of_proposed = differences["system"] == proposed
        self.differences = differences[of_proposed & differences["difference"].notna()]
        at_first = exits[(exits["exit"] == 1) & exits["measure"].isin(WORDS)]
        gains = exit_differences[(exit_differences["exit"] == 1)]
        keys = ["task", "split", "measure"]
        mine, plain = (at_first[at_first["system"] == s] for s in (proposed, self.plain))
        of_pair = (gains["system"] == proposed) & (gains["against"] == self.plain)
        scores = mine.merge(plain, on=keys, suffixes=("", "_plain"))[
            [*keys, "score", "score_plain"]
        ]
        columns = [*keys, "difference", "low", "high"]
        calibration = scores.merge(gains.loc[of_pair, columns], on=keys)
        rank = calibration["measure"].map(list(WORDS).index)
        self.calibration = calibration.iloc[rank.argsort(kind="stable")]

    def total(self) -> str:
        """The balance of all comparisons."""
        others = self.differences[~self.differences["against"].isin([self.full, self.plain])]
        verdicts = [verdict(*bounds) for bounds in others[["low", "high"]].to_numpy()]
        if not verdicts:
            return "There is no other system to compare with at equal speed."
        better, worse = verdicts.count(1), verdicts.count(-1)
        return (
            f"At equal target speed-ups {rst_escape(self.name)} is better than another system in "
            f"{better} of {len(verdicts)} comparisons, worse in {worse}, and undecided in "
            f"{len(verdicts) - better - worse}."
        )

    def answers(self, place) -> list[tuple[str, str]]:
        return [
            ("Speed and loss", self._loss(place)),
            ("Against the others at equal speed", self._rivals_in_words(place)),
            ("DAR", self._regularisation_in_words(place)),
        ]

    def _loss(self, place) -> str:
        lost = _at(self.differences, place)
        lost = lost[lost["against"] == self.full].set_index("target_speedup")
        pieces = []
        for row in self._rows(place, self.proposed):
            if row["target_speedup"] not in lost.index:
                continue
            d = lost.loc[row["target_speedup"]]
            full = self._score(place, self.full, 1.0)
            first = not pieces
            than, of = (
                f" than {self.titles[self.full]}" * first,
                f" of {METRICS[row['metric']]}" * first,
            )
            sure = "" if verdict(d["low"], d["high"]) else ", undecided"
            pieces.append(
                f"{row['speedup']:.1f}× faster{than} and {_loses(d['difference'])}{of} "
                f"({full['score']:.1f} → {row['score']:.1f}; {'95% interval ' * first}"
                f"{_bounds(d)}{sure})"
            )
        if not pieces:
            return rst_escape(f"{self.name} was not compared with the full model.")
        return rst_escape(f"{self.name} is {'; '.join(pieces)}.")

    def _rivals_in_words(self, place) -> str:
        compared = _at(self.differences, place)
        compared = compared[~compared["against"].isin([self.full, self.plain])]
        phrases = {1: "better than", -1: "worse than", 0: "not told apart from"}
        sentences = []
        for target, rows in compared.groupby("target_speedup"):
            groups = {sign: [] for sign in phrases}
            for row in rows.itertuples():
                groups[verdict(row.low, row.high)].append(self.titles[row.against])
            told = [f"{phrases[sign]} {_list(names)}" for sign, names in groups.items() if names]
            sentences.append(
                f"At {target:g}× it is {'; '.join(told)}. {self._highest(place, target)}"
            )
        return rst_escape(" ".join(sentences))

    def _highest(self, place, target: float) -> str:
        here = _at(self.points, place)
        here = here[(here["target_speedup"] == target) & here["score"].notna()]
        shown = here["score"].round(1)
        best = list(here.loc[shown == shown.max(), "system"])
        if best == [self.proposed]:
            return f"The highest score there is {self.name}'s ({shown.max():.1f})."
        if self.proposed in best:
            return f"The highest score ({shown.max():.1f}) is shared by {_list(self._names(best))}."
        mine = self._score(place, self.proposed, target)["score"]
        return (
            f"It does not have the highest score there: {mine:.1f}, "
            f"{_list(self._names(best))} {shown.max():.1f}."
        )

    def _names(self, systems: list[str]) -> list[str]:
        return [self.titles[system] for system in systems]

    def _regularisation_in_words(self, place) -> str:
        if self.plain is None:
            return "The experiment has no system without DAR to compare with."
        gains = _at(self.differences, place)
        gains = gains[gains["against"] == self.plain]
        sentences = []
        if len(gains):
            effects = [_effect(row.low, row.high) for row in gains.itertuples()]
            pieces = [
                f"{signed(row.difference)} at {row.target_speedup:g}× "
                f"({_bounds(row._asdict())}: {effect})"
                for row, effect in zip(gains.itertuples(), effects, strict=True)
            ]
            sentences.append(f"{_conclusion(effects)}: {_list(pieces)}.")
        pieces = [
            f"{'raises' if row.difference > 0 else 'lowers'} {WORDS[row.measure]} from "
            f"{row.score_plain:.1f} to {row.score:.1f} ({signed(row.difference)}; "
            f"{_bounds(row._asdict())}: {_effect(row.low, row.high, row.measure)})"
            for row in _at(self.calibration, place).itertuples()
        ]
        if pieces:
            sentences.append(f"In the smallest model it {_list(pieces)}.")
        return rst_escape(" ".join(sentences))

    def rivals(self, place) -> str:
        """A table of the proposed system less every other, at each target."""
        lines = []
        for d in _at(self.differences, place).itertuples():
            mine = self._score(place, self.proposed, d.target_speedup)
            at = 1.0 if d.against == self.full else d.target_speedup
            theirs = self._score(place, d.against, at)
            lines.append(
                [
                    f"{mine['score']:.1f} at {mine['speedup']:.2f}×",
                    f"{self.titles[d.against]}: {theirs['score']:.1f} at {theirs['speedup']:.2f}×",
                    f"{signed(d.difference)} ({_bounds(d._asdict())})",
                    {1: "better", -1: "worse", 0: "undecided"}[verdict(d.low, d.high)],
                ]
            )
        title = f"{_where(place)}: {self.name} against the others"
        header = [self.name, "Against", "Difference", "Verdict"]
        return _table(title, header, lines)

    def regularisation(self, place) -> str:
        """A table of what DAR changes in the smallest model and in the cascade."""
        lines = [
            [
                f"{WORDS[row.measure]} of the smallest model",
                f"{row.score:.1f}",
                f"{row.score_plain:.1f}",
                f"{signed(row.difference)} ({_bounds(row._asdict())})",
                _effect(row.low, row.high, row.measure),
            ]
            for row in _at(self.calibration, place).itertuples()
        ]
        gains = _at(self.differences, place)
        for row in gains[gains["against"] == self.plain].itertuples():
            mine, plain = (
                self._score(place, system, row.target_speedup)
                for system in (self.proposed, self.plain)
            )
            lines.append(
                [
                    f"Cascade at {row.target_speedup:g}×",
                    f"{mine['score']:.1f}",
                    f"{plain['score']:.1f}",
                    f"{signed(row.difference)} ({_bounds(row._asdict())})",
                    _effect(row.low, row.high),
                ]
            )
        header = ["", "With DAR", "Without", "Difference", "DAR"]
        return _table(f"{_where(place)}: what DAR changes", header, lines)

    def caveats(self) -> list[str]:
        points = self.points
        scored = points[points["score"].notna()]
        low, high = int(points["replicates"].min()), int(points["replicates"].max())
        seeds = "one seed" if high == 1 else f"{low if low == high else f'{low} to {high}'} seeds"
        sizes = points.groupby(["task", "split"], sort=False)["n"].first()
        texts = [
            "Scores are means over "
            f"{seeds} and over all examples of the split: "
            f"{_list([f'{task} {split} {n:,}' for (task, split), n in sizes.items()])}.",
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
            f"{len(self.differences) + len(self.calibration)} differences are judged here, without "
            "correction for their number: one in twenty would look decided if there were none."
        )
        movable = scored[scored["speedup"].notna()]
        off = (movable["speedup"] / movable["target_speedup"] - 1).abs()
        if len(off):
            worst = movable.loc[off.idxmax()]
            texts.append(
                "Speed-ups count layers, not seconds. On the scored examples they are up to "
                f"{100 * off.max():.0f}% off their target ({self.titles[worst['system']]} on "
                f"{worst['task']} at {worst['target_speedup']:g}×: {worst['speedup']:.2f}×)."
            )
        texts += [
            f"{self.titles[row.system]} on {row.task} at {row.target_speedup:g}×: {row.note}."
            for row in points[points["score"].isna()].itertuples()
        ]
        return texts

    def _rows(self, place, system: str) -> list[pd.Series]:
        here = _at(self.points, place)
        of_system = here[here["system"] == system].sort_values("target_speedup")
        return [row for _, row in of_system.iterrows()]

    def _score(self, place, system: str, target: float) -> pd.Series:
        return next(r for r in self._rows(place, system) if r["target_speedup"] == target)


def _at(frame: pd.DataFrame, place: tuple[str, str]) -> pd.DataFrame:
    task, split = place
    return frame[(frame["task"] == task) & (frame["split"] == split)]


def _where(place: tuple[str, str]) -> str:
    return "{} ({})".format(*place)


def _effect(low: float, high: float, measure: str = "accuracy") -> str:
    direction = verdict(low, high) * (-1 if measure == "ece" else 1)
    return {1: "helps", -1: "hurts", 0: "undecided"}[direction]


def _conclusion(effects: list[str]) -> str:
    decided = {effect for effect in effects if effect != "undecided"}
    if not decided:
        return "Whether DAR helps the cascade is undecided"
    if len(decided) == 2:
        return "Whether DAR helps the cascade depends on the speed-up"
    everywhere = "at every speed-up" if "undecided" not in effects else "at some speed-ups only"
    return f"DAR {decided.pop()} the cascade {everywhere}"


def _loses(difference: float) -> str:
    if f"{abs(difference):.1f}" == "0.0":
        return "neither loses nor gains 0.1 points"
    return f"{'gains' if difference > 0 else 'loses'} {abs(difference):.1f} points"


def _bounds(row) -> str:
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return "no interval"
    return f"{signed(row['low'])} to {signed(row['high'])}"


def _list(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _heading(text: str, underline: str) -> str:
    return f"{text}\n{underline * len(text)}"


def _table(title: str, header: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return ""
    display = Display("", list(map(Cell, header)), [[list(map(Cell, line)) for line in lines]])
    return f"**{rst_escape(title)}**\n\n{to_rst(display)}"
