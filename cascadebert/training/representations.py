"""The states from which a model classifies, and how far they tell the labels apart."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.data.tokens import TokenizedSplit, make_sorted_batches
from cascadebert.models.base import ExitModel
from cascadebert.models.building import find_encoder
from cascadebert.training.loop import choose_device
from cascadebert.training.stages import Job

EXAMPLES = 1000  # more would not be told apart on paper


@dataclass(frozen=True, eq=False)
class States:
    """The first token's state ([CLS]) of some examples after one of a model's layers.

    states: float32 `[examples, width]`
    ids:    str `[examples]`
    labels: int64 `[examples]`, gold labels
    exit:   which of the model's exits, from 0, has that many layers
    """

    states: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    exit: int

    def save(self, path: File) -> None:
        with replacing(path) as draft:
            np.savez(draft, **vars(self))

    @classmethod
    def load(cls, path: File) -> "States":
        """Raises UserError if the file is damaged or no states file."""
        try:
            with np.load(Path(path), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in ("states", "ids", "labels")}
                return cls(**arrays, exit=int(stored["exit"]))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise UserError(
                f"{path} is damaged or no states file ({error}); delete it and run again"
            ) from error


def represent_run(job: Job, trained: Path, layers: int, path: File) -> None:
    """Writes the `States` of a trained run after `layers` layers, on the first scored split.

    At most EXAMPLES examples, drawn at random, the same for every run. Raises UserError if the run
    has no exit there.
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
    data = split.take(rows)
    states = read_first_token_states(model, data, layers)
    States(states, data.ids, data.labels, model.depths.index(layers)).save(path)


@torch.inference_mode()
def read_first_token_states(
    model: ExitModel, data: TokenizedSplit, layers: int, batch_size: int = 128
) -> np.ndarray:
    """The first token's state after `layers` layers, float32 `[examples, width]`.

    model: a system's; the states are those of the first Hugging Face model in it
    """
    where = choose_device()
    model.to(where).eval()
    encoder = find_encoder(model)
    states = np.empty((len(data), encoder.config.hidden_size), dtype=np.float32)
    for rows in make_sorted_batches(data.lengths, batch_size):
        inputs = {name: value.to(where) for name, value in data.batch(rows).items()}
        # The first of the hidden states are the embeddings.
        layer = encoder(**inputs, output_hidden_states=True).hidden_states[layers]
        states[rows] = layer[:, 0].float().cpu().numpy()
    return states


def silhouette(states: np.ndarray, labels: np.ndarray) -> float:
    """How far the labels are apart in the space of the states, in [-1, 1] (Rousseeuw 1987).

    The mean over examples of (b - a) / max(a, b), where a is the mean Euclidean distance to the
    other examples of its label and b that to the examples of the nearest other label; 0 is "not at
    all apart". NaN if all examples have one label, or each has its own.
    """
    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(states, labels))


def tsne(states: np.ndarray, seed: int) -> np.ndarray:
    """The states in the plane, near ones near (van der Maaten and Hinton 2008), `[examples, 2]`.

    Perplexity 30, or less for fewer than about 90 examples.
    """
    perplexity = min(30.0, (len(states) - 1) / 3)
    # Threads add up in any order, and t-SNE makes another picture of the last digit.
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, random_state=seed).fit_transform(states)
