"""What several rooms' tests need: tiny encoders in Hugging Face layout, and a small task."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from cascadebert.data.task import Task
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.loop import Settings

torch.set_num_threads(1)
# A machine that is busy with other tests takes its time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

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


def pytest_collection_modifyitems(items) -> None:
    """Marks tests that run a workflow or an encoder as slow, and puts workflows first.

    Then no parallel worker is left with a long test at the end. Slurm's comes before all: it takes
    the longest, and mostly waits.
    """
    for item in items:
        if "workflow" in item.path.parts or "encoders" in item.fixturenames:
            item.add_marker("slow")
    items.sort(key=lambda item: ("slurm" not in item.path.name, "workflow" not in item.path.parts))


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all workers of pytest-xdist share, made by the first that needs it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            draft = root / f"{name}.draft"
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory) -> dict[str, str]:
    folder = made_once(tmp_path_factory, "encoders", make_encoders)
    return {path.name: str(path) for path in sorted(folder.iterdir())}


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


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """An empty disk of 100 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def task() -> Task:
    return make_task()


def make_task() -> Task:
    splits = {
        "train": sentences(320, 1),
        "dev": sentences(80, 2),
        "test": sentences(120, 3),
    }
    sources = dict.fromkeys(splits, "written by the tests")
    return Task("words", ["negative", "positive"], "accuracy", splits, sources)


@pytest.fixture(scope="session")
def batch(task, encoders) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The inputs of 12 sentences of several lengths, and their labels."""
    split = tokenize(task.splits["dev"], load_tokenizer(encoders["bert-2"]), 64)
    rows = np.arange(12)
    return split.batch(rows), torch.from_numpy(split.labels[rows])


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
