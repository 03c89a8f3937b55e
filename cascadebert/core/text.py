"""Joins words for sentences."""


def join_words(words: list[str]) -> str:
    """Returns `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
