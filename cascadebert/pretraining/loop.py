"""The training loop of the pre-training stage; what it does depends on the step number only."""

import csv
import logging
import os
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from cascadebert.core.files import replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.pretraining import objectives
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import Student
from cascadebert.pretraining.teacher import Outputs
from cascadebert.pretraining.vocabulary import Tokens
from cascadebert.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from cascadebert.training.loop import autocast

log = logging.getLogger(__name__)

REPORT_SECONDS = 15.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. Tokens count without padding."""

    tokens: int
    batch_tokens: int = 4096
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    held_out: int = 1000
    evaluate_every: int = 500

    def rate(self, seen: int) -> float:
        """Rises linearly over the `warmup` share of the tokens, then falls linearly to 0."""
        done = min(seen / self.tokens, 1.0)
        return self.learning_rate * min(done / self.warmup, (1 - done) / (1 - self.warmup))


def batches(lengths: np.ndarray, first: int, budget: int, seed: int) -> list[np.ndarray]:
    """One epoch over sentences `first`..: batches of like length, at most `budget` tokens padded.

    Sentences are shuffled, sorted by length within pools of a hundred batches or so, cut into
    batches, and these are shuffled again.
    """
    generator = np.random.default_rng(seed)
    order = first + generator.permutation(len(lengths) - first)
    pool = max(1, 100 * budget // int(lengths[order].mean()))
    found = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        at = 0
        while at < len(rows):
            size = max(1, budget // int(lengths[rows[at]]))
            found.append(rows[at : at + size])
            at += size
    return [found[i] for i in generator.permutation(len(found))]


def collate(rows: np.ndarray, tokens: Tokens, outputs: Outputs | None, pad: int, device) -> dict:
    """The batch of the sentences `rows`, padded to the longest; see objectives.losses."""
    lengths = tokens.lengths[rows]
    shape = (len(rows), int(lengths.max()))
    ids = np.full(shape, pad, np.int64)
    words = np.zeros((*shape, outputs.components), np.float32) if outputs else None
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[i, :length] = tokens.ids[tokens.starts[row] : tokens.starts[row + 1]]
        if outputs:
            words[i, :length] = outputs.words(row)
    batch = {"ids": ids, "mask": (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)}
    if outputs:
        batch["words"] = words
        batch["sentence"] = np.stack([outputs.sentence(row) for row in rows]).astype(np.float32)
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}


@dataclass
class Progress:
    """Where a training stands. `curve` holds a row for each evaluation on held-out sentences."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    curve: list[dict] = field(default_factory=list)


def train(
    student: Student,
    tokens: Tokens,
    outputs: Outputs | None,
    weights: Weights,
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint,
    mask_id: int | None = None,
    precision: str = "fp32",
) -> Progress:
    """Trains `student` in place up to the token budget.

    If there is a `checkpoint`, training goes on from it and ends with the same weights as if it had
    never stopped. The first `held_out` sentences are never trained on.
    """
    device = next(student.parameters()).device
    pad = student.encoder.config.pad_token_id
    trained = [p for p in student.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    progress = Progress()
    if stored := checkpoint.load(["student", "optimizer"]):
        parts, about = stored
        student.load_state_dict(parts["student"])
        restore_optimizer(optimizer, parts["optimizer"])
        progress = Progress(**about)

    def found_losses(rows, step):
        batch = collate(rows, tokens, outputs, pad, device)
        corrupted = chosen = None
        if weights.mlm:
            generator = torch.Generator().manual_seed(derive_seed(seed, "mask", step))
            maskable = batch["mask"].bool().clone()
            maskable[:, 0] = False
            corrupted, chosen = objectives.mask_words(
                batch["ids"], maskable, mask_id, student.encoder.config.vocab_size, generator
            )
        with autocast(precision, device):
            return objectives.losses(student, batch, weights, corrupted, chosen)

    def evaluate():
        student.eval()
        sums = {}
        with torch.no_grad():
            for first in range(0, schedule.held_out, 100):
                rows = np.arange(first, min(first + 100, schedule.held_out))
                for name, loss in found_losses(rows, f"held out {first}").items():
                    sums[name] = sums.get(name, 0.0) + loss.item() * len(rows)
        student.train()
        held_out = {name: value / schedule.held_out for name, value in sums.items()}
        progress.curve.append({"tokens": progress.tokens, **held_out})
        log.info(f"{progress.tokens:,} tokens: held-out loss {_listed(held_out)}")

    student.train()
    if not progress.curve:
        evaluate()
    started = reported = time.monotonic()
    tokens_before = progress.tokens
    while progress.tokens < schedule.tokens:
        epoch = batches(
            tokens.lengths,
            schedule.held_out,
            schedule.batch_tokens,
            derive_seed(seed, "epoch", progress.epoch),
        )
        for rows in epoch[progress.batch :]:
            if progress.tokens >= schedule.tokens:
                break
            found = found_losses(rows, progress.step)
            optimizer.zero_grad()
            objectives.total(found, weights).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            progress.tokens += int(tokens.lengths[rows].sum())
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(progress.tokens)
            optimizer.step()
            progress.step += 1
            progress.batch += 1
            if time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                pace = (progress.tokens - tokens_before) / (time.monotonic() - started)
                left = max(schedule.tokens - progress.tokens, 0) / pace
                log.info(
                    f"step {progress.step:,}, {progress.tokens:,} of {schedule.tokens:,} tokens, "
                    f"loss {_listed({name: loss.item() for name, loss in found.items()})}, "
                    f"{pace:,.0f} tokens/s, {left / 60:.1f} min left"
                )
            if progress.step % schedule.evaluate_every == 0:
                evaluate()
            if checkpoint.due():
                parts = {"student": student.state_dict(), "optimizer": optimizer_tensors(optimizer)}
                checkpoint.save(parts, asdict(progress))
        else:
            progress.epoch += 1
            progress.batch = 0
    evaluate()
    return progress


def _listed(values: dict) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def write_curve(path: str | os.PathLike, curve: list[dict]) -> None:
    with replacing(path) as draft, draft.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(curve[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curve)
