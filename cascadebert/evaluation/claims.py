"""The paper's claims, and when one holds.

A claim consists of one or more statistics, each with a condition such as "> 0". A statistic holds
if its whole 95% interval meets the condition. A statistic does not hold if no point of the interval
meets the condition. Otherwise the statistic is undecided. A claim holds on a split if all its
statistics hold, does not hold if one of them does not, and is undecided otherwise. Nothing holds
against a rival with an exit below a linear probe on the exit's own states
(`measures.compare_with_probes`): such a rival was not trained to the end.

Where there are many statistics, some look decided by chance. Beside its verdict, every statistic
has the verdict that is left after a correction for the number of statistics of its claim (Holm
1979). "Holds" of a whole claim needs no correction, because all its statistics must hold (Berger
1982).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cascadebert.evaluation.intervals import compute_p_value, judge_interval
from cascadebert.experiment.catalogue import ALL

VERDICTS = {-1: "does not hold", 0: "undecided", 1: "holds"}
UNDERTRAINED = "undecided: the rival is undertrained"  # where the claim would hold
SIGNIFICANT = 0.05
LITTLE = 1  # point of accuracy that DAR may cost the smallest model: our convention

COLUMNS = (
    "claim section task split statistic holds_if value low high n replicates verdict p p_holm "
    "verdict_holm note"
)


class Claim(NamedTuple):
    """A claim's name, the section of the paper, and what an experiment needs to test the claim."""

    name: str
    section: str
    needs: str


EARLY_EXIT = "a system that exits early inside the model that the cascade ends in"
ABLATION = "a cascade with and without DAR (ablation_of)"
EXTENSION = "a cascade with a model more than another (extends)"
TRUNCATION = "a cascade with first layers in place of a complete small model (truncation_of)"
TARGET, TWO_TARGETS = "a target that both reach", "two targets that both reach"
BEATS = Claim("A cascade beats early exits", "4.3", f"{EARLY_EXIT}, and {TARGET}")
GROWS = Claim("The gap grows with the speed-up", "4.3", f"{EARLY_EXIT}, and {TWO_TARGETS}")
SERIES = Claim(
    "Complete models beat first layers beat internal off-ramps",
    "2.1",
    "the section layerwise, with two series",
)
COMPLETE = Claim(
    "A complete small model beats first layers in a cascade", "3.1", f"{TRUNCATION}, and {TARGET}"
)
DEPTH = Claim("DIS grows with depth", "2.2", "the section layerwise, with a system of many exits")
DAR_DIS = Claim("DAR raises the DIS of the smallest model", "5.2", ABLATION)
DAR_ECE = Claim("DAR lowers the ECE of the smallest model", "5.2", ABLATION)
DAR_ACCURACY = Claim("DAR costs little accuracy of the smallest model", "5.2", ABLATION)
DAR = Claim("DAR helps the cascade", "5.2", f"{ABLATION}, and {TARGET}")
THIRD = Claim("A third model helps", "5.3", f"{EXTENSION}, and {TARGET}")
THIRD_LESS = Claim(
    "A third model helps less at high speed-up", "5.3", f"{EXTENSION}, and {TWO_TARGETS}"
)
# In the order of the table of claims.
CLAIMS = [
    SERIES,
    DEPTH,
    BEATS,
    GROWS,
    COMPLETE,
    DAR,
    DAR_DIS,
    DAR_ECE,
    DAR_ACCURACY,
    THIRD,
    THIRD_LESS,
]


class Statistic(NamedTuple):
    """One number of a claim, which needs the number to lie above, or below, the bound.

    side:         ">" or "<"
    undertrained: whether the rival is undertrained
    note:         why there is no value, where the data are not the reason
    """

    claim: Claim
    label: str
    side: str
    bound: float
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    undertrained: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        direction = 1 if self.side == ">" else -1
        found = VERDICTS[direction * judge_interval(self.low - self.bound, self.high - self.bound)]
        return UNDERTRAINED if self.undertrained and found == VERDICTS[1] else found

    @property
    def p_value(self) -> float:
        """Two-sided, of the value against the bound."""
        return compute_p_value(self.value - self.bound, self.high - self.low)


def correct_verdicts(statistics: Sequence[Statistic]) -> list[tuple[float, str]]:
    """The adjusted p-value of each statistic of a claim, and the verdict that it leaves.

    A decided statistic stays decided if its adjusted p-value is below 0.05, or if the adjustment
    left the p-value as it was: the interval decides then, with which a p-value near 0.05 may
    disagree, since it assumes a normal distribution.
    """
    adjusted = adjust_by_holm([statistic.p_value for statistic in statistics])
    return [
        (p, _weaken(of.verdict) if p >= SIGNIFICANT and p > of.p_value else of.verdict)
        for p, of in zip(adjusted, statistics, strict=True)
    ]


def _weaken(verdict: str) -> str:
    return verdict if verdict == UNDERTRAINED else VERDICTS[0]


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment ("A simple sequentially rejective multiple test procedure").

    The k-th smallest of n p-values, from 0, is multiplied by n - k; none is then smaller than one
    before it, or larger than 1. NaN, a statistic that was not measured, counts as 1.
    """
    known = np.nan_to_num(np.asarray(p_values, dtype=float), nan=1.0)
    order = np.argsort(known, kind="stable")
    raised = known[order] * np.arange(len(known), 0, -1)
    adjusted = np.empty(len(known))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted.tolist()


def tabulate_statistics(found: Sequence[Statistic], points: pd.DataFrame) -> pd.DataFrame:
    """The statistics of a split, one a row, and the verdict on each claim in a row ALL.

    points: `points.measure_operating_points` of the split
    Returns COLUMNS.
    """
    place = points.iloc[0][["task", "split", "n", "replicates"]].to_dict()
    rows = []
    for claim in CLAIMS:
        mine = [statistic for statistic in found if statistic.claim == claim]
        common = {"claim": claim.name, "section": claim.section, **place}
        corrected = correct_verdicts(mine)
        rows += [
            common
            | {"statistic": s.label, "holds_if": f"{s.side} {s.bound:g}", "verdict": s.verdict}
            | {"value": s.value, "low": s.low, "high": s.high}
            | {"p": s.p_value, "p_holm": p, "verdict_holm": verdict, "note": s.note}
            for s, (p, verdict) in zip(mine, corrected, strict=True)
        ]
        if mine:
            verdict = _combine_verdicts([s.verdict for s in mine])
            # A claim that needs all its statistics to hold is tested at 5% without a correction.
            holds = verdict == VERDICTS[1]
            verdict_holm = verdict if holds else _combine_verdicts([v for _, v in corrected])
            verdicts = {"verdict": verdict, "verdict_holm": verdict_holm}
            rows.append(common | {"statistic": ALL, "note": ""} | verdicts)
    return pd.DataFrame(rows, columns=COLUMNS.split())


def _combine_verdicts(verdicts: Sequence[str]) -> str:
    """One statistic that does not hold refutes a claim; one undecided statistic leaves it open."""
    refuted, undecided, holds = VERDICTS.values()
    return min(verdicts, key=[refuted, undecided, UNDERTRAINED, holds].index)
