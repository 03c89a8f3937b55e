"""With `tuning`, only what is new is trained, and Table 1 says what was chosen among how much."""

import json

import pandas as pd
import yaml

from tests.workflow.command import planned, snakemake
from tests.workflow.conftest import copy


def test_an_experiment_can_be_tuned_after_it_is_finished(finished, tmp_path):
    folder = copy(finished, tmp_path / "copy")
    path, results = folder / "tuned.yaml", folder / "results/small"
    config = yaml.safe_load((folder / "small.yaml").read_text())
    config["systems"] = {key: config["systems"][key] for key in ("bert-4l", "deebert", "plain")}
    del config["systems"]["plain"]["ablation_of"]
    config |= {"proposed": "plain", "tuning": {"learning_rate": [1e-3, 3e-3]}}
    path.write_text(yaml.safe_dump(config))
    jobs = planned(folder, "--configfile", str(path))
    assert jobs["train"] == 3  # both encoders and the off-ramps, with the other learning rate
    assert not {"label_runs", "prepare_task"} & set(jobs)

    target = "results/small/tables/table1_data.html"
    result = snakemake(folder, target, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    names = ["learning_rate 0.001", "learning_rate 0.003"]
    table = pd.read_csv(results / "tables/table1_data.csv")
    for key in config["systems"]:
        choice = json.loads((results / f"evaluation/words/choices/{key}.json").read_text())
        assert list(choice["candidate_scores"]) == names
        assert set(table[f"setting_{key}"]) == {choice["candidate"]}
        assert set(table[f"candidates_{key}"]) == {2}
