"""Tiny encoders in Hugging Face layout, a small task, and models on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cascadebert.data.task import Task
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.loop import Settings

SETTINGS = Settings(
    epochs=3,
    learning_rate=3e-3,
    batch_size=16,
    weight_decay=0.01,
    warmup=0.1,
    clip=1.0,
    precision="fp32",
    exit_rate=1.0,
)

GOOD = [
    "superb",
    "warm",
    "funny",
    "moving",
    "honest",
    "bright",
    "tender",
    "gripping",
    "clever",
    "fresh",
]
BAD = ["dull", "tired", "silly", "hollow", "bland", "noisy", "clumsy", "stale", "lazy", "grim"]
NEUTRAL = [
    "the",
    "a",
    "film",
    "story",
    "of",
    "with",
    "and",
    "its",
    "cast",
    "scene",
    "plot",
    "in",
    "one",
    "two",
    "very",
    "quite",
]


def make_encoders(folder: Path) -> dict[str, str]:
    """Encoders of four families and 2 to 12 layers, all of width 32, with random weights."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        ElectraConfig,
        ElectraModel,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaModel,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *NEUTRAL]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    shape = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "hidden_dim": 64,  # DistilBERT's name for it
        "max_position_embeddings": 66,
        "pad_token_id": 0,
    }
    found = {}
    for name, config_class, model_class, layers in [
        ("bert-2", BertConfig, BertModel, 2),
        ("bert-4", BertConfig, BertModel, 4),
        ("bert-12", BertConfig, BertModel, 12),
        ("roberta-3", RobertaConfig, RobertaModel, 3),
        ("electra-4", ElectraConfig, ElectraModel, 4),
        ("distilbert-4", DistilBertConfig, DistilBertModel, 4),
    ]:
        torch.manual_seed(layers)
        model = model_class(config_class(**shape, num_hidden_layers=layers))
        if hasattr(model, "pooler"):  # one whose biases are zero would count as untrained
            torch.nn.init.normal_(model.pooler.dense.bias, std=0.02)
        model.save_pretrained(folder / name)
        wrapped.save_pretrained(folder / name)
        found[name] = str(folder / name)
    return found


def sentences(count: int, seed: int) -> pd.DataFrame:
    """Sentences whose sentiment is that of most of their words; some are close calls."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        label = int(draw.integers(2))
        strong = 1 + int(draw.integers(3))
        words = list(draw.choice(GOOD if label else BAD, strong))
        words += list(draw.choice(BAD if label else GOOD, int(draw.integers(strong))))
        words += list(draw.choice(NEUTRAL, int(draw.integers(2, 8))))
        draw.shuffle(words)
        rows.append((f"{seed}-{i}", " ".join(words), None, label))
    columns = {"id": "string", "text": "string", "text_pair": "string", "label": "Int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def make_task() -> Task:
    splits = {
        "train": sentences(320, 1),
        "dev": sentences(80, 2),
        "test": sentences(120, 3),
    }
    sources = dict.fromkeys(splits, "written by the tests")
    return Task("words", ["negative", "positive"], "accuracy", splits, sources)


def untrained(run: Run, encoders: dict[str, str], folder: Path, seed: int = 0) -> torch.nn.Module:
    """The run's model before training; its parents' are put into `folder`, untrained too."""
    for parent in run.parents:
        untrained(parent, encoders, folder, seed + 1).save(folder / parent.name)
    parents = [folder / parent.name for parent in run.parents]
    return new_model(run, encoders[run.encoder], ["negative", "positive"], parents, seed)


def perturb(module: torch.nn.Module) -> None:
    """Adds noise to the weights: fresh ones are so small that a layer gives nearly what it gets."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
