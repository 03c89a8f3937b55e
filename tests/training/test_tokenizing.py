import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.systems.method import Run
from cascadebert.training.stages import LabellingJob, TrainingJob, label_run, train_run
from cascadebert.training.store import Store
from cascadebert.training.tokenizing import TOKENIZER, check_tokens, tokenize_task
from tests.tiny import SETTINGS


@pytest.fixture
def permuted(encoders, tmp_path) -> Path:
    """An encoder whose vocabulary has the same size, with two words in each other's place."""
    folder = tmp_path / "permuted"
    shutil.copytree(encoders["bert-2"], folder)
    path = folder / "tokenizer.json"
    about = json.loads(path.read_text())
    words = about["model"]["vocab"]
    first, second = sorted(words)[-2:]
    words[first], words[second] = words[second], words[first]
    path.write_text(json.dumps(about))
    return folder


@pytest.fixture
def tokens(encoders, task, tmp_path) -> Path:
    """The tokens of bert-4."""
    folder = tmp_path / "tokens/bert-4"
    tokenize_task(task, encoders["bert-4"], 64, folder)
    assert sorted(path.stem for path in folder.glob("*.npz")) == sorted(task.splits)
    return folder


def name_fields(task, tokens: Path, encoder: Path) -> dict:
    """The fields of a short training of the encoder on these tokens."""
    run, settings = Run("finetune", "sharer"), replace(SETTINGS, epochs=1)
    common = {"task": task, "tokens": tokens, "encoder": encoder}
    return {**common, "run": run, "settings": settings, "seed": 0, "replicate": 0}


def test_a_permuted_vocabulary_is_not_shared(encoders, permuted, tokens):
    said = r"permuted shares the tokens of bert-4, .*'\w+' is token \d+ of bert-4 and token \d+ of"
    with pytest.raises(UserError, match=said):
        check_tokens(tokens, permuted, has_pairs=False)
    check_tokens(tokens, encoders["bert-2"], has_pairs=False)


def test_trainings_refuse_tokens_that_their_encoder_cannot_read(permuted, tokens, task, tmp_path):
    fields, store = name_fields(task, tokens, permuted), Store(tmp_path / "store")
    with pytest.raises(UserError, match="has another vocabulary"):
        train_run(TrainingJob(**fields), store, tmp_path / "model")
    with pytest.raises(UserError, match="has another vocabulary"):
        label_run(LabellingJob(**fields, fold=0, folds=2), store, tmp_path / "fold.parquet")
    assert not (tmp_path / "model").exists()


def test_a_word_that_one_vocabulary_lacks_is_named(permuted, tokens):
    path = permuted / "tokenizer.json"
    about = json.loads(path.read_text())
    lost = sorted(about["model"]["vocab"])[-2]
    del about["model"]["vocab"][lost]
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match=rf"'{lost}' is token .* and no token of"):
        check_tokens(tokens, permuted, has_pairs=False)


def test_an_encoder_without_a_tokenizer_may_share_any(permuted, tokens):
    (permuted / "tokenizer.json").unlink()
    check_tokens(tokens, permuted, has_pairs=False)


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_a_model_has_the_tokenizer_of_the_tokens_that_it_learnt(
    has_tokenizer, encoders, tokens, task, tmp_path
):
    """And not the one of its encoder, which may read upper case otherwise, or be missing."""
    sharer = tmp_path / "sharer"
    shutil.copytree(encoders["bert-2"], sharer)
    path = sharer / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": None}))
    if not has_tokenizer:
        path.unlink()
    job = TrainingJob(**name_fields(task, tokens, sharer))
    train_run(job, Store(tmp_path / "store"), tmp_path / "model")
    expected = load_tokenizer(encoders["bert-4"])("A Superb film")["input_ids"]
    for folder in (tokens / TOKENIZER, tmp_path / "model"):
        assert load_tokenizer(folder)("A Superb film")["input_ids"] == expected
    before = job.key
    (tokens / TOKENIZER / "tokenizer.json").write_text("{}")
    assert job.key != before


def test_texts_of_a_pair_keep_their_numbers(encoders, tokens, task, tmp_path):
    """DistilBERT's tokenizer numbers no texts, and BERT reads these numbers."""
    folder = tmp_path / "without"
    shutil.copytree(encoders["distilbert-4"], folder)
    path = folder / "tokenizer_config.json"
    about = json.loads(path.read_text())
    about["model_input_names"] = ["input_ids", "attention_mask"]
    path.write_text(json.dumps(about))
    tokenize_task(task, folder, 64, tmp_path / "tokens/without")
    check_tokens(tokens, folder, has_pairs=True)
    check_tokens(tmp_path / "tokens/without", encoders["bert-4"], has_pairs=False)
    said = r"bert-4 shares the tokens of without, whose tokenizer does not number"
    with pytest.raises(UserError, match=said):
        check_tokens(tmp_path / "tokens/without", encoders["bert-4"], has_pairs=True)
