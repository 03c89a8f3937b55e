"""Predictions drawn at random that behave like a classifier's: later exits know better."""

import numpy as np

from cascadebert.data.predictions import Predictions
from cascadebert.systems import exits

RULES = {rule.name: rule for rule in vars(exits).values() if isinstance(rule, exits.ExitRule)}


def predictions(
    examples=300, costs=(2.0, 14.0), labels=2, split="test", replicate=0
) -> Predictions:
    """Examples and their difficulty depend on `split` alone; replicates differ by noise."""
    data = np.random.default_rng([len(split), *map(ord, split)])
    gold = data.integers(labels, size=examples)
    evidence = data.normal(1.5, 1.5, size=examples)
    noise = np.random.default_rng([replicate, len(costs), *map(ord, split)])
    logits = noise.normal(size=(examples, len(costs), labels))
    logits[np.arange(examples), :, gold] += evidence[:, None] * np.linspace(0.5, 1.5, len(costs))
    return Predictions(
        logits.astype(np.float32),
        np.array(costs, dtype=float),
        np.array([f"{split}-{i}" for i in range(examples)]),
        gold,
    )
