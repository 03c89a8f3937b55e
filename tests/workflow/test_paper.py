"""Every rule of the paper's configuration, on folders that are shaped as the hub's are."""

import json
import shutil

import pandas as pd
import yaml

from cascadebert.deployment.cascade import Cascade
from tests.data.test_tasks_sources import write_hub_dataset
from tests.tiny import sentences
from tests.workflow.command import ROOT, snakemake

LABELS = ["entailment", "neutral", "contradiction"]
SYSTEMS = (
    *("bert-base", "bert-4l", "complete-2", "deebert", "pabee", "fastbert", "bert-pkd"),
    *("cascadebert", "cascadebert-without-dar", "cascadebert-2-6-12"),
    *("roberta-base", "cascaderoberta-kd"),
)


def rows(count: int, seed: int, labelled: bool = True) -> list[dict]:
    """Pairs that agree, or differ, in sentiment, or have none to compare."""
    texts, others = (sentences(count, seed + shift)["text"] for shift in (0, 100))
    labels = (pd.Series(range(count)) % 3).tolist()
    return [
        {"premise": one, "hypothesis": two, "label": label if labelled else -1, "idx": i}
        for i, (one, two, label) in enumerate(zip(texts, others, labels, strict=True))
    ]


def test_the_papers_configuration_runs(tmp_path, encoders, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    splits = {
        "train": rows(90, 1),
        "validation_matched": rows(45, 2),
        "validation_mismatched": rows(45, 3),
        "test_matched": rows(15, 4, labelled=False),
        "test_mismatched": rows(15, 5, labelled=False),
    }
    write_hub_dataset(tmp_path, "nyu-mll/glue", "mnli", splits, LABELS)
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    del config["pretraining"]
    for name, entry in config["encoders"].items():
        place = tmp_path / (entry if isinstance(entry, str) else entry["model"])
        like = {"bert-2": "bert-2", "roberta-12": "roberta-3"}.get(name, "bert-4")
        shutil.copytree(encoders[like], place)

    # The paper's, but one task, one system of a kind, and smaller: layers, folds, seeds, epochs.
    config["tasks"] = {"mnli": config["tasks"]["mnli"]}
    config["systems"] = {key: config["systems"][key] for key in SYSTEMS}
    for key in ("bert-4l", "bert-pkd"):
        config["systems"][key]["layers"] = 2
    config["systems"]["cascaderoberta-kd"]["members"][0]["layers"] = 1
    for part in (config["tables"], config["layerwise"]["series"]):
        for name, systems in part.items():
            part[name] = [key for key in systems if key in SYSTEMS]
    config |= {"replicates": 1, "difficulty": {"folds": 2, "seeds": 1, "margins": [0.3]}}
    config["training"] |= {"epochs": 1, "max_length": 64}
    config["evaluation"] = {"targets": [1.5, 2], "resamples": 100}
    config["submission"]["speedup"] = 2
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump(config))
    result = snakemake(tmp_path, "--configfile", str(path))
    assert result.returncode == 0, result.stderr

    results = tmp_path / "results" / "paper"
    table = pd.read_csv(results / "tables" / "table2_main.csv")
    # GLUE keeps its test labels: both development splits are scored, and the table says so.
    assert set(table["split"]) == {"dev", "dev_mismatched"}
    tuned = table[(table["split"] == "dev") & (table["system"] == "deebert")].dropna(subset="score")
    assert (tuned["note"] == "thresholds chosen on this split").all()
    assert "thresholds were chosen on the split that is scored" in (
        results / "tables" / "table2_main.md"
    ).read_text().replace("\\", "")
    splits = json.loads((results / "data/mnli/task.json").read_text())["splits"]
    assert [name for name, about in splits.items() if not about["labelled"]] == [
        "test",
        "test_mismatched",
    ]
    # The paper's numbers stand beside ours.
    ours = table.set_index(["system", "split", "target_speedup"])
    assert ours.loc[("bert-base", "dev_mismatched", 1), "paper_score"] == 83.4
    for stem in ("table3_distillation", "table6_backbone", "table7_fastbert", "claims"):
        assert (results / "tables" / f"{stem}.csv").exists()
    for stem in ("figure2_layers", "figure3_dis", "figure4_representations", "figure5_tradeoff"):
        assert (results / "figures" / f"{stem}.pdf").exists()

    # Both members of RoBERTa's cascade are labelled by the same layers, fine-tuned alone.
    assert (results / "difficulty/mnli/finetune-roberta-12-layers1.parquet").exists()
    cascade = Cascade.from_results(results, "mnli", "cascaderoberta-kd", speedup=1.5)
    assert cascade.layers.tolist() == [1, 4]
    assert {member.config.model_type for member in cascade.members} == {"roberta"}
    assert set(cascade("a superb film", "a dull film").labels) <= set(LABELS)

    stored = results / "predictions/mnli/finetune-bert-12/seed0"
    assert {p.stem for p in stored.glob("*.npz")} == set(splits) - {"train"}
