"""`cascadebert predict`: every row is answered in its order, or told with its line."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascadebert.commands.main import main
from cascadebert.commands.rows import RowReader
from cascadebert.data.examples import make_examples
from cascadebert.data.tables import complete_format, parse
from cascadebert.deployment.cascade import Cascade
from tests.tiny import BAD, GOOD
from tests.workflow.command import ROOT, warm_server

TEXTS = [f"{word} film" for word in (*GOOD, *BAD)]


@pytest.fixture(scope="module")
def cascade(model) -> Cascade:
    return Cascade.from_pretrained(model)


@pytest.fixture
def run(model, tmp_path, capsys):
    """Runs predict on bytes; returns the status, the answers if there are any, and what it says."""

    def predict(data: bytes, *options: str, name: str = "in.csv", out: str = "out.csv"):
        (tmp_path / name).write_bytes(data)
        arguments = ["predict", "--model", str(model), *options]
        status = main([*arguments, str(tmp_path / name), str(tmp_path / out)])
        found = tmp_path / out
        assert not list(tmp_path.glob(".*draft*"))
        rows = None
        if found.exists():
            lines = found.read_text(encoding="utf-8")
            rows = (
                [json.loads(line) for line in lines.splitlines()]
                if out.endswith("jsonl")
                else list(csv.DictReader(io.StringIO(lines)))
            )
        return status, rows, capsys.readouterr().err

    return predict


@pytest.fixture
def loaded_once(cascade, monkeypatch):
    """Loading takes two thirds of a call."""
    monkeypatch.setattr(Cascade, "from_pretrained", lambda *_, **__: cascade)


def as_csv(texts, **columns) -> bytes:
    return pd.DataFrame({"text": texts, **columns}).to_csv(index=False).encode()


def test_rows_are_answered_in_their_order(run, cascade):
    expected = cascade(TEXTS)
    status, rows, said = run(as_csv(TEXTS, id=range(len(TEXTS))))
    assert status == 0
    assert [int(row["line"]) for row in rows] == list(range(2, len(TEXTS) + 2))
    assert [row["label"] for row in rows] == expected.labels.tolist()
    assert [int(row["member"]) - 1 for row in rows] == expected.exits.tolist()
    assert [int(row["layers"]) for row in rows] == expected.layers.tolist()
    shown = [[float(row[f"probability_{name}"]) for name in cascade.classes] for row in rows]
    np.testing.assert_allclose(shown, expected.probabilities, atol=1e-5)
    assert said.startswith(f"{len(TEXTS)} texts answered in ")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("in.tsv", "id\ttext\n" + "".join(f"{i}\t{text}\n" for i, text in enumerate(TEXTS))),
        ("in.jsonl", "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in TEXTS)),
        ("in.csv", "\ufefftext\r\n" + "".join(f"{text}\r\n" for text in TEXTS)),
        ("mac.csv", "text\r" + "\r".join(TEXTS)),
        ("blank.csv", "id,text\n" + "".join(f"1,{text}\n" for text in TEXTS) + "\n\n"),
    ],
)
def test_other_ways_to_write_a_table(run, cascade, name, data):
    status, rows, _ = run(data.encode(), name=name, out="out.jsonl")
    assert status == 0
    assert [row["label"] for row in rows] == cascade(TEXTS).labels.tolist()
    assert all(sum(row["probabilities"].values()) == pytest.approx(1) for row in rows)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("in.csv", {}),
        ("in.csv", {"quotes": False}),
        ("in.tsv", {"quotes": True}),
        ("in.tsv", {"quotes": False}),
        ("in.jsonl", {}),
    ],
)
def test_texts_are_read_as_in_training(name, form):
    form = complete_format(name, form)
    rows = [{"text": '  a "warm" film ', "label": "no"}, {"text": "\u3000b\xa0", "label": "yes"}]
    separator = "," if name == "in.csv" else "\t"
    if name == "in.jsonl":
        written = "".join(json.dumps(row) + "\n" for row in rows)
    elif form["quotes"]:
        written = pd.DataFrame(rows).to_csv(index=False, sep=separator)
    else:
        written = "".join(separator.join(row) + "\n" for row in (rows[0], *map(dict.values, rows)))
    data = written.encode()
    columns: dict = {"text": "text", "label": "label"}
    table = make_examples(parse(data, name, name, form), "train", columns, ["no", "yes"])
    assert table["text"].tolist() == ['a "warm" film', "b"]
    reader = RowReader(io.BytesIO(data), name, form["type"], None)
    found = reader.read(("text", "label"), header=True, quotes=form.get("quotes", False))
    assert [row.values for row in found] == [('a "warm" film', "no"), ("b", "yes")]


def remember(model: Path, copy: Path, columns: dict | None = None, **form) -> str:
    """A copy of the model whose cascade.json has columns and format of the table of training."""
    shutil.copytree(model, copy)
    path = copy / "cascade.json"
    about = {"columns": columns or {}, "format": form}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"about": about}))
    return str(copy)


def test_quotes_are_read_as_where_the_model_was_trained(run, cascade, model, tmp_path):
    data = b'id\ttext\n1\t"a ""superb""\tfilm"\n'
    status, rows, said = run(data, name="in.tsv")
    assert (status, rows) == (1, None)
    assert "line 2: 3 fields, where there should be 2" in said
    expected = cascade(['a "superb"\tfilm']).probabilities[0]
    trained = remember(model, tmp_path / "trained", type="tsv", quotes=True)
    for options in (("--model", trained), ("--quotes", "yes")):
        status, rows, said = run(data, *options, name="in.tsv")
        assert status == 0, said
        shown = [float(rows[0][f"probability_{name}"]) for name in cascade.classes]
        np.testing.assert_allclose(shown, expected, atol=1e-5)
    status, rows, _ = run(data, "--model", trained, "--quotes", "no", name="in.tsv", out="no.csv")
    assert (status, rows) == (1, None)


def test_quotes_of_another_kind_of_table_say_nothing(run, model, tmp_path):
    trained = remember(model, tmp_path / "trained", type="csv", quotes=False)
    assert run(b'text\n"a film\n', "--model", trained)[0] == 0
    status, _, said = run(b'text\n"a film\n', out="new.csv")
    assert status == 1
    assert "correct the quotes, or say --quotes no" in said
    other = remember(model, tmp_path / "other", type="tsv", quotes=False)
    assert run(b'n,text\n1,"a, film"\n', "--model", other)[0] == 0


def test_a_name_that_ends_in_tsv_gets_tabs(run, tmp_path):
    assert run(as_csv(TEXTS), out="out.tsv")[0] == 0
    answers = pd.read_csv(tmp_path / "out.tsv", sep="\t")
    assert len(answers) == len(TEXTS)
    assert answers.columns[:2].tolist() == ["line", "label"]


def test_a_table_is_read_as_the_one_that_the_model_was_trained_on(run, cascade, model, tmp_path):
    form = {"type": "csv", "header": False, "encoding": "latin-1", "quotes": True}
    trained = ("--model", remember(model, tmp_path / "trained", {"text": 1}, **form))
    texts = ["süß superb film", *TEXTS]
    expected = cascade(texts).labels.tolist()

    def answer(header: str, encoding: str, *options: str, name: str = "in.csv") -> list[str]:
        data = header + "".join(f"1,{text}\n" for text in texts)
        status, rows, said = run(data.encode(encoding), *trained, *options, name=name)
        assert status == 0, said
        return [row["label"] for row in rows]

    assert answer("", "latin-1") == expected
    assert answer("", "utf-16") == expected  # the mark of the file wins, and so do options
    assert answer("", "utf-8", "--encoding", "utf-8") == expected
    assert answer("n,body\n", "latin-1", "--text", "body") == expected
    lines = "".join(json.dumps({"n": 1, "text": text}) + "\n" for text in texts)
    status, rows, said = run(lines.encode(), *trained, name="in.jsonl")
    assert status == 0, said
    assert [row["label"] for row in rows] == expected


def test_a_name_may_have_spaces_around_it(run, model, tmp_path):
    """As after the comma of `label, text`, where training has the name with its space."""
    form = {"type": "csv", "header": True, "encoding": "utf-8", "quotes": True}
    trained = ("--model", remember(model, tmp_path / "trained", {"text": " text"}, **form))
    for header in ("label, text", "label,text"):
        status, rows, said = run(f"{header}\nx, a film\n".encode(), *trained)
        assert (status, len(rows or [])) == (0, 1), said


def test_utf_16_and_latin_1_are_read(run):
    assert run("text\nsüß film\n".encode("utf-16"))[0] == 0
    assert run("text\nsüß film\n".encode("latin-1"), "--encoding", "latin-1")[0] == 0
    status, rows, said = run("text\nsüß film\n".encode("latin-1"), out="new.csv")
    assert (status, rows) == (1, None)
    assert "line 2: bytes that are no utf-8; is --encoding right?" in said


def test_the_mark_of_utf_8_is_no_part_of_a_name(run):
    for options in ((), ("--encoding", "utf-8"), ("--encoding", "UTF8")):
        status, rows, said = run("text\na film\n".encode("utf-8-sig"), *options, "--text", "text")
        assert (status, len(rows or [])) == (0, 1), said


def test_utf_8_is_not_garbled_by_the_encoding_of_the_training(run, model, tmp_path):
    form = {"type": "csv", "header": True, "encoding": "cp1252", "quotes": True}
    trained = ("--model", remember(model, tmp_path / "trained", {"text": "text"}, **form))
    status, rows, said = run("text\na film\nsüß film\n".encode(), *trained)
    assert (status, rows) == (1, None)
    assert "line 3: looks like utf-8, which cp1252 would garble; give --encoding" in said
    form["encoding"] = "utf-16"
    wide = ("--model", remember(model, tmp_path / "wide", {"text": "text"}, **form))
    status, rows, said = run(b"text\na film\n", *wide)
    assert (status, rows) == (1, None)
    assert "line 1: no utf-16 text (" in said
    assert said.endswith("is --encoding right?\n")
    for encoding, options in (("utf-8", ("--encoding", "utf-8")), ("cp1252", ())):
        status, rows, said = run("text\nsüß film\n".encode(encoding), *trained, *options)
        assert (status, len(rows or [])) == (0, 1), said


def test_too_little_memory_is_one_sentence(run, monkeypatch):
    said_by_onnx = "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer"

    def fail(*arguments):
        raise RuntimeError(said_by_onnx)

    monkeypatch.setattr(Cascade, "__call__", fail)
    status, rows, said = run(as_csv(TEXTS))
    assert (status, rows) == (1, None)
    expected = f"not enough memory ({said_by_onnx}); give a smaller --batch-size"
    assert said == f"cascadebert: {expected}\n"


def test_a_file_that_may_not_grow_is_one_sentence(run, monkeypatch, tmp_path):
    def fail(*arguments):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(Cascade, "__call__", fail)
    status, rows, said = run(as_csv(TEXTS))
    assert (status, rows) == (1, None)
    assert said.startswith(f"cascadebert: a file in {tmp_path} would be larger than this process")


def test_an_escape_that_is_no_character_is_no_matter_of_encoding():
    def read(line: bytes) -> str:
        reader = RowReader(io.BytesIO(line), "in.jsonl", "jsonl", None)
        [row] = reader.read(("text",), header=True, quotes=False)
        return row.problem or ""

    assert read(rb'{"text": "a \ud83d film"}').startswith("an escape that stands for no character")
    assert read(rb'{"text": "a \u0000 film"}').startswith("an escape that stands for no character")
    assert read(b'{"text": "a \xff film"}') == "bytes that are no utf-8; is --encoding right?"
    assert read(rb'{"text": "a \ud83d\ude00 film"}') == ""


def test_empty_and_endless_texts_are_answered(run):
    status, rows, said = run(as_csv(["", "film " * 100_000, "film"]))
    assert status == 0
    assert [row["cut"] for row in rows] == ["false", "true", "false"]
    assert "1 cut at 12 tokens" in said


BROKEN = b"id,text\n1,a film\n2,a,film\n3\n\n4,a \0 film\n5,a \xff film\n6,the last film\n"


def test_a_bad_row_is_fatal_or_skipped_as_asked(run):
    status, rows, said = run(BROKEN)
    assert (status, rows) == (1, None)
    assert "line 3: 3 fields, where there should be 2; correct it, or leave out such rows" in said
    status, rows, said = run(BROKEN, "--bad-rows", "skip")
    assert status == 0
    assert [row["line"] for row in rows] == ["2", "8"]
    for line, why in [(3, "3 fields"), (4, "1 fields"), (5, "empty"), (6, "NUL"), (7, "utf-8")]:
        assert f"line {line}: skipped, " in said
        assert why in said
    assert "5 rows skipped" in said


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"", (), "is empty"),
        (b"\n\n", (), "is empty"),
        (b"\ntext\na\n", (), "line 1: the line is empty; delete it"),
        (b"a,b\n1,2\n", (), "in.csv: which column has the texts? Name it with --text"),
        (b"a good film\n", (), "or say --no-header"),
        (b"id;text\n1;a\n", (), "its columns are: id;text"),
        (
            b"id,text\n1,a\n",
            ("--text", "body"),
            "in.csv: no column 'body'; its columns are: id, text",
        ),
        (b'id,text\n1,"a\n2,b\n', ("--bad-rows", "skip"), "line 2: a quote opens a field that"),
        (b"\x1f\x8b\x08\x00", (), "is a gzip archive, no text"),
        (b"text\na\n", ("--encoding", "klingon"), "'klingon' is no encoding"),
        (b"text\na\n", ("--speedup", "9"), r"no speed-up on torch 9.0; choose from: 1.5, 2"),
        (b"text\na\n", ("--max-loss", "0.3"), r"no promise on torch 0.3; choose from: 0.02"),
        (b"text\na\n", ("--batch-size", "0"), "--batch-size is 0; give a number from 1 on"),
        (b"text\na\n", ("--runtime", "onnx"), "model.onnx is missing"),
        (b"a film\n", ("--text", "body"), "(--format), or has it no header (--no-header)?"),
        (b"\na film\n", ("--no-header",), "line 1: the line is empty; delete it"),
        (b"a,b\n", ("--no-header",), "each column is a number from 0 to 1; give that of the"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_written(run, data, options, message):
    status, rows, said = run(data, *options)
    assert (status, rows) == (1, None)
    assert message in said
    assert len(said.splitlines()) == 1


def test_other_outputs_are_left_alone(model, tmp_path, capsys):
    (tmp_path / "in.csv").write_bytes(as_csv(TEXTS))
    arguments = ["predict", "--model", str(model), str(tmp_path / "in.csv")]
    assert main([*arguments, str(tmp_path / "in.csv")]) == 1
    assert "is the input, too" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path)]) == 1
    assert "is a folder; name a file" in capsys.readouterr().err
    assert main([*arguments, os.devnull]) == 0
    assert not Path(os.devnull).is_file()
    assert (tmp_path / "in.csv").read_bytes() == as_csv(TEXTS)


@pytest.mark.parametrize("name", ["out.json", "out.XLSX", "out.csv.gz"])
def test_answers_are_not_written_under_the_name_of_another_format(run, name):
    status, rows, said = run(as_csv(TEXTS), out=name)
    assert (status, rows) == (1, None)
    assert "answers are CSV, TSV or JSONL, and not" in said


def test_a_link_leads_to_the_answers(run, tmp_path):
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "out.csv").symlink_to("large_disk/answers.csv")
    assert run(as_csv(TEXTS))[0] == 0
    assert (tmp_path / "out.csv").is_symlink()
    assert len((tmp_path / "large_disk/answers.csv").read_text().splitlines()) == len(TEXTS) + 1


# --- As a process ---


def start(*arguments: object, **options) -> subprocess.Popen:
    command = [warm_server().python, "-m", "cascadebert", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, **pipes | options)


@pytest.mark.slow
def test_pipes_are_read_and_written(model):
    process = start("predict", "--model", model, "-", "-")
    out, said = process.communicate(as_csv(TEXTS))
    assert process.returncode == 0, said
    assert len(out.decode().splitlines()) == len(TEXTS) + 1


@pytest.mark.slow
def test_a_full_disk_is_one_sentence(model, tmp_path):
    (tmp_path / "in.csv").write_bytes(as_csv(TEXTS * 100))
    with open("/dev/full", "w") as full:
        process = start("predict", "--model", model, tmp_path / "in.csv", "-", stdout=full)
        _, said = process.communicate()
    assert process.returncode == 1
    assert b"no space left to write to" in said
    assert b"Traceback" not in said


def test_a_full_disk_keeps_no_half_of_a_file(model, tmp_path, small_disk, capsys):
    (tmp_path / "in.csv").write_bytes(as_csv(TEXTS * 200))
    arguments = ["--model", str(model), str(tmp_path / "in.csv"), str(small_disk / "out.csv")]
    assert main(["predict", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cascadebert: no space left to write to")
    assert f"MiB are free on the disk of {small_disk}" in said
    assert said.endswith("Free some and run the same command again\n")  # nothing is kept
    assert len(said.splitlines()) == 1
    assert list(small_disk.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing_half_written(model, tmp_path, which):
    process = start(
        *("predict", "--model", model, "-", tmp_path / "out.csv"),
        # A shell lets the processes that it starts in the background ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.stdin.write(as_csv(TEXTS * 200))
    process.stdin.flush()
    began = time.monotonic()
    while not list(tmp_path.glob(".out.csv.draft-*/out.csv")):
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    process.send_signal(which)
    process.stdin.close()
    assert process.wait(60) == 1
    assert process.stderr.read().decode().splitlines()[-1].startswith("cascadebert: stopped;")
    assert list(tmp_path.iterdir()) == []


def test_answers_in_a_pipe_are_not_called_whole_after_ctrl_c(model, tmp_path, monkeypatch, capsys):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Cascade, "__call__", stop)
    (tmp_path / "in.csv").write_bytes(as_csv(TEXTS))
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for output, said in [
        ("-", "in standard output are incomplete"),
        ("pipe", "pipe are incomplete"),
        ("a.csv", "nothing half"),
    ]:
        output = output if output == "-" else str(tmp_path / output)
        assert main(["predict", "--model", str(model), str(tmp_path / "in.csv"), output]) == 1
        assert said in capsys.readouterr().err
    os.close(reader)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(model, tmp_path):
    """Peak of a process for a file and for one 20 times as large."""
    script = tmp_path / "script.py"
    script.write_text("""if True:
        import resource, sys
        from cascadebert.commands.main import main
        assert main(sys.argv[1:]) == 0
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """)
    peaks = []
    for times in (50, 1000):
        (tmp_path / "in.csv").write_bytes(as_csv([f"{text} {text}" for text in TEXTS] * times))
        arguments = ["--model", model, "--threshold", "0", "--batch-size", "256"]
        command = [warm_server().python, script, "predict", *arguments]
        command += [tmp_path / "in.csv", os.devnull]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(int(said.stdout) / 1024)
    assert peaks[1] - peaks[0] < 30  # MiB; the larger file and its answers are several times that


# --- Whatever a file has ---

CELLS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", '"', '""', 'a "quoted" film', "a,b", "a\nb", "a\r\nb", "=1+1", "film"]
    ),
)


@pytest.mark.usefixtures("loaded_once")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(CELLS, max_size=8),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_answered_row_by_row(run, cascade, texts, encoding, ending):
    stream = io.StringIO(newline="")
    # Before Python 3.13 the module does not quote a lone carriage return, which then ends a line.
    quoting = csv.QUOTE_ALL if any("\r" in text for text in texts) else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, lineterminator=ending, quoting=quoting)
    writer.writerows([["n", "text"], *enumerate(texts)])
    status, rows, said = run(stream.getvalue().encode(encoding, "replace"), "--bad-rows", "skip")
    assert status == 0, said
    readable = [text for text in texts if "\0" not in text]
    assert len(rows) == len(readable)
    assert said.count(": skipped, ") == len(texts) - len(readable)
    if readable and encoding == "utf-8":
        stripped = [text.strip() for text in readable]
        assert [row["label"] for row in rows] == cascade(stripped).labels.tolist()


@pytest.mark.usefixtures("loaded_once")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    b"text",
                    b"id",
                    b",",
                    b"\t",
                    b";",
                    b'"',
                    b"\n",
                    b"\r",
                    b"\0",
                    b"\xff",
                    b"\xfe",
                    b"a",
                ]
            ),
            max_size=30,
        ).map(lambda parts: b"id,text\n" + b"".join(parts)),
    ),
    name=st.sampled_from(["in.csv", "in.tsv", "in.jsonl"]),
    bad_rows=st.sampled_from(["stop", "skip"]),
)
def test_any_bytes_are_answered_or_told_in_one_sentence(run, tmp_path, data, name, bad_rows):
    (tmp_path / "out.csv").unlink(missing_ok=True)
    status, rows, said = run(data, "--bad-rows", bad_rows, name=name)
    assert "Traceback" not in said
    if status == 1:
        assert rows is None
        assert said.splitlines()[-1].startswith("cascadebert: ")
    else:
        assert status == 0
        assert len(rows) == int(said.splitlines()[-1].split(" texts")[0].replace(",", ""))
