import copy

from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.schedule import rank_labeller, rank_run
from tests.experiment.test_experiment import DEFAULT


def rank_all(experiment: Experiment) -> dict[str, int]:
    return {name: rank_run(experiment, run) for name, run in experiment.runs.items()}


def test_a_run_comes_before_those_that_wait_for_it():
    experiment = Experiment(DEFAULT)
    ranks = rank_all(experiment)
    waits = [(run, parent) for run in experiment.runs.values() for parent in run.parents]
    assert len(waits) > 3
    for run, parent in waits:
        assert ranks[parent.name] > ranks[run.name]
    for name, labeller in experiment.labellers.items():
        labelled = [run.name for run in experiment.runs.values() if run.labeller == labeller]
        assert labelled
        assert rank_labeller(experiment, labeller) > max(ranks[run] for run in labelled), name


def test_work_is_counted_in_layers_and_epochs():
    config = copy.deepcopy(DEFAULT)
    finetune = {"method": "finetune", "title": "Full model", "encoder": "bert-12"}
    deebert = {"method": "deebert", "title": "DeeBERT", "encoder": "bert-12"}
    config["systems"] = {
        "full": finetune,
        "first-6": finetune | {"title": "First 6 layers", "layers": 6, "training": {"epochs": 5}},
        "deebert": deebert,
        "cascade": {"method": "cascade", "title": "Cascade", "members": ["bert-2", "bert-12"]},
        "dar": {"method": "cascade", "title": "DAR", "members": ["bert-2", "bert-12"], "dar": True},
    }
    config |= {"proposed": "cascade", "replicates": 3, "tables": {}}
    config["training"]["epochs"] = 2
    config["difficulty"] |= {"folds": 4, "seeds": 5, "margins": [0.1]}
    experiment = Experiment(config)
    assert rank_all(experiment) == {
        "finetune-bert-12": 3 * (12 * 2 + 12),
        "finetune-bert-12-layers6-epochs5": 3 * 6 * 5,
        "deebert-bert-12": 3 * 12,
        "finetune-bert-2": 3 * 2 * 2,
        "finetune-bert-2-margin0.1": 3 * 2 * 2,
    }
    [labeller] = experiment.labellers.values()
    assert rank_labeller(experiment, labeller) == 4 * 5 * 2 * 2 + 3 * 2 * 2


def test_an_encoder_of_unknown_depth_counts_as_base():
    config = copy.deepcopy(DEFAULT)
    config["encoders"]["bert-12"] = "google-bert/bert-base-uncased"
    experiment = Experiment(config)
    known = rank_all(Experiment(DEFAULT))
    assert rank_all(experiment) == known
