import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cascadebert.core.errors import UserError
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.systems.method import Run
from cascadebert.training.stages import TrainingJob, train_run
from cascadebert.training.store import Store
from cascadebert.training.tokenizing import TOKENIZER, check_vocabulary, tokenize_task
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


def test_a_permuted_vocabulary_is_not_shared(encoders, permuted, task, tmp_path):
    with pytest.raises(UserError, match=r"has another vocabulary: '\w+' is token \d+ of .* and to"):
        tokenize_task(task, encoders["bert-4"], 64, tmp_path / "tokens", [permuted])
    assert not (tmp_path / "tokens").exists()
    tokenize_task(task, encoders["bert-4"], 64, tmp_path / "tokens", [encoders["bert-2"]])
    assert sorted(path.stem for path in (tmp_path / "tokens").glob("*.npz")) == sorted(task.splits)


def test_a_word_that_one_vocabulary_lacks_is_named(encoders, permuted):
    path = permuted / "tokenizer.json"
    about = json.loads(path.read_text())
    lost = sorted(about["model"]["vocab"])[-2]
    del about["model"]["vocab"][lost]
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match=rf"'{lost}' is token .* and no token of"):
        check_vocabulary(encoders["bert-4"], permuted)


def test_an_encoder_without_a_tokenizer_may_share_any(encoders, permuted):
    (permuted / "tokenizer.json").unlink()
    check_vocabulary(encoders["bert-4"], permuted)


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_a_model_has_the_tokenizer_of_the_tokens_that_it_learnt(
    has_tokenizer, encoders, task, tmp_path
):
    """And not the one of its encoder, which may read upper case otherwise, or be missing."""
    sharer, tokens = tmp_path / "sharer", tmp_path / "tokens"
    shutil.copytree(encoders["bert-2"], sharer)
    path = sharer / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": None}))
    if not has_tokenizer:
        path.unlink()
    tokenize_task(task, encoders["bert-4"], 64, tokens, [sharer])
    job = TrainingJob(
        task=task,
        tokens=tokens,
        run=Run("finetune", "sharer"),
        encoder=sharer,
        seed=0,
        settings=replace(SETTINGS, epochs=1),
        replicate=0,
    )
    train_run(job, Store(tmp_path / "store"), tmp_path / "model")
    expected = load_tokenizer(encoders["bert-4"])("A Superb film")["input_ids"]
    for folder in (tokens / TOKENIZER, tmp_path / "model"):
        assert load_tokenizer(folder)("A Superb film")["input_ids"] == expected
    before = job.key
    (tokens / TOKENIZER / "tokenizer.json").write_text("{}")
    assert job.key != before


def test_texts_of_a_pair_keep_their_numbers(encoders, task, tmp_path):
    """DistilBERT's tokenizer numbers no texts, and BERT reads these numbers."""
    folder = tmp_path / "without"
    shutil.copytree(encoders["distilbert-4"], folder)
    path = folder / "tokenizer_config.json"
    about = json.loads(path.read_text())
    about["model_input_names"] = ["input_ids", "attention_mask"]
    path.write_text(json.dumps(about))
    bert = Path(encoders["bert-4"])
    tokenize_task(task, folder, 64, tmp_path / "single", [bert])
    paired = replace(
        task,
        splits={name: split.assign(text_pair=split["text"]) for name, split in task.splits.items()},
    )
    tokenize_task(paired, bert, 64, tmp_path / "pairs", [folder])
    with pytest.raises(
        UserError, match=r"bert-4 shares the tokens of .*without, .* does not number"
    ):
        tokenize_task(paired, folder, 64, tmp_path / "lost", [bert])
