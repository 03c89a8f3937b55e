"""Which tables and figures there are, by configuration and by what has been run."""

from dataclasses import replace

import pytest
import yaml

from cascadebert.experiment.catalogue import FIGURES, TABLES, Catalogue
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.extent import plan_all
from tests.experiment.test_experiment import DEFAULT, ROOT

OF_EVERYTHING = {"appendix_c", "table3_distillation", "table6_backbone", "table7_fastbert"}


def experiment(override: str | None = None, **changes) -> Experiment:
    path = ROOT / "config" / f"{override}.yaml"
    config = resolve(DEFAULT, yaml.safe_load(path.read_text()) if override else {})
    return Experiment({**config, **changes})


def without(experiment: Experiment, task: str, system: str) -> Catalogue:
    """The catalogue where that system was not run on that task."""
    extent = plan_all(experiment)
    systems = {**extent.systems, task: [key for key in extent.systems[task] if key != system]}
    return Catalogue(experiment, replace(extent, systems=systems))


def test_the_default_has_no_section_for_the_other_tables_and_figures():
    of_default = experiment()
    catalogue = Catalogue(of_default, plan_all(of_default))
    assert set(catalogue.tables) == set(TABLES) - OF_EVERYTHING - {"classes", "temperature"}
    assert all(name.partition("_")[0] == "figure" for name in catalogue.figures)
    assert list(catalogue.rows["table2_main"]) == list(of_default.systems)
    assert catalogue.traded_off == catalogue.rows["table2_main"]
    assert catalogue.missing == []


def test_the_whole_paper_has_all():
    whole = experiment("everything")
    catalogue = Catalogue(whole, plan_all(whole))
    left_out = {"classes", "temperature"}
    assert list(catalogue.tables) == [table for table in TABLES if table not in left_out]
    assert list(catalogue.figures) == list(FIGURES)
    assert catalogue.complete == ["complete-2", "complete-4", "complete-6", "bert-12l"]
    assert list(catalogue.traded_off) == whole.config["tradeoff"]
    assert catalogue.table6_encoders == ["bert-12"]
    assert set(catalogue.averaging) == {key for key in whole.systems if key.endswith("-mean")} | {
        "linear"
    }
    assert {run.encoder for run in catalogue.represented_runs} == {"bert-2", "bert-12"}


def test_tasks_of_more_than_two_classes_have_a_table_of_classes():
    paper = experiment("paper")
    catalogue = Catalogue(paper, plan_all(paper))
    assert catalogue.multiclass_tasks == ["mnli"]
    assert "classes" in catalogue.tables


def test_a_figure_is_of_the_tasks_on_which_all_its_systems_were_run():
    catalogue = without(experiment("everything"), "news", "bert-4l")
    assert catalogue.tasks == ["movies", "amazon", "tweets", "news"]
    assert catalogue.layered_tasks == ["movies", "amazon", "tweets"]
    assert catalogue.extended_tasks == catalogue.represented_tasks == catalogue.tasks
    [missing] = catalogue.missing
    assert missing.startswith("Figures 2 and 3 without news:")


@pytest.mark.parametrize("task", ["movies", "news"])
def test_a_pair_that_one_task_has_is_shown_there(task):
    catalogue = without(experiment("everything"), task, "cascadebert-2-6-12")
    assert "figure5_tradeoff" in catalogue.figures
    assert task not in catalogue.extended_tasks
    assert len(catalogue.extended_tasks) == 3


def test_states_are_looked_for_where_only_the_finished_is_wanted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = experiment("everything", only_finished=True)
    catalogue = Catalogue(finished, plan_all(finished))
    assert "figure4_representations" not in catalogue.figures
    for run in catalogue.represented_runs:
        path = tmp_path / "results/everything/representations/news" / f"{run.name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert Catalogue(finished, plan_all(finished)).represented_tasks == ["news"]
