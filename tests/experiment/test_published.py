import copy

import numpy as np
import pandas as pd
import pytest
import yaml

from cascadebert.core.errors import UserError
from cascadebert.experiment import published
from cascadebert.experiment.configuration import Experiment
from tests.workflow.command import ROOT

NAMES = {
    "systems": {"small": "cascadebert", "dee": "deebert"},
    "tasks": {"mnli": {"dev": "mnli-m", "dev_mismatched": "mnli-mm"}, "words": {}},
}
TABLES = published.load_numbers()


def test_a_number_is_there_once():
    key = ["table", "method", "target_speedup", "task", "measure"]
    assert not TABLES.duplicated(key).any()
    assert TABLES["score"].notna().all()
    assert set(TABLES["table"]) == set(range(1, 8))


@pytest.mark.parametrize(
    ("table", "method", "target", "task", "score", "speedup"),
    [
        (2, "cascadebert", 4, "sst2", 90.3, 4.01),
        (2, "deebert", 2, "mnli-mm", 73.1, 1.88),
        (2, "bert-base", 1, "qqp", 71.2, 1),
        (3, "bert-of-theseus", 3, "qnli", 85.5, np.nan),
        (6, "cascaderoberta+vanilla-kd", 3, "mnli-m", 79.7, np.nan),
        (7, "fastbert", 4, "qqp", 70.5, np.nan),
    ],
)
def test_numbers_are_those_that_are_printed(table, method, target, task, score, speedup):
    [row] = TABLES.query(
        "table == @table and method == @method and target_speedup == @target and task == @task"
    ).itertuples()
    assert row.score == score
    assert row.speedup == speedup or (np.isnan(row.speedup) and np.isnan(speedup))


def test_the_same_system_has_the_same_scores_in_all_tables():
    rows = TABLES[(TABLES["method"] == "cascadebert") & (TABLES["measure"] == "score")]
    rows = rows[rows["task"] != "avg"]
    assert len(rows) > 40
    assert (rows.groupby(["task", "target_speedup"])["score"].nunique() == 1).all()


def test_averages_follow_from_the_columns():
    scores = TABLES[TABLES["measure"] == "score"]
    key = ["table", "method", "target_speedup"]
    printed = scores[scores["task"] == "avg"].set_index(key)["score"]
    computed = scores[scores["task"] != "avg"].groupby(key)["score"].mean()
    assert len(printed) == 30
    assert (printed - computed.reindex(printed.index)).abs().max() < 0.1


def test_beside_puts_each_number_where_it_belongs():
    frame = pd.DataFrame(
        [
            ("mnli", "dev", "small", 3.0),
            ("mnli", "dev_mismatched", "dee", 3.0),
            ("mnli", "dev", "small", 2.5),  # no such target
            ("mnli", "test", "small", 3.0),  # a split that is not the paper's
            ("mnli", "dev", "mine", 3.0),  # nor this system
            ("words", "dev", "small", 3.0),  # nor this task
        ],
        columns=["task", "split", "system", "target_speedup"],
        index=[0] * 6,
    )
    found = published.add_published_numbers(frame, 2, NAMES)
    assert list(found["paper_score"].fillna(-1)) == [81.2, 61.3, -1, -1, -1, -1]
    assert list(found["paper_speedup"].fillna(-1)) == [3.0, 3.03, -1, -1, -1, -1]
    pd.testing.assert_frame_equal(found[frame.columns], frame)
    assert published.add_published_numbers(frame[:0], 2, NAMES).empty
    assert (
        published.add_published_numbers(frame, 2, {"systems": {}, "tasks": {}})["paper_score"]
        .isna()
        .all()
    )


def test_beside_knows_measures():
    frame = pd.DataFrame({"task": "mnli", "split": "dev", "system": "small"}, index=range(3))
    frame = frame.assign(measure=["dis", "ece", "confidence_wrong"])
    found = published.add_published_numbers(frame, 5, NAMES)["paper_score"]
    assert list(found.fillna(-1)) == [78.0, 7.9, -1]


def test_data_table_has_sizes_and_the_margins_of_the_papers_cascade():
    found = published.read_published_sizes(NAMES)
    assert found["mnli", "train"] == (393000, "")
    assert found["mnli", "dev"] == (20000, "mnli-m and mnli-mm together")
    assert found["mnli", "small"] == (0.3, "")
    assert {key for task, key in found if task == "mnli"} == {"train", "dev", "test", "small"}


@pytest.mark.parametrize(
    ("section", "key", "value", "path"),
    [
        ("systems", "deebert", "debert", "systems.deebert.published"),
        ("tasks", "sst2", {"dev": "sst-2"}, "tasks.sst2.published.dev"),
        ("tasks", "sst2", {"dev": "avg"}, "tasks.sst2.published.dev"),
    ],
)
def test_a_name_that_is_not_the_papers_is_refused(section, key, value, path):
    default, paper = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "config/paper.yaml")
    )
    config = copy.deepcopy({**default, **paper})
    config["difficulty"], config["training"] = default["difficulty"], default["training"]
    config[section][key]["published"] = value
    with pytest.raises(UserError, match=rf"{path}: .* is none of .*(fastbert|sst2)"):
        Experiment(config)
