"""The section `tuning`: every system gets the same settings, and so does what it is made from."""

import copy

import pytest

from cascadebert.core.errors import UserError
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.method import Run
from tests.experiment.test_experiment import DEFAULT

GRID = {"learning_rate": [1e-4, 2e-4], "epochs": [2, 4]}
MORE = {
    "kd": {"method": "kd", "title": "KD", "encoder": "bert-12", "layers": 4, "teacher": "bert-12"},
    "fastbert": {"method": "fastbert", "title": "FastBERT", "encoder": "bert-12"},
    "gatekeeper": {"method": "gatekeeper", "title": "Gate", "members": ["bert-2", "bert-12"]},
}


@pytest.fixture(scope="module")
def tuned() -> Experiment:
    return Experiment(configure(GRID))


def configure(grid: dict) -> dict:
    """The default with more methods, and without epochs of PABEE's own."""
    config = copy.deepcopy(DEFAULT)
    del config["systems"]["pabee"]["training"]
    config["systems"] |= MORE
    return config | {"tuning": grid}


def list_chain(run: Run) -> list[Run]:
    """The run, and all that it starts from or learns from."""
    return [run, *(one for parent in run.parents for one in list_chain(parent))]


def test_every_system_has_every_setting_equally_often(tuned):
    plain = Experiment(configure({}))
    for key, system in tuned.systems.items():
        own = [candidate.label for candidate in plain.systems[key].candidates]
        assert len(system.candidates) == 4 * len(own)
        names = [candidate.name for candidate in system.candidates]
        assert len(set(names)) == len(names)
        for setting in tuned.settings:
            having = [each for each in system.candidates if each.setting == setting]
            assert [each.label for each in having] == own
        assert [system.candidate(name).name for name in names] == names


def test_all_that_a_system_is_made_from_has_its_setting(tuned):
    base = {key: DEFAULT["training"][key] for key in GRID}
    for system in tuned.systems.values():
        for candidate in system.candidates:
            for part in (one for run in candidate.runs for one in list_chain(run)):
                assert base | part.settings == dict(candidate.setting)


def test_runs_are_shared_and_those_of_the_base_setting_keep_their_names(tuned):
    plain = Experiment(configure({}))
    assert set(plain.runs) < set(tuned.runs)
    assert len(tuned.runs) == 4 * len(plain.runs)
    differing = "-epochs4-learning_rate0.0001"
    [student] = [
        run
        for name, run in tuned.runs.items()
        if name.startswith("kd-bert-12-layers4") and name.endswith(differing)
    ]
    [teacher] = student.parents
    assert teacher == tuned.runs[f"finetune-bert-12{differing}"]
    full = tuned.systems["bert-12l"].candidate("epochs 4, learning_rate 0.0001")
    assert full.runs == (teacher,)
    assert tuned.runs[f"deebert-bert-12{differing}"].parents == (teacher,)
    assert f"fastbert-bert-12-stageteacher{differing}" in tuned.runs
    assert f"gatekeeper-bert-2-alpha0.5{differing}" in tuned.runs


def test_difficulty_is_not_tuned(tuned):
    assert tuned.labellers == Experiment(DEFAULT).labellers
    regularised = tuned.runs["finetune-bert-2-margin0.3-epochs4-learning_rate0.0001"]
    assert regularised.labeller == Run("finetune", "bert-2")


def test_without_a_grid_there_is_nothing_new():
    config = configure({})
    names = [run.name for run in Experiment(config).runs.values()]
    assert not any("learning_rate" in name or "epochs" in name for name in names)
    # One value is a grid, too: every system has it.
    [setting] = Experiment(configure({"epochs": [4]})).settings
    assert setting == (("epochs", 4),)


def test_the_full_model_and_the_reference_series_are_found_among_settings(tuned):
    assert tuned.full_run.name in tuned.runs
    outside = Experiment(configure({"epochs": [3, 4]}))
    assert outside.full_run.name == "finetune-bert-12-epochs3"
    for experiment in (tuned, outside):
        assert experiment.reference_series == ["bert-12l", "bert-6l", "bert-4l", "bert-3l"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"epochs": [2, 4]}, r"systems\.pabee\.training: epochs is in `tuning`, which .*delete it"),
        ({"epochs": []}, r"tuning\.epochs: \[\] should be non-empty"),
        ({"learning_rate": [0]}, r"tuning\.learning_rate\.0: 0 is less than or equal"),
        ({"learning_rate": [1e-4, 1e-4]}, r"tuning\.learning_rate: .*non-unique"),
        ({"batch_size": [8]}, r"tuning: .*'batch_size'.*allowed keys: epochs, learning_rate"),
    ],
)
def test_wrong_grids_are_refused(grid, message):
    with pytest.raises(UserError, match=message):
        Experiment(DEFAULT | {"tuning": grid})
