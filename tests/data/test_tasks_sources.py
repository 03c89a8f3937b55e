"""Tasks from the GLUE download, from hub data sets and from archives of a package index."""

import hashlib
import io
import os
import tarfile
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import datasets
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.load import list_source_files, place_source_files
from cascadebert.data.package import fetch, unpack
from tests.data.test_tasks import load

# -- the GLUE download: small copies of each task's files, with what is odd about them

MNLI_TRAIN = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
    "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
)
MNLI_DEV = MNLI_TRAIN.replace("label1\t", "label1\tlabel2\tlabel3\tlabel4\tlabel5\t")
MNLI_TEST = MNLI_TRAIN.replace("\tlabel1\tgold_label", "")
MNLI_ROW = "{}\t3n\t3n\tfiction\t( a )\t( b )\t(ROOT)\t(ROOT)\tpremise {}\thypothesis {}"
MRPC_HEAD = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
QQP_HEAD = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"


def mnli(head: str, *labels: str) -> str:
    rows = [MNLI_ROW.format(n, n, n) + label + "\n" for n, label in enumerate(labels)]
    return head + "".join(rows)


GLUE_FILES = {
    "MNLI": {
        "train": mnli(MNLI_TRAIN, "\tneutral\tneutral", "\tx\tentailment", "\tx\tcontradiction"),
        "dev_matched": mnli(MNLI_DEV, "\tneutral\tneutral\tneutral\tneutral\tneutral\tentailment"),
        "dev_mismatched": mnli(MNLI_DEV, "\tneutral\t\t\t\t\tcontradiction"),
        "test_matched": mnli(MNLI_TEST, "", ""),
        "test_mismatched": mnli(MNLI_TEST, "", "", ""),
    },
    "MRPC": {
        "train": f'\ufeff{MRPC_HEAD}1\t7\t8\t" He said so .\tHe said " so .\n'
        "0\t9\t10\tOne .\tTwo .\n",
        "dev": f"\ufeff{MRPC_HEAD}0\t11\t12\tThree .\tFour .\n",
        "test": "\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t13\t14\tFive .\tSix .\n",
    },
    "QNLI": {
        "train": "index\tquestion\tsentence\tlabel\n0\tWho ?\tI .\tnot_entailment\n"
        "1\tWhat ?\tThat .\tentailment\n",
        "dev": "index\tquestion\tsentence\tlabel\n0\tHow ?\tSo .\tentailment\n",
        "test": "index\tquestion\tsentence\n0\tWhy ?\tBecause .\n",
    },
    "QQP": {
        "train": QQP_HEAD + "133273\t213221\t213222\tWhy ?\tWhy not ?\t0\n"
        '97930\t1\t2\tWho was he ?\t"Who\n\twas he ?\t1\n'  # one row, broken in two
        "105780\t174363\t174364\tHow can I develop android app?\t\t0\n"
        "402555\t536040\t536041\tWhen ?\tAt what time ?\t1\n",
        "dev": QQP_HEAD + "201359\t303345\t303346\tWhere ?\tIn which place ?\t1\n",
        "test": "id\tquestion1\tquestion2\n0\tWhat ?\tWhich ?\n",
    },
    "RTE": {
        "train": "index\tsentence1\tsentence2\tlabel\r\n0\tNo .\tYes .\tnot_entailment\r\n"
        "1\tYes .\tYes .\tentailment\r\n",
        "dev": "index\tsentence1\tsentence2\tlabel\r\n0\tA .\tB .\tentailment\r\n",
        "test": "index\tsentence1\tsentence2\r\n0\tC .\tD .\r\n",
    },
    "SST-2": {
        "train": "sentence\tlabel\nhide new secretions \t0\ncharming \t1\n",
        "dev": 'sentence\tlabel\na " film " \t1\n',
        "test": "index\tsentence\n0\tuneasy mishmash\n",
    },
}
GLUE_TRAIN = {
    "MNLI": [(f"premise {n}", f"hypothesis {n}", label) for n, label in enumerate((1, 0, 2))],
    "MRPC": [('" He said so .', 'He said " so .', 1), ("One .", "Two .", 0)],
    "QNLI": [("Who ?", "I .", 1), ("What ?", "That .", 0)],
    "QQP": [("Why ?", "Why not ?", 0), ("When ?", "At what time ?", 1)],
    "RTE": [("No .", "Yes .", 1), ("Yes .", "Yes .", 0)],
    "SST-2": [("hide new secretions", None, 0), ("charming", None, 1)],
}


def triples(table) -> list[tuple]:
    table = table.astype(object).where(table.notna(), None)
    return list(table[["text", "text_pair", "label"]].itertuples(index=False, name=None))


@pytest.fixture(params=GLUE_FILES)
def glue(request, tmp_path):
    for stem, text in GLUE_FILES[request.param].items():
        (tmp_path / f"{stem}.tsv").write_bytes(text.encode())
    return request.param, tmp_path, {"source": {"glue": request.param, "folder": "."}}


def test_glue_download(glue):
    name, folder, spec = glue
    task = load(folder, spec)
    assert triples(task.splits["train"]) == GLUE_TRAIN[name]
    assert task.metric == ("f1" if name in ("MRPC", "QQP") else "accuracy")
    for split, table in task.splits.items():
        labelled = not split.startswith("test")
        assert table["label"].notna().all() == labelled
        assert table["label"].isna().all() != labelled
    assert len(task.splits["dev"]) == len(task.splits["test"]) - (name == "MNLI") == 1
    assert task.splits["dev"]["label"][0] == {"MNLI": 0, "MRPC": 0, "QNLI": 0, "RTE": 0}.get(
        name, 1
    )
    if name == "MNLI":
        assert task.splits["dev_mismatched"]["label"].tolist() == [2]
        assert len(task.splits["test_mismatched"]) == 3
        assert task.sources["dev"] == "the official dev_matched split of GLUE MNLI"


def write_glue(folder: Path, name: str, **instead: str) -> dict:
    """One task's files, some with another text; gives the task's entry."""
    for stem, text in (GLUE_FILES[name] | instead).items():
        (folder / f"{stem}.tsv").write_bytes(text.encode())
    return {"source": {"glue": name, "folder": "."}}


def test_glue_hold_out(tmp_path):
    labels = ["\tx\tneutral", "\tx\tentailment", "\tx\tcontradiction"] * 20
    spec = write_glue(tmp_path, "MNLI", train=mnli(MNLI_TRAIN, *labels))
    task = load(tmp_path, spec | {"hold_out": 0.1})
    assert task.sources == {
        "train": "90% of the official train split of GLUE MNLI",
        "dev": "10% of the official train split of GLUE MNLI",
        "test": "the official dev_matched split of GLUE MNLI",
        "test_mismatched": "the official dev_mismatched split of GLUE MNLI",
    }
    assert list(task.splits) == list(task.sources)
    assert Counter(task.splits["dev"]["label"]) == {0: 2, 1: 2, 2: 2}
    assert task.splits["test"]["label"].tolist() == [0]
    assert task.splits["test_mismatched"]["label"].tolist() == [2]


def test_glue_test_files_may_be_missing(tmp_path):
    spec = write_glue(tmp_path, "QQP")
    (tmp_path / "test.tsv").unlink()
    assert list(load(tmp_path, spec).splits) == ["train", "dev"]


def test_glue_says_how_many_broken_rows_it_left_out(tmp_path):
    task = load(tmp_path, write_glue(tmp_path, "QQP"))
    assert task.sources["train"].endswith("QQP, without 3 incomplete rows of 5")


def test_many_broken_rows_are_no_quirk(tmp_path):
    spec = write_glue(tmp_path, "QQP", train=GLUE_FILES["QQP"]["train"] + "half a row\n" * 100)
    with pytest.raises(UserError, match=r"train\.tsv, line 3: 5 fields, where there should be 6"):
        load(tmp_path, spec)
    empty = "".join(f"{n}\t1\t2\tWhy ?\t\t0\n" for n in range(100))
    spec = write_glue(tmp_path, "QQP", train=GLUE_FILES["QQP"]["train"] + empty)
    with pytest.raises(UserError, match=r"train\.tsv, line 5: the text is empty"):
        load(tmp_path, spec)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2\tOne .\tentailment\n", r"train\.tsv, line 4: 3 fields, where there should be 4"),
        ("2\tOne .\t\tentailment\n", r"train\.tsv, line 4: the text is empty"),
        ("2\tOne .\tTwo .\tneutral\n", r"line 4: the label 'neutral' .* entailment, not_ent"),
        ("2\tOne .\tTwo .\t\n", r"train\.tsv, line 4: no label"),
    ],
)
def test_bad_glue_row(tmp_path, row, message):
    spec = write_glue(tmp_path, "RTE", train=GLUE_FILES["RTE"]["train"] + row)
    with pytest.raises(UserError, match=message):
        load(tmp_path, spec)


def test_glue_files_missing(tmp_path):
    spec = write_glue(tmp_path, "RTE")
    (tmp_path / "dev.tsv").unlink()
    with pytest.raises(UserError, match=r"dev\.tsv is missing; source\.folder"):
        load(tmp_path, spec)
    with pytest.raises(UserError, match=r"train\.tsv is missing"):
        load(tmp_path, spec | {"source": spec["source"] | {"folder": "nowhere"}})


ROWS = {
    "SST-2": (67349, 872, 1821),
    "MRPC": (3668, 408, 1725),
    "RTE": (2490, 277, 3000),
    "QNLI": (104743, 5463, 5463),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_real_glue_download(name):
    if not (folder := os.environ.get("GLUE_DATA")):
        pytest.skip("set GLUE_DATA to a folder with the GLUE download's SST-2, MRPC, RTE and QNLI")
    task = load(Path(folder), {"source": {"glue": name, "folder": name}})
    assert tuple(map(len, task.splits.values())) == ROWS[name]


# -- the hub: folders of the form of its data sets


def write_hub_dataset(
    base: Path, name: str, config: str, splits: dict[str, list[dict]], labels: list[str]
) -> None:
    """A data set as `datasets.load_dataset` finds it in a local folder."""
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["---", "configs:", f"- config_name: {config}", "  data_files:"]
    for split, rows in splits.items():
        table = datasets.Dataset.from_list(rows)
        table = table.cast_column("label", datasets.ClassLabel(names=labels))
        table.to_parquet(folder / config / f"{split}-00000-of-00001.parquet")
        lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    return tmp_path, partial(write_hub_dataset, tmp_path)


def test_glue_of_the_hub(hub):
    folder, write = hub
    train = [
        {"sentence1": "One .", "sentence2": "Two .", "label": 0, "idx": 0},
        {"sentence1": "Two .", "sentence2": "2 .", "label": 1, "idx": 1},
    ]
    splits = {"train": train, "validation": train[:1], "test": [train[1] | {"label": -1}]}
    write("nyu-mll/glue", "mrpc", splits, ["not_equivalent", "equivalent"])
    task = load(folder, {"source": {"hub": "nyu-mll/glue", "config": "mrpc"}})
    assert (task.metric, task.labels) == ("f1", ["not_equivalent", "equivalent"])
    assert triples(task.splits["train"]) == [("One .", "Two .", 0), ("Two .", "2 .", 1)]
    assert triples(task.splits["test"]) == [("Two .", "2 .", None)]
    assert task.sources["dev"] == "the official validation split of nyu-mll/glue (mrpc)"


def test_mnli_of_the_hub(hub):
    folder, write = hub
    rows = [{"premise": "A", "hypothesis": f"B {n}", "label": n % 3} for n in range(30)]
    blind = [row | {"label": -1} for row in rows[:3]]
    splits = {
        "train": rows,
        "validation_matched": rows[:1],
        "validation_mismatched": rows[:2],
        "test_matched": blind,
        "test_mismatched": blind,
    }
    write("nyu-mll/glue", "mnli", splits, ["entailment", "neutral", "contradiction"])
    source = {"hub": "nyu-mll/glue", "config": "mnli"}
    task = load(folder, {"source": source})
    assert [len(table) for table in task.splits.values()] == [30, 1, 3, 2, 3]
    task = load(folder, {"source": source, "hold_out": 0.1})
    assert {split: len(table) for split, table in task.splits.items()} == {
        "train": 27,
        "dev": 3,
        "test": 1,
        "test_mismatched": 2,
    }


def test_hub_labels_go_by_name(hub):
    folder, write = hub
    rows = [{"words": "one", "label": 0}, {"words": "two", "label": 1}]
    write("mine", "default", {"learn": rows, "check": rows}, ["good", "bad"])
    spec = {
        "source": {"hub": "mine", "splits": {"train": "learn", "dev": "check"}},
        "columns": {"text": "words", "label": "label"},
        "labels": ["bad", "good"],
    }
    assert load(folder, spec).splits["train"]["label"].tolist() == [1, 0]
    with pytest.raises(UserError, match=r"mine, split learn, row 1: the label 'good' is none"):
        load(folder, spec | {"labels": ["bad", "fine"]})
    with pytest.raises(UserError, match=r"no column 'text' for the text; .*: words, label"):
        load(folder, spec | {"columns": {"text": "text", "label": "label"}})
    with pytest.raises(UserError, match=r"no split 'train' for train; name one of learn, check"):
        load(folder, spec | {"source": {"hub": "mine"}})
    with pytest.raises(UserError, match="`labels` is missing"):
        load(folder, {key: value for key, value in spec.items() if key != "labels"})


def test_a_broken_file_of_a_data_set_is_told(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.csv").write_text("a,b\nfine,good\nsplendid,good,best\n")
    spec = {"source": {"hub": "mine"}, "columns": {"text": "a", "label": "b"}, "labels": ["x", "y"]}
    with pytest.raises(UserError, match=r"data set mine could not .*: .*fields in line 3, saw 3\)"):
        load(tmp_path, spec)


def test_hub_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    spec = {"source": {"hub": "nobody/nothing-of-that-name", "config": "rte"}}
    spec |= {"columns": {"text": "a", "label": "b"}, "labels": ["a", "b"]}
    with pytest.raises(UserError, match=r"nobody/nothing-of-that-name \(rte\) could not be loaded"):
        load(tmp_path, spec)


# -- archives of a package index


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


BACKEND = b"""
import os
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = os.path.join(folder, "reviews-1.0.dist-info")
    os.mkdir(info)
    for name, text in (("METADATA", "Metadata-Version: 2.1\\nName: reviews\\nVersion: 1.0\\n"),
                       ("WHEEL", "Wheel-Version: 1.0\\n")):
        with open(os.path.join(info, name), "w") as file:
            file.write(text)
    return "reviews-1.0.dist-info"
def build_wheel(*_, **__):
    raise SystemExit("nothing is to be built")
"""
REVIEWS = b"".join(b"%d\t%.1f\tfilm %d \xe9\r\n" % (n, n / 10 - 2, n) for n in range(41))
SDIST = tar(
    {
        "reviews-1.0/pyproject.toml": b"[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
        b"backend-path = ['.']\n",
        "reviews-1.0/backend.py": BACKEND,
        "reviews-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: reviews\nVersion: 1.0\n",
        "reviews-1.0/more/data.tar.gz": tar({"../../data/a.txt": REVIEWS, "data/aa.txt": b"no"}),
    }
)
SHA256 = hashlib.sha256(SDIST).hexdigest()
PACKAGE = {
    "source": {
        "package": "reviews==1.0",
        "sha256": SHA256,
        "member": ["more/data.tar.gz", "a.txt"],
        "archive": "reviews-1.0.tar.gz",
    },
    "format": {"header": False, "encoding": "latin-1"},
    "columns": {"id": 0, "rating": 1, "text": 2},
    "neutral": 0.5,
    "labels": ["negative", "positive"],
    "split": {"dev": 0.25, "test": 0.25},
}


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip configured to know of one folder and no index."""
    (tmp_path / "reviews-1.0.tar.gz").write_bytes(SDIST)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_archive_given_as_a_file(tmp_path):
    (tmp_path / "reviews-1.0.tar.gz").write_bytes(SDIST)
    task = load(tmp_path, PACKAGE)
    assert {split: len(table) for split, table in task.splits.items()} == {
        "train": 16,
        "dev": 8,
        "test": 8,
    }
    assert task.sources["dev"] == "25% of a.txt of reviews==1.0, without 9 neutral rows of 41"
    rated = {row: int(row > 20) for row in range(41) if not 15 < row < 25}
    for table in task.splits.values():
        for row in table.itertuples():
            assert (row.text, row.label) == (f"film {row.id} \xe9", rated.pop(int(row.id)))
    assert not rated
    assert [path.name for path in tmp_path.iterdir()] == ["reviews-1.0.tar.gz"]


@pytest.mark.slow
def test_archive_through_pip(index):
    assert fetch("reviews==1.0", SHA256) == SDIST


@pytest.mark.slow
def test_wrong_sha256(index):
    with pytest.raises(
        UserError, match=f"its sha256 is {SHA256}, not 000.*Run again.*source.sha256"
    ):
        fetch("reviews==1.0", "0" * 64)
    spec = PACKAGE | {"source": PACKAGE["source"] | {"sha256": "0" * 64}}
    with pytest.raises(UserError, match=rf"reviews-1\.0\.tar\.gz is not .*sha256 is {SHA256}"):
        load(index, spec)


@pytest.mark.slow
def test_index_out_of_reach(index):
    (index / "reviews-1.0.tar.gz").unlink()
    with pytest.raises(UserError, match=r"No matching distribution.*path as .* source\.archive"):
        fetch("reviews==1.0", SHA256)
    with pytest.raises(UserError, match=r"reviews-1\.0\.tar\.gz: cannot be read"):
        load(index, PACKAGE)


@pytest.fixture
def served(index, monkeypatch):
    """pip configured for an index on this machine, whose first answers are cut off in the middle.

    Gives a list of what it has sent of the archive, once for each time.
    """
    sent = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = b'<a href="/reviews-1.0.tar.gz">reviews-1.0.tar.gz</a>'
            body = SDIST if self.path.endswith(".gz") else page
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if body is page else "application/gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if body is SDIST:
                body = SDIST[: len(SDIST) // (1 if sent else 2)]
                sent.append(len(body))
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    yield sent
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_download_that_is_cut_off_is_no_reason_to_trust_another_archive(served):
    with pytest.raises(UserError, match=r"reviews==1\.0"):
        fetch("reviews==1.0", SHA256)
    assert served == [len(SDIST) // 2]
    assert fetch("reviews==1.0", SHA256) == SDIST


@pytest.mark.slow
def test_an_index_that_nobody_answers_for(index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(UserError, match=r"could not fetch .*refused.*make the index reachable"):
        fetch("reviews==1.0", SHA256)


def test_members():
    archive = tar({"top/a.txt": b"1", "top/sub/a.txt": b"2", "top/ba.txt": b"3"})
    assert unpack(archive, "archive", "sub/a.txt") == b"2"
    with pytest.raises(
        UserError, match=r"2 files in it end in 'a\.txt'.*one of: top/a\.txt, top/s"
    ):
        unpack(archive, "archive", "a.txt")
    with pytest.raises(UserError, match=r"0 files .*one of: top/a\.txt, top/sub/a\.txt, top/ba"):
        unpack(archive, "archive", "c.txt")
    for damaged in (archive[:60], b"no archive"):
        with pytest.raises(UserError, match="is no whole tar archive"):
            unpack(damaged, "archive", "a.txt")


VADER = "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84"
RATED = {  # file -> rows negative and positive, of those that are not neutral
    "movieReviewSnippets_GroundTruth.txt": (5076, 4996),
    "amazonReviewSnippets_GroundTruth.txt": (1235, 1750),
    "tweets_GroundTruth.txt": (1087, 2345),
    "nytEditorialSnippets_GroundTruth.txt": (1783, 1187),
}


@pytest.mark.slow
def test_the_real_ratings(tmp_path):
    try:
        (tmp_path / "sdist").write_bytes(fetch("vaderSentiment==2.5", VADER))
    except UserError as error:
        pytest.skip(str(error))
    for file, (negative, positive) in RATED.items():
        spec = PACKAGE | {
            "source": {
                "package": "vaderSentiment==2.5",
                "sha256": VADER,
                "archive": "sdist",
                "member": ["additional_resources/hutto_ICWSM_2014.tar.gz", file],
            },
            "format": {"header": False},
            "split": {"dev": 0.1, "test": 0.2},
        }
        splits = load(tmp_path, spec).splits
        counts = [Counter(table["label"]) for table in splits.values()]
        assert sum(counts, Counter()) == {0: negative, 1: positive}
        rows = negative + positive
        for split, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
            assert abs(len(splits[split]) - share * rows) < 10
        texts = [{text.casefold() for text in table["text"]} for table in splits.values()]
        assert sum(map(len, texts)) == len(set.union(*texts))


def test_local_files_are_named_for_the_workflow(tmp_path):
    assert list_source_files({"source": {"files": {"train": "a.csv", "dev": "b.csv"}}}) == [
        "a.csv",
        "b.csv",
    ]
    for stem in ("train", "dev"):
        (tmp_path / f"{stem}.tsv").write_text("")
    found = list_source_files({"source": {"glue": "RTE", "folder": str(tmp_path)}})
    assert found == [str(tmp_path / "dev.tsv"), str(tmp_path / "train.tsv")]
    assert list_source_files({"source": {"package": "x==1", "archive": "x.tar.gz"}}) == ["x.tar.gz"]
    assert list_source_files({"source": {"hub": "nyu-mll/glue"}}) == []


def test_a_folder_of_a_data_set_is_its_files(tmp_path):
    (tmp_path / "films/.cache").mkdir(parents=True)
    for name in ("train.csv", "more/test.csv", ".gitattributes", ".cache/lock"):
        (tmp_path / "films" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "films" / name).touch()
    found = list_source_files({"source": {"hub": str(tmp_path / "films")}})
    assert found == [str(tmp_path / "films" / name) for name in ("more/test.csv", "train.csv")]


@pytest.mark.parametrize(
    ("source", "named", "placed"),
    [
        ({"glue": "RTE", "folder": "./glue/RTE"}, ["glue/RTE/dev.tsv"], {"folder": "glue/RTE"}),
        ({"glue": "RTE", "folder": "."}, ["dev.tsv", "train.tsv"], {"folder": ""}),
        ({"hub": "data"}, ["data/more/a.csv", "data/b.csv"], {"hub": "data"}),
        ({"package": "x==1", "archive": "x.tar.gz"}, ["x.tar.gz"], {"archive": "x.tar.gz"}),
        (
            {"files": {"train": "a.csv", "dev": "b.csv"}},
            ["a.csv", "b.csv"],
            {"train": "a.csv", "dev": "b.csv"},
        ),
    ],
)
def test_files_may_be_elsewhere(source, named, placed):
    """As a storage provider puts them."""
    spec = {"source": source, "labels": ["a", "b"]}
    assert place_source_files(spec, named, named) == spec
    place = "storage/my-data"
    found = place_source_files(spec, named, [f"{place}/{name}" for name in named])
    assert found["labels"] == ["a", "b"]
    there = found["source"].get("files", found["source"])
    for key, path in placed.items():
        assert Path(there[key]) == Path(place, path)


@pytest.mark.parametrize("source", [{"hub": "nyu-mll/glue"}, {"package": "x==1"}])
def test_what_is_fetched_has_no_place(source):
    assert place_source_files({"source": source}, [], []) == {"source": source}
