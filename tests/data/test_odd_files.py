"""Files as careless people make them: read as they are meant, or refused with place and advice."""

import gzip
import json
import zipfile

import pandas as pd
import pytest

from cascadebert.core.errors import UserError
from cascadebert.core.text import quote, show
from cascadebert.data.load import list_entry_mistakes, load_task
from tests.data.test_tasks import SPEC, TRAIN, load, write

FILES = {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}


@pytest.fixture
def films(tmp_path):
    for split in FILES:
        write(tmp_path / f"{split}.csv", TRAIN)
    return tmp_path


# -- lines


def test_a_carriage_return_alone_ends_lines_as_on_old_macs(tmp_path):
    """Else a file without a header could lose all rows but one."""
    contents = {
        "csv": "bad,dull\rgood,fine\r",
        "tsv": "bad\tdull\rgood\tfine\r",
        "jsonl": '{"l": "bad", "t": "dull"}\r{"l": "good", "t": "fine"}',
    }
    for kind, content in contents.items():
        (tmp_path / f"all.{kind}").write_bytes(content.encode())
        task = load(
            tmp_path,
            {
                "source": {"files": dict.fromkeys(("train", "dev"), f"all.{kind}")},
                "columns": {"label": 0, "text": 1},
                "labels": ["bad", "good"],
                "format": {} if kind == "jsonl" else {"header": False},
            },
        )
        assert task.splits["dev"]["text"].tolist() == ["dull", "fine"], kind


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("sentence,label\nfine,good\n\nawful,bad\n", 3),
        ("\nsentence,label\nfine,good\n", 1),
        ("sentence,label\r\r\nfine,good\r\r\n", 2),
    ],
)
def test_an_empty_line_is_called_so(films, content, line):
    (films / "train.csv").write_bytes(content.encode())
    with pytest.raises(UserError, match=rf"train\.csv, line {line}: the line is empty; delete it"):
        load(films, SPEC)
    (films / "train.tsv").write_bytes(content.replace(",", "\t").replace("\r\r", "\r").encode())
    if "\r" not in content:
        with pytest.raises(UserError, match=rf"train\.tsv, line {line}: the line is empty"):
            load(films, SPEC | {"source": {"files": FILES | {"train": "train.tsv"}}})


# -- quotes


def test_a_quote_that_was_never_closed_swallows_no_rows(films):
    swallowed = ['"a quote opens,good', "awful,bad", 'and closes",good', "dull,bad"]
    for rows, header, columns in (
        (swallowed, "sentence,label", SPEC["columns"]),
        ([f"7,{row}" for row in swallowed], "n,sentence,label", SPEC["columns"]),
        (['"a quote opens,1.5', 'and closes",-2'], "s,r", {"text": "s", "rating": "r"}),
    ):
        (films / "train.csv").write_text("\n".join([header, *rows]))
        with pytest.raises(UserError, match=r"csv, line 2: quotes enclose \d lines, .*true if all"):
            load(films, SPEC | {"columns": columns})
    (films / "train.csv").write_text("\n".join(["sentence,label", *swallowed]))
    said = {"format": {"quotes": True}}
    assert load(films, SPEC | said).splits["train"]["text"].tolist() == [
        "a quote opens,good\nawful,bad\nand closes",
        "dull",
    ]


def test_a_text_of_several_lines_may_have_commas(films):
    texts = [
        "Good, bad,\nugly",
        "one, two\nthree",
        "well,bad one\nso it is",
        "fine, bad,\nor good\n1,0",
    ]
    table = pd.DataFrame({"sentence": texts, "label": ["good", "bad"] * 2})
    for columns in (["sentence", "label"], ["label", "sentence"]):
        table[columns].to_csv(films / "train.csv", index=False)
        assert load(films, SPEC).splits["train"]["text"].tolist() == texts


def test_a_tsv_whose_texts_are_all_in_quotes_is_asked_about(films):
    (films / "train.tsv").write_text('sentence\tlabel\n"fine"\tgood\n"awful"\tbad\n')
    spec = SPEC | {"source": {"files": {"train": "train.tsv"}}, "split": {"dev": 0.5}}
    with pytest.raises(
        UserError, match=r"line 2: quotes seem to enclose a field, here and in each"
    ):
        load(films, spec)
    (films / "train.tsv").write_text('sentence\tlabel\n"fine"\tgood\n"awful"\tbad\ndull\tbad\n')
    texts = pd.concat(load(films, spec).splits.values())["text"]
    assert set(texts) == {'"fine"', '"awful"', "dull"}


# -- bytes


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(b"sentence,label\n", mtime=0), "gzip archive"),
        (b"PAR1\x15\x04\xff", "Parquet file"),
    ],
)
@pytest.mark.parametrize("form", [{}, {"encoding": "latin-1"}])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_a_packed_file_is_called_so(films, data, what, form, suffix):
    (films / f"train.{suffix}").write_bytes(data + b"\0")
    spec = SPEC | {"source": {"files": FILES | {"train": f"train.{suffix}"}}, "format": form}
    with pytest.raises(UserError, match=rf"is a {what}, no text; unpack it, or save it as CSV"):
        load(films, spec)


def test_a_workbook_is_no_csv(films):
    with zipfile.ZipFile(films / "train.xlsx", "w") as book:
        book.writestr("sheet.xml", "<a/>")
    with pytest.raises(UserError, match="ZIP archive, such as an Excel workbook, no text"):
        load(films, SPEC | {"source": {"files": FILES | {"train": "train.xlsx"}}})


def test_utf8_is_not_garbled_by_another_encoding(films):
    write(films / "train.csv", [("un café", "good"), ("bad", "bad")])
    with pytest.raises(UserError, match=r"is utf-8 text, which cp1252 would garble; .* to utf-8"):
        load(films, SPEC | {"format": {"encoding": "cp1252"}})


@pytest.mark.parametrize(("encoding", "text"), [("utf-7", "+2AA-"), ("unicode_escape", "\\ud800")])
def test_no_encoding_makes_half_a_surrogate_pair(films, encoding, text):
    write(films / "train.csv", [(text, "good"), ("bad", "bad")])
    with pytest.raises(UserError, match=r"train\.csv, line 2: half of a surrogate pair"):
        load(films, SPEC | {"format": {"encoding": encoding}})


@pytest.mark.parametrize("encoding", ["hex", "rot13", "utf-8\0", "ütf-8"])
def test_what_is_no_encoding_is_refused(films, encoding):
    with pytest.raises(UserError, match=r"format\.encoding '.*' is no encoding"):
        load(films, SPEC | {"format": {"encoding": encoding}})


def test_a_nul_is_refused_wherever_it_comes_from(tmp_path):
    rows = [{"key": "a", "s": "fine", "y": "good"}, {"key": "b", "s": "awful", "y": "bad"}]
    spec = {
        "source": {"files": {"train": "all.jsonl"}},
        "columns": {"id": "key", "text": "s", "label": "y"},
        "labels": ["bad", "good"],
        "split": {"dev": 0.5},
    }
    for role in ("key", "s"):
        changed = [rows[0], rows[1] | {role: "o\0"}]
        (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, changed)))
        with pytest.raises(UserError, match=r"all\.jsonl, line 2: a NUL character"):
            load(tmp_path, spec)
    with pytest.raises(UserError, match=r"cannot be read .*null"):
        load_task("t", spec | {"source": {"files": {"train": "a\0.jsonl"}}}, 0)


# -- names and labels


def test_names_are_shown_so_that_they_can_be_told_apart():
    assert [show(name) for name in ("a b", "é", 0, '{"a"}')] == ["a b", "é", "0", '{"a"}']
    odd = ["", " a", "a\xa0", "\ufeffa", "e\u0301", "a\nb"]
    shown = ["''", "' a'", r"'a\xa0'", r"'\ufeffa'", r"'e\u0301'", r"'a\nb'"]
    assert [show(name) for name in odd] == shown
    assert quote("e\u0301") == r"'e\u0301'"


def test_columns_and_labels_that_look_alike_are_told_apart(films):
    write(films / "train.csv", [("fine", "good")], header=("sentence", "label\xa0"))
    with pytest.raises(UserError, match=r"no column 'label' .*: sentence, 'label\\xa0' \(if"):
        load(films, SPEC)
    write(films / "train.csv", [("fine", "cafe\u0301"), ("awful", "bad")])
    with pytest.raises(
        UserError, match=r"the label 'cafe\\u0301' is none of the task's: bad, café"
    ):
        load(films, SPEC | {"labels": ["bad", "café"]})


@pytest.mark.parametrize("names", [["1.0", "2.0"], ["+1", "+2"], ["1,5", "2,5"], ["-1", "1e1"]])
def test_a_number_is_no_place_among_labels_that_are_numbers(films, names):
    write(films / "train.csv", [("fine", f'"{names[0]}"'), ("awful", f'"{names[1]}"')])
    write(films / "dev.csv", [("fine", "1")])
    with pytest.raises(UserError, match=r"dev\.csv, line 2: the label '1' is none of the task's"):
        load(films, SPEC | {"labels": names})


def test_a_long_wrong_label_is_shown_in_part(films):
    write(films / "train.csv", [("fine", "word " * 1000)])
    with pytest.raises(UserError) as refused:
        load(films, SPEC)
    assert len(str(refused.value)) < 300 + len(str(films))


def test_numbered_keys_of_json_lines_are_no_header(tmp_path):
    """As pandas writes a table without names of columns."""
    pd.DataFrame(TRAIN).to_json(tmp_path / "all.jsonl", orient="records", lines=True)
    source = {"files": dict.fromkeys(("train", "dev"), "all.jsonl")}
    task = load(tmp_path, SPEC | {"source": source, "columns": {"text": 0, "label": 1}})
    assert task.splits["dev"]["text"].tolist() == [text for text, _ in TRAIN]
    with pytest.raises(UserError, match=r"no column 'x' for the text; .*: 0, 1$"):
        load(tmp_path, SPEC | {"source": source, "columns": {"text": "x", "label": 1}})


def test_the_first_line_of_a_file_without_labels_is_not_guessed(films):
    for split in ("train", "dev"):
        (films / f"{split}.csv").write_text("text,label\nfine,good\nawful,bad\n")
    (films / "test.csv").write_text("a text\nanother text\n")
    spec = SPEC | {"columns": {"text": 0, "label": 1}, "unlabelled_test": True}
    with pytest.raises(UserError, match=r"test\.csv, line 1: this line is a header or a row"):
        load(films, spec)
    task = load(films, spec | {"format": {"header": True}})
    assert task.splits["test"]["text"].tolist() == ["another text"]


def test_ratings_of_one_sign_are_called_so(films):
    for split in FILES:
        write(films / f"{split}.csv", [("fine", "5"), ("awful", "1")])
    with pytest.raises(
        UserError, match=r"labelled bad; ratings below 0 are bad .* subtract the mid"
    ):
        load(films, SPEC | {"columns": {"text": "sentence", "rating": "label"}})


# -- entries


@pytest.mark.parametrize(
    ("change", "mistakes"),
    [
        ({}, []),
        (
            {"columns": {"text": "a", "text_pair": "a", "label": "a"}},
            [
                "columns: text and text_pair are both column 'a'",
                "columns: text and label are both column 'a'",
                "columns: text_pair and label are both column 'a'",
            ],
        ),
        (
            {"labels": ["a", "b", "c"], "metric": "f1", "split": {"dev": 0.5, "test": 0.5}},
            [
                "`labels` has 3 names, but metric f1",
                "split.dev: the source",
                "the shares of `split`",
            ],
        ),
        (
            {"hold_out": 0.1, "limit": {"test_mismatched": 1, "dev": 1, "test": 1}},
            ["limit.test_mismatched: the task's splits are train, dev, test"],
        ),
        (
            {
                "source": {"files": {"train": "a.jsonl", "dev": "b.JSONL", "test": "c.jsonl"}},
                "format": {"header": True, "quotes": False},
            },
            ["format.header concerns CSV and TSV", "format.quotes concerns CSV and TSV"],
        ),
        (
            {
                "source": {"files": {"train": "a.jsonl", "dev": "b.csv", "test": "c.csv"}},
                "format": {"header": True},
            },
            [],
        ),
        ({"source": {"files": {"train": "a.csv"}}, "hold_out": 0.1}, ["hold_out needs a source"]),
        ({"source": {"files": {"train": "a.csv"}}}, ["there is no dev split"]),
        ({"source": {"hub": "a", "splits": {"train": "train"}}}, ["there is no dev split"]),
        ({"source": {"hub": "a"}}, []),  # its splits are not known yet
    ],
)
def test_mistakes_of_an_entry_are_known_before_its_data_is_read(change, mistakes):
    found = list_entry_mistakes(SPEC | change)
    assert len(found) == len(mistakes)
    assert all(map(str.startswith, found, mistakes))


def test_a_hub_entry_without_labels_is_known_to_lack_them():
    assert list_entry_mistakes({"source": {"hub": "nyu-mll/glue", "config": "rte"}}) == []
    [columns, labels] = list_entry_mistakes({"source": {"hub": "my/set"}})
    assert columns.startswith("`columns` is missing")
    assert labels.startswith("`labels` is missing")
