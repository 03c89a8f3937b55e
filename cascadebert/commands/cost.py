"""How long will a run take? An estimate from the arithmetic of its trainings."""

import time
from typing import TYPE_CHECKING

import numpy as np

from cascadebert.encoders.shape import Shape, count_layer_flops

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

FOLDS, SEEDS, MARGINS = 8, 5, 3  # of the default configuration
# On two cores, a training got this share of what numpy's matrix product gets.
EFFICIENCY = 0.5
GPU_FLOPS = 20e12  # that a training gets of a data centre's GPU, roughly


def estimate_seconds(
    shape: "Shape | PreTrainedConfig", lengths: np.ndarray, epochs: int, folds: int, on_gpu: bool
) -> float:
    """Returns seconds on this machine's processor, or on a GPU.

    shape:   of the large model; the small one has two of its layers
    lengths: tokens of every training text, `[texts]`
    folds:   of the difficulty labelling; 0 without DAR
    """
    layer = sum(count_layer_flops(shape, int(tokens)) for tokens in lengths)
    # The large model once; the small one plain, with each margin, and for difficulty labels.
    of_dar = MARGINS + SEEDS * (folds - 1) if folds else 0
    layers = shape.num_hidden_layers + 2 * (1 + of_dar)
    flops = 3 * epochs * layer * layers  # a backward pass costs as much as two forward passes
    return flops / (GPU_FLOPS if on_gpu else EFFICIENCY * _measure_flops())


def _measure_flops() -> float:
    """What numpy's matrix product gets, in floating-point operations a second."""
    left, right = np.ones((768, 128), np.float32), np.ones((128, 512), np.float32)
    left @ right  # the first one starts the threads
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.2:
        left @ right
        count += 1
    return 2 * 768 * 128 * 512 * count / (time.perf_counter() - start)


def describe_time(seconds: float) -> str:
    """In words, rounded: it is an estimate of one figure."""
    seconds += 120  # for starting about 40 jobs, tables and figures
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes on this machine"
    return f"about {seconds / 3600:.0f} hours on this machine"
