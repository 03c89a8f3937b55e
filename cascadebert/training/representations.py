"""The states from which a trained run classifies."""

from pathlib import Path

import numpy as np

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.data.states import States
from cascadebert.training.probes import read_exits
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
    _, states = read_exits(model, data)
    States(states[:, exit], data.ids, data.labels, exit).save(path)
