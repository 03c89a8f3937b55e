"""Joins words for sentences."""

from collections.abc import Sequence


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Returns `a, b and c`, or with another word before the last."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
