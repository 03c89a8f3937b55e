"""The training loop, the same for every system."""

import copy
import logging
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn

from cascadebert.core.errors import UserError
from cascadebert.core.progress import Progress
from cascadebert.data.scores import score
from cascadebert.data.tokens import TokenizedSplit, shuffled_batches, sorted_batches
from cascadebert.training.checkpoint import (
    Checkpoint,
    optimizer_tensors,
    random_states,
    restore_optimizer,
    restore_random_states,
)
from cascadebert.training.losses import difficulty_margin_loss

log = logging.getLogger(__name__)

PARTS = ["model", "optimizer", "random", "best"]  # of the state that a checkpoint keeps


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
    def of(cls, section: dict) -> "Settings":
        """From the section of the configuration; it may hold keys for other stages too."""
        return cls(**{f.name: section[f.name] for f in fields(cls) if f.name in section})


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic(precision: str, where: torch.device) -> torch.dtype:
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
    reduced = arithmetic(precision, where) == torch.bfloat16
    return torch.autocast(where.type, torch.bfloat16, enabled=reduced)


def adamw(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW with decoupled weight decay; none on biases and LayerNorm, which have one dimension.

    The parts that the model names in `added_exits` learn at `exit_rate` times the learning rate.
    """
    parts = model.added_exits() if hasattr(model, "added_exits") else []
    added = {p for part in parts for p in part.parameters()}
    groups = []
    for rate, inside in ((1.0, False), (settings.exit_rate, True)):
        trained = [p for p in model.parameters() if p.requires_grad and (p in added) == inside]
        groups += [
            {
                "params": [p for p in trained if p.ndim > 1],
                "weight_decay": settings.weight_decay,
                "rate": rate,
            },
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "rate": rate},
        ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, steps: int, settings: Settings) -> float:
    """Rises for the share `warmup` of all steps, then falls to zero, both linearly."""
    rise = max(1, round(settings.warmup * steps))
    return settings.learning_rate * min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def train(
    model: nn.Module,
    data: TokenizedSplit,
    rows: np.ndarray,
    dev: TokenizedSplit,
    metric: str,
    settings: Settings,
    seed: int,
    name: str,
    difficult: np.ndarray | None = None,
    margin: float | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Fine-tunes `model` in place on these rows and leaves it as it was after its best epoch.

    The best epoch is the one with the highest score on `dev`, averaged over the exits. With
    `margin`, the objective is the model's own plus `difficulty_weight` times the difficulty-aware
    regularisation of the only exit's confidence (paper, Eq. 5).

    rows:       the examples of `data` to train on, int64 `[rows]`
    difficult:  bool `[examples of data]`
    checkpoint: where the state is kept meanwhile. If there is one, training goes on from it, and
                ends with the same weights as if it had never stopped

    Returns the dev score after each epoch, in percent. Raises UserError if the loss is not finite.
    """
    where = device()
    model.to(where)
    optimizer = adamw(model, settings)
    in_epoch = -(-len(rows) // settings.batch_size)
    steps = settings.epochs * in_epoch
    sampler = np.random.default_rng(seed)
    torch.manual_seed(seed)  # dropout
    scores, best, start = [], {}, 0
    if stored := checkpoint and checkpoint.load(PARTS):
        parts, about = stored
        scores, best, start = about["scores"], parts["best"], about["step"]
        model.load_state_dict(parts["model"])
        restore_optimizer(optimizer, parts["optimizer"])
        restore_random_states(parts["random"], where)
    progress = Progress(name, steps, start)

    def save():
        parts = model.state_dict(), optimizer_tensors(optimizer), random_states(where), best
        about = {"step": progress.done, "scores": scores}
        checkpoint.save(dict(zip(PARTS, parts, strict=True)), about)

    for epoch in range(settings.epochs):
        # Drawn for epochs that are done, too: the sampler goes on from where it was.
        batches = shuffled_batches(data.lengths[rows], settings.batch_size, sampler)
        model.train()
        for batch in batches[max(0, progress.done - epoch * in_epoch) :]:
            step = progress.done
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(step, steps, settings)
            batch = rows[batch]
            inputs = {key: value.to(where) for key, value in data.batch(batch).items()}
            gold = torch.from_numpy(data.labels[batch]).to(where)
            with autocast(settings.precision, where):
                logits, loss = model.objective(inputs, gold, step, steps)
            if margin is not None:
                confidence = logits[:, 0].softmax(dim=-1).amax(dim=-1)
                hard = torch.from_numpy(difficult[batch]).to(where)
                loss = loss + settings.difficulty_weight * difficulty_margin_loss(
                    confidence, hard, margin
                )
            if not torch.isfinite(loss):
                raise UserError(
                    f"{name}: the loss is {loss.item()} at step {step + 1} of {steps}; "
                    "the learning rate is probably too high (training.learning_rate)"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            progress.step(f"epoch {epoch + 1}/{settings.epochs} loss {loss.item():.3f}")
            if checkpoint and checkpoint.due():
                save()

        if len(scores) > epoch:
            continue
        predicted = predict(model, dev, precision=settings.precision).argmax(axis=-1)
        scores.append(float(np.mean([score(metric, exit, dev.labels) for exit in predicted.T])))
        log.info("%s epoch %d: dev %s %.2f", name, epoch + 1, metric, scores[-1])
        if scores[-1] > max(scores[:-1], default=-1):
            best = copy.deepcopy(model.state_dict())

    model.load_state_dict(best)
    return scores


@torch.inference_mode()
def predict(
    model: nn.Module, data: TokenizedSplit, batch_size: int = 128, precision: str = "fp32"
) -> np.ndarray:
    """The logits of all exits, float32 `[examples, exits, labels]`, in the order of `data`.

    In full precision by default: rounded confidences would tie.
    """
    where = device()
    model.to(where).eval()
    logits = None
    for rows in sorted_batches(data.lengths, batch_size):
        inputs = {key: value.to(where) for key, value in data.batch(rows).items()}
        with autocast(precision, where):
            batch = model(inputs).cpu().numpy()
        if logits is None:
            logits = np.empty((len(data), *batch.shape[1:]), dtype=np.float32)
        logits[rows] = batch
    return logits
