import copy

import pytest
import yaml

from cascadebert.core.errors import UserError
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.extent import find_extent, keep_finished, plan_all
from tests.experiment.test_experiment import DEFAULT, ROOT


@pytest.fixture
def experiment() -> Experiment:
    """The default on two tasks."""
    config = copy.deepcopy(DEFAULT)
    config["tasks"]["news"] = config["tasks"]["movies"]
    return Experiment(config)


def lacking(*lost):
    """Everything is predicted but for these (task, run, replicate); None stands for any."""

    def predicted(*place):
        return not any(
            all(one in (None, other) for one, other in zip(entry, place, strict=True))
            for entry in lost
        )

    return predicted


def test_where_all_is_there_nothing_is_missing(experiment):
    assert keep_finished(experiment, lacking()) == plan_all(experiment)
    assert plan_all(experiment).missing == []


def test_a_system_is_missing_where_a_replicate_of_one_candidate_is(experiment):
    found = keep_finished(experiment, lacking(("news", "deebert-bert-12", 2)))
    assert found.systems["movies"] == list(experiment.systems)
    assert found.systems["news"] == [key for key in experiment.systems if key != "deebert"]
    assert found.runs["news"] == [run for run in experiment.runs if run != "deebert-bert-12"]
    assert found.missing == ["Not run on news: DeeBERT."]


def test_runs_that_systems_share_are_missing_to_all_of_them(experiment):
    found = keep_finished(experiment, lacking(("movies", "finetune-bert-12-layers6", None)))
    assert found.missing == ["Not run on movies: BERT-6L."]
    found = keep_finished(experiment, lacking(("movies", "finetune-bert-2", 0)))
    assert found.missing == ["Not run on movies: CascadeBERT w/o DAR."]


@pytest.mark.parametrize(
    ("run", "title"),
    [
        ("finetune-bert-2-margin0.3", "CascadeBERT"),
        ("finetune-bert-12", "CascadeBERT and BERT-12L"),
    ],
)
def test_a_task_without_the_proposed_or_the_full_model_is_left_out(experiment, run, title):
    found = keep_finished(experiment, lacking(("news", run, 1)))
    assert list(found.systems) == list(found.runs) == ["movies"]
    assert found.missing == [f"The task news is left out: not run there: {title}."]


def test_the_full_model_is_the_one_that_reads_what_its_encoder_says():
    """And not the check of another pooling, which stands beside it."""
    override = yaml.safe_load((ROOT / "config/replication.yaml").read_text())
    experiment = Experiment(resolve(DEFAULT, override), override)
    assert experiment.full_model == "full"
    assert experiment.reference_series == ["full", "first-6", "first-4", "first-3"]
    [check] = experiment.systems["full-first"].runs
    found = keep_finished(experiment, lacking(("mrpc", check.name, 0)))
    assert found.missing == ["Not run on mrpc: Full model (first token)."]
    found = keep_finished(experiment, lacking(("mrpc", experiment.full_run.name, 0)))
    assert "The task mrpc is left out: not run there: CascadeBERT 3-12 and Full" in found.missing[0]


def test_a_full_model_may_have_a_training_of_its_own():
    config = copy.deepcopy(DEFAULT)
    config["systems"]["bert-12l"]["training"] = {"epochs": 1}
    assert Experiment(config).full_model == "bert-12l"
    del config["systems"]["bert-12l"]
    assert Experiment(config).full_model is None


def test_of_several_full_models_the_one_that_others_are_built_on_counts():
    override = yaml.safe_load((ROOT / "config/replication_epochs.yaml").read_text())
    experiment = Experiment(resolve(DEFAULT, override), override)
    assert next(iter(experiment.systems)) == "full-2"
    assert experiment.full_model == "full-10"
    assert experiment.full_run in experiment.systems["dar-10"].runs


def test_in_seconds_a_run_without_times_is_not_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = copy.deepcopy(DEFAULT) | {"only_finished": True}
    config["evaluation"] = {**config["evaluation"], "cost": "seconds"}
    experiment = Experiment(config)
    results = tmp_path / experiment.results
    (results / "data/movies").mkdir(parents=True)
    for run in experiment.runs:
        for replicate in experiment.replicates:
            (results / f"predictions/movies/{run}/seed{replicate}").mkdir(parents=True)
    with pytest.raises(UserError, match="are there predictions and times of CascadeBERT and BERT"):
        find_extent(experiment)
    (results / "times/movies").mkdir(parents=True)
    for run in experiment.runs:
        if not run.startswith("deebert"):
            (results / f"times/movies/{run}.csv").touch()
    said = "Not run on movies: DeeBERT and DeeBERT (mean)."
    assert find_extent(experiment).missing == [said]


def test_nothing_finished_is_an_error(experiment):
    with pytest.raises(UserError, match="of no task of movies are there predictions of Cascade"):
        keep_finished(experiment, lacking((None, "finetune-bert-12", 0)))
