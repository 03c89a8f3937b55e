"""Tasks from files of the user's, and what is the same for all sources."""

import contextlib
import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cascadebert.core.errors import UserError
from cascadebert.data.load import load_task
from cascadebert.data.splitting import draw_rows, draw_splits, same_text
from cascadebert.data.task import Task, list_doubts, read_descriptions
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import load_tokenizer

SCHEMA = yaml.safe_load((Path(__file__).parents[2] / "config/tasks.schema.yaml").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)

TRAIN = [("a good film", "good"), ("a bad film", "bad"), ("fine", "good"), ("awful", "bad")]
SPEC = {
    "source": {"files": {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}},
    "columns": {"text": "sentence", "label": "label"},
    "labels": ["bad", "good"],
}


def write(
    path: Path, rows: list[tuple], header: tuple = ("sentence", "label"), delimiter=","
) -> None:
    path.write_text("".join(delimiter.join(row) + "\n" for row in [header, *rows]), "utf-8")


def load(folder: Path, spec: dict, seed: int = 0, name: str = "films") -> Task:
    """Every entry that the tests load must be one that the schema accepts."""
    VALIDATOR.validate(spec)
    with contextlib.chdir(folder):
        return load_task(name, spec, seed)


@pytest.fixture
def films(tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / f"{split}.csv", TRAIN)
    return tmp_path


def many(rows: int) -> list[tuple]:
    return [(f"sentence {row}", ("bad", "good", "good")[row % 3]) for row in range(rows)]


# -- files


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_task_survives_its_folder(films):
    task = load(films, SPEC)
    task.save(films / "data")
    again = Task.load(films / "data")
    assert (again.name, again.labels, again.metric) == ("films", ["bad", "good"], "accuracy")
    assert again.sources == task.sources == {s: f"{s}.csv" for s in ("train", "dev", "test")}
    for split, table in task.splits.items():
        pd.testing.assert_frame_equal(table, again.splits[split])
    assert list(task.splits["dev"]["id"]) == ["dev-0", "dev-1", "dev-2", "dev-3"]
    assert list(task.splits["dev"]["label"]) == [1, 0, 1, 0]
    assert task.splits["dev"]["text_pair"].isna().all()


def test_task_json(films):
    write(films / "test.csv", [("unlabelled",)], header=("sentence",))
    write(films / "dev.csv", [("fine", "bad"), ("new", "bad")])
    load(films, SPEC | {"unlabelled_test": True}).save(films / "data")
    assert json.loads((films / "data/task.json").read_text()) == {
        "name": "films",
        "labels": ["bad", "good"],
        "metric": "accuracy",
        "splits": {
            "train": {
                "rows": 4,
                "labelled": True,
                "source": "train.csv",
                "classes": {"bad": 2, "good": 2},
                "shared": {},
                "contradictory": 1,
            },
            "dev": {
                "rows": 2,
                "labelled": True,
                "source": "dev.csv",
                "classes": {"bad": 2, "good": 0},
                "shared": {"train": 1},
                "contradictory": 1,
            },
            "test": {
                "rows": 1,
                "labelled": False,
                "source": "test.csv",
                "classes": {"bad": 0, "good": 0},
                "shared": {},
                "contradictory": 0,
            },
        },
    }


def test_damaged_task_folder(films):
    load(films, SPEC).save(films / "data")
    (films / "data/dev.parquet").write_bytes(b"half")
    with pytest.raises(UserError, match="damaged"):
        Task.load(films / "data")


def test_csv_quotes_enclose_and_tsv_quotes_do_not(films):
    (films / "train.csv").write_text(
        'sentence,label\n"two\nlines, and ""quotes""",good\nplain,bad\n', "utf-8"
    )
    (films / "dev.tsv").write_bytes(
        '\ufeffsentence\tlabel\r\n"an open quote\tgood\r\na line\u2028, not two\tbad\r\n'.encode()
    )
    task = load(films, SPEC | {"source": {"files": {"train": "train.csv", "dev": "dev.tsv"}}})
    assert list(task.splits["train"]["text"]) == ['two\nlines, and "quotes"', "plain"]
    assert list(task.splits["dev"]["text"]) == ['"an open quote', "a line\u2028, not two"]


def test_jsonl_with_pairs_ids_and_label_numbers(tmp_path):
    rows = [
        {"key": 7, "s": "first", "t": "second", "y": 0},
        {"key": 8, "s": "third", "t": "fourth", "y": "good"},
    ]
    text = "\n".join(map(json.dumps, rows))
    for split in ("train", "dev"):
        (tmp_path / f"{split}.jsonl").write_text(text)
    (tmp_path / "test.jsonl").write_text(text.replace('"y": 0', '"y": -1').replace("good", "-1"))
    spec = SPEC | {
        "source": {"files": {split: f"{split}.jsonl" for split in ("train", "dev", "test")}},
        "columns": {"id": "key", "text": "s", "text_pair": "t", "label": "y"},
        "unlabelled_test": True,
    }
    task = load(tmp_path, spec)
    assert task.splits["train"].values.tolist() == [
        ["7", "first", "second", 0],
        ["8", "third", "fourth", 1],
    ]
    assert task.splits["test"]["label"].isna().all()


def test_label_names_that_are_numbers_are_not_places(tmp_path):
    write(tmp_path / "train.csv", [("one star", "1"), ("two stars", "2")])
    spec = SPEC | {"source": {"files": dict.fromkeys(("train", "dev"), "train.csv")}}
    task = load(tmp_path, spec | {"labels": ["2", "1"]})
    assert list(task.splits["train"]["label"]) == [1, 0]
    write(tmp_path / "train.csv", [("one star", "1"), ("no star", "0")])
    with pytest.raises(UserError, match="'0' is none of the task's: 1, 2"):
        load(tmp_path, spec | {"labels": ["1", "2"]})


def test_columns_by_place_in_another_encoding(tmp_path):
    (tmp_path / "train.txt").write_bytes(
        "x\tcafé\t-1.5\ny\tthé\t0.5\nz\tok\t0.4\n".encode("latin-1")
    )
    spec = {
        "source": {"files": dict.fromkeys(("train", "dev"), "train.txt")},
        "format": {"header": False, "encoding": "latin-1"},
        "columns": {"id": 0, "text": 1, "rating": 2},
        "neutral": 0.5,
        "labels": ["negative", "positive"],
    }
    task = load(tmp_path, spec)
    assert task.splits["dev"][["id", "text", "label"]].values.tolist() == [
        ["x", "café", 0],
        ["y", "thé", 1],
    ]
    assert task.sources["dev"] == "train.txt, without 1 neutral rows of 3"


# -- random splits and subsets


def test_split_takes_shares_of_train(films):
    write(films / "train.csv", many(300))
    spec = SPEC | {"source": {"files": {"train": "train.csv"}}, "split": {"dev": 0.1, "test": 0.2}}
    task = load(films, spec)
    assert {split: len(table) for split, table in task.splits.items()} == {
        "train": 210,
        "dev": 30,
        "test": 60,
    }
    assert Counter(task.splits["dev"]["label"]) == {0: 10, 1: 20}
    assert task.sources["train"] == "70% of train.csv"
    other = load(films, spec, seed=1)
    assert not task.splits["dev"].equals(other.splits["dev"])
    turned = load(films, spec | {"split": {"test": 0.2, "dev": 0.1}})
    assert task.splits["dev"].equals(turned.splits["dev"])


def test_hold_out_scores_the_official_dev_split(films):
    write(films / "train.csv", many(90))
    write(films / "test.csv", [("unlabelled", "")])
    task = load(films, SPEC | {"hold_out": 0.1, "unlabelled_test": True})
    assert list(task.splits) == ["train", "dev", "test"]
    assert task.sources == {
        "train": "90% of train.csv",
        "dev": "10% of train.csv",
        "test": "dev.csv",
    }
    assert list(task.splits["test"]["text"]) == [text for text, _ in TRAIN]
    assert [len(table) for table in task.splits.values()] == [81, 9, 4]


def test_limit_draws_a_subset(films):
    write(films / "train.csv", many(90))
    spec = SPEC | {"limit": {"train": 50, "dev": 1000}}
    task = load(films, spec)
    assert [len(table) for table in task.splits.values()] == [50, 4, 4]
    assert task.sources["train"] == "50 rows of train.csv"
    assert task.splits["train"].equals(load(films, spec).splits["train"])


words = st.lists(st.sampled_from(["a", "A", "b", ":)", ":("]), min_size=1, max_size=3)
rows = st.tuples(words.map(" ".join), st.booleans(), st.integers(0, 2))


@given(st.lists(rows, min_size=1, max_size=60), st.integers(0, 5))
def test_drawn_splits_share_no_text_and_lose_no_row(rows, seed):
    frame = pd.DataFrame(
        {
            "id": [str(row) for row in range(len(rows))],
            "text": [text for text, _, _ in rows],
            "text_pair": ["pair" if pair else pd.NA for _, pair, _ in rows],
            "label": [label for _, _, label in rows],
        }
    ).astype({"text": "string", "text_pair": "string", "label": "Int64"})
    parts = draw_splits(frame, {"dev": 0.25, "test": 0.25}, seed)
    assert sorted(pd.concat(parts.values())["id"], key=int) == list(frame["id"])
    group = dict(zip(frame["id"], same_text(frame), strict=True))
    groups = [{group[name] for name in part["id"]} for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    for part in parts.values():
        assert list(part["id"]) == sorted(part["id"], key=int)
    label_of: dict = {}
    for name, label in zip(frame["id"], frame["label"], strict=True):
        label_of.setdefault(group[name], label)
    assert {label_of[each] for each in groups[0]} == set(label_of.values())  # train has them all
    # Each label's share is passed by less than one group of equal texts, and one row of rounding.
    largest = max(Counter(group.values()).values())
    assert abs(len(parts["dev"]) - 0.25 * len(frame)) <= 3 * largest + 2


def test_same_text():
    texts = ["A film!", "a  film", "a films", ":)", ":(", "I see \N{GRINNING FACE}"]
    texts += ["I see \N{POUTING FACE}", "वह गया", "वह गयी", "“a film”…"]
    frame = pd.DataFrame({"text": texts, "text_pair": None}, dtype="string")
    assert list(same_text(frame)) == [0, 0, 1, 2, 3, 4, 5, 6, 7, 0]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_smaller_subsets_are_part_of_larger(fewer, more, seed):
    frame = pd.DataFrame({"id": range(30)})
    fewer, more = sorted((fewer, more))
    small, large = draw_rows(frame, fewer, seed)["id"], draw_rows(frame, more, seed)["id"]
    assert len(small) == min(fewer, 30)
    assert set(small) <= set(large)
    assert list(large) == sorted(large)


# -- bad input: the message names the place and the way out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "sentence,label\nfine,good\nsplendid,great\n",
            r"train\.csv, line 3: .*'great'.*bad, good",
        ),
        ("sentence,label\nfine,good\n  ,bad\n", r"train\.csv, line 3: the text is empty"),
        ("sentence,label\nfine,good\nbad\n", r"train\.csv, line 3: 1 fields, .* 2; .*`format`"),
        ('sentence,label\n"a\nb",good\nbad\n', r"train\.csv, line 4: 1 fields"),
        ('sentence,label\n"fine,good\nbad,bad\n', r"train\.csv, line 2: .*format\.quotes"),
        ("sentence,label\nfine,good\nbad,\n", r"train\.csv, line 3: no label, .*train split"),
        ("text,label\nfine,good\n", r"train\.csv: no column 'sentence'.*text, label"),
        ("sentence,sentence\nfine,good\n", r"train\.csv: .*'sentence' twice"),
        ("sentence,label\nfine,good\n", r"films: no row of the train split \(.*labelled bad"),
        ("sentence,label\n", r"films: no row in its train split"),
        ("", r"train\.csv is empty"),
        (
            b"sentence,label\nfine,good\ncaf\xe9,bad\n",
            r"train\.csv, line 3: not utf-8.*format\.enc",
        ),
        ("sentence,label\nfine,good\n".encode("utf-16"), r"mark of utf-16; .* to utf-16$"),
        ("sentence,label\nfine,good\n".encode("utf-32"), r"mark of utf-32; .* to utf-32$"),
        ("sentence,label\nfine,good\n".encode("utf-16-le"), r"line 1: a NUL character"),
        ("sentence,label\nfine,good\nna\0me,bad\n", r"line 3: a NUL character"),
        ("sentence,label\nfine,good\n\u200b\u200b,bad\n", r"line 3: the text is empty"),
        ("sentence,label\nfine,good\n\u2060 \u00ad,bad\n", r"line 3: the text is empty"),
    ],
)
def test_bad_file(films, content, message):
    data = content if isinstance(content, bytes) else content.encode()
    (films / "train.csv").write_bytes(data)
    with pytest.raises(UserError, match=message):
        load(films, SPEC)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"sentence": "fine"', r"line 2: no JSON"),
        ('["fine", "good"]', r"line 2: no JSON object"),
        ('{"sentence": 3, "label": "good"}', r"line 2: the text is empty or not a text"),
        ('{"label": "good"}', r"line 2: the text is empty"),
        (
            '{"sentence": "a", "sentence": "b", "label": "good"}',
            r"line 2: no JSON \(the key 'sentence' is there tw",
        ),
        ('{"sentence": "a\\ud800b", "label": "bad"}', r"line 2: half of a surrogate pair"),
        ('{"sentence": ' + "[" * 100_000, r"line 2: nested too deeply"),
        ('{"sentence": "a", "label": ' + "9" * 5000 + "}", r"line 2: no JSON \(Exceeds the limit"),
    ],
)
def test_bad_json_line(tmp_path, line, message):
    (tmp_path / "train.jsonl").write_text('{"sentence": "fine", "label": "good"}\n' + line)
    spec = SPEC | {"source": {"files": {"train": "train.jsonl"}}, "split": {"dev": 0.5}}
    with pytest.raises(UserError, match=message):
        load(tmp_path, spec)


def test_half_labelled_test_split(films):
    write(films / "test.csv", [("fine", "good"), ("odd", "-1")])
    with pytest.raises(UserError, match=r"test\.csv, line 3: no label, but the test split"):
        load(films, SPEC)


def test_rows_without_a_label_can_be_left_out(films):
    """As in SNLI, where some pairs have none in every split."""
    rows = [("fine", "good"), ("odd", "-1"), ("dull", "bad"), ("new", "")]
    for split in ("train", "dev", "test"):
        write(films / f"{split}.csv", rows)
    with pytest.raises(
        UserError, match=r"train\.csv, line 3: no label, .* skip_unlabelled to true"
    ):
        load(films, SPEC)
    task = load(films, SPEC | {"skip_unlabelled": True})
    for split, table in task.splits.items():
        assert list(table["text"]) == ["fine", "dull"]
        assert list(table["label"]) == [1, 0]
        assert task.sources[split] == f"{split}.csv, without 2 unlabelled rows of 4"
    write(films / "test.csv", [("fine",)], header=("sentence",))
    unlabelled = SPEC | {"skip_unlabelled": True, "unlabelled_test": True}
    assert load(films, unlabelled).scored_splits == ["dev"]
    write(films / "test.csv", [("fine", ""), ("odd", "")])
    task = load(films, unlabelled)
    assert task.scored_splits == ["dev"]
    assert list(task.splits["test"]["text"]) == ["fine", "odd"]
    for key in ("skip_unlabelled", "unlabelled_test"):
        rated = SPEC | {key: True, "columns": {"text": "sentence", "rating": "label"}}
        with pytest.raises(UserError, match=rf"{key} concerns labels"):
            load(films, rated)


def test_a_test_split_without_labels_is_said_to_have_none(films):
    """Else a misspelt column would make dev the split that is scored."""
    said = SPEC | {"unlabelled_test": True}
    write(films / "test.csv", [("fine", "good")], header=("sentence", "lable"))
    with pytest.raises(UserError, match=r"test\.csv: no column 'label' .* unlabelled_test to true"):
        load(films, SPEC)
    assert load(films, said).scored_splits == ["dev"]
    write(films / "test.csv", [("fine", ""), ("odd", "-1")])
    with pytest.raises(UserError, match=r"test\.csv, line 2: no label, .* unlabelled_test to true"):
        load(films, SPEC)
    assert load(films, said).scored_splits == ["dev"]
    write(films / "test.csv", [("fine", "good")])
    assert load(films, said).scored_splits == ["test"]


@pytest.mark.parametrize(
    ("columns", "first"),
    [({"text": 0, "label": 1}, "fine,good"), ({"text": 0, "rating": 1}, "fine,1.5")],
)
def test_a_first_row_is_not_lost_as_a_header(columns, first, films):
    for split in ("train", "dev", "test"):
        (films / f"{split}.csv").write_text(f"{first}\nbad film,{first.split(',')[1]}\n")
    spec = SPEC | {"columns": columns}
    with pytest.raises(UserError, match=r"csv, line 1: the header is '.*format\.header to false"):
        load(films, spec)
    with pytest.raises(UserError, match=r"if these are no names, set format\.header to false"):
        load(films, SPEC)


def test_quotes_that_pandas_wrote_into_a_tsv_are_no_text(films):
    texts = ['say "hi"', "a\ttab", "two\nlines", "plain", '"all of it"']
    table = pd.DataFrame({"sentence": texts, "label": ["good", "bad"] * 2 + ["good"]})
    spec = SPEC | {"source": {"files": {"train": "train.tsv"}}, "split": {"dev": 0.4}}
    for rows, message in (
        (table, "line 2: quotes seem to enclose a field"),
        (table[1:2], r"line 2: 3 fields, .*quotes"),
        (table[2:3], r"line 2: 1 fields, .*quotes"),
    ):
        rows.to_csv(films / "train.tsv", sep="\t", index=False)
        with pytest.raises(UserError, match=message):
            load(films, spec)
    table.to_csv(films / "train.tsv", sep="\t", index=False)
    task = load(films, spec | {"format": {"quotes": True}})
    assert set(pd.concat(task.splits.values())["text"]) == set(texts)
    table.to_csv(films / "train.tsv", sep="\t", index=False, quoting=1)
    with pytest.raises(UserError, match="line 1: quotes seem to enclose"):
        load(films, spec)


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8-sig", None),
        ("utf-8-sig", "utf_8"),
        ("utf-8-sig", "UTF8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf_16_le"),
        ("utf-32", "utf-32"),
        ("utf-32-be", "utf-32-be"),
    ],
)
def test_a_byte_order_mark_is_never_text(encoding, named, films):
    text = "sentence,label\ncafé,good\nbad,bad\n"
    if encoding.endswith("e"):
        text = "\ufeff" + text
    for split in ("train", "dev", "test"):
        (films / f"{split}.csv").write_bytes(text.encode(encoding))
    spec = SPEC | ({"format": {"encoding": named}} if named else {})
    assert load(films, spec).splits["train"]["text"].tolist() == ["café", "bad"]


def test_a_text_may_be_long(films):
    long = "word " * 100_000
    write(films / "train.csv", [(long, "good"), ("bad", "bad")])
    assert load(films, SPEC).splits["train"]["text"][0] == long.strip()


def test_what_makes_scores_doubtful_is_said_or_refused(films, caplog):
    write(films / "train.csv", [*many(40), ("A fine film!", "good"), ("a fine film", "bad")])
    write(films / "dev.csv", [("other", "good"), ("a  FINE film", "good")])
    write(films / "test.csv", [*many(20), ("Other?", "bad"), ("new", "good")])
    doubts = [
        "films: 1 of 2 rows of dev have a text that is in train, too",
        "films: 20 of 22 rows of test have a text that is in train, too",
        "films: 1 of 22 rows of test have a text that is in dev, too",
        "films: rows with a text that has another label in another row: 2 of train, 2 of dev, 1 of",
        "films: no row of dev is labelled bad",
    ]
    load(films, SPEC).save(films / "data/films")
    [described] = read_descriptions([films / "data/films"])
    assert all(map(str.startswith, list_doubts(described), doubts))
    said = [record.message for record in caplog.records]
    assert len(said) == len(doubts)
    assert all(map(str.startswith, said, doubts))
    with pytest.raises(UserError) as refused:
        load(films, SPEC | {"strict": True})
    assert all(doubt in str(refused.value) for doubt in doubts)
    write(films / "train.csv", many(40))
    write(films / "dev.csv", [("other", "good"), ("another", "bad")])
    write(films / "test.csv", [("new", "good"), ("newer", "bad")])
    load(films, SPEC | {"strict": True})


def test_cut_texts_are_counted_and_many_are_a_doubt(films, encoders):
    write(films / "train.csv", [("film " * 30, "good"), *many(9)])
    write(films / "dev.csv", [("film " * 30, "good"), *many(29)])
    task = load(films, SPEC)
    task.save(films / "data/films")
    tokenizer = load_tokenizer(encoders["bert-4"])
    for split, table in task.splits.items():
        tokenize(table, tokenizer, 16).save(films / f"tokens/films/bert-4/{split}.npz")
    [described] = read_descriptions([films / "data/films"], [films / "tokens/films/bert-4"])
    cut = {split: about["cut"] for split, about in described["splits"].items()}
    assert cut == {"train": 1, "dev": 1, "test": 0}
    [doubt] = [doubt for doubt in list_doubts(described) if "cut" in doubt]
    assert doubt == (
        "films: 10% of the texts of train are longer than training.max_length and were cut"
    )


def test_dev_split_needs_labels(films):
    write(films / "dev.csv", [("fine",)], header=("sentence",))
    with pytest.raises(UserError, match=r"dev\.csv: no column 'label' for the label; .*: sentence"):
        load(films, SPEC)


def test_id_twice(films):
    write(films / "train.csv", [("fine", "good"), ("bad", "bad"), ("fine", "good")])
    spec = SPEC | {"columns": {"id": "sentence", "text": "sentence", "label": "label"}}
    with pytest.raises(UserError, match=r"line 4: line 2 has the id 'fine' too"):
        load(films, spec)
    rows = [("a", "fine", "good"), ("", "awful", "bad")]
    write(films / "train.csv", rows, header=("key", "sentence", "label"))
    spec = SPEC | {"columns": {"id": "key", "text": "sentence", "label": "label"}}
    with pytest.raises(UserError, match=r"line 3: the id is empty"):
        load(films, spec)


@pytest.mark.parametrize("rating", ["high", "", "nan", "inf"])
def test_bad_rating(films, rating):
    write(films / "train.csv", [("fine", "1.5"), ("bad", rating)])
    spec = SPEC | {"columns": {"text": "sentence", "rating": "label"}}
    with pytest.raises(
        UserError, match=rf"train\.csv, line 3: the rating '{rating}' is not a number"
    ):
        load(films, spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"source": {"files": {"train": "none.csv", "dev": "dev.csv"}}},
            r"none\.csv: cannot be read .*`source`",
        ),
        ({"source": {"files": {"train": "train.csv"}}}, r"no dev split.*split: {dev: 0\.1}"),
        (
            {"source": {"files": {"train": "train.xml", "dev": "dev.csv"}}},
            r"train\.xml: set .*format\.type",
        ),
        ({"split": {"dev": 0.1}}, r"split\.dev: the source has that split"),
        (
            {"source": {"files": {"train": "train.csv"}}, "split": {"dev": 0.5, "test": 0.5}},
            r"leave nothing to train on",
        ),
        (
            {"source": {"files": {"train": "train.csv"}}, "split": {"dev": 0.01}},
            r"films: no row in its dev split \(1% of train\.csv\)",
        ),
        ({"hold_out": 0.5}, r"leave hold_out out"),
        (
            {
                "source": {"files": {**SPEC["source"]["files"], "test_mismatched": "dev.csv"}},
                "unlabelled_test": True,
                "hold_out": 0.5,
            },
            r"test_mismatched has labels; leave hold_out out",
        ),
        (
            {"limit": {"dev_mismatched": 5}},
            r"limit\.dev_mismatched: the task's splits are train, dev, test",
        ),
        ({"labels": ["bad", "good", "so so"]}, r"labelled so so; correct"),
        ({"labels": ["bad", "good", "so so"], "metric": "f1"}, r"3 names, but metric f1 needs two"),
        ({"format": {"encoding": "klingon"}}, r"format\.encoding 'klingon' is no encoding"),
    ],
)
def test_bad_entry(films, change, message):
    (films / "train.xml").write_text("<a/>")
    if "unlabelled_test" in change:
        write(films / "test.csv", [("unlabelled", "")])
    with pytest.raises(UserError, match=message):
        load(films, SPEC | change)


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"sptil": {"dev": 0.1}}, "", "'sptil' was unexpected"),
        ({"metric": "mcc"}, "metric", r"not one of \['accuracy', 'f1'\]"),
        ({"format": {"type": "xls"}}, "format.type", r"not one of \['csv', 'tsv', 'jsonl'\]"),
        ({"columns": {"text": "a"}}, "columns", "'label' is a required property"),
        ({"split": {"dev": 0.1}, "hold_out": 0.1}, "split", "not of type 'null'"),
        ({"source": {"glue": "rte", "folder": "x"}}, "source.glue", "'MNLI', 'MRPC'"),
        ({"source": {"glue": "RTE"}}, "source", "'folder' is a required property"),
        ({"source": {"hub": "x", "folder": "y"}}, "source", "'folder' is not one of"),
        ({"limit": {"train": 0}}, "limit.train", "less than the minimum"),
    ],
)
def test_schema_refuses(change, path, message):
    errors = {
        ".".join(map(str, error.absolute_path)): error.message
        for error in reversed(list(VALIDATOR.iter_errors(SPEC | change)))
    }
    assert re.search(message, errors[path])
