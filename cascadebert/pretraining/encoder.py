"""Trains one encoder of a family, and goes on with a training that was interrupted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from transformers import BertModel, PreTrainedTokenizerBase

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.encoders.loading import load_encoder, load_tokenizer
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.pretraining import loop
from cascadebert.pretraining.loop import Lesson, Schedule
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import (
    Student,
    has_trained_pooler,
    make_encoder_config,
    start_from_shallower,
    start_from_teacher,
    start_words_from_teacher,
)
from cascadebert.pretraining.teacher import Outputs, Space, count_taught
from cascadebert.pretraining.vocabulary import Tokens
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.loop import choose_device
from cascadebert.training.store import Store, fingerprint, put

Settings = dict[str, Any]  # parts of the section `pretraining` of the configuration

WORD_SENTENCES = 50_000  # so many give the first word embeddings

# Settings of config.json for fine-tuning. Pre-training has no dropout and writes float16.
FINE_TUNING = {
    "dtype": "float32",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class EncoderJob:
    """The training of one encoder of the family.

    settings:  parts of the section `pretraining`; also `layers` and `schedule` of this encoder, and
               the number of layers of the `shallower` encoder
    tokenizer: the folder that `make_vocabulary` wrote
    tokens:    the corpus as token ids
    shards:    the teacher's outputs; none without a teacher
    space:     the stored `Space` of the teacher, if the encoder starts as the teacher
    shallower: the stored student of fewer layers, if the encoder starts from that student
    """

    settings: Settings
    seed: int
    tokenizer: File
    tokens: File
    shards: Sequence[File]
    space: File | None
    shallower: File | None

    @property
    def key(self) -> str:
        """A name for all that the training depends on."""
        files = [self.tokenizer, self.tokens, *self.shards]
        if self.space is not None:
            files += [self.space, self.settings["teacher"]["model"]]
        if self.shallower is not None:
            files.append(self.shallower)
        about = {"settings": self.settings, "seed": self.seed}
        return fingerprint(about, files, modules=[__name__])


def make_encoder(job: EncoderJob, store: Store, *, student: File, curve: File, model: File) -> None:
    """Trains an encoder, unless it is in the `store`; writes it in two forms, and its curve.

    student: folder for the encoder with its pre-training heads, from which a deeper encoder starts
    model:   folder for the encoder alone, in Hugging Face layout
    """

    def fit(draft: Path, checkpoint: Checkpoint) -> None:
        settings, tokenizer = job.settings, load_tokenizer(job.tokenizer)
        lesson = _read_lesson(job, tokenizer)
        trained = _start_student(job, lesson, tokenizer).to(choose_device())
        progress = loop.train(
            trained,
            lesson,
            Schedule(**settings["schedule"], held_out=settings["held_out"]),
            seed=derive_seed(job.seed, "training", settings["layers"]),
            checkpoint=checkpoint,
        )
        save_weights(trained.cpu(), draft / "student")
        pd.DataFrame(progress.curve).to_csv(draft / "curve.csv", index=False)
        has_pooler = has_trained_pooler(settings)
        write_model(trained.encoder, tokenizer, draft / "model", has_pooler=has_pooler)

    kept = store.keep(job.key, fit)
    for name, output in {"student": student, "curve.csv": curve, "model": model}.items():
        put(kept / name, output)


def _read_lesson(job: EncoderJob, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """Reads what the student learns from. Raises UserError if no sentence is left to train on."""
    settings = job.settings
    tokens, outputs = Tokens.load(job.tokens), None
    if job.shards:
        count, size = count_taught(settings, len(tokens))
        tokens = Tokens(tokens.ids[: tokens.starts[count]], tokens.starts[: count + 1])
        outputs = Outputs(job.shards, size, tokens.starts)
    if len(tokens) <= settings["held_out"]:
        raise UserError(
            f"pretraining.teacher.sentences: the teacher reads {len(tokens)} sentences, and "
            f"pretraining.held_out takes {settings['held_out']}, so that none is left to train on; "
            "raise the first or lower the second"
        )
    return Lesson(
        tokens=tokens,
        outputs=outputs,
        weights=Weights(**settings["objectives"]),
        pad_id=tokenizer.pad_token_id,
        mask_id=tokenizer.mask_token_id,
        precision=settings["precision"],
    )


def _start_student(job: EncoderJob, lesson: Lesson, tokenizer: PreTrainedTokenizerBase) -> Student:
    """Returns the student before training.

    It starts from a shallower student, from the teacher's layers, from the teacher's mean state of
    each word, or from random weights.
    """
    settings, outputs, weights = job.settings, lesson.outputs, lesson.weights
    torch.manual_seed(derive_seed(job.seed, "weights", settings["layers"]))
    student = _build_student(settings, tokenizer, settings["layers"], outputs, weights)
    if job.shallower:
        older = _build_student(settings, tokenizer, settings["shallower"], outputs, weights)
        load_weights(older, job.shallower)
        start_from_shallower(student, older)
    elif job.space is not None:
        teacher = load_encoder(settings["teacher"]["model"], settings["teacher"].get("layer"))
        start_from_teacher(student, cast(BertModel, teacher), Space.load(job.space))
    elif weights.words and outputs is not None:
        first = settings["held_out"]
        sentences = range(first, min(len(lesson.tokens), first + WORD_SENTENCES))
        start_words_from_teacher(student, lesson.tokens, outputs, sentences)
    return student


def write_model(
    encoder: BertModel, tokenizer: PreTrainedTokenizerBase, out: File, *, has_pooler: bool
) -> None:
    """Writes an encoder in Hugging Face layout, with float16 weights that load as float32.

    has_pooler: whether to write its pooler
    """
    weights = {
        name: weight.half()
        for name, weight in encoder.state_dict().items()
        if has_pooler or not name.startswith("pooler.")
    }
    with replacing(out) as draft:
        encoder.save_pretrained(draft, state_dict=weights)
        tokenizer.save_pretrained(draft)
        path = draft / "config.json"
        config = json.loads(path.read_text()) | FINE_TUNING
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _build_student(
    settings: Settings,
    tokenizer: PreTrainedTokenizerBase,
    depth: int,
    outputs: Outputs | None,
    weights: Weights,
) -> Student:
    return Student(
        make_encoder_config(tokenizer, depth, settings["encoder"]),
        outputs.width if outputs and weights.sentence else None,
        outputs.components if outputs and weights.words else None,
        weights.mlm > 0,
    )
