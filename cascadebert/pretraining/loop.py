"""The training loop of pre-training. The number of a step decides all that the step draws."""

import logging
import math
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from cascadebert.core.errors import UserError
from cascadebert.core.seeds import derive_seed
from cascadebert.pretraining import objectives
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import Student
from cascadebert.pretraining.teacher import Outputs
from cascadebert.pretraining.vocabulary import Tokens, cut_batches
from cascadebert.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from cascadebert.training.loop import autocast

log = logging.getLogger(__name__)

REPORT_SECONDS = 15.0


@dataclass(frozen=True)
class Schedule:
    """The length of a training and its learning rate. Tokens are counted without padding."""

    tokens: int
    batch_tokens: int
    learning_rate: float
    held_out: int
    warmup: float = 0.05
    weight_decay: float = 0.01
    evaluate_every: int = 500

    def find_rate(self, seen: int) -> float:
        """Returns the learning rate after `seen` tokens.

        The rate rises linearly over the `warmup` share of the tokens, then falls linearly to 0.
        """
        done = min(seen / self.tokens, 1.0)
        return self.learning_rate * min(done / self.warmup, (1 - done) / (1 - self.warmup))


def make_batches(lengths: np.ndarray, first: int, budget: int, seed: int) -> list[np.ndarray]:
    """Returns one epoch as batches of sentence numbers, without the sentences before `first`.

    Sentences are shuffled, sorted by length within pools of about a hundred batches, and cut into
    batches. Then the batches are shuffled.

    lengths: tokens of each sentence, `[sentences]`
    budget:  the most tokens in a batch, padding included
    """
    generator = np.random.default_rng(seed)
    order = first + generator.permutation(len(lengths) - first)
    pool = max(1, 100 * budget // int(lengths[order].mean()))
    found = []
    for start in range(0, len(order), pool):
        found += cut_batches(order[start : start + pool], lengths, budget)
    return [found[i] for i in generator.permutation(len(found))]


def collate(
    rows: np.ndarray,
    tokens: Tokens,
    outputs: Outputs | None,
    pad: int,
    device: torch.device | str,
) -> dict[str, torch.Tensor]:
    """Returns the padded batch of the sentences `rows` that `objectives.compute_losses` takes."""
    lengths = tokens.starts[rows + 1] - tokens.starts[rows]
    shape = (len(rows), int(lengths.max()))
    ids = np.full(shape, pad, np.int64)
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[i, :length] = tokens.ids[tokens.starts[row] : tokens.starts[row + 1]]
    mask = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
    batch: dict[str, np.ndarray] = {"ids": ids, "mask": mask}
    if outputs:
        batch["words"] = np.zeros((*shape, outputs.components), np.float32)
        for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            batch["words"][i, :length] = outputs.read_words(row)
        batch["sentence"] = np.stack([outputs.read_sentence(row) for row in rows]).astype(
            np.float32
        )
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The texts and targets that a student learns from, and the weights of its objectives.

    outputs: the teacher's outputs; None without a teacher
    pad_id:  the token id that pads a batch
    mask_id: the token id that stands for a hidden word
    """

    tokens: Tokens
    outputs: Outputs | None
    weights: Weights
    pad_id: int
    mask_id: int
    precision: str = "fp32"


@dataclass
class Progress:
    """The state of a training. `curve` has a row for each evaluation on held-out sentences."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


def train(
    student: Student, lesson: Lesson, schedule: Schedule, *, seed: int, checkpoint: Checkpoint
) -> Progress:
    """Trains `student` in place up to the token budget.

    An interrupted training goes on from the `checkpoint`, and ends with the same weights as one
    that never stopped. The first `held_out` sentences are never trained on. Returns the final
    state.
    """
    optimizer = _make_optimizer(student, schedule)
    progress = Progress()
    if stored := checkpoint.load():
        parts, about = stored
        student.load_state_dict(parts["student"])
        restore_optimizer(optimizer, parts["optimizer"])
        progress = Progress(**about)
    student.train()
    if not progress.curve:
        _evaluate(student, lesson, schedule.held_out, seed, progress)
    report = _Report(schedule.tokens, progress.tokens)
    lengths = lesson.tokens.lengths
    while progress.tokens < schedule.tokens:
        epoch_seed = derive_seed(seed, "epoch", progress.epoch)
        epoch = make_batches(lengths, schedule.held_out, schedule.batch_tokens, epoch_seed)
        for rows in epoch[progress.batch :]:
            if progress.tokens >= schedule.tokens:
                break
            found = _find_losses(student, lesson, rows, derive_seed(seed, "mask", progress.step))
            optimizer.zero_grad()
            objectives.weigh_losses(found, lesson.weights).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            progress.tokens += int(lengths[rows].sum())
            for group in optimizer.param_groups:
                group["lr"] = schedule.find_rate(progress.tokens)
            optimizer.step()
            progress.step += 1
            progress.batch += 1
            report.log_if_due(progress, found)
            if progress.step % schedule.evaluate_every == 0:
                _evaluate(student, lesson, schedule.held_out, seed, progress)
            if checkpoint.due():
                parts = {"student": student.state_dict(), "optimizer": optimizer_tensors(optimizer)}
                checkpoint.save(parts, asdict(progress))
        else:
            progress.epoch += 1
            progress.batch = 0
    _evaluate(student, lesson, schedule.held_out, seed, progress)
    return progress


def _make_optimizer(student: Student, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices alone."""
    trained = [p for p in student.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )


def _find_losses(
    student: Student, lesson: Lesson, rows: np.ndarray, mask_seed: int
) -> dict[str, torch.Tensor]:
    """Returns the losses of a batch by objective. `mask_seed` draws the words to hide."""
    where = next(student.parameters()).device
    batch = collate(rows, lesson.tokens, lesson.outputs, lesson.pad_id, where)
    corrupted = chosen = None
    if lesson.weights.mlm:
        generator = torch.Generator().manual_seed(mask_seed)
        maskable = batch["mask"].bool().clone()
        last = batch["mask"].sum(dim=1) - 1
        maskable[:, 0] = False  # [CLS]
        maskable[torch.arange(len(last), device=where), last] = False  # [SEP]
        corrupted, chosen = objectives.mask_words(
            batch["ids"],
            maskable,
            lesson.mask_id,
            student.encoder.config.vocab_size,
            generator,
        )
    with autocast(lesson.precision, where):
        return objectives.compute_losses(student, batch, lesson.weights, corrupted, chosen)


def _evaluate(
    student: Student, lesson: Lesson, held_out: int, seed: int, progress: Progress
) -> None:
    """Adds the mean losses on the first `held_out` sentences to the learning curve.

    Raises UserError if one is no number.
    """
    student.eval()
    sums: dict[str, float] = {}
    with torch.no_grad():
        for first in range(0, held_out, 100):
            rows = np.arange(first, min(first + 100, held_out))
            mask_seed = derive_seed(seed, "mask", f"held out {first}")
            for name, loss in _find_losses(student, lesson, rows, mask_seed).items():
                sums[name] = sums.get(name, 0.0) + loss.item() * len(rows)
    student.train()
    means = {name: value / held_out for name, value in sums.items()}
    if not all(map(math.isfinite, means.values())):
        raise UserError(
            f"the held-out loss is {_format_losses(means)} after {progress.tokens:,} tokens; the "
            "learning rate is probably too high (pretraining.schedule.learning_rate)"
        )
    progress.curve.append({"tokens": progress.tokens, **means})
    log.info(f"{progress.tokens:,} tokens: held-out loss {_format_losses(means)}")


class _Report:
    """Logs the state of a training and the time that is left, every REPORT_SECONDS.

    total: tokens to train on
    done:  tokens that an earlier process trained on
    """

    def __init__(self, total: int, done: int):
        self.total, self.done = total, done
        self.started = self.reported = time.monotonic()

    def log_if_due(self, progress: Progress, losses: dict[str, torch.Tensor]) -> None:
        now = time.monotonic()
        if now - self.reported < REPORT_SECONDS:
            return
        self.reported = now
        pace = (progress.tokens - self.done) / (now - self.started)
        left = max(self.total - progress.tokens, 0) / pace
        log.info(
            f"step {progress.step:,}, {progress.tokens:,} of {self.total:,} tokens, "
            f"loss {_format_losses({name: loss.item() for name, loss in losses.items()})}, "
            f"{pace:,.0f} tokens/s, {left / 60:.1f} min left"
        )


def _format_losses(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
