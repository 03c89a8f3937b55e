import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.core.errors import UserError
from cascadebert.experiment.catalogue import Catalogue
from cascadebert.experiment.configuration import Experiment, load_experiment, resolve
from cascadebert.experiment.consistency import list_doubts, refuse_contradictions
from cascadebert.experiment.extent import plan_all
from tests.experiment.test_experiment import DEFAULT, ROOT, changed

CASCADE = DEFAULT["systems"]["cascadebert"]
TRAINING = {"epochs": 3, "learning_rate": 2e-5, "max_length": 128}


def test_the_shipped_configurations_contradict_nothing(tmp_path, monkeypatch):
    for path in [ROOT / "config.yaml", *sorted((ROOT / "config").glob("[!.]*.yaml"))]:
        if path.name.endswith("schema.yaml"):
            continue
        monkeypatch.chdir(tmp_path)
        override = yaml.safe_load(path.read_text()) if path.parent != ROOT else {}
        entries = list(override.get("encoders", {}).values())
        entries.append(override.get("pretraining", {}).get("teacher", "none"))
        for entry in entries:
            model = entry if isinstance(entry, str) else entry["model"]
            if model.startswith("local/"):
                (tmp_path / model).mkdir(parents=True, exist_ok=True)
                (tmp_path / model / "config.json").write_text("{}")
        experiment = Experiment(resolve(DEFAULT, override), override)
        refuse_contradictions(experiment)
        assert list_doubts(experiment) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "systems.Deebert",
            {**DEFAULT["systems"]["deebert"], "title": "D"},
            "systems: deebert and",
        ),
        ("tasks.Movies", DEFAULT["tasks"]["movies"], "tasks: movies and Movies differ only in cap"),
        ("systems.deebert.title", "PABEE", "systems: deebert and pabee have one title, 'PABEE'"),
        ("systems.deebert.title", "PABEE ", "systems: deebert and pabee have one title, 'PABEE'"),
        (
            "tasks.movies.labels",
            ["a", "b", "c"],
            "tasks.movies: `labels` has 3 names, but a rating",
        ),
        ("tasks.movies.columns", {"text": 1, "rating": 1}, "text and rating are both column 1"),
        (
            "submission",
            {"system": "cascadebert", "speedup": 9},
            "submission.speedup: no thresholds",
        ),
        (
            "encoders.bert-2.model",
            str(ROOT / "models"),
            "has no config.json, which every model has",
        ),
        (
            "encoders.bert-2.model",
            "config/README.md",
            "config/README.md is a file; name the folder",
        ),
        ("encoders.bert-2.model", "a" * 300, "there is no folder aaa"),
        ("proposed", "bert-12l", "proposed: bert-12l has one exit"),
        ("systems.cascadebert.ablation_of", "cascadebert", "is this system itself"),
        (
            "systems.cascadebert.extends",
            "cascadebert",
            "extends: cascadebert is this system itself",
        ),
        (
            "systems.cascadebert.truncation_of",
            "cascadebert",
            "truncation_of: cascadebert is this system itself",
        ),
        ("systems.cascadebert-without-dar.dar", True, "it has difficulty-aware regularisation as"),
        (
            "systems.cascadebert-without-dar.members",
            [{"encoder": "bert-12", "layers": 2}, "bert-12"],
            "systems.cascadebert-without-dar.ablation_of: cascadebert has other models",
        ),
        ("systems.cascadebert.dar", False, "cascadebert has no difficulty-aware regularisation"),
        ("systems.cascade-distilled.ablation_of", "cascadebert", "are all an `ablation_of` casc"),
        (
            "systems.cascadebert.members",
            ["bert-12", "bert-2"],
            "systems.cascadebert: bert-12 costs more than bert-2, which comes after it",
        ),
        ("evaluation.targets", [2, 40], "no system has a speed-up of 40x; the highest is 12.00x"),
        (
            "encoders.bert-2.model",
            "models/bert-2x182",
            "there is no folder models/bert-2x182; there is ",
        ),
        (
            "encoders.bert-2.model",
            "/models/bert",
            "encoders.bert-2: there is no folder /models/bert, and",
        ),
        (
            "encoders.bert-2",
            {"model": "models/bert-2x128", "tokenizer": "bert-12", "revision": "v1"},
            "encoders.bert-2.revision: models/bert-2x128 is a folder, and only models of the hub",
        ),
        (
            "training.max_length",
            700,
            "training.max_length: 700 tokens, but bert-12 reads 512 at most",
        ),
        (
            "tasks.movies.source",
            {"files": {"train": "a<b>.csv", "dev": "dev.csv"}},
            "tasks.movies.source: a<b>.csv has one of {}<>, which stand for wildcards",
        ),
        (
            "layerwise",
            {"emits": "bert-12l", "series": {"a": ["pabee"]}},
            "layerwise.emits: bert-12l",
        ),
        (
            "layerwise",
            {"emits": "pabee", "series": {"a": ["cascadebert"]}},
            "layerwise.series.a: cascadebert consists of several models",
        ),
        (
            "representations",
            {"layers": 3, "systems": ["pabee", "cascadebert"]},
            "representations: cascadebert has no exit after 3 layers (its first model has 2)",
        ),
        (
            "representations",
            {"layers": 13, "systems": ["pabee"]},
            "representations: pabee has no exit after 13 layers (its first model has 12)",
        ),
        ("tasks.movies.unlabelled_test", True, "tasks.movies: unlabelled_test concerns labels"),
        (
            "tasks.movies.columns",
            {"text": 1, "label": 0},
            "tasks.movies: neutral concerns ratings, and `columns` has no rating; delete it",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(path, value, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment = Experiment(changed(path, value))
    with pytest.raises(UserError) as refused:
        refuse_contradictions(experiment)
    assert message in str(refused.value)


def test_a_target_is_out_of_reach_only_if_no_system_comes_near(monkeypatch):
    """A system of one exit may miss it by the tolerance; a faster or equal cascade may not."""
    monkeypatch.chdir(ROOT)
    config = changed("evaluation.targets", [2, 3.5])
    first_layers = [{"encoder": "bert-12", "layers": 4}, "bert-12"]
    cascade = {"method": "cascade", "title": "C", "members": first_layers}
    config["systems"] = {"cascade": cascade, "bert-4l": config["systems"]["bert-4l"]}
    config["proposed"] = "cascade"
    refuse_contradictions(Experiment(config))


def test_a_folder_with_braces_is_no_encoder(tmp_path):
    shutil.copytree(ROOT / "models/bert-2x128", tmp_path / "a{b}")
    experiment = Experiment(changed("encoders.bert-2.model", str(tmp_path / "a{b}")))
    with pytest.raises(UserError, match=r"encoders\.bert-2: .*a\{b\} has one of \{\}<>, which"):
        refuse_contradictions(experiment)


def test_an_ensemble_is_as_fast_as_all_its_members_together():
    ensemble = {"method": "agreement", "title": "A", "members": ["bert-2", "bert-12"], "seeds": 3}
    config = changed("systems.agreement", ensemble)
    small = {"method": "cascade", "members": ["bert-2", "bert-12"], "title": "C"}
    config["systems"] = {
        "full": config["systems"]["bert-12l"],
        "small": small,
        "agreement": config["systems"]["agreement"],
    }
    config |= {"proposed": "small", "evaluation": {**config["evaluation"], "targets": [2, 4]}}
    assert not [note for note in list_doubts(Experiment(config)) if "cannot be" in note]
    config["proposed"] = "agreement"
    [note] = [note for note in list_doubts(Experiment(config)) if "cannot be" in note]
    assert "agreement cannot be 4x as fast as bert-12" in note
    assert "its speed-up is 2.00x" in note


def test_all_contradictions_are_told_at_once():
    config = changed("proposed", "bert-12l")
    config["systems"]["deebert"]["title"] = "PABEE"
    config["encoders"]["bert-2"]["model"] = "models/bert-2x182"
    with pytest.raises(UserError) as refused:
        refuse_contradictions(Experiment(config))
    lines = str(refused.value).splitlines()
    assert [line.split(": ")[0].split(", ")[1] for line in lines] == [
        "systems",
        "proposed",
        "encoders.bert-2",
    ]


def test_seconds_need_the_full_model_and_may_have_any_target(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = changed("evaluation.cost", "seconds")
    config["evaluation"]["targets"] = [40]  # no count of layers tells what is reached
    refuse_contradictions(Experiment(config))
    config["systems"] = {"pabee": config["systems"]["pabee"]}
    config["proposed"] = "pabee"
    with pytest.raises(UserError, match=r"evaluation\.cost: .* the fine-tuned bert-12, which no"):
        refuse_contradictions(Experiment(config))


def test_what_counts_layers_does_not_stand_beside_seconds(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = resolve(DEFAULT, EVERYTHING)
    config["evaluation"] = {**config["evaluation"], "cost": "seconds"}
    with pytest.raises(UserError) as caught:
        refuse_contradictions(Experiment(config))
    assert "layerwise: its figures count layers; leave it out" in str(caught.value)
    assert "systems.cascadebert-2-6-12.extends: Appendix C counts layers" in str(caught.value)


def test_no_task_is_called_as_all_of_them():
    config = changed("tasks.all", DEFAULT["tasks"]["movies"])
    with pytest.raises(UserError, match=r"tasks\.all: in tables, `all` stands for all tasks"):
        refuse_contradictions(Experiment(config))


def test_a_name_that_may_be_on_the_hub_is_no_missing_folder():
    for name in ("bert-base-uncased", "google/bert_uncased_L-2_H-768_A-12"):
        refuse_contradictions(Experiment(changed("encoders.bert-2.model", name)))


def test_what_is_probably_not_meant_is_a_doubt():
    larger, out_of_reach = list_doubts(Experiment(changed("reference", "bert-2")))
    assert "bert-2, is smaller than bert-12" in larger
    assert "cascadebert cannot be 2x, 3x or 4x as fast as bert-2" in out_of_reach
    config = changed("evaluation.targets", [2, 8])
    config["systems"]["cascadebert"]["members"] = [{"encoder": "bert-12", "layers": 6}, "bert-12"]
    config["systems"]["cascadebert-without-dar"]["members"] = ["bert-2", "bert-12"]
    [slow] = list_doubts(Experiment(config))
    assert "cascadebert cannot be 8x as fast" in slow
    assert "2.00x" in slow


def test_encoders_of_other_widths_are_compared_by_their_cost(tmp_path):
    """Two wide layers cost more than four narrow ones."""
    wide = {"num_hidden_layers": 4, "hidden_size": 768, "intermediate_size": 3072}
    (tmp_path / "config.json").write_text(json.dumps(wide))
    config = changed("encoders.wide", str(tmp_path))
    config["systems"]["cascadebert"]["members"] = ["wide", "bert-12"]
    with pytest.raises(UserError, match="wide costs more than bert-12"):
        refuse_contradictions(Experiment(config))


def test_a_series_has_the_layers_of_the_system_that_emits(tmp_path):
    """Figure 2 was refused by its own job, after all training."""
    narrow = {"num_hidden_layers": 4, "hidden_size": 96, "intermediate_size": 384}
    (tmp_path / "config.json").write_text(json.dumps(narrow))
    config = changed("encoders.narrow", str(tmp_path))
    config["systems"]["small"] = {"method": "finetune", "title": "Small", "encoder": "narrow"}
    config["systems"]["short"] = {"method": "deebert", "title": "Short", "encoder": "bert-2"}
    config["layerwise"] = {"emits": "deebert", "series": {"a": ["bert-3l", "bert-12l"]}}
    refuse_contradictions(Experiment(config))
    for emits, key, layers in [("deebert", "small", "2.308"), ("short", "bert-3l", "3")]:
        config["layerwise"] = {"emits": emits, "series": {"a": [key]}}
        with pytest.raises(UserError) as refused:
            refuse_contradictions(Experiment(config))
        assert f"layerwise.series.a: {key} costs {layers} layers of the ref" in str(refused.value)
        assert f"but {emits} has no exit there" in str(refused.value)


FAMILY = yaml.safe_load((ROOT / "config/distilbert.yaml").read_text())["pretraining"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder", {**FAMILY["encoder"], "heads": 3}, "encoder: 3 heads do not divide the width"),
        ("max_tokens", 600, "max_tokens: 600 tokens, but the encoders read 512 at most"),
        ("characters", [220, 20], "characters: no sentence has at least 220 and at most 20"),
        ("depths", [{"layers": 13, "tokens": 9}], "depths: 13 layers cannot be copied from the te"),
        ("depths", [{"layers": 4, "tokens": 9}] * 2, "depths: 4 layers are there 2 times"),
        ("card", {**FAMILY["card"], "teacher": None}, "card: 'teacher' is a required property"),
        (
            "teacher",
            {**FAMILY["teacher"], "sentences": 1000},
            "teacher.sentences: the teacher reads 1000 sentences, and held_out takes 1000",
        ),
        (
            "teacher",
            {**FAMILY["teacher"], "model": "models/bert-12x182"},
            "teacher.model: there is no folder models/bert-12x182; there is models/bert-12x128",
        ),
        ("vocabulary", {"from": "/mine"}, "vocabulary.from: there is no folder /mine, and a model"),
    ],
)
def test_pretraining_that_cannot_end_is_refused(key, value, message, monkeypatch):
    """Most were refused by the job of an encoder or of its card, after the teacher had read all."""
    monkeypatch.chdir(ROOT)
    if key == "card":
        del value["teacher"]
    with pytest.raises(UserError) as refused:
        refuse_contradictions(
            load_experiment(
                ROOT / "config.yaml",
                {"experiment": "family", "pretraining": {**FAMILY, key: value}},
            )
        )
    assert f"configuration, pretraining.{message}" in str(refused.value)


def test_an_encoder_of_the_family_is_made_or_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["mine-4x128", "mine-6x128"]
    override = {"experiment": "family", "training": TRAINING, "reference": "mine-4x128"}
    override |= {"encoders": dict(zip(names, names, strict=True)), "proposed": "both"}
    override["systems"] = {"both": {"method": "cascade", "title": "Both", "members": names}}
    override["pretraining"] = {**FAMILY, "family": "mine"}
    experiment = load_experiment(ROOT / "config.yaml", override)
    with pytest.raises(UserError) as refused:
        refuse_contradictions(experiment)
    assert str(refused.value) == (
        "configuration, encoders.mine-6x128: there is no folder mine-6x128, and `pretraining` "
        "makes mine-4x128; correct the path, or add the depth"
    )
    (tmp_path / "mine-6x128").mkdir()
    shutil.copy(ROOT / "models/bert-6x128/config.json", tmp_path / "mine-6x128")
    refuse_contradictions(load_experiment(ROOT / "config.yaml", override))


def load(override: dict) -> Experiment:
    return load_experiment(ROOT / "config.yaml", override)


def told(override: dict) -> list[str]:
    with pytest.raises(UserError) as refused:
        load(override)
    return str(refused.value).splitlines()


def test_an_override_needs_a_name_of_its_own():
    [line] = told({"replicates": 1})
    assert "`experiment` is missing" in line
    assert "among those of config.yaml" in line
    assert load({"only_finished": "true", "pack": 2}).name == "movies"


def test_new_encoders_are_told_all_that_follows():
    lines = told({"experiment": "mine", "encoders": {"small": "models/bert-2x128", "large": "b"}})
    told_of = {line.split(": ")[0].removeprefix("configuration, ") for line in lines}
    assert told_of == {"encoders", "reference", "systems.bert-12l.encoder"}
    assert any(
        "add training.epochs, training.learning_rate and training.max_length" in line
        for line in lines
    )
    [systems] = [line for line in lines if "systems." in line]
    assert "'bert-12' is none of small, large (and " in systems
    assert (
        "this is config.yaml's `systems`: write `systems` into your configuration, and `pro"
        in systems
    )
    [reference] = [line for line in lines if "reference" in line]
    assert reference.endswith(
        "this is config.yaml's `reference`: write `reference` into your configuration"
    )


def test_all_mistakes_are_told_at_once():
    lines = told(
        {
            "experiment": "mine",
            "replicates": 0,
            "training": {"epochs": "3", "speed": 1},
            "difficulty": {"folds": 1},
            "evaluation": {"targets": []},
        }
    )
    places = ("replicates", "training", "training.epochs", "difficulty.folds", "evaluation.targets")
    assert sorted(line.split(": ")[0] for line in lines) == sorted(
        f"configuration, {place}" for place in places
    )


def test_a_dotted_key_is_told_how_to_write_it():
    [line] = told({"experiment": "mine", "training.epochs": 3})
    assert "--config 'training={epochs: ...}'" in line


def test_models_of_the_default_are_those_of_this_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models/bert-2x128").mkdir(parents=True)
    assert load({}).encoders.locate("bert-2") == str(ROOT / "models/bert-2x128")
    mine = load({"experiment": "m", "encoders": DEFAULT["encoders"], "training": TRAINING})
    with pytest.raises(
        UserError, match=r"encoders\.bert-2: models/bert-2x128 is a folder here and"
    ):
        refuse_contradictions(mine)
    whole = changed("encoders.bert-2.model", str(tmp_path / "models/bert-2x128"))
    assert Experiment(whole).encoders.locate("bert-2") == str(tmp_path / "models/bert-2x128")


def test_a_revision_is_another_model():
    config = changed("encoders.bert-2", {"model": "a/b", "revision": "v1", "tokenizer": "bert-12"})
    config["encoders"]["bert-3"] = {"model": "a/b", "tokenizer": "bert-12"}
    experiment = Experiment(config)
    encoders = experiment.encoders
    places = [encoders.locate(name) for name in ("bert-2", "bert-3")]
    assert [Path(place).name for place in places] == ["a--b@v1", "a--b"]
    assert [encoders.on_hub[place].revision for place in places] == ["v1", "main"]


def test_margins_that_train_the_same_are_trained_once():
    config = changed("difficulty.margins", [0.1, 0.5, 0.7, 1])
    assert Experiment(config).margins == [0.1, 0.5]
    config["tasks"]["three"] = copy.deepcopy(config["tasks"]["movies"])
    config["tasks"]["three"]["labels"] = ["a", "b", "c"]
    experiment = Experiment(config)
    assert experiment.margins == [0.1, 0.5, 0.7, 1]
    names = {
        task: [each.name for each in experiment.list_candidates("cascadebert", task)]
        for task in ("movies", "three")
    }
    assert names == {"movies": ["0.1", "0.5"], "three": ["0.1", "0.5", "0.7", "1"]}
    glue = {"rte": {"source": {"glue": "RTE", "folder": "RTE"}}}
    assert Experiment({**config, "tasks": glue}).margins == [0.1, 0.5]


EVERYTHING = yaml.safe_load((ROOT / "config/everything.yaml").read_text())
KEYS = [*EVERYTHING, *DEFAULT, "epochs", "encoder", "layers", "margin", "title", "bert-12", "x"]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
) | st.sampled_from([*EVERYTHING["systems"], *EVERYTHING["encoders"], "mean", 0.5, "2e-5", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.integers() | st.text(max_size=5), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw) -> dict:
    """config/everything.yaml with one to three values replaced, deleted, doubled or renamed."""
    config = copy.deepcopy(EVERYTHING)
    for _ in range(draw(st.integers(1, 3))):
        section, key = config, None
        while isinstance(section, dict | list) and section:
            places = list(section) if isinstance(section, dict) else list(range(len(section)))
            parent, key = section, draw(st.sampled_from(places))
            section = parent[key]
            if draw(st.integers(0, 2)) == 0:
                break
        if key is None:
            break
        kind = draw(st.sampled_from(["replace", "delete", "add", "other's"]))
        if kind == "delete":
            del parent[key]
        elif kind == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(KEYS) | st.integers())] = draw(VALUES)
        elif kind == "other's":
            parent[key] = copy.deepcopy(draw(st.sampled_from([*config.values()] or [None])))
        else:
            parent[key] = draw(VALUES)
    return config


@given(mutated())
def test_any_mutation_of_a_configuration_is_planned_or_refused_with_its_place(override):
    try:
        experiment = load(override)
        refuse_contradictions(experiment)
    except UserError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.startswith("configuration, ") for line in lines), lines
        return
    list_doubts(experiment)
    catalogue = Catalogue(experiment, plan_all(experiment))
    assert catalogue.tables
    assert catalogue.figures
    assert experiment.comparisons
