"""Training heads on a frozen model (`heads.FrozenExits`) until they stop improving."""

import copy
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from cascadebert.core.errors import FULL, UserError
from cascadebert.core.progress import Progress
from cascadebert.data.tokens import TokenizedSplit, make_shuffled_batches, make_sorted_batches
from cascadebert.models.base import Inputs
from cascadebert.models.heads import FrozenExits
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.loop import (
    BATCH,
    Batches,
    Examples,
    Settings,
    choose_device,
    learning_rate,
    on_device,
    score_exits,
    train,
)
from cascadebert.training.probes import fit_linear

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
    trained with each of DECAYS at once, and each head keeps the weights with the lowest log loss on
    `dev`, as a linear probe chooses its penalty. They have one form. They train in seconds, so
    their state is not saved.
    Heads that are one linear layer are not trained step by step, unless the method has a `loss` of
    its own: their convex problem is solved (`probes.fit_linear`).

    checkpoint: used only for heads that read all tokens

    Returns the dev score after each epoch, in percent, averaged over the exits; none where the
    problem was solved.
    """
    model.to(choose_device()).eval()
    seen, seen_dev = read_states(model, data), read_states(model, dev)
    linear = [head for head in model.heads if isinstance(head, nn.Linear)]
    in_reach = isinstance(seen, FrozenStates) and isinstance(seen_dev, FrozenStates)
    by_cross_entropy = type(model).loss is FrozenExits.loss
    if len(linear) == len(model.heads) and in_reach and by_cross_entropy:
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
    one = _read(model, data, np.array([0]))
    lengths = data.lengths if model.reads_tokens else np.ones_like(data.lengths)
    shape = (int(lengths.sum()), *one["states"].shape[2:])
    size = 4 * int(np.prod(shape))
    if size > ON_DISK:
        return data
    if size <= IN_MEMORY:
        states = np.empty(shape, dtype=np.float32)
    else:
        with tempfile.TemporaryFile() as file:  # gone with the array
            _reserve(file.fileno(), size)
            states = np.memmap(file, np.float32, "w+", shape=shape)
    last = np.empty((len(data), one["last"].shape[-1]), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for rows in make_sorted_batches(data.lengths, BATCH):
        seen = _read(model, data, rows)
        last[rows] = seen["last"].cpu().numpy()
        for row, of_text in zip(rows, seen["states"].cpu().numpy(), strict=True):
            states[offsets[row] : offsets[row + 1]] = of_text[: lengths[row]]
    return FrozenStates(data.labels, data.lengths, states, last, offsets)


def _reserve(descriptor: int, size: int) -> None:
    """Reserves the bytes of a file: an array on a full disk ends the process without a word.

    Raises UserError if the disk has no room for them.
    """
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"{tempfile.gettempdir()} has no room for {size / 2**30:,.1f} GiB of states of a "
                "frozen model; free some, or set TMPDIR to a folder on a larger disk"
            ) from error


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


class _HeadGrid:
    """Heads of one form, once for each of DECAYS. All of them are computed at once."""

    def __init__(self, heads: nn.ModuleList):
        self.form = copy.deepcopy(heads[0])
        # For each decay, name -> the parameters of all heads, `[heads, ...]`.
        self.weights = [stack_module_state(list(heads))[0] for _ in DECAYS]

    def make_optimizer(self) -> torch.optim.AdamW:
        """As `loop.make_optimizer`: biases, which are vectors, do not decay."""
        groups = []
        for weights, decay in zip(self.weights, DECAYS, strict=True):
            matrices = [weight for weight in weights.values() if weight.ndim > 2]
            vectors = [weight for weight in weights.values() if weight.ndim <= 2]
            groups.append({"params": matrices, "weight_decay": decay})
            groups.append({"params": vectors, "weight_decay": 0.0})
        return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)

    def answer(self, states: torch.Tensor, training: bool) -> list[torch.Tensor]:
        """For each decay the logits `[batch, heads, labels]` of states `[batch, heads, width]`."""
        self.form.train(training)

        def answer_one(weights: dict[str, torch.Tensor], states: torch.Tensor) -> torch.Tensor:
            return functional_call(self.form, weights, (states,))

        answer_all = vmap(answer_one, in_dims=(0, 1), out_dims=1, randomness="different")
        return [answer_all(weights, states) for weights in self.weights]

    def read(self, decay: int, head: int) -> dict[str, torch.Tensor]:
        """A copy of the weights of one head, trained with that one of DECAYS."""
        return {name: w[head].detach().clone() for name, w in self.weights[decay].items()}


def _train_with_each_decay(
    model: FrozenExits, examples: Examples, settings: Settings, *, seed: int, name: str
) -> list[float]:
    """Trains the heads with each of DECAYS, side by side on the same batches.

    Leaves each head with the weights of the lowest log loss on dev, whatever the decay and the
    epoch. Returns after each epoch the dev score with the best weights until then.
    """
    grid = _HeadGrid(model.heads)
    optimizer = grid.make_optimizer()
    steps = settings.epochs * -(-len(examples.train) // settings.batch_size)
    sampler, progress = np.random.default_rng(seed), Progress(name, steps)
    torch.manual_seed(seed)  # dropout
    lowest = np.full(len(model.heads), np.inf)
    scores = []
    for _ in range(settings.epochs):
        for rows in make_shuffled_batches(examples.train.lengths, settings.batch_size, sampler):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(progress.done, steps, settings)
            states, last = _read_pooled(model, examples.train, rows)
            gold = torch.from_numpy(examples.train.labels[rows]).to(last.device)
            losses = [
                model.loss(torch.cat([logits, last[:, None]], dim=1), gold)
                for logits in grid.answer(states, training=True)
            ]
            optimizer.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            optimizer.step()
            progress.step()
        losses = _find_dev_losses(grid, model, examples.dev)
        for i, decay in enumerate(losses.argmin(axis=0).tolist()):
            if losses[decay, i] < lowest[i]:
                lowest[i] = losses[decay, i]
                model.heads[i].load_state_dict(grid.read(decay, i))
        scores.append(score_exits(model, examples, settings.precision))
    return scores


@torch.inference_mode()
def _find_dev_losses(grid: _HeadGrid, model: FrozenExits, dev: Batches) -> np.ndarray:
    """The log loss of every head, trained with each of DECAYS: `[decays, heads]`."""
    total = np.zeros((len(DECAYS), len(model.heads)))
    for rows in make_sorted_batches(dev.lengths, BATCH):
        states, _ = _read_pooled(model, dev, rows)
        gold = torch.from_numpy(dev.labels[rows]).to(states.device)
        for decay, logits in enumerate(grid.answer(states, training=False)):
            every = gold[:, None].expand(logits.shape[:2])
            losses = cross_entropy(logits.flatten(0, 1), every.flatten(), reduction="none")
            total[decay] += losses.view(every.shape).sum(dim=0).cpu().numpy()
    return total / len(dev)


def _read_pooled(
    model: FrozenExits, data: Batches, rows: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """The standardised states `[batch, heads, width]`, and the last exit's logits."""
    seen = _read(model, data, rows)
    return model.standardise(seen["states"])[:, 0], seen["last"]


def _solve(heads: list[nn.Linear], data: FrozenStates, dev: FrozenStates) -> None:
    for i, head in enumerate(heads):
        weight, bias = fit_linear(
            data.states[:, i], data.labels, dev.states[:, i], dev.labels, head.out_features
        )
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            head.bias.copy_(torch.from_numpy(bias))


def _states(model: FrozenExits, data: Batches, rows: np.ndarray) -> np.ndarray:
    """All tokens' states of these rows, `[tokens, heads, width]`."""
    seen = _read(model, data, rows)
    return seen["states"][seen["attention_mask"].bool()].cpu().numpy()


def _read(model: FrozenExits, data: Batches, rows: np.ndarray) -> Inputs:
    """What `FrozenExits.read` gives for these rows, stored or computed now."""
    seen = on_device(data.batch(rows))
    return seen if "states" in seen else model.read(seen)
