"""Any file of texts and labels is read as other readers read it, or refused with its name."""

import csv
import io
import json
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.core.errors import UserError
from cascadebert.data.examples import INVISIBLE
from cascadebert.data.load import load_task

LABELS = ["no", "yes"]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, min_size=1, max_size=30)
BOTH = [("a", "no"), ("b", "yes")]  # a train split has every label
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from(LABELS)), max_size=5).map(BOTH.__add__)


def is_visible(text: str) -> bool:
    return any(unicodedata.category(c) not in INVISIBLE for c in text.strip())


def read(folder: Path, name: str, **form) -> pd.DataFrame:
    """The train split of a task of this file."""
    other = folder / "dev.csv"
    other.write_text("text,label\na,no\nb,yes\n")
    files = {"train": str(folder / name), "dev": str(other), "test": str(other)}
    columns = {"text": "text", "label": "label"}
    spec = {"source": {"files": files}, "columns": columns, "labels": LABELS}
    # Of `dev` and `test` the format is CSV whatever the file's is, so each names its own.
    if form:
        spec["format"] = form
        frame = pd.DataFrame({"text": ["a", "b"], "label": LABELS})
        write(other, frame, **form)
    return load_task("t", spec, seed=1).splits["train"]


def write(path: Path, frame: pd.DataFrame, *, type="csv", encoding="utf-8", quotes=True) -> None:
    if type == "jsonl":
        lines = [json.dumps(row) for row in frame.to_dict("records")]
        path.write_text("\n".join(lines), encoding=encoding, newline="")
        return
    separator = "," if type == "csv" else "\t"
    quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    # With "\n" alone, Python before 3.12 does not quote "\r", which ends a line for any reader.
    options = {"sep": separator, "quoting": quoting, "encoding": encoding, "lineterminator": "\r\n"}
    frame.to_csv(path, index=False, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(rows=ROWS, type=st.sampled_from(["csv", "tsv", "jsonl"]), data=st.data())
def test_what_pandas_writes_is_read_back(folder, rows, type, data):
    encodings = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]
    encoding = data.draw(st.sampled_from(encodings))
    frame = pd.DataFrame(rows, columns=["text", "label"])
    form = {"type": type, "encoding": encoding, "quotes": True}
    write(folder / "train", frame, **form)
    if type == "jsonl":
        del form["quotes"]
    if not frame["text"].map(is_visible).all():
        with pytest.raises(UserError, match="the text is empty"):
            read(folder, "train", **form)
        return
    found = read(folder, "train", **form)
    assert found["text"].tolist() == frame["text"].str.strip().tolist()
    assert found["label"].tolist() == frame["label"].map(LABELS.index).tolist()


@given(rows=ROWS, data=st.data())
def test_a_damaged_csv_is_read_as_the_csv_module_reads_it_or_refused(folder, rows, data):
    path = folder / "damaged.csv"
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    path.write_bytes(damage(path.read_bytes(), data))
    try:
        found = read(folder, path.name)
    except UserError as error:
        check_place(error, path)
        return
    text = path.read_bytes().decode("utf-8-sig").rstrip("\r\n")
    expected = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert found["text"].tolist() == [row["text"].strip() for row in expected]
    names = [row["label"].strip() for row in expected]
    assert [LABELS[label] for label in found["label"]] == [
        LABELS[int(name)] if name.isdigit() else name for name in names
    ]


@given(rows=ROWS, data=st.data())
def test_a_damaged_jsonl_is_read_as_the_json_module_reads_it_or_refused(folder, rows, data):
    path = folder / "damaged.jsonl"
    write(path, pd.DataFrame(rows, columns=["text", "label"]), type="jsonl")
    path.write_bytes(damage(path.read_bytes(), data))
    try:
        found = read(folder, path.name, type="jsonl")
    except UserError as error:
        check_place(error, path)
        return
    text = path.read_bytes().decode("utf-8-sig")
    lines = text.split("\n" if "\n" in text.rstrip("\r\n") else "\r")
    expected = [json.loads(line) for line in lines if line.strip()]
    assert found["text"].tolist() == [row["text"].strip() for row in expected]


def check_place(error: UserError, path: Path) -> None:
    assert str(path) in str(error) or "task t" in str(error)


def damage(content: bytes, data) -> bytes:
    """One to three bytes replaced, deleted or inserted, or a part doubled or lost."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        stop = data.draw(st.integers(place, min(len(damaged), place + 12)))
        kind = data.draw(st.sampled_from(["replace", "delete", "insert", "double"]))
        if kind == "double":
            damaged[place:place] = damaged[place:stop]
        elif kind == "delete":
            del damaged[place:stop]
        else:
            new = data.draw(
                st.binary(max_size=3) | st.sampled_from([b'"', b",", b"\n", b"\xff\xfe"])
            )
            damaged[place : stop if kind == "replace" else place] = new
    return bytes(damaged)
