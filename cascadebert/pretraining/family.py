"""The steps from raw text to a family of encoders; each reads files and writes files."""

import json
import math
import os
import shutil

import pandas as pd
import torch
from transformers import BertConfig, BertModel

from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.encoders.loading import load_encoder, load_tokenizer
from cascadebert.encoders.weights import load_weights, save_weights
from cascadebert.pretraining import corpus, loop
from cascadebert.pretraining.card import model_card
from cascadebert.pretraining.loop import Schedule
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import (
    Student,
    check_start,
    encoder_config,
    start_from_shallower,
    start_from_teacher,
    start_words_from_teacher,
)
from cascadebert.pretraining.teacher import Outputs, Space, Teacher, fit_space, teacher_outputs
from cascadebert.pretraining.teacher import save_outputs as save_shard
from cascadebert.pretraining.vocabulary import (
    Tokens,
    check_tokenizer,
    read_sentences,
    train_wordpiece,
    write_sentences,
)
from cascadebert.training.checkpoint import Checkpoint, stopping_on_sigterm

# Sentences from which the teacher's principal axes and the first word embeddings are taken.
SPACE_SENTENCES = 2_000
WORD_SENTENCES = 50_000

# What pre-training does without and fine-tuning wants.
FINE_TUNING = {
    "dtype": "float32",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_corpus(settings: dict, seed: int, out: str | os.PathLike) -> None:
    """Writes the sentences to train on, shuffled, one a line."""
    shortest, longest = settings["characters"]
    write_sentences(out, corpus.sample_corpora(settings["corpora"], seed, shortest, longest))


def make_vocabulary(settings: dict, sentences_path, tokenizer_out, tokens_out) -> None:
    """Writes the tokenizer and the corpus as token ids.

    Raises UserError if the corpus is too small for the vocabulary or to hold sentences out, or if
    the encoders cannot start as the teacher.
    """
    sentences = read_sentences(sentences_path)
    held_out = settings["held_out"]
    if len(sentences) <= 2 * held_out:
        raise UserError(
            f"the corpus is too small: {len(sentences)} sentences, of which pretraining.held_out "
            f"takes {held_out}; give more text or hold fewer out"
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


def make_space(settings: dict, sentences_path, out) -> None:
    """Writes the teacher's means and principal axes."""
    sentences = read_sentences(sentences_path)[:SPACE_SENTENCES]
    components = settings["encoder"]["width"]
    fit_space(_teacher(settings), sentences, components, settings["max_tokens"]).save(out)


def make_outputs(settings: dict, shard: int, sentences_path, tokenizer, space, out) -> None:
    """Writes one shard of the teacher's outputs."""
    sentences = read_sentences(sentences_path)
    count, size = _taught(settings, len(sentences))
    if shard * size >= count:
        raise UserError(
            f"pretraining.teacher.shards: {count} sentences in shards of {size} leave nothing for "
            f"shard {shard}; ask for fewer shards"
        )
    rows = sentences[shard * size : min((shard + 1) * size, count)]
    found = teacher_outputs(
        _teacher(settings),
        Space.load(space),
        rows,
        load_tokenizer(tokenizer),
        settings["max_tokens"],
    )
    save_shard(out, *found)


def make_encoder(
    settings: dict,
    seed: int,
    tokenizer_path,
    tokens_path,
    shards: list,
    space,
    shallower,
    checkpoint: Checkpoint,
    student_out,
    curve_out,
    model_out,
) -> None:
    """Trains the encoder of `settings["layers"]` layers; writes it and its learning curve.

    space: the teacher's, if the encoder starts as the teacher, or None; shallower: the stored
    student of `settings["shallower"]` layers to start from, or None; student_out: the encoder with
    its heads, for a deeper one to start from.
    """
    depth = settings["layers"]
    tokenizer = load_tokenizer(tokenizer_path)
    tokens = Tokens.load(tokens_path)
    outputs = None
    if shards:
        count, size = _taught(settings, len(tokens))
        tokens = Tokens(tokens.ids[: tokens.starts[count]], tokens.starts[: count + 1])
        outputs = Outputs(shards, size, tokens.starts)
    if len(tokens) <= settings["held_out"]:
        raise UserError(
            f"pretraining.teacher.sentences: the teacher reads {len(tokens)} sentences, and "
            f"pretraining.held_out takes {settings['held_out']} of them: none is left to train on"
        )
    weights = Weights(**settings["objectives"])
    torch.manual_seed(derive_seed(seed, "weights", depth))
    student = _student(settings, tokenizer, depth, outputs, weights)
    if shallower:
        older = _student(settings, tokenizer, settings["shallower"], outputs, weights)
        load_weights(older, shallower)
        start_from_shallower(student, older)
    elif "start" in settings:
        teacher = load_encoder(settings["teacher"]["model"], settings["teacher"].get("layer"))
        start_from_teacher(student, teacher, Space.load(space))
    elif weights.words:
        start_words_from_teacher(student, tokens, outputs, min(len(tokens), WORD_SENTENCES))
    with stopping_on_sigterm():
        progress = loop.train(
            student.to(device()),
            tokens,
            outputs,
            weights,
            Schedule(**settings["schedule"], held_out=settings["held_out"]),
            derive_seed(seed, "training", depth),
            checkpoint,
            tokenizer.mask_token_id,
            settings["precision"],
        )
    student = student.cpu()
    with replacing(student_out) as draft:
        save_weights(student, draft)
    write_model(student.encoder, tokenizer, model_out)
    loop.write_curve(curve_out, progress.curve)
    checkpoint.remove()


def write_model(encoder: BertModel, tokenizer, out: str | os.PathLike) -> None:
    """An encoder in Hugging Face layout, with float16 weights that load as float32."""
    with replacing(out) as draft:
        halved = BertModel(encoder.config)
        halved.load_state_dict(encoder.state_dict())
        halved.half().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        path = draft / "config.json"
        config = json.loads(path.read_text()) | FINE_TUNING
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def publish(settings: dict, model, curve, tokens_path, out: str | os.PathLike) -> None:
    """Copies a trained encoder to its place in the family, with a model card."""
    rows = pd.read_csv(curve).to_dict("records")
    config = BertConfig.from_pretrained(model)
    count = len(Tokens.load(tokens_path))
    if "teacher" in settings:
        count, _ = _taught(settings, count)
    with replacing(out) as draft:
        shutil.copytree(model, draft, ignore=shutil.ignore_patterns(".*"))
        (draft / "README.md").write_text(model_card(settings, config, rows[-1], count))


def _student(settings: dict, tokenizer, depth: int, outputs, weights: Weights) -> Student:
    shape = settings["encoder"]
    return Student(
        encoder_config(
            tokenizer,
            depth,
            shape["width"],
            shape["heads"],
            shape["intermediate"],
            shape["positions"],
            device(),
        ),
        outputs.width if outputs and weights.sentence else None,
        outputs.components if outputs and weights.words else None,
        weights.mlm > 0,
    )


def _teacher(settings: dict) -> Teacher:
    chosen = settings["teacher"]
    return Teacher(
        chosen["model"],
        chosen.get("layer"),
        chosen.get("prefix", ""),
        settings["precision"],
        device(),
    )


def _taught(settings: dict, available: int) -> tuple[int, int]:
    """How many sentences the teacher reads, and how many of them make a shard."""
    count = min(available, settings["teacher"].get("sentences", available))
    return count, math.ceil(count / settings["teacher"]["shards"])
