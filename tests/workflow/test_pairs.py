"""A task of pairs with three classes, half of whose test split is in train; nothing tries DAR."""

import json

import pandas as pd
import pytest
import yaml

from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from tests.tiny import sentences
from tests.workflow.command import snakemake

LABELS = ["entailment", "neutral", "contradiction"]


def pairs(count: int, seed: int) -> pd.DataFrame:
    premises, hypotheses = (sentences(count, seed + shift)["text"] for shift in (0, 100))
    labels = [LABELS[row % 3] for row in range(count)]
    return pd.DataFrame({"premise": premises, "hypothesis": hypotheses, "label": labels})


@pytest.fixture(scope="module")
def made(tmp_path_factory, encoders):
    """The folder of the finished experiment with its report."""
    folder = tmp_path_factory.mktemp("pairs")
    train, test = pairs(180, 1), pairs(30, 3)
    splits = {"train": train, "dev": pairs(45, 2), "test": pd.concat([test, train[:30]])}
    for split, table in splits.items():
        table.to_csv(folder / f"{split}.csv", index=False)
    config = {
        "experiment": "leaking",
        "tasks": {
            "pairs": {
                "source": {"files": {split: f"{split}.csv" for split in splits}},
                "columns": {"text": "premise", "text_pair": "hypothesis", "label": "label"},
                "labels": LABELS,
            }
        },
        "encoders": {
            "bert-2": {"model": encoders["bert-2"], "tokenizer": "bert-4"},
            "bert-4": encoders["bert-4"],
        },
        "reference": "bert-4",
        "systems": {
            "bert-4l": {"method": "finetune", "title": "BERT-4L", "encoder": "bert-4"},
            "cascade": {"method": "cascade", "title": "Cascade", "members": ["bert-2", "bert-4"]},
        },
        "proposed": "cascade",
        "replicates": 1,
        "training": {"epochs": 1, "learning_rate": 2e-4, "batch_size": 16, "max_length": 16},
        "evaluation": {"targets": [1.5, 2], "resamples": 100},
    }
    path = folder / "leaking.yaml"
    path.write_text(yaml.safe_dump(config))
    result = snakemake(folder, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    report = ("--report", str(folder / "report.html"))
    result = snakemake(folder, *report, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    return folder


def test_test_texts_that_are_in_train_are_said_everywhere(made):
    results = made / "results/leaking"
    said = "pairs: 30 of 60 rows of test have a text that is in train, too"
    assert said in (results / "logs/prepare_task/pairs.log").read_text()
    assert said in (results / "summary.rst").read_text()
    assert said in (made / "report.html").read_text()
    described = json.loads((results / "data/pairs/task.json").read_text())
    assert described["splits"]["test"]["shared"] == {"train": 30}
    table = pd.read_csv(results / "tables/table1_data.csv").set_index("split")
    assert table["shared_with_train"].to_dict() == {"train": 0, "dev": 0, "test": 30}
    assert json.loads(table.loc["test", "classes"]) == dict.fromkeys(LABELS, 20)
    assert "30 texts are in train, too" in (results / "tables/table1_data.md").read_text()


def test_cut_texts_and_the_score_of_guessing_stand_in_the_tables(made):
    results = made / "results/leaking"
    cut = pd.read_csv(results / "tables/table1_data.csv")["cut"]
    assert (cut > 0).all()
    assert "were cut" in (results / "summary.rst").read_text()
    points = pd.read_csv(results / "tables/table2_main.csv")
    assert points["majority"].round(1).unique().tolist() == [33.3]
    assert "Majority class" in (results / "tables/table2_main.md").read_text()


def test_each_class_has_a_score(made):
    results = made / "results/leaking"
    classes = pd.read_csv(results / "evaluation/pairs/classes.csv")
    points = pd.read_csv(results / "evaluation/pairs/operating_points.csv")
    assert classes["label"].nunique() == 3
    # Weighted by the classes' sizes, recall is accuracy.
    of = ["system", "split", "target_speedup"]
    recalled = (classes["recall"] * classes["n"]).groupby([classes[key] for key in of]).sum()
    scores = points.dropna(subset="score").set_index(of)[["score", "n"]]
    accuracy = recalled / scores["n"]
    assert accuracy.to_numpy() == pytest.approx(scores["score"].loc[accuracy.index].to_numpy())
    assert "F1 (percent) of each class" in (results / "tables/classes.md").read_text()


def test_where_nothing_tries_dar_nothing_asks_about_it(made):
    results = made / "results/leaking"
    names = {path.stem for path in (results / "tables").iterdir()}
    assert names == {
        "table1_data",
        "table2_main",
        "curve_scores",
        "classes",
        "probes",
        "promises",
        "provenance",
    }
    assert {path.stem for path in (results / "figures").iterdir()} == {"figure_tradeoff"}
    page = (results / "summary.rst").read_text()
    assert "How much faster is Cascade, and at what loss?" in page
    assert "Tables 4 and 5, the reliability diagrams and the figure of confidence are left" in page
    assert "The table of the paper's claims is left out" in page
    assert "The paper's claims here" not in page


def test_its_cascade_asks_for_the_pairs(made):
    cascade = Cascade.from_results(made / "results/leaking", "pairs", "cascade", 1.5)
    answers = cascade(["a superb film"], ["a dull film"])
    assert answers.probabilities.shape == (1, 3)
    with pytest.raises(UserError, match="was trained on pairs of texts; give `pairs`, too"):
        cascade(["a superb film"])
