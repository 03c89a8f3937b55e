"""How long answers take: systems that are timed in turn, round after round, on the same texts."""

import time
from collections.abc import Callable, Sequence

import numpy as np

# Texts, their pairs if the task has them, and how many are answered together.
Answer = Callable[[list[str], list[str] | None, int], object]


def time_texts(
    answer: Answer, texts: list[str], pairs: list[str] | None, batch_size: int
) -> np.ndarray:
    """Returns seconds, `[texts]`; texts of a batch share its time evenly."""
    if batch_size > 1:
        start = time.perf_counter()
        answer(texts, pairs, batch_size)
        return np.full(len(texts), (time.perf_counter() - start) / len(texts))
    took = np.empty(len(texts))
    for i, text in enumerate(texts):
        start = time.perf_counter()
        answer([text], pairs and [pairs[i]], 1)
        took[i] = time.perf_counter() - start
    return took


def time_in_turn(
    answers: Sequence[Answer],
    texts: list[str],
    pairs: list[str] | None,
    batch_size: int,
    rounds: int,
) -> np.ndarray:
    """Returns seconds, `[rounds, systems, texts]`, after a round that warms up.

    In turn, so that what else the machine does slows all systems alike.
    """
    took = np.empty((rounds + 1, len(answers), len(texts)))
    for number in range(rounds + 1):
        for index, answer in enumerate(answers):
            took[number, index] = time_texts(answer, texts, pairs, batch_size)
    return took[1:]
