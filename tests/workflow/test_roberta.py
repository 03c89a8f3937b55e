"""Another encoder family is configuration only: CascadeRoBERTa, and with distillation."""

import pandas as pd
import pytest
import yaml

from cascadebert.deployment.cascade import Cascade
from tests.workflow.command import snakemake

FIRST = {"encoder": "roberta", "layers": 1}  # RoBERTa has no small model (paper, Section 5.4)
SYSTEMS = ["base", "cascade", "cascade-kd"]


@pytest.fixture(scope="module")
def finished(encoders, task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("roberta")
    for split, table in task.splits.items():
        table.drop(columns="text_pair").to_csv(folder / f"{split}.csv", index=False)
    cascade = {"method": "cascade", "dar": True}
    config = {
        "experiment": "roberta",
        "tasks": {
            "words": {
                "source": {"files": {split: f"{split}.csv" for split in task.splits}},
                "columns": {"id": "id", "text": "text", "label": "label"},
                "labels": task.labels,
            }
        },
        "encoders": {"roberta": encoders["roberta-3"]},
        "reference": "roberta",
        "systems": {
            "base": {"method": "finetune", "title": "RoBERTa-base", "encoder": "roberta"},
            "cascade": {**cascade, "title": "CascadeRoBERTa", "members": [FIRST, "roberta"]},
            "cascade-kd": {
                **cascade,
                "title": "CascadeRoBERTa + vanilla KD",
                "members": [{**FIRST, "teacher": "roberta"}, "roberta"],
            },
        },
        "tables": {"table6_backbone": SYSTEMS},
        "proposed": "cascade",
        "replicates": 1,
        "difficulty": {"folds": 2, "seeds": 1, "margins": [0.3]},
        "training": {"epochs": 5, "learning_rate": 3.0e-3, "batch_size": 16, "max_length": 64},
        "evaluation": {"targets": [1.5], "resamples": 100},
    }
    path = folder / "roberta.yaml"
    path.write_text(yaml.safe_dump(config))
    table = "results/roberta/tables/table6_backbone.csv"
    result = snakemake(folder, table, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    return folder / "results" / "roberta"


def test_every_system_has_its_row(finished):
    table = pd.read_csv(finished / "tables" / "table6_backbone.csv")
    assert set(table["system"]) == set(SYSTEMS)
    full = table[(table["system"] == "base") & (table["target_speedup"] == 1)]
    assert full["score"].item() > 70  # it has learned something
    trained = {path.name for path in (finished / "models" / "words").iterdir()}
    assert trained >= {
        "finetune-roberta-layers1-margin0.3",
        "kd-roberta-layers1-teacherroberta-margin0.3",
    }
    # Both members are labelled by the same layers, fine-tuned on the other folds.
    labels = {path.name for path in (finished / "difficulty" / "words").glob("*.parquet")}
    assert labels == {"finetune-roberta-layers1.parquet"}


@pytest.mark.parametrize("system", ["cascade", "cascade-kd"])
def test_the_cascades_can_be_deployed(finished, system):
    cascade = Cascade.from_results(finished, task="words", system=system, speedup=1.5)
    assert cascade.layers.tolist() == [1, 4]
    assert {member.config.model_type for member in cascade.members} == {"roberta"}
    answers = cascade(["a superb warm film", "a dull tired plot"])
    assert set(answers.labels) <= {"negative", "positive"}
