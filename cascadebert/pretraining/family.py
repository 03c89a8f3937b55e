"""The steps from raw text to a family of encoders. Each step reads files and writes files."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.encoders.loading import load_encoder, load_tokenizer
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.pretraining import corpus, loop
from cascadebert.pretraining.card import compose_model_card
from cascadebert.pretraining.loop import Lesson, Schedule
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import (
    Student,
    check_start,
    make_encoder_config,
    start_from_shallower,
    start_from_teacher,
    start_words_from_teacher,
)
from cascadebert.pretraining.teacher import Outputs, Space, Teacher, compute_outputs, fit_space
from cascadebert.pretraining.teacher import save_outputs as save_shard
from cascadebert.pretraining.vocabulary import (
    Tokens,
    check_tokenizer,
    read_sentences,
    train_wordpiece,
    write_sentences,
)
from cascadebert.training.checkpoint import Checkpoint, stopping_when_asked

Settings = dict[str, Any]  # parts of the section `pretraining` of the configuration

# Numbers of sentences that give the teacher's principal axes and the first word embeddings.
SPACE_SENTENCES = 2_000
WORD_SENTENCES = 50_000

# Settings of config.json for fine-tuning. Pre-training has no dropout and writes float16.
FINE_TUNING = {
    "dtype": "float32",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def name_device() -> str:
    """Returns "cuda" or "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_corpus(settings: Settings, seed: int, out: File) -> None:
    """Writes the sentences of the corpora to `out`, shuffled, one a line."""
    shortest, longest = settings["characters"]
    write_sentences(out, corpus.sample_corpora(settings["corpora"], seed, shortest, longest))


def make_vocabulary(
    settings: Settings, sentences_path: File, tokenizer_out: File, tokens_out: File
) -> None:
    """Writes the tokenizer, and the corpus as token ids.

    Raises UserError if the corpus is too small for the vocabulary or for the held-out sentences, or
    if the encoders cannot start as the teacher.
    """
    sentences = read_sentences(sentences_path)
    held_out = settings["held_out"]
    if len(sentences) <= 2 * held_out:
        raise UserError(
            f"the corpus is too small: it has {len(sentences)} sentences, and pretraining.held_out "
            f"takes {held_out} of them; give more text, or lower pretraining.held_out"
        )
    vocabulary = settings["vocabulary"]
    if "from" in vocabulary:
        tokenizer = load_tokenizer(vocabulary["from"])
        check_tokenizer(tokenizer)
        tokenizer.model_max_length = settings["encoder"]["positions"]
    else:
        tokenizer = train_wordpiece(sentences, vocabulary["size"], settings["encoder"]["positions"])
    if "start" in settings:
        check_start(settings["encoder"], tokenizer, settings["teacher"]["model"])
    with replacing(tokenizer_out) as draft:
        tokenizer.save_pretrained(draft)
    Tokens.of(sentences, tokenizer, settings["max_tokens"]).save(tokens_out)


def make_space(settings: Settings, sentences_path: File, out: File) -> None:
    """Writes the means and principal axes of the teacher's states to `out`."""
    sentences = read_sentences(sentences_path)[:SPACE_SENTENCES]
    components = settings["encoder"]["width"]
    fit_space(_load_teacher(settings), sentences, components, settings["max_tokens"]).save(out)


def make_outputs(
    settings: Settings, shard: int, sentences_path: File, tokenizer: File, space: File, out: File
) -> None:
    """Writes one shard of the teacher's outputs to the folder `out`.

    Raises UserError if there are more shards than the sentences fill.
    """
    sentences = read_sentences(sentences_path)
    count, size = _count_taught(settings, len(sentences))
    if shard * size >= count:
        raise UserError(
            f"pretraining.teacher.shards: {count} sentences in shards of {size} leave none for "
            f"shard {shard}; ask for fewer shards"
        )
    rows = sentences[shard * size : min((shard + 1) * size, count)]
    found = compute_outputs(
        _load_teacher(settings),
        Space.load(space),
        rows,
        load_tokenizer(tokenizer),
        settings["max_tokens"],
    )
    save_shard(out, *found)


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


def make_encoder(
    job: EncoderJob, checkpoint: Checkpoint, *, student: File, curve: File, model: File
) -> None:
    """Trains an encoder; writes its learning curve, and the encoder in two forms.

    student: folder for the encoder with its pre-training heads, from which a deeper encoder starts
    model:   folder for the encoder alone, in Hugging Face layout
    """
    depth = job.settings["layers"]
    tokenizer = load_tokenizer(job.tokenizer)
    lesson = _read_lesson(job, tokenizer)
    trained = _start_student(job, lesson, tokenizer)
    with stopping_when_asked():
        progress = loop.train(
            trained.to(name_device()),
            lesson,
            Schedule(**job.settings["schedule"], held_out=job.settings["held_out"]),
            seed=derive_seed(job.seed, "training", depth),
            checkpoint=checkpoint,
        )
    trained = trained.cpu()
    with replacing(student) as draft:
        save_weights(trained, draft)
    write_model(trained.encoder, tokenizer, model)
    loop.write_curve(curve, progress.curve)
    checkpoint.remove()


def _read_lesson(job: EncoderJob, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """Reads what the student learns from. Raises UserError if no sentence is left to train on."""
    settings = job.settings
    tokens, outputs = Tokens.load(job.tokens), None
    if job.shards:
        count, size = _count_taught(settings, len(tokens))
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
        count = min(len(lesson.tokens), WORD_SENTENCES)
        start_words_from_teacher(student, lesson.tokens, outputs, count)
    return student


def write_model(encoder: BertModel, tokenizer: PreTrainedTokenizerBase, out: File) -> None:
    """Writes an encoder in Hugging Face layout, with float16 weights that load as float32."""
    with replacing(out) as draft:
        halved = BertModel(encoder.config)
        halved.load_state_dict(encoder.state_dict())
        halved.half().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        path = draft / "config.json"
        config = json.loads(path.read_text()) | FINE_TUNING
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def publish(settings: Settings, model: File, curve: File, tokens_path: File, out: File) -> None:
    """Copies a trained encoder to its place in the family, with a model card."""
    rows = pd.read_csv(curve).to_dict("records")
    config = BertConfig.from_pretrained(model)
    count = len(Tokens.load(tokens_path))
    if "teacher" in settings:
        count, _ = _count_taught(settings, count)
    with replacing(out) as draft:
        shutil.copytree(model, draft, ignore=shutil.ignore_patterns(".*"))
        (draft / "README.md").write_text(compose_model_card(settings, config, rows[-1], count))


def _build_student(
    settings: Settings,
    tokenizer: PreTrainedTokenizerBase,
    depth: int,
    outputs: Outputs | None,
    weights: Weights,
) -> Student:
    shape = settings["encoder"]
    return Student(
        make_encoder_config(
            tokenizer,
            depth,
            shape["width"],
            shape["heads"],
            shape["intermediate"],
            shape["positions"],
            name_device(),
        ),
        outputs.width if outputs and weights.sentence else None,
        outputs.components if outputs and weights.words else None,
        weights.mlm > 0,
    )


def _load_teacher(settings: Settings) -> Teacher:
    chosen = settings["teacher"]
    return Teacher(
        chosen["model"],
        chosen.get("layer"),
        chosen.get("prefix", ""),
        settings["precision"],
        name_device(),
    )


def _count_taught(settings: Settings, available: int) -> tuple[int, int]:
    """Returns the number of sentences that the teacher reads, and the number in each shard."""
    count = min(available, settings["teacher"].get("sentences", available))
    return count, math.ceil(count / settings["teacher"]["shards"])
