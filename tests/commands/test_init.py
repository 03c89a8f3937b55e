"""`cascadebert init`: a configuration that can run, or one sentence on what is wrong."""

import csv
import io
import os
import re
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cascadebert.commands.main import main
from cascadebert.core.text import quote
from cascadebert.data.load import load_task
from cascadebert.data.splitting import same_text
from cascadebert.training.difficulty import assign_folds
from tests.tiny import sentences

LABELS = np.array(["billing", "outage"])
MANY = "".join(f"a film {row},{'pq'[row % 2]}\n" for row in range(40))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tickets() -> pd.DataFrame:
    found = sentences(200, 4)
    return pd.DataFrame(
        {"number": range(200), "body": found["text"], "queue": LABELS[found["label"].astype(int)]}
    )


def init(capsys, *arguments: str) -> tuple[dict, str]:
    assert main(["init", *arguments]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    path = re.search(r"^(\S+) is written\.", said, re.M)[1]
    assert main(["check", path]) == 0, capsys.readouterr().err
    capsys.readouterr()
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file), said


def test_it_proposes_what_it_sees(tickets, capsys):
    tickets.to_csv("tickets.csv", index=False)
    config, said = init(capsys, "tickets.csv")
    entry = config["tasks"]["tickets"]
    assert entry["columns"] == {"text": "body", "label": "queue"}
    assert entry["labels"] == ["billing", "outage"]
    assert entry["split"] == {"dev": 0.1, "test": 0.2}
    assert "train: 140 rows (billing" in said
    assert re.search(r"^Rows with a text that another row has: \d+$", said, re.M)
    assert re.search(r"^Lengths: \d+ tokens, 95% below", said, re.M)
    assert re.search(r"^Time: about \d+ minutes", said, re.M)
    task = load_task("tickets", entry, config.get("seed", 2021))
    assert sum(map(len, task.splits.values())) == 200
    every = pd.concat(task.splits, names=["split"])
    every["group"] = same_text(every)
    assert (every.reset_index("split").groupby("group")["split"].nunique() == 1).all()
    shares = [float((table["label"] == 0).mean()) for table in task.splits.values()]
    assert max(shares) - min(shares) < 0.1  # stratified


def test_texts_that_splits_share_are_told(tickets, capsys):
    tickets.to_csv("tickets.csv", index=False)
    tickets.head(30).to_csv("test.csv", index=False)
    config, said = init(capsys, "tickets.csv", "--test", "test.csv")
    assert config["tasks"]["tickets"]["split"] == {"dev": 0.1}
    assert re.search(r"Note: tickets: \d+ of 30 rows of test have a text that is in train", said)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tsv", lambda table: table.to_csv("a.tsv", index=False, sep="\t")),
        ("a.csv", lambda table: table.to_csv("a.csv", index=False, sep="\t")),
        ("a.jsonl", lambda table: table.to_json("a.jsonl", orient="records", lines=True)),
        ("a.dat", lambda table: table.to_csv("a.dat", index=False)),
        ("a.csv", lambda table: table.to_csv("a.csv", index=False, encoding="utf-16")),
        ("a.csv", lambda table: table.to_csv("a.csv", index=False, encoding="cp1252")),
        ("a.csv", lambda table: table.to_csv("a.csv", index=False, header=False)),
    ],
)
def test_tables_of_every_kind_are_read(tickets, capsys, name, write):
    tickets.loc[3, "body"] = 'süß, "warm" film'
    write(tickets)
    config, said = init(capsys, name)
    entry = config["tasks"]["a"]
    assert entry["labels"] == ["billing", "outage"]
    task = load_task("a", entry, 1)
    texts = pd.concat(task.splits.values())["text"]
    assert sorted(texts) == sorted(tickets["body"])
    assert "train: 140 rows" in said


def test_a_guess_of_the_encoding_is_told_and_none_is_made_at_random(tickets, capsys, folder):
    tickets.loc[3, "body"] = "süß"
    tickets.to_csv("a.csv", index=False, encoding="cp1252")
    assert "Note: the file is no UTF-8, and is read as cp1252" in init(capsys, "a.csv")[1]
    tickets["body"] = "配送が遅い。" + tickets["number"].astype(str)
    tickets.to_csv("b.csv", index=False, encoding="cp932")
    assert main(["init", "b.csv"]) == 1
    assert "b.csv is neither UTF-8 nor in an encoding of Western" in capsys.readouterr().err
    assert not (folder / "b.yaml").exists()


def test_a_letter_that_was_cut_does_not_change_the_encoding(tickets, capsys, folder):
    tickets["body"] += " süß"
    data = tickets.to_csv(index=False).encode()
    at = data.index("ß".encode()) + 1
    (folder / "a.csv").write_bytes(data[:at] + data[at + 1 :])
    assert main(["init", "a.csv"]) == 1
    assert "a.csv, line 2: bytes that are no UTF-8, as the rest is" in capsys.readouterr().err


@pytest.mark.parametrize(("rare", "folds"), [(1, None), (6, 4), (40, 8)])
def test_a_rare_class_makes_folds_fewer_or_leaves_out_dar(tickets, capsys, rare, folds):
    tickets.loc[: rare - 1, "queue"] = "other"
    tickets.to_csv("a.csv", index=False)
    config, said = init(capsys, "a.csv")
    task = load_task("a", config["tasks"]["a"], 2021)
    labels = task.splits["train"]["label"].to_numpy(dtype=int)
    if folds is None:
        assert not any(system.get("dar") for system in config["systems"].values())
        assert config["proposed"] == "cascade"
        assert "Note: DAR is left out, since it needs 2 rows of each class in train" in said
    else:
        assert config.get("difficulty", {"folds": 8}) == {"folds": folds}
        assert f"DAR has {folds} folds instead of 8" in said or folds == 8
        assert set(assign_folds(labels, folds, 1, "a", task.labels)) == set(range(folds))


def test_the_next_command_can_be_copied(tickets, capsys, folder):
    (folder / "my data").mkdir()
    tickets.to_csv("my data/a.csv", index=False)
    assert main(["init", "my data/a.csv"]) == 0
    assert "Next: cascadebert run 'my data/a.yaml'\n" in capsys.readouterr().out
    first = (folder / "my data/a.yaml").read_text().splitlines()[0]
    assert "Run it with `cascadebert run 'my data/a.yaml'`" in first


def test_a_reader_that_closes_the_pipe_loses_no_configuration(tickets, folder, monkeypatch):
    """As `| head -1` does; with PYTHONUNBUFFERED, as in many containers, each line is written."""
    tickets.to_csv("a.csv", index=False)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main(["init", "a.csv"]) == 1
    assert (folder / "a.yaml").is_file()


def test_a_terminal_need_not_have_every_letter(tickets, folder, monkeypatch):
    tickets["queue"] = tickets["queue"].replace("billing", "счёт")
    tickets.to_csv("a.csv", index=False)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert main(["init", "a.csv"]) == 0
    assert rb"\u0441\u0447\u0451\u0442 " in sys.stdout.buffer.getvalue()


def test_numbers_are_labels_too(tickets, capsys):
    tickets["queue"] = (tickets["queue"] == "outage").astype(int)
    tickets.to_csv("a.csv", index=False)
    config, _ = init(capsys, "a.csv")
    assert config["tasks"]["a"]["labels"] == ["0", "1"]


def test_lists_are_labels_as_training_reads_them(tickets, capsys):
    lists = {"billing": ["billing", "urgent"], "outage": ["outage"]}
    tickets["queue"] = tickets["queue"].map(lists)
    tickets.to_json("a.jsonl", orient="records", lines=True)
    config, _ = init(capsys, "a.jsonl")
    assert config["tasks"]["a"]["labels"] == ['["billing", "urgent"]', '["outage"]']


@pytest.mark.parametrize("name", ["2024", "2024-05-01", "1.5", "on", "null", "tickets"])
def test_the_experiment_has_the_name_of_the_file(tickets, capsys, name):
    """Also where YAML would read a number, a date or another value."""
    tickets.to_csv(f"{name}.csv", index=False)
    config, _ = init(capsys, f"{name}.csv")
    assert config["experiment"] == name
    assert list(config["tasks"]) == [name]


def test_the_user_may_name_columns(tickets, capsys):
    tickets["title"], tickets["urgent"] = "a short title", "no"
    tickets.loc[::2, "urgent"] = "yes"
    tickets.to_csv("a.csv", index=False)
    config, _ = init(capsys, "a.csv", "--label", "urgent", "--pair", "title")
    columns = config["tasks"]["a"]["columns"]
    assert columns == {"text": "body", "text_pair": "title", "label": "urgent"}


@pytest.mark.parametrize(
    ("header", "options", "is_header"),
    [
        ("number,text,billing", (), True),
        ("number,note,billing", (), False),
        ("number,note,billing", ("--text", "note"), True),
        ("number,note,billing", ("--text", "note", "--label", "billing"), True),
    ],
)
def test_a_header_may_have_the_name_of_a_label(tickets, capsys, folder, header, options, is_header):
    rows = tickets.to_csv(index=False, header=False)
    (folder / "a.csv").write_text(f"{header}\n{rows}")
    config, said = init(capsys, "a.csv", *options)
    entry = config["tasks"]["a"]
    assert ("format" not in entry) == is_header
    assert ("Note: line 1 has a label, so it is read as a row" in said) != is_header
    count = sum(map(len, load_task("a", entry, 1).splits.values()))
    assert count == len(tickets) + (not is_header)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("", (), "is empty"),
        ("text,label\n", (), "has a header, but no row"),
        ("text\na\n", (), "its first line has one field; texts need labels beside them"),
        ("text;label\na;b\n", (), "separated by semicolons; save it with commas"),
        ("text,id\na,1\nb,2\nc,3\nd,4\ne,5\n", (), "no column looks like labels"),
        ("text,label\na,x\nb,y\n", ("--text", "body"), "no column body; there are text, label"),
        ("text,label\na,x\nb,y\n", ("--text", "label", "--label", "label"), "columns of their own"),
        ("text,label\na,x\n,y\nb,x\nc,y\n", (), "line 3: the text is empty"),
        ("text,label\na,x\nb,\nc,x\nd,y\n", (), "line 3: no label"),
        ("text,label\na,x,z\nb,y\n", (), "line 2: 3 fields, where there should be 2"),
        ("text,label\na\0,x\nb,y\n", (), "a NUL character, which no text has"),
        (f"text,\n{MANY}", (), "a.csv cannot be used as it is: configuration, tasks.a.columns"),
        (f"text,label\n{MANY.replace(',p', ',q')}", ("--label", "label"), "['q'] is too short"),
        (
            "text,label\n" + MANY.replace("p", '"p\np"'),
            (),
            r"tasks.a.labels.0: 'p\np' does not fit",
        ),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(data, options, message, folder, capsys):
    (folder / "a.csv").write_text(data)
    assert main(["init", "a.csv", *options]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("cascadebert: ")
    assert [path.name for path in folder.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("indent", "message"),
    [
        (None, "line 1: no JSON object; one object a line is"),
        (1, "One whole object a line is needed"),
    ],
)
def test_an_array_of_json_objects_is_told_as_such(tickets, capsys, indent, message):
    tickets.to_json("a.json", orient="records", indent=indent)
    assert main(["init", "a.json"]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a\nb", "a\x85b", "a\udcffb", "a<b>"])
def test_a_name_that_cannot_stand_in_a_configuration_is_told(tickets, capsys, folder, name):
    (folder / name).mkdir()
    tickets.to_csv(folder / name / "a.csv", index=False)
    assert main(["init", f"{name}/a.csv"]) == 1
    said = capsys.readouterr().err
    assert f"{name}/a.csv" in said or quote(f"{name}/a.csv") in said
    assert "rename" in said
    assert [path.name for path in (folder / name).iterdir()] == ["a.csv"]


@pytest.mark.parametrize("which", ["a.csv", "dev.csv"])
def test_a_table_is_not_replaced(tickets, capsys, folder, which):
    for name in ("a.csv", "dev.csv"):
        tickets.to_csv(name, index=False)
    before = (folder / which).read_bytes()
    arguments = ["init", "a.csv", "--dev", "dev.csv", "--output", f"../{folder.name}/{which}"]
    for force in ([], ["--force"]):
        assert main([*arguments, *force]) == 1
        assert "is a table that init reads; name another --output" in capsys.readouterr().err
    assert (folder / which).read_bytes() == before


def test_a_configuration_is_not_replaced(tickets, capsys, folder):
    tickets.to_csv("a.csv", index=False)
    (folder / "a.yaml").write_text("my own")
    assert main(["init", "a.csv"]) == 1
    assert "a.yaml is there; name another --output" in capsys.readouterr().err
    assert (folder / "a.yaml").read_text() == "my own"
    init(capsys, "a.csv", "--force")
    (folder / "mine").mkdir()
    (folder / "mine/notes.txt").write_text("my own")
    assert main(["init", "a.csv", "--output", "mine", "--force"]) == 1
    assert "mine is a folder; name a file with --output" in capsys.readouterr().err
    assert (folder / "mine/notes.txt").read_text() == "my own"


WORDS = st.sampled_from(["good", "bad", "a film", "süß", '"', "a,b", "a\nb", "", "1", "x;y", "\t"])


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(WORDS, st.sampled_from(["yes", "no", "", "1", '"'])), max_size=30),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    cut=st.integers(0, 3),
)
@example(rows=[("a film", "yes"), ("no film", "no")] * 15, encoding="utf-8", delimiter=",", cut=0)
def test_any_table_is_used_whole_or_refused(rows, encoding, delimiter, cut, folder, capsys):
    """Rows that are ragged, cut, or written in another way are never lost in silence."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("text", "label"), *rows])
    data = stream.getvalue().encode(encoding)
    (folder / "a.csv").write_bytes(data[: len(data) - cut])
    status = main(["init", "a.csv", "--force"])
    said = capsys.readouterr()
    if status:
        assert said.err.startswith("cascadebert: ")
        assert "Traceback" not in said.err
    else:
        counts = re.findall(r"^(?:train|dev|test): ([\d,]+) rows", said.out, re.M)
        assert sum(int(count.replace(",", "")) for count in counts) == len(rows)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80), name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.bin"]))
def test_any_bytes_are_used_or_refused(data, name, folder, capsys):
    (folder / name).write_bytes(data)
    assert main(["init", name, "--force"]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err
