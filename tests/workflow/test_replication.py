"""config/replication.yaml is planned without a network, and with folders in place of the hub."""

import re

import yaml

from cascadebert.data.glue import GLUE
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.consistency import refuse_contradictions
from tests.workflow.command import ROOT, planned

PATH = ROOT / "config" / "replication.yaml"
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_hub_is_asked_for_pinned_models_and_data_and_only_when_it_runs(tmp_path):
    override = yaml.safe_load(PATH.read_text())
    jobs = planned(tmp_path, "--configfile", str(PATH))
    assert jobs["fetch_encoder"] == len(override["encoders"]) == 3
    assert jobs["prepare_task"] == jobs["evaluate"] == len(override["tasks"]) == 6
    experiment = Experiment(resolve(DEFAULT, override), override)
    revisions = [model.revision for model in experiment.encoders.on_hub.values()]
    revisions += [task["source"]["revision"] for task in override["tasks"].values()]
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in revisions)
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
    files = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "dev", "test")}
    override["tasks"]["snli"]["source"] = {"files": files}
    experiment = Experiment(resolve(DEFAULT, override), override)
    refuse_contradictions(experiment)
    assert not experiment.encoders.on_hub
