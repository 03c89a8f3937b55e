import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.core.errors import UserError
from cascadebert.data.tokens import (
    TokenizedSplit,
    make_shuffled_batches,
    make_sorted_batches,
    tokenize,
)
from cascadebert.encoders.loading import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(encoders):
    return load_tokenizer(encoders["bert-2"])


def test_batches_are_what_the_tokenizer_itself_makes(task, tokenizer):
    table = task.splits["dev"]
    split = tokenize(table, tokenizer, max_length=8, chunk=7)
    rows = np.array([3, 0, 41])
    expected = tokenizer(
        table["text"].iloc[rows].tolist(),
        padding=True,
        truncation=True,
        max_length=8,
        return_tensors="pt",
    )
    batch = split.batch(rows)
    assert (batch["input_ids"] == expected["input_ids"]).all()
    assert (batch["attention_mask"] == expected["attention_mask"]).all()
    assert split.lengths.max() == 8


def test_pairs_keep_their_segments(tokenizer):
    table = pd.DataFrame(
        {
            "id": ["a", "b"],
            "text": ["a film", "two"],
            "text_pair": ["dull plot", "one"],
            "label": [0, 1],
        }
    )
    batch = tokenize(table, tokenizer, 64).batch(np.array([0, 1]))
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]


def test_saved_and_taken(task, tokenizer, tmp_path):
    split = tokenize(task.splits["test"], tokenizer, 64)
    split.save(tmp_path / "test.npz")
    again = TokenizedSplit.load(tmp_path / "test.npz")
    rows = np.array([5, 2, 90])
    taken = again.take(rows)
    assert list(taken.ids) == list(split.ids[rows])
    expected, got = split.batch(rows), taken.batch(np.arange(3))
    assert all((expected[name] == got[name]).all() for name in expected)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "dev.npz"
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UserError, match=r"dev\.npz is damaged"):
        TokenizedSplit.load(path)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 40))
def test_every_row_is_in_exactly_one_batch(lengths, size):
    lengths = np.array(lengths)
    for batches in (
        make_shuffled_batches(lengths, size, np.random.default_rng(0)),
        list(make_sorted_batches(lengths, size)),
    ):
        assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
        assert max(map(len, batches)) <= size


def test_batches_are_of_like_length_and_differ_from_epoch_to_epoch():
    lengths = np.random.default_rng(0).integers(5, 60, 3000)
    generator = np.random.default_rng(1)
    first, second = (make_shuffled_batches(lengths, 32, generator) for _ in range(2))
    padding = sum(lengths[b].max() * len(b) for b in first) / lengths.sum() - 1
    assert padding < 0.05
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
