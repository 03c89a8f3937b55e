"""What the GLUE server takes, from made-up predictions on splits of the real sizes."""

import copy
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cascadebert.core.errors import UserError
from cascadebert.data.glue import GLUE
from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import score
from cascadebert.data.task import Task
from cascadebert.evaluation.choice import choose
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.submitted import find_submitted_tasks
from cascadebert.reporting.submission import check_zip, write_submission
from cascadebert.systems.exits import CONFIDENCES
from tests.experiment.test_experiment import DEFAULT

SOURCES = {
    "rte": {"glue": "RTE", "folder": "rte"},
    "sst": {"hub": "nyu-mll/glue", "config": "sst2"},
    "nli": {"hub": "copies/glue", "config": "mnli"},
    "qqp": {"hub": "nyu-mll/glue", "config": "qqp"},
    "movies": {"files": {"train": "train.csv", "dev": "dev.csv"}},
}


def configuration(*tasks: str, encoder: str = "any", **submission) -> dict:
    config = copy.deepcopy(DEFAULT)
    config["tasks"] = {task: {"source": SOURCES[task]} for task in tasks}
    if "movies" in tasks:
        config["tasks"]["movies"] |= {"columns": {"text": 0, "label": 1}, "labels": ["bad", "good"]}
    config["encoders"] = {"bert-2": {"model": encoder, "tokenizer": "bert-12"}, "bert-12": encoder}
    config["replicates"] = 2
    config["submission"] = {"system": "cascadebert-without-dar", "speedup": 2} | submission
    return config


def table(split: str, labels) -> pd.DataFrame:
    rows = [(f"{split}-{row}", "text", None, label) for row, label in enumerate(labels)]
    types = {"id": "string", "text": "string", "text_pair": "string", "label": "Int64"}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def finished(folder, config: dict, sizes: dict, labels=(), left_out=()) -> Experiment:
    """An experiment's results so far: data, predictions and choices.

    sizes: task -> split -> rows; labels: if not those of GLUE, in its order; left_out: rows of test
    """
    experiment = Experiment(config)
    for name, splits in sizes.items():
        glue = {"rte": "RTE", "sst": "SST-2", "nli": "MNLI", "qqp": "QQP"}[name]
        names = list(labels or GLUE[glue].labels)
        rng = np.random.default_rng(0)
        tables = {"train": table("train", [0])}
        tables["dev"] = table("dev", rng.integers(len(names), size=200))
        for split, count in splits.items():
            whole = table(split, [None] * count)
            tables[split] = whole.drop(index=list(left_out)).reset_index(drop=True)
        task = Task(name, names, "accuracy", tables, dict.fromkeys(tables, "made up"))
        task.save(folder / "data" / name)
        for replicate in range(2):
            for run, depth in (("finetune-bert-2", 2), ("finetune-bert-12", 12)):
                for split in tables.keys() - {"train"}:
                    gold = tables[split]["label"].fillna(-1).to_numpy(np.int64)
                    logits = rng.normal(size=(len(gold), 1, len(names))).astype(np.float32)
                    known = np.flatnonzero(gold >= 0)
                    # The second replicate is the better one.
                    logits[known, 0, gold[known]] += 0.5 + replicate
                    ids = tables[split]["id"].to_numpy(str)
                    Predictions(logits, np.array([float(depth)]), ids, gold).save(
                        folder / "predictions" / name / run / f"seed{replicate}" / f"{split}.npz"
                    )
        key = config["submission"]["system"]
        system = load_system(experiment, folder / "predictions", task, key, 12, [])
        choose(system, config["evaluation"]["targets"]).save(
            folder / "evaluation" / name / "choices" / f"{key}.json"
        )
    return experiment


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    """All that is asked of the reference: how deep it is."""
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "config.json").write_text('{"model_type": "bert", "num_hidden_layers": 12}')
    return str(folder)


def rows(path, name: str) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        text = archive.read(f"{name}.tsv").decode()
    assert text.endswith("\n")
    return [line.split("\t") for line in text.splitlines()]


SIZES = {
    "rte": {"test": 3_000},
    "sst": {"test": 1_821},
    "nli": {"test": 9_796, "test_mismatched": 9_847},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("written")
    experiment = finished(folder, configuration(*SIZES, encoder=encoder), SIZES)
    write_submission(experiment, folder, folder / "out.zip")
    return experiment, folder


def test_it_holds_the_eleven_files_in_the_servers_format(written):
    path = written[1] / "out.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    tasks = "CoLA SST-2 MRPC STS-B MNLI-m MNLI-mm QNLI RTE WNLI QQP AX"
    assert names == [f"{task}.tsv" for task in tasks.split()]
    # Of the hub's card of nyu-mll/glue.
    counts = [1063, 1821, 1725, 1379, 9796, 9847, 5463, 3000, 146, 390965, 1104]
    for task, count in zip(tasks.split(), counts, strict=True):
        header, *body = rows(path, task)
        assert header == ["index", "prediction"]
        assert [int(index) for index, _ in body] == list(range(count))
    said = {task: {answer for _, answer in rows(path, task)[1:]} for task in tasks.split()}
    assert said["RTE"] == {"entailment", "not_entailment"}
    assert said["SST-2"] == {"0", "1"}
    assert said["MNLI-m"] == said["MNLI-mm"] == {"entailment", "neutral", "contradiction"}
    assert said["QNLI"] == said["AX"] == {"entailment"}
    assert said["MRPC"] == said["QQP"] == said["CoLA"] == said["WNLI"] == {"0"}
    assert said["STS-B"] == {"0.0"}


def test_thresholds_are_those_of_dev_and_the_replicate_the_best_on_dev(written):
    """Computed here from the stored logits and the chosen threshold, by the exits module."""
    experiment, folder = written
    for name, glue, split, file in (
        ("rte", "RTE", "test", "RTE"),
        ("nli", "MNLI", "test_mismatched", "MNLI-mm"),
    ):
        task = Task.load(folder / "data" / name)
        key = "cascadebert-without-dar"
        system = load_system(experiment, folder / "predictions", task, key, 12, [split])
        mixtures = choose(system, [2, 3, 4]).mixtures[2]
        replicates = system.candidates[""]

        def emitted(replicate, split, replicates=replicates, mixtures=mixtures):
            """The answers at either knob."""
            predictions = replicates[replicate][split]
            found = []
            for knob in mixtures[replicate].knobs:
                taken = CONFIDENCES.exit_index(predictions, knob)
                assert 0 < taken.mean() < 1
                found.append(predictions.predicted[np.arange(len(taken)), taken])
            return found

        gold = system.labels("dev")
        scores = [
            np.dot(
                mixtures[replicate].chances,
                [score("accuracy", answers, gold) for answers in emitted(replicate, "dev")],
            )
            for replicate in range(2)
        ]
        assert scores[1] > scores[0]
        slower, faster = (
            [GLUE[glue].labels[answer] for answer in answers] for answers in emitted(1, split)
        )
        said = [answer for _, answer in rows(folder / "out.zip", file)[1:]]
        assert all(answer in either for answer, *either in zip(said, slower, faster, strict=True))
        assert slower != said or mixtures[1].share < 1


def test_the_same_predictions_give_the_same_bytes(written):
    experiment, folder = written
    write_submission(experiment, folder, folder / "again.zip")
    assert (folder / "again.zip").read_bytes() == (folder / "out.zip").read_bytes()


def test_labels_go_by_name_not_by_number(tmp_path, encoder):
    config = configuration("sst", encoder=encoder)
    sizes = {"sst": SIZES["sst"]}
    zips = []
    for labels in (["negative", "positive"], ["positive", "negative"]):
        folder = tmp_path / labels[0]
        experiment = finished(folder, config, sizes, labels)
        write_submission(experiment, folder, folder / "out.zip")
        zips.append([answer for _, answer in rows(folder / "out.zip", "SST-2")[1:]])
    # The same logits, of labels that have changed places.
    assert [{"0": "1", "1": "0"}[answer] for answer in zips[0]] == zips[1]


@pytest.mark.parametrize(
    ("sizes", "labels", "message"),
    [
        ({"rte": {"test": 2_999}}, (), r"rte, split test: it has 2,999 rows, .* 3,000, .*limit"),
        ({"rte": {"test": 3_001}}, (), r"it has 3,001 rows"),
        ({"rte": {}}, (), r"task rte has no split test, which the server wants"),
        ({"nli": {"test": 9_796}}, (), r"task nli has no split test_mismatched"),
        ({"rte": {"test": 3_000}}, ["yes", "no"], r"its labels are yes, no, but those of"),
    ],
)
def test_it_refuses_what_is_not_the_whole_test_split(tmp_path, encoder, sizes, labels, message):
    experiment = finished(tmp_path, configuration(*sizes, encoder=encoder), sizes, labels)
    with pytest.raises(UserError, match=message):
        write_submission(experiment, tmp_path, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def changed_test(folder, **changes) -> None:
    for path in folder.glob("predictions/rte/*/*/test.npz"):
        stored = Predictions.load(path)
        new = {name: change(getattr(stored, name)) for name, change in changes.items()}
        replace(stored, **new).save(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": lambda old: np.ones_like(old)}, r"it has labels, .* leave hold_out out"),
        ({"ids": lambda old: np.char.add("x", old)}, r"its ids do not number its rows"),
    ],
)
def test_it_refuses_another_split_of_the_same_size(tmp_path, encoder, changes, message):
    sizes = {"rte": SIZES["rte"]}
    experiment = finished(tmp_path, configuration("rte", encoder=encoder), sizes)
    changed_test(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        write_submission(experiment, tmp_path, tmp_path / "out.zip")


def test_it_refuses_a_system_that_is_far_from_the_speedup(tmp_path, encoder):
    """A cascade of 2 and 12 layers is 6 times as fast at most."""
    config = configuration("rte", encoder=encoder, speedup=10)
    config["evaluation"]["targets"] = [10]
    experiment = finished(tmp_path, config, {"rte": SIZES["rte"]})
    with pytest.raises(UserError, match=r"comes to 10x on dev is 6\.00x"):
        write_submission(experiment, tmp_path, tmp_path / "out.zip")


def test_questions_of_qqp_without_a_text_are_filled(tmp_path, encoder):
    """Rows that the task leaves out; the others keep their numbers."""
    config = configuration("qqp", encoder=encoder)
    experiment = finished(tmp_path, config, {"qqp": {"test": 390_965}}, left_out=[5, 7])
    write_submission(experiment, tmp_path, tmp_path / "out.zip")
    said = [answer for _, answer in rows(tmp_path / "out.zip", "QQP")[1:]]
    assert said[5] == said[7] == "0"
    task = Task.load(tmp_path / "data" / "qqp")
    key = "cascadebert-without-dar"
    system = load_system(experiment, tmp_path / "predictions", task, key, 12, ["test"])
    mixtures = choose(system, [2, 3, 4]).mixtures[2]
    slower, faster = system.emit("", "test", mixtures).answers[:, 1]
    answered = said[:5] + said[6:7] + said[8:]
    same = slower == faster
    assert same.mean() > 0.9
    assert (np.array(answered)[same] == slower[same].astype(str)).all()


def changed(task: str, **entry) -> dict:
    config = configuration(task)
    config["tasks"][task] |= entry
    return config


def test_which_task_is_which():
    experiment = Experiment(configuration("movies", "rte", "sst", "nli"))
    assert find_submitted_tasks(experiment) == {"RTE": "rte", "SST-2": "sst", "MNLI": "nli"}
    assert find_submitted_tasks(Experiment(DEFAULT)) == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (configuration("movies"), r"none of the tasks \(movies\) is one of these"),
        (configuration("rte", speedup=5), r"speedup: .* for 5x; say one of 2, 3, 4, or add"),
        (configuration("rte", speedup=1), r"say one of 2, 3, 4"),
        (changed("rte", hold_out=0.1), r"whole test split of RTE, .* leave hold_out out"),
        (changed("rte", limit={"train": 9, "test": 9}), r"which rte has not; leave limit.test out"),
        (configuration("rte", speedup=5, system="bert-12l"), r"say one of 1, 2, 3, 4"),
    ],
)
def test_what_cannot_be_submitted_is_refused_before_any_job(config, message):
    with pytest.raises(UserError, match=message):
        find_submitted_tasks(Experiment(config))


def test_two_tasks_that_are_the_same_are_refused():
    config = configuration("rte")
    config["tasks"]["again"] = {"source": {"hub": "nyu-mll/glue", "config": "rte"}}
    with pytest.raises(UserError, match=r"rte and again are both GLUE's RTE"):
        find_submitted_tasks(Experiment(config))


def first(old: str, new: str):
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("RTE.tsv", None, r"the server takes 11"),
        ("more.tsv", lambda text: "index", r"the server takes 11"),
        ("RTE.tsv", first("index", "id"), r"RTE\.tsv: its first line"),
        ("RTE.tsv", lambda text: text.removesuffix("\n"), r"RTE\.tsv: .* its last has no end"),
        ("RTE.tsv", lambda text: text + "3000\tentailment\n", r"3001 rows, .* 3000"),
        ("RTE.tsv", first("\n7\t", "\n8\t"), r"line 9: '8\\t.*' is not 7, a tab"),
        ("RTE.tsv", first("\n7\t", "\n7\tnot_not_"), r"line 9: .* one of entailment, not_"),
        ("SST-2.tsv", first("\n7\t", "\n7\t1"), r"line 9: .* one of 0, 1"),
    ],
)
def test_a_zip_that_the_server_would_refuse(written, tmp_path, name, change, message):
    good, bad = written[1] / "out.zip", tmp_path / "bad.zip"
    check_zip(good)
    with zipfile.ZipFile(good) as archive:
        texts = {entry: archive.read(entry).decode() for entry in archive.namelist()}
    before = texts.pop(name, "")
    with zipfile.ZipFile(bad, "w") as archive:
        for entry, text in texts.items():
            archive.writestr(entry, text)
        if change:
            archive.writestr(name, change(before))
    with pytest.raises(UserError, match=message):
        check_zip(bad)
