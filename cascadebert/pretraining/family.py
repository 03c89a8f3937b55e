"""The steps from raw text to a family of encoders. Each step reads files and writes files."""

import shutil
from pathlib import Path

import pandas as pd
from safetensors import safe_open
from transformers import BertConfig

from cascadebert.core.checksums import list_visible
from cascadebert.core.errors import UserError
from cascadebert.core.files import File, replacing
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.pretraining import corpus
from cascadebert.pretraining.card import compose_model_card
from cascadebert.pretraining.encoder import Settings
from cascadebert.pretraining.student import check_start
from cascadebert.pretraining.teacher import (
    Space,
    Teacher,
    compute_outputs,
    count_taught,
    fit_space,
    save_shard,
)
from cascadebert.pretraining.vocabulary import (
    Tokens,
    check_tokenizer,
    read_sentences,
    train_wordpiece,
    write_sentences,
)
from cascadebert.training.loop import choose_device

SPACE_SENTENCES = 2_000  # so many give the teacher's principal axes


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
    count, size = count_taught(settings, len(sentences))
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


def publish(settings: Settings, model: File, curve: File, tokens_path: File, out: File) -> None:
    """Copies a trained encoder to its place in the family, with a model card.

    Other files that are there stay.
    """
    rows = pd.read_csv(curve).to_dict("records")
    config = BertConfig.from_pretrained(model)
    count = len(Tokens.load(tokens_path))
    if "teacher" in settings:
        count, _ = count_taught(settings, count)
    with safe_open(Path(model, "model.safetensors"), "pt") as weights:
        names = list(weights.keys())
    has_pooler = any(name.startswith("pooler.") for name in names)
    card = compose_model_card(settings, config, rows[-1], count, has_pooler)
    for source in list_visible(Path(model)):
        with replacing(Path(out, source.relative_to(model))) as draft:
            shutil.copyfile(source, draft)
    with replacing(Path(out, "README.md")) as draft:
        draft.write_text(card, encoding="utf-8")


def _load_teacher(settings: Settings) -> Teacher:
    chosen = settings["teacher"]
    return Teacher(
        chosen["model"],
        chosen.get("layer"),
        chosen.get("prefix", ""),
        settings["precision"],
        choose_device().type,
    )
