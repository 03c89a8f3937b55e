"""The replications are planned without a network, and with folders in place of the hub."""

import json
import re

import pytest
import yaml

from cascadebert.data.glue import GLUE
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.consistency import refuse_contradictions
from tests.workflow.command import ROOT, planned

PATH = ROOT / "config" / "replication.yaml"
EPOCHS = ROOT / "config" / "replication_epochs.yaml"
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize(("path", "encoders", "tasks"), [(PATH, 3, 6), (EPOCHS, 2, 3)])
def test_the_hub_is_asked_for_pinned_models_and_data_and_only_when_it_runs(
    path, encoders, tasks, tmp_path
):
    override = yaml.safe_load(path.read_text())
    jobs = planned(tmp_path, "--configfile", str(path))
    assert jobs["fetch_encoder"] == len(override["encoders"]) == encoders
    assert jobs["prepare_task"] == jobs["evaluate"] == len(override["tasks"]) == tasks
    experiment = Experiment(resolve(DEFAULT, override), override)
    revisions = [model.revision for model in experiment.encoders.on_hub.values()]
    revisions += [task["source"]["revision"] for task in override["tasks"].values()]
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in revisions)


def test_every_system_reads_the_mean_of_the_tokens():
    override = yaml.safe_load(PATH.read_text())
    experiment = Experiment(resolve(DEFAULT, override), override)
    exits = {key: system for key, system in experiment.systems.items() if key in experiment.rivals}
    assert {"deebert", "pabee", "cosee", "fastbert"} < set(exits)
    assert {system.pooling for system in exits.values()} == {"mean"}


def test_local_folders_take_the_place_of_the_hub(tmp_path, encoders):
    """As config/README.md says: `model` of encoders, and `source` of tasks."""
    override = yaml.safe_load(PATH.read_text())
    for key, name in (("minilm-3", "bert-2"), ("minilm-6", "bert-4"), ("e5-12", "bert-12")):
        entry = override["encoders"][key]
        del entry["revision"]
        entry["model"] = encoders[name]
    for name in ("MRPC", "RTE", "SST-2", "QNLI", "QQP"):
        assert name in GLUE
        entry = override["tasks"][name.replace("-", "").lower()]
        entry["source"] = {"glue": name, "folder": str(tmp_path / name)}
    files = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    override["tasks"]["snli"]["source"] = {"files": files}
    override["training"]["max_length"] = 64  # which these small encoders can read
    experiment = Experiment(resolve(DEFAULT, override), override)
    refuse_contradictions(experiment)
    assert not experiment.encoders.on_hub


def test_the_page_shows_the_tasks_of_this_configuration():
    """But for their source: the runs had no hub."""
    asked = yaml.safe_load(PATH.read_text())["tasks"]
    runs = [json.loads(path.read_text()) for path in (ROOT / "docs/replication").glob("*/*.json")]
    shown = [pair for run in runs for pair in run["configuration"]["tasks"].items()]
    assert {name for name, _ in shown} == set(asked)
    for name, entry in shown:
        assert {**entry, "source": None} == {**asked[name], "source": None}, name


def test_difficulty_is_labelled_anew_for_every_number_of_epochs():
    override = yaml.safe_load(EPOCHS.read_text())
    experiment = Experiment(resolve(DEFAULT, override), override)
    refuse_contradictions(experiment)
    assert override["training"]["epochs"] == 10
    labellers = experiment.labellers.values()
    assert [run.settings for run in labellers] == [{"epochs": 2}, {"epochs": 4}, {}]
    assert list(experiment.ablations) == ["dar-2", "dar-4", "dar-10"]
