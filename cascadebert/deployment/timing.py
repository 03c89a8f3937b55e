"""How long a text takes up to each exit of a model, on this machine."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from cascadebert.data.tokens import TokenizedSplit
from cascadebert.deployment.exits import EarlyExits
from cascadebert.models.base import EarlyExitModel, ExitModel, Inputs
from cascadebert.systems.exits import CONFIDENCE, ExitRule
from cascadebert.training.loop import choose_device

LENGTHS = 6  # groups of texts of like length
TEXTS = 8  # of a group, at least
ROUNDS = 5

# Lets every input leave at one exit, so that this exit can be timed.
AT_ONE_EXIT = ExitRule(
    name="one exit",
    knob="exit",
    signal=CONFIDENCE.signal,
    first=lambda signal, exit: np.full(len(signal), exit),
    knobs=lambda predictions: np.arange(predictions.logits.shape[1]),
)


def time_exits(model: ExitModel, data: TokenizedSplit, batch_size: int) -> pd.DataFrame:
    """Measures the median milliseconds a text over ROUNDS rounds, a row a length and exit.

    Columns: tokens (the mean of a group of texts), share (of the texts of `data`), exit,
    milliseconds. The clock starts when a text is tokenized. A later exit takes no less than an
    earlier one.

    batch_size: the number of texts that are answered together
    """
    device = choose_device()
    model.to(device).eval()
    groups = np.array_split(np.argsort(data.lengths, kind="stable"), min(LENGTHS, len(data)))
    exits = len(model.depths)
    answers = [_answer_at(model, exit) for exit in range(exits)]
    frames = []
    for rows in groups:
        count = min(len(rows), max(TEXTS, batch_size))
        start = len(rows) // 2 - count // 2
        chosen = rows[start : start + count]
        parts = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
        batches = [
            {name: values.to(device) for name, values in data.batch(part).items()} for part in parts
        ]
        took = np.array(
            [[_measure(answer, batches) for answer in answers] for _ in range(ROUNDS + 1)]
        )
        median = np.median(took[1:], axis=0) / len(chosen)  # the first round warms up
        frames.append(
            pd.DataFrame(
                {
                    "tokens": data.lengths[rows].mean(),
                    "share": len(rows) / len(data),
                    "exit": range(exits),
                    "milliseconds": 1000 * np.maximum.accumulate(median),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _answer_at(model: ExitModel, exit: int) -> Callable[[Inputs], object]:
    """Answers a batch that leaves at this exit."""
    if isinstance(model, EarlyExitModel):
        return EarlyExits(model, AT_ONE_EXIT, exit)
    return torch.inference_mode()(lambda inputs: model(inputs).cpu())


def _measure(answer: Callable[[Inputs], object], batches: list[Inputs]) -> float:
    start = time.perf_counter()
    for batch in batches:
        answer(batch)
    return time.perf_counter() - start
