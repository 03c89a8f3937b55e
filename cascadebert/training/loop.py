"""The training loop, the same for every system."""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from cascadebert.data.scores import score
from cascadebert.data.tokens import make_shuffled_batches, make_sorted_batches
from cascadebert.models.base import ExitModel, Inputs
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.course import Course
from cascadebert.training.losses import difficulty_margin_loss

log = logging.getLogger(__name__)

BATCH = 128  # examples that a model answers at once


@dataclass(frozen=True)
class Settings:
    """The section `training` of the configuration; the schema there says what each means."""

    epochs: int
    learning_rate: float
    batch_size: int
    weight_decay: float
    warmup: float
    clip: float
    precision: str
    exit_rate: float
    difficulty_weight: float = 0.0

    @classmethod
    def of(cls, section: dict[str, Any]) -> "Settings":
        """From the section of the configuration; it may hold keys for other stages too."""
        return cls(**{f.name: section[f.name] for f in fields(cls) if f.name in section})


def choose_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_device(inputs: Inputs) -> Inputs:
    """A batch on the device that models are on."""
    return {name: values.to(choose_device()) for name, values in inputs.items()}


def choose_dtype(precision: str, where: torch.device) -> torch.dtype:
    """`precision` is bf16, fp32, or auto: bf16 if the hardware has it."""
    if precision == "auto":
        if where.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            # Older torch cannot tell: fp32.
            capabilities = getattr(torch.cpu, "get_capabilities", dict)()
            fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
        precision = "bf16" if fast else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def autocast(precision: str, where: torch.device) -> torch.autocast:
    reduced = choose_dtype(precision, where) == torch.bfloat16
    return torch.autocast(where.type, torch.bfloat16, enabled=reduced)


def make_optimizer(
    model: ExitModel, settings: Settings, weights: Mapping[str, torch.Tensor] | None = None
) -> torch.optim.AdamW:
    """AdamW with decoupled weight decay; none on biases and LayerNorm, which have one dimension.

    The model's `added_exits` learn at `exit_rate` times the learning rate.

    weights: what is trained in place of the model's own weights of these names
    """
    added = {p for part in model.added_exits() for p in part.parameters()}
    own = {name: p for name, p in model.named_parameters() if p.requires_grad}
    trained = own if weights is None else weights
    groups = []
    for is_added, rate in ((False, 1.0), (True, settings.exit_rate)):
        for is_matrix, decay in ((True, settings.weight_decay), (False, 0.0)):
            kind = is_added, is_matrix
            names = [name for name, p in own.items() if (p in added, p.ndim > 1) == kind]
            if names:
                weights_of_kind = [trained[name] for name in names]
                groups.append({"params": weights_of_kind, "weight_decay": decay, "rate": rate})
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, steps: int, settings: Settings) -> float:
    """Rises for the share `warmup` of all steps, then falls to zero, both linearly."""
    rise = max(1, round(settings.warmup * steps))
    return settings.learning_rate * min((step + 1) / rise, (steps - step) / max(1, steps - rise))


class Batches(Protocol):
    """Examples that a model reads in batches: a `TokenizedSplit`, or a frozen model's states."""

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def lengths(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray) -> Inputs: ...


@dataclass(frozen=True, eq=False)
class Examples:
    """The examples of a training.

    train:  the model learns from these
    dev:    these choose the best epoch
    metric: the score on `dev`, see `data.scores`
    """

    train: Batches
    dev: Batches
    metric: str


@dataclass(frozen=True, eq=False)
class Regularisation:
    """Difficulty-aware regularisation of the only exit's confidence (paper, Eq. 5).

    difficult: bool `[training examples]`
    margin:    between the confidence of easy and of difficult examples
    """

    difficult: np.ndarray
    margin: float


def train(
    model: ExitModel,
    examples: Examples,
    settings: Settings,
    *,
    seed: int,
    name: str,
    regularisation: Regularisation | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Fine-tunes `model` in place and leaves it as it was after its best epoch.

    The best epoch is the one with the highest score on the dev examples, averaged over the exits.
    The objective is the model's own, plus `difficulty_weight` times the regularisation's if there
    is one.

    name:       of the training, in the log
    checkpoint: where the state is kept meanwhile. If there is one, training goes on from it, and
                ends with the same weights as if it had never stopped

    Returns the dev score after each epoch, in percent. Raises UserError if the loss is not finite.
    """
    where = choose_device()
    model.to(where)
    optimizer = make_optimizer(model, settings)
    sampler = np.random.default_rng(seed)
    torch.manual_seed(seed)  # dropout
    course: Course[float] = Course(
        name=name,
        epochs=settings.epochs,
        in_epoch=-(-len(examples.train) // settings.batch_size),
        weights=model.state_dict(),
        optimizer=optimizer,
        where=where,
        checkpoint=checkpoint,
    )
    for epoch in range(settings.epochs):
        # Drawn for epochs that are done, too: the sampler goes on from where it was.
        batches = make_shuffled_batches(examples.train.lengths, settings.batch_size, sampler)
        model.train()
        for rows in batches[course.done_in(epoch) :]:
            step, steps = course.done, course.steps
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(step, steps, settings)
            loss = _find_loss(model, examples.train, rows, step, steps, settings, regularisation)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            course.end_step(loss)

        if len(course.scores) > epoch:
            continue
        reached = score_exits(model, examples, settings.precision)
        log.info("%s epoch %d: dev %s %.2f", name, epoch + 1, examples.metric, reached)
        if reached > max(course.scores, default=-1):
            course.best = copy.deepcopy(model.state_dict())
        course.scores.append(reached)

    model.load_state_dict(course.best)
    return course.scores


def _find_loss(
    model: ExitModel,
    examples: Batches,
    rows: np.ndarray,
    step: int,
    steps: int,
    settings: Settings,
    regularisation: Regularisation | None,
) -> torch.Tensor:
    """The loss of the batch of these rows, which is that of step `step` of `steps`."""
    where = choose_device()
    inputs = on_device(examples.batch(rows))
    gold = torch.from_numpy(examples.labels[rows]).to(where)
    with autocast(settings.precision, where):
        logits, loss = model.objective(inputs, gold, step, steps)
    if regularisation is None:
        return loss
    confidence = logits[:, 0].softmax(dim=-1).amax(dim=-1)
    difficult = torch.from_numpy(regularisation.difficult[rows]).to(where)
    margin_loss = difficulty_margin_loss(confidence, difficult, regularisation.margin)
    return loss + settings.difficulty_weight * margin_loss


def score_exits(model: ExitModel, examples: Examples, precision: str) -> float:
    """The score on the dev examples, in percent, averaged over the exits."""
    predicted = predict(model, examples.dev, precision=precision).argmax(axis=-1)
    scores = [score(examples.metric, exit, examples.dev.labels) for exit in predicted.T]
    return float(np.mean(scores))


@torch.inference_mode()
def predict(
    model: ExitModel, data: Batches, batch_size: int = BATCH, precision: str = "fp32"
) -> np.ndarray:
    """The logits of all exits, float32 `[examples, exits, labels]`, in the order of `data`.

    In full precision by default: rounded confidences would tie.
    """
    where = choose_device()
    model.to(where).eval()
    order, batches = [], []
    for rows in make_sorted_batches(data.lengths, batch_size):
        with autocast(precision, where):
            batches.append(model(on_device(data.batch(rows))).cpu().numpy())
        order.append(rows)
    logits = np.concatenate(batches)
    found = np.empty_like(logits)
    found[np.concatenate(order)] = logits
    return found
