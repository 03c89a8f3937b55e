"""Training heads on a frozen model (`heads.FrozenExits`) until they stop improving."""

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cascadebert.data.tokens import TokenizedSplit, make_sorted_batches
from cascadebert.systems.shared.heads import FrozenExits
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.loop import Examples, Settings, choose_device, predict, train
from cascadebert.training.probes import BATCH, fit_linear

# A head is small and its states are standardised: it bears a higher rate than an encoder does, and
# on a few thousand examples it needs a stronger decay to be as good as a penalised linear probe.
SETTINGS = Settings(
    epochs=0,  # by the number of examples: `choose_head_settings`
    learning_rate=2e-3,
    batch_size=64,
    weight_decay=4.0,
    warmup=0.1,
    clip=float("inf"),  # a common norm would make the rate of one head depend on the others
    precision="fp32",
    exit_rate=1.0,  # of nothing: all that is trained is heads
)
DECAYS = (0.1, 1.0, 4.0, 20.0)  # of heads on pooled states; each takes the best for itself
STEPS = 500
EPOCHS = 3, 50  # fewest and most
IN_MEMORY = 2**30  # bytes of states; larger ones lie in a temporary file
ON_DISK = 2**36  # bytes; beyond, every step computes its own states
SAMPLE = 4096  # examples whose states give the mean and deviation of each feature


@dataclass(frozen=True, eq=False)
class FrozenStates:
    """What heads read of a split, computed once; read in batches as a `TokenizedSplit` is.

    labels:  int64 `[examples]`
    lengths: int64 `[examples]`, of the texts in tokens, by which batches are put together
    states:  float32 `[all tokens, heads, width]`, the examples' one after another
    last:    logits of the last exit, float32 `[examples, labels]`
    offsets: int64 `[examples + 1]`, example i is states[offsets[i]:offsets[i + 1]]
    """

    labels: np.ndarray
    lengths: np.ndarray
    states: np.ndarray
    last: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """What `FrozenExits.read` gives for these rows, padded on the right."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        states = np.zeros((*mask.shape, *self.states.shape[1:]), dtype=np.float32)
        for i, row in enumerate(rows):
            states[i, : lengths[i]] = self.states[self.offsets[row] : self.offsets[row + 1]]
        return {
            "states": torch.from_numpy(states),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            "last": torch.from_numpy(self.last[rows]),
        }


def train_heads(
    model: FrozenExits,
    data: TokenizedSplit,
    dev: TokenizedSplit,
    metric: str,
    *,
    seed: int,
    name: str,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Trains the heads in place and leaves them as they were after their best epoch on `dev`.

    The states are computed once and standardised; afterwards the standardisation is folded into
    each head's first layer, so that the heads read raw states. Heads that read pooled states are
    trained once for each of DECAYS, and each head keeps the weights with the lowest log loss on
    `dev`, as a linear probe chooses its penalty. They train fast, so their state is not saved.
    Heads that are one linear layer are not trained step by step: their convex problem is solved
    (`probes.fit_linear`).

    checkpoint: used only for heads that read all tokens

    Returns the dev score after each epoch, in percent, averaged over the exits; none where the
    problem was solved.
    """
    model.to(choose_device()).eval()
    seen, seen_dev = read_states(model, data), read_states(model, dev)
    linear = [head for head in model.heads if isinstance(head, nn.Linear)]
    in_reach = isinstance(seen, FrozenStates) and isinstance(seen_dev, FrozenStates)
    if len(linear) == len(model.heads) and in_reach:
        _solve(linear, seen, seen_dev)
        return []
    sample = np.random.default_rng(seed).permutation(len(data))[:SAMPLE]
    batches = [sample[i : i + BATCH] for i in range(0, len(sample), BATCH)]
    states = np.concatenate([_states(model, seen, rows) for rows in batches])
    # The bound keeps what is constant but for rounding from being blown up.
    mean, deviation = states.mean(axis=0), np.maximum(states.std(axis=0), 1e-6)
    with on_standardised_states(model, mean, deviation):
        examples = Examples(train=seen, dev=seen_dev, metric=metric)
        settings = choose_head_settings(len(data))
        if model.reads_tokens:
            return train(model, examples, settings, seed=seed, name=name, checkpoint=checkpoint)
        return _train_with_each_decay(model, examples, settings, seed=seed, name=name)


def choose_head_settings(examples: int) -> Settings:
    """SETTINGS with as many epochs as give STEPS steps, within EPOCHS."""
    fewest, most = EPOCHS
    epochs = -(-STEPS * SETTINGS.batch_size // examples)
    return replace(SETTINGS, epochs=min(max(epochs, fewest), most))


@torch.inference_mode()
def read_states(model: FrozenExits, data: TokenizedSplit) -> FrozenStates | TokenizedSplit:
    """The states of a split, or the split itself where they would take more than ON_DISK."""
    one = model.read(_on_device(data.batch(np.array([0]))))
    lengths = data.lengths if model.reads_tokens else np.ones_like(data.lengths)
    shape = (int(lengths.sum()), *one["states"].shape[2:])
    size = 4 * int(np.prod(shape))
    if size > ON_DISK:
        return data
    if size <= IN_MEMORY:
        states = np.empty(shape, dtype=np.float32)
    else:
        with tempfile.TemporaryFile() as file:  # gone with the array
            states = np.memmap(file, np.float32, "w+", shape=shape)
    last = np.empty((len(data), one["last"].shape[-1]), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for rows in make_sorted_batches(data.lengths, BATCH):
        seen = {key: value.cpu() for key, value in model.read(_on_device(data.batch(rows))).items()}
        last[rows] = seen["last"].numpy()
        for row, of_text in zip(rows, seen["states"].numpy(), strict=True):
            states[offsets[row] : offsets[row + 1]] = of_text[: lengths[row]]
    return FrozenStates(data.labels, data.lengths, states, last, offsets)


def standardise(layer: nn.Linear, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Makes a layer compute from (state - mean) / deviation what it computed from the state."""
    with torch.no_grad():
        layer.bias.add_(layer.weight @ mean)
        layer.weight.mul_(deviation)


def fold(layer: nn.Linear, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Undoes `standardise`."""
    with torch.no_grad():
        layer.weight.div_(deviation)
        layer.bias.sub_(layer.weight @ mean)


@contextmanager
def on_standardised_states(
    model: FrozenExits, mean: np.ndarray, deviation: np.ndarray
) -> Iterator[None]:
    """While it lasts, the heads read standardised states; what they compute does not change.

    mean, deviation: `[heads, width]`
    """
    means, deviations = (torch.from_numpy(x).float().to(choose_device()) for x in (mean, deviation))
    scale = means, deviations
    for layer, *of_head in zip(model.first_layers(), *scale, strict=True):
        standardise(layer, *of_head)
    model.scale = scale
    try:
        yield
    finally:
        model.scale = None
        for layer, *of_head in zip(model.first_layers(), *scale, strict=True):
            fold(layer, *of_head)


def _train_with_each_decay(
    model: FrozenExits, examples: Examples, settings: Settings, *, seed: int, name: str
) -> list[float]:
    """Leaves each head with the weights of its best decay; returns the scores of the best on all.

    Every training starts from the same weights and sees the same batches.
    """
    gold = torch.from_numpy(examples.dev.labels)
    start, trained, losses, scores = copy.deepcopy(model.heads), [], [], []
    for decay in DECAYS:
        model.heads = copy.deepcopy(start)
        name_here = f"{name} decay {decay:g}"
        with_decay = replace(settings, weight_decay=decay)
        scores.append(train(model, examples, with_decay, seed=seed, name=name_here))
        logits = torch.from_numpy(predict(model, examples.dev))[:, : len(start)]
        losses.append([cross_entropy(exit, gold).item() for exit in logits.unbind(dim=1)])
        trained.append(model.heads)
    best = np.argmin(losses, axis=0)
    model.heads = nn.ModuleList(trained[decay][i] for i, decay in enumerate(best))
    return scores[int(np.argmin(np.mean(losses, axis=1)))]


def _solve(heads: list[nn.Linear], data: FrozenStates, dev: FrozenStates) -> None:
    for i, head in enumerate(heads):
        weight, bias = fit_linear(
            data.states[:, i], data.labels, dev.states[:, i], dev.labels, head.out_features
        )
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            head.bias.copy_(torch.from_numpy(bias))


def _states(
    model: FrozenExits, data: FrozenStates | TokenizedSplit, rows: np.ndarray
) -> np.ndarray:
    """All tokens' states of these rows, `[tokens, heads, width]`."""
    seen = data.batch(rows)
    if isinstance(data, TokenizedSplit):
        seen = {key: value.cpu() for key, value in model.read(_on_device(seen)).items()}
    return seen["states"][seen["attention_mask"].bool()].numpy()


def _on_device(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.to(choose_device()) for key, value in inputs.items()}
