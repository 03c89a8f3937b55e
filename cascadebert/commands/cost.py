"""How long will a run take? An estimate from the arithmetic of its trainings."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cascadebert.encoders.shape import Shape, count_layer_flops

FOLDS, SEEDS, MARGINS = 8, 5, 3  # of the default configuration
# On two cores, a training got this share of what numpy's matrix product gets.
EFFICIENCY = 0.5
GPU_FLOPS = 20e12  # that a training gets of a data centre's GPU, roughly


def estimate_seconds(
    shape: Mapping[str, Any], lengths: np.ndarray, epochs: int, folds: int
) -> tuple[float, float]:
    """Returns seconds on this machine's processor, and on a GPU.

    shape:   of the large model; the small one has two of its layers
    lengths: tokens of every training text, `[texts]`
    folds:   of the difficulty labelling; 0 without DAR
    """
    sized = Shape(
        model_type="bert",
        num_hidden_layers=shape["num_hidden_layers"],
        hidden_size=shape["hidden_size"],
        intermediate_size=shape["intermediate_size"],
        max_position_embeddings=None,
    )
    layer = sum(count_layer_flops(sized, int(tokens)) for tokens in lengths)
    # The large model once; the small one plain, with each margin, and for difficulty labels.
    of_dar = MARGINS + SEEDS * (folds - 1) if folds else 0
    layers = sized.num_hidden_layers + 2 * (1 + of_dar)
    flops = 3 * epochs * layer * layers  # a backward pass costs as much as two forward passes
    return flops / (EFFICIENCY * _measure_flops()), flops / GPU_FLOPS


def _measure_flops() -> float:
    """What numpy's matrix product gets, in floating-point operations a second."""
    left, right = np.ones((768, 128), np.float32), np.ones((128, 512), np.float32)
    left @ right  # the first one starts the threads
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.2:
        left @ right
        count += 1
    return 2 * 768 * 128 * 512 * count / (time.perf_counter() - start)


def describe_time(seconds: tuple[float, float], on_gpu: bool) -> str:
    """In words, rounded: it is an estimate of one figure."""
    value = seconds[1] if on_gpu else seconds[0]
    value += 120  # for starting about 40 jobs, tables and figures
    if value < 5400:
        return f"about {max(1, round(value / 60))} minutes on this machine"
    return f"about {value / 3600:.0f} hours on this machine"
