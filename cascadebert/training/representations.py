"""The states from which a trained run classifies."""

from pathlib import Path

import numpy as np
import torch

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.states import States
from cascadebert.data.tokens import TokenizedSplit, make_sorted_batches
from cascadebert.encoders.pooling import pool
from cascadebert.models.base import ExitModel
from cascadebert.models.building import find_encoder
from cascadebert.training.loop import choose_device
from cascadebert.training.stages import Job

EXAMPLES = 1000  # more would not be told apart on paper


def represent_run(job: Job, trained: Path, layers: int, path: File) -> None:
    """Writes the `States` that a trained run's exit after `layers` layers reads.

    They are of at most EXAMPLES examples of the first scored split, drawn at random, the same for
    every run. Raises UserError if the run has no exit there.
    """
    model = job.load_model(trained)
    if layers not in model.depths:
        raise UserError(
            f"configuration, representations.layers: {job.run.name} has no exit after "
            f"{layers} layers, only after {', '.join(map(str, model.depths))}"
        )
    split = job.load_split(job.task.scored_splits[0])
    draw = np.random.default_rng(job.derive_seed("representations"))
    rows = np.sort(draw.choice(len(split), min(EXAMPLES, len(split)), replace=False))
    data, exit = split.take(rows), model.depths.index(layers)
    States(read_exit_states(model, data, exit), data.ids, data.labels, exit).save(path)


@torch.inference_mode()
def read_exit_states(
    model: ExitModel, data: TokenizedSplit, exit: int, batch_size: int = 128
) -> np.ndarray:
    """What the classifier of an exit, from 0 on, reads: float32 `[examples, width]`.

    The first token's state or the mean of all tokens' (`ExitModel.exit_pooling`), before anything
    that the exit itself computes from it.

    model: a system's; the states are those of the first Hugging Face model in it
    """
    where = choose_device()
    model.to(where).eval()
    encoder, pooling = find_encoder(model), model.exit_pooling(exit)
    states = np.empty((len(data), encoder.config.hidden_size), dtype=np.float32)
    for rows in make_sorted_batches(data.lengths, batch_size):
        inputs = {name: value.to(where) for name, value in data.batch(rows).items()}
        # The first of the hidden states are the embeddings, so that layers count from 1.
        layer = encoder(**inputs, output_hidden_states=True).hidden_states[model.depths[exit]]
        states[rows] = pool(layer, inputs["attention_mask"], pooling).float().cpu().numpy()
    return states
