"""Numbers, differences and intervals in words and signs."""

import re
from collections.abc import Callable

import pandas as pd

from cascadebert.evaluation.intervals import judge_interval


def format_signed(value: float) -> str:
    """One decimal and the sign, which a small value keeps: −0.04 becomes −0.0."""
    return f"{value:+.1f}".replace("-", "−") if value else "0.0"


def round_as_printed(value: float) -> float:
    """To one decimal as format strings round, which NumPy does not: 86.35 is 86.3 in a table."""
    return float(f"{value:.1f}")


def format_interval(
    low: float, high: float, number: Callable[[float], str] = "{:.1f}".format
) -> str:
    """`[1.0, 2.0]`; empty without an interval."""
    return "" if pd.isna(low) or pd.isna(high) else f"[{number(low)}, {number(high)}]"


def format_ends(row) -> str:
    """`−1.0 to +2.0`, from a row with `low` and `high`."""
    if pd.isna(row.low) or pd.isna(row.high):
        return "no interval"
    return f"{format_signed(row.low)} to {format_signed(row.high)}"


def format_note(note: str) -> str:
    """The note of an operating point, with a typographic ×."""
    return re.sub(r"(?<=\d)x\b", "×", note)


def format_loss(difference: float) -> str:
    """`loses 1.2 points`, from a difference in points."""
    return f"{'gains' if difference > 0 else 'loses'} {abs(difference):.1f} points"


def judge_dar(low: float, high: float, measure: str = "accuracy") -> str:
    """Whether DAR helps, by the interval of with DAR less without; a lower ECE is better."""
    direction = judge_interval(low, high) * (-1 if measure == "ece" else 1)
    return {1: "helps", -1: "hurts", 0: "undecided"}[direction]


def summarise_effects(effects: list[str]) -> str:
    """The effects of DAR on the cascade at all targets in one clause."""
    decided = {effect for effect in effects if effect != "undecided"}
    if not decided:
        return "Whether DAR helps the cascade is undecided"
    if len(decided) == 2:
        return "Whether DAR helps the cascade depends on the speed-up"
    everywhere = "at every speed-up" if "undecided" not in effects else "at some speed-ups only"
    return f"DAR {decided.pop()} the cascade {everywhere}"
