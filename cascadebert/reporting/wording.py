"""Numbers, differences and their intervals as a reader sees them."""

import re
from collections.abc import Callable

import pandas as pd

from cascadebert.evaluation.intervals import verdict


def signed(value: float) -> str:
    """One decimal and the sign, also of what rounds to nothing: −0.0 is an end below 0."""
    return f"{value:+.1f}".replace("-", "−") if value else "0.0"


def bracket(low: float, high: float, number: Callable[[float], str] = "{:.1f}".format) -> str:
    """`[1.0, 2.0]`; nothing where there is no interval."""
    return "" if pd.isna(low) or pd.isna(high) else f"[{number(low)}, {number(high)}]"


def reason(note: str) -> str:
    """The note of an operating point."""
    return re.sub(r"(?<=\d)x\b", "×", note)


def effect(low: float, high: float, measure: str = "accuracy") -> str:
    """What an interval of with DAR less without DAR says of DAR; of ECE less is better."""
    direction = verdict(low, high) * (-1 if measure == "ece" else 1)
    return {1: "helps", -1: "hurts", 0: "undecided"}[direction]


def conclusion(effects: list[str]) -> str:
    """The effects of DAR on the cascade at all targets in one clause."""
    decided = {effect for effect in effects if effect != "undecided"}
    if not decided:
        return "Whether DAR helps the cascade is undecided"
    if len(decided) == 2:
        return "Whether DAR helps the cascade depends on the speed-up"
    everywhere = "at every speed-up" if "undecided" not in effects else "at some speed-ups only"
    return f"DAR {decided.pop()} the cascade {everywhere}"


def loses(difference: float) -> str:
    """`loses 1.2 points`, from a difference in points."""
    return f"{'gains' if difference > 0 else 'loses'} {abs(difference):.1f} points"


def bounds(row) -> str:
    """The interval of something with `low` and `high`."""
    if pd.isna(row.low) or pd.isna(row.high):
        return "no interval"
    return f"{signed(row.low)} to {signed(row.high)}"
