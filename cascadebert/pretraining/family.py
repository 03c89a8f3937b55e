"""The steps from raw text to a family of encoders; each reads files and writes files."""

import json
import math
import os
import platform
from dataclasses import replace
from pathlib import Path

import torch
from transformers import BertModel

from cascadebert.encoders import load_tokenizer
from cascadebert.errors import UserError
from cascadebert.files import replacing
from cascadebert.pretraining import corpus, loop
from cascadebert.pretraining.card import model_card
from cascadebert.pretraining.loop import Schedule
from cascadebert.pretraining.objectives import Weights
from cascadebert.pretraining.student import (
    Student,
    encoder_config,
    start_from_shallower,
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
from cascadebert.seeds import derive_seed

# Sentences from which the teacher's principal axes and the first word embeddings are taken.
SPACE_SENTENCES = 2_000
WORD_SENTENCES = 50_000


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_corpus(settings: dict, seed: int, out: str | os.PathLike) -> None:
    """Writes the sentences to train on, shuffled, one a line."""
    shortest, longest = settings["characters"]
    found = corpus.sample_corpora(
        settings["corpora"], derive_seed(seed, "corpus"), shortest, longest
    )
    write_sentences(out, found)


def make_vocabulary(settings: dict, sentences_path, tokenizer_out, tokens_out) -> None:
    """Writes the tokenizer and the corpus as token ids.

    Raises UserError if the corpus is too small for the vocabulary or to hold sentences out.
    """
    sentences = read_sentences(sentences_path)
    held_out = settings["schedule"]["held_out"]
    if len(sentences) <= 2 * held_out:
        raise UserError(
            f"the corpus is too small: {len(sentences)} sentences, of which pretraining: "
            f"schedule: held_out: takes {held_out}; give more text or hold fewer out"
        )
    vocabulary = settings["vocabulary"]
    if "from" in vocabulary:
        tokenizer = load_tokenizer(vocabulary["from"])
        check_tokenizer(tokenizer)
        tokenizer.model_max_length = settings["encoder"]["positions"]
    else:
        tokenizer = train_wordpiece(
            sentences, vocabulary["size"], settings["encoder"]["positions"]
        )
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
    depth: int,
    seed: int,
    tokenizer_path,
    tokens_path,
    shards: list,
    shallower,
    state,
    weights_out,
    curve_out,
    model_out,
    command: str,
) -> None:
    """Trains the encoder of `depth` layers and writes it, its learning curve and its card.

    shallower: the stored student to start from, with its depth, or None; state: where the training
    keeps what it needs to go on after an interruption.
    """
    tokenizer = load_tokenizer(tokenizer_path)
    tokens = Tokens.load(tokens_path)
    outputs = None
    if shards:
        count, size = _taught(settings, len(tokens))
        tokens = Tokens(tokens.ids[: tokens.starts[count]], tokens.starts[: count + 1])
        outputs = Outputs(shards, size, tokens.starts)
    weights = Weights(**settings["objectives"])
    torch.manual_seed(derive_seed(seed, "weights", depth))
    student = _student(settings, tokenizer, depth, outputs, weights)
    if shallower:
        stored = torch.load(shallower, weights_only=True)
        older = _student(settings, tokenizer, stored["depth"], outputs, weights)
        older.load_state_dict(stored["student"])
        start_from_shallower(student, older)
    elif outputs and weights.tokens:
        start_words_from_teacher(student, tokens, outputs, min(len(tokens), WORD_SENTENCES))
    schedule = dict(settings["schedule"])
    schedule["tokens"] = int(schedule["tokens"][depth])
    progress = loop.train(
        student.to(device()),
        tokens,
        outputs,
        weights,
        Schedule(**schedule),
        derive_seed(seed, "training", depth),
        state,
        tokenizer.mask_token_id,
        settings["bf16"],
    )
    student = student.cpu()
    with replacing(weights_out) as draft:
        torch.save({"depth": depth, "student": student.state_dict()}, draft)
    loop.write_curve(curve_out, progress.curve)
    card = model_card(settings, student.encoder.config, progress, len(tokens), command)
    write_model(student.encoder, tokenizer, card, model_out)
    Path(state).unlink(missing_ok=True)


def write_model(encoder: BertModel, tokenizer, card: str, out: str | os.PathLike) -> None:
    """An encoder in Hugging Face layout, its weights as float16; loads as float32."""
    with replacing(out) as draft:
        halved = BertModel(encoder.config)
        halved.load_state_dict(encoder.state_dict())
        halved.half().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        config = json.loads((draft / "config.json").read_text())
        config |= {
            "dtype": "float32",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
        }
        (draft / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (draft / "README.md").write_text(card)


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
        ),
        outputs.width if outputs and weights.sentence else None,
        outputs.components if outputs and weights.tokens else None,
        weights.mlm > 0,
    )


def _teacher(settings: dict) -> Teacher:
    chosen = settings["teacher"]
    return Teacher(
        chosen["model"], chosen.get("layer"), chosen.get("prefix", ""), settings["bf16"], device()
    )


def _taught(settings: dict, available: int) -> tuple[int, int]:
    """How many sentences the teacher reads, and how many of them make a shard."""
    count = min(available, settings["teacher"].get("sentences", available))
    return count, math.ceil(count / settings["teacher"]["shards"])
