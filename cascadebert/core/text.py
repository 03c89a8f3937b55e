"""Joins words for sentences, and shows names in them."""

import unicodedata
from collections.abc import Sequence


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Returns `a, b and c`, or with another word before the last."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def quote(text: str) -> str:
    """Returns the text in quotes, with escapes for what readers cannot see or tell apart."""
    # Some letters, such as é, can be one character or two.
    return repr(text) if unicodedata.is_normalized("NFC", text) else ascii(text)


def show(name: object) -> str:
    """Returns a name as it is or, where it is not what it seems to be, as `quote` does."""
    name = str(name)
    return name if name.strip() == name != "" and quote(name) == f"'{name}'" else quote(name)
