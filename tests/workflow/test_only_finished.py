"""What fails stops nothing else, and `only_finished` shows what there is and says what is not."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cascadebert.experiment.configuration import Experiment, resolve
from tests.workflow.command import ROOT, planned, snakemake

TASKS = ("good", "poor", "bad")
FLAG = ("--config", "only_finished=true")
TRAINING = {"prepare_task", "tokenize_task", "label_runs", "difficulty", "train"}


def reading(folder: Path, task) -> dict:
    """The entry of a task on CSV files, which are written to the folder."""
    folder.mkdir()
    for split, table in task.splits.items():
        table.drop(columns="text_pair").to_csv(folder / f"{split}.csv", index=False)
    return {
        "source": {"files": {split: f"{folder.name}/{split}.csv" for split in task.splits}},
        "columns": {"id": "id", "text": "text", "label": "label"},
        "labels": task.labels,
    }


@pytest.fixture(scope="module")
def failed(tmp_path_factory, config, task):
    """The folder of an experiment one of whose tasks has bad data, and what Snakemake said."""
    folder = tmp_path_factory.mktemp("failed")
    tasks = {name: reading(folder / name, task) for name in TASKS}
    with (folder / "bad/dev.csv").open("a") as stream:
        stream.write("one-more,a superb film,7\n")
    systems = ("bert-4l", "deebert", "cascadebert", "plain")
    partial = {
        **config,
        "experiment": "partial",
        "tasks": tasks,
        "systems": {key: config["systems"][key] for key in systems},
        "layerwise": {"emits": "deebert", "series": {"DeeBERT": ["deebert"], "BERT": ["bert-4l"]}},
        "replicates": 1,
        "difficulty": {"folds": 2, "seeds": 1, "margins": [0.5]},
        "training": {**config["training"], "epochs": 1},
        "evaluation": {"targets": [1.5, 2], "resamples": 100},
    }
    (folder / "partial.yaml").write_text(yaml.safe_dump(partial))
    result = snakemake(folder, "--keep-going", "--configfile", str(folder / "partial.yaml"))
    return folder, result


@pytest.fixture(scope="module")
def shown(failed):
    """The results of what is finished, after another run was lost on one task."""
    folder, _ = failed
    results = folder / "results/partial"
    shutil.rmtree(results / "predictions/poor/deebert-bert-4")
    shutil.rmtree(results / "evaluation/poor")
    result = snakemake(folder, "--configfile", str(folder / "partial.yaml"), *FLAG)
    assert result.returncode == 0, result.stderr
    return results


def test_the_others_are_finished_though_one_task_fails(failed):
    folder, result = failed
    assert result.returncode != 0
    assert "bad/dev.csv, line 82: " in result.stderr
    results = folder / "results/partial"
    for task in ("good", "poor"):
        assert (results / "evaluation" / task / "operating_points.csv").exists()
        assert len(list((results / "predictions" / task).glob("*/*/test.npz"))) == 4
    assert not (results / "predictions/bad").exists()
    assert not (results / "summary.rst").exists()


def test_tables_have_what_is_finished_and_say_what_is_not(shown):
    table = pd.read_csv(shown / "tables/table2_main.csv")
    assert set(table["task"]) == {"good", "poor"}
    lost = table[(table["task"] == "poor") & (table["system"] == "deebert")]
    assert set(lost["note"]) == {"not run"}
    assert lost["score"].isna().all()
    others = table.drop(lost.index)
    assert "not run" not in set(others["note"])
    page = (shown / "tables/table2_main.md").read_text()
    assert "DeeBERT at 2× on poor (test): not run" in page
    figure = pd.read_csv(shown / "figures/figure2_layers.csv")
    assert set(figure["task"]) == {"good"}
    for name in ("claims", "table4_dar", "table5_calibration", "provenance"):
        assert (shown / f"tables/{name}.html").exists()


def test_the_first_page_and_the_record_say_what_is_missing(shown):
    *_, caveats = (shown / "summary.rst").read_text().split("Before you quote this")
    missing = [
        "The task bad is left out: not run there: CascadeBERT and BERT-4L.",
        "Not run on poor: DeeBERT.",
    ]
    for text in (*missing, "Figures 2 and 3 without poor: not all that they compare was run there"):
        assert text in caveats
    record = yaml.safe_load((shown / "provenance.json").read_text())
    assert record["missing"] == missing
    assert "poor/deebert-bert-4/seed0" not in record["models"]
    assert "good/deebert-bert-4/seed0" in record["models"]


def test_the_report_can_be_made_of_it(shown):
    folder = shown.parent.parent
    config = ("--configfile", str(folder / "partial.yaml"), *FLAG)
    result = snakemake(folder, *config, "--report", str(folder / "report.html"))
    assert result.returncode == 0, result.stderr
    assert "Not all of it was run" in (folder / "report.html").read_text()


def test_it_is_not_made_again_and_without_the_flag_the_rest_is_planned(shown):
    folder = shown.parent.parent
    config = ("--configfile", str(folder / "partial.yaml"))
    assert planned(folder, *config, *FLAG) == {}
    jobs = planned(folder, *config)
    assert jobs["prepare_task"] == 1
    assert jobs["train"] == 4 + 1
    assert jobs["evaluate"] == 2  # that of the good task stays
    assert jobs["table2_main"] == jobs["summary"] == jobs["provenance"] == 1


def test_with_nothing_finished_it_says_so(failed, tmp_path):
    folder, _ = failed
    shutil.copy2(folder / "partial.yaml", tmp_path)
    result = snakemake(tmp_path, "--configfile", str(tmp_path / "partial.yaml"), *FLAG)
    assert result.returncode != 0
    assert "of no task of partial are there predictions of CascadeBERT" in result.stderr
    assert not (tmp_path / "results").exists()


def test_nothing_is_trained_whatever_is_missing(tmp_path):
    """Every system, table and figure of the paper, on folders that are there but empty."""
    path = ROOT / "config/everything.yaml"
    default, override = (yaml.safe_load(p.read_text()) for p in (ROOT / "config.yaml", path))
    experiment = Experiment(resolve(default, override))
    results = tmp_path / "results/everything"
    (tmp_path / "models").symlink_to(ROOT / "models")
    for task in experiment.tasks:
        (results / "data" / task).mkdir(parents=True)
        for run in experiment.predicted:
            for replicate in experiment.replicates:
                (results / "predictions" / task / run / f"seed{replicate}").mkdir(parents=True)
    flags = ("--configfile", str(path), *FLAG)
    jobs = planned(tmp_path, *flags)
    assert not set(jobs) & TRAINING
    assert {"appendix_c", "figure5_tradeoff", "figure2_layers", "table7_fastbert"} <= set(jobs)
    assert "figure4_representations" not in jobs  # has no states to show

    for task in experiment.tasks:  # the middle model of the longer cascade, and one layer
        shutil.rmtree(results / "predictions" / task / "finetune-bert-6-margin0.5")
    shutil.rmtree(results / "predictions/movies/finetune-bert-12-layers1-epochs6/seed1")
    jobs = planned(tmp_path, *flags)
    assert not set(jobs) & {*TRAINING, "appendix_c", "figure5_tradeoff"}
    assert jobs["figure2_layers"] == 1
    assert jobs["evaluate"] == len(experiment.tasks)


def test_an_encoder_that_could_not_be_fetched_hides_nothing(failed, tmp_path, config):
    """Systems on it were not run, and the record does not name it."""
    folder, _ = failed
    entries = yaml.safe_load((folder / "partial.yaml").read_text())
    entries["encoders"]["gated"] = "some/gated-model"
    entries["systems"]["other"] = {"method": "finetune", "title": "Gated", "encoder": "gated"}
    entries["tables"] = {"table2_main": ["cascadebert", "other"], "table6_backbone": ["other"]}
    path = tmp_path / "gated.yaml"
    path.write_text(yaml.safe_dump(entries))
    jobs = planned(folder, "--configfile", str(path), *FLAG)
    assert jobs["provenance"] == jobs["table6_backbone"] == 1
    assert not set(jobs) & {"fetch_encoder", *TRAINING}
