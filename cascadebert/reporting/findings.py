"""The proposed system's comparisons, as the report's first page needs them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cascadebert.evaluation.choice import NEAR

# Measures of the smallest model, in the order of the page -> name.
CALIBRATION = {"dis": "DIS", "ece": "ECE", "accuracy": "accuracy"}
# Why a system's point is not compared with others at its target.
OFF = f"more than {NEAR:.0%} off the target speed-up"
WEAK = "undertrained"


@dataclass(frozen=True, eq=False)
class Frames:
    """The evaluation of all tasks.

    points, exits:    `points.measure_operating_points` and `measures.measure_exits`
    differences:      `comparison.compare_systems`, with the proposed system against the others
    exit_differences: `comparison.compare_exits`, of systems with DAR against the same without
    claims:           the frame of `claims.table_claims`
    """

    points: pd.DataFrame
    differences: pd.DataFrame
    exits: pd.DataFrame
    exit_differences: pd.DataFrame
    claims: pd.DataFrame


@dataclass(frozen=True)
class Subject:
    """The experiment that the page is about.

    titles:    system -> its name
    ablations: system -> the same without DAR
    full:      the full model, if it was run
    missing:   parts of the experiment that were not run, in sentences
    doubts:    what makes scores doubtful, in sentences
    left_out:  why tables or figures are not there, in sentences
    cost:      what a speed-up counts: layers or seconds
    settings:  how many settings of the training every system could choose among
    """

    experiment: str
    proposed: str
    titles: dict[str, str]
    ablations: dict[str, str]
    full: str | None = None
    missing: Sequence[str] = ()
    doubts: Sequence[str] = ()
    left_out: Sequence[str] = ()
    cost: str = "layers"
    settings: int = 1

    @property
    def name(self) -> str:
        """Of the proposed system."""
        return self.titles[self.proposed]

    @property
    def plain(self) -> str | None:
        """The proposed system without DAR."""
        return self.ablations.get(self.proposed)


@dataclass(frozen=True, eq=False)
class Findings:
    """The proposed system less others.

    points:      all operating points; unfair is OFF, WEAK or "" (`_find_unfair`)
    pairs:       all differences, with both sides' scores and speed-ups (`_pair_scores`)
    calibration: differences to the same without DAR at the first exit (`_pair_exits`)
    """

    subject: Subject
    points: pd.DataFrame
    pairs: pd.DataFrame
    calibration: pd.DataFrame

    @property
    def lost(self) -> pd.DataFrame:
        """Against the full model."""
        return self.pairs[self.pairs["against"] == self.subject.full]

    @property
    def gained(self) -> pd.DataFrame:
        """Against the same without DAR."""
        return self.pairs[self.pairs["against"] == self.subject.plain]

    @property
    def rivals(self) -> pd.DataFrame:
        """Against the others at the same target, where that is a fair comparison."""
        others = self._others
        return others[others["unfair"] == ""]

    @property
    def contest(self) -> pd.DataFrame:
        """The points among which the highest score is looked for."""
        fair = (self.points["unfair"] == "") & self.points["score"].notna()
        return _keep_places(self.points[fair], self.rivals)

    @property
    def left_out(self) -> dict[str, dict[str, list[str]]]:
        """OFF and WEAK -> the systems that are left out of `rivals` or `contest` for it -> tasks.

        [] stands for all tasks.
        """
        points = self.points[self.points["score"].notna()]
        at = _keep_places(points, self._others)
        found: dict[str, dict[str, list[str]]] = {OFF: {}, WEAK: {}}
        for (system, why), of_why in at.groupby(["system", "unfair"], sort=False):
            if why:
                tasks = of_why["task"].unique().tolist()
                others = set(at["task"][at["system"] == system]) - set(tasks)
                found[str(why)][str(system)] = tasks if others else []
        return found

    @property
    def _others(self) -> pd.DataFrame:
        """Against the others at the same target, fair or not."""
        same_speed = self.pairs["their_target"] == self.pairs["target_speedup"]
        apart = self.pairs["against"].isin([self.subject.full, self.subject.plain])
        return self.pairs[same_speed & ~apart]


def _keep_places(points: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The points of the tasks, splits and targets at which there are pairs."""
    keys = ["task", "split", "target_speedup"]
    return points.merge(pairs[keys].drop_duplicates(), on=keys)


def collect_findings(frames: Frames, subject: Subject) -> Findings:
    differences, exit_differences = frames.differences, frames.exit_differences
    of_pair = exit_differences["system"] == subject.proposed
    of_pair &= exit_differences["against"] == subject.plain
    of_proposed = differences["system"] == subject.proposed
    points = frames.points.assign(unfair=_find_unfair(frames.points, subject.proposed))
    return Findings(
        subject=subject,
        points=points,
        pairs=_pair_scores(differences[of_proposed], points),
        calibration=_pair_exits(exit_differences[of_pair], frames.exits),
    )


def _find_unfair(points: pd.DataFrame, proposed: str) -> pd.Series:
    """Why a point is no fair rival of the proposed system's at the same target: OFF, WEAK or "".

    A system of a single speed-up may stand further from the target than one with a knob, which a
    coin brings there. Its cost is then not that of the others.
    """
    single = points["knob"].isna()
    off = single & ((points["speedup"] / points["target_speedup"] - 1).abs() > NEAR)
    why = pd.Series("", points.index).mask(off, OFF).mask(points["undertrained"], WEAK)
    return why.mask(points["system"] == proposed, "")


def _pair_scores(differences: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Differences with score and speedup of their system, and the other's in their_... and unfair.

    their_target is the target of the other system's point: the same target, or 1 where the other
    system has no score at the same target.
    """
    keys = ["task", "split", "target_speedup"]
    scored = points[points["score"].notna()]
    mine = scored[[*keys, "system", "metric", "score", "speedup"]]
    theirs = scored.rename(
        columns={"system": "against", "score": "their_score", "speedup": "their_speedup"}
    )
    theirs = theirs[[*keys, "against", "their_score", "their_speedup", "unfair"]]
    theirs = theirs.assign(their_target=theirs["target_speedup"])
    at_one = theirs[theirs["their_target"] == 1].drop(columns="target_speedup")
    pairs = differences.merge(mine, on=[*keys, "system"])
    same = pairs.merge(theirs, on=[*keys, "against"])
    found = pairs.set_index([*keys, "against"]).index.isin(same.set_index([*keys, "against"]).index)
    slower = pairs[~found].merge(at_one, on=["task", "split", "against"])
    return pd.concat([same, slower]).sort_values("target_speedup", kind="stable")


def _pair_exits(differences: pd.DataFrame, exits: pd.DataFrame) -> pd.DataFrame:
    """Differences of CALIBRATION at the first exit, in its order, with score and their_score."""
    keys = ["task", "split", "exit", "measure"]
    scores = exits[[*keys, "system", "score"]]
    theirs = scores.rename(columns={"system": "against", "score": "their_score"})
    kept = differences[(differences["exit"] == 1) & differences["measure"].isin(CALIBRATION)]
    table = kept.merge(scores, on=[*keys, "system"]).merge(theirs, on=[*keys, "against"])
    rank = table["measure"].map(list(CALIBRATION).index)
    return table.iloc[rank.argsort(kind="stable")]
