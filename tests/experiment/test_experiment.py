import copy
from datetime import date
from pathlib import Path

import pytest
import yaml

from cascadebert.core.errors import UserError
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.validation import refuse_repeated_keys

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path: str, value) -> dict:
    """The default configuration with the value at a dotted path changed; None deletes it."""
    config = copy.deepcopy(DEFAULT)
    *way, last = path.split(".")
    section = config
    for key in way:
        section = section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return config


def test_the_default_is_the_papers_line_up():
    experiment = Experiment(DEFAULT)
    assert set(experiment.runs) == {
        "finetune-bert-12",
        "finetune-bert-12-layers6",
        "finetune-bert-12-layers4",
        "finetune-bert-12-layers3",
        "deebert-bert-12",
        "deebert-bert-12-poolingmean",
        "linear-bert-12-poolingmean",
        "pabee-bert-12-epochs4",
        "finetune-bert-2",
        "kd-bert-2-teacherbert-12",
        *(f"finetune-bert-2-margin{margin}" for margin in (0.1, 0.3, 0.5)),
    }
    labels = [candidate.label for candidate in experiment.systems["cascadebert"].candidates]
    assert labels == ["0.1", "0.3", "0.5"]
    assert experiment.ablations == {"cascadebert": "cascadebert-without-dar"}
    order = list(experiment.runs)
    assert order.index("finetune-bert-12") < order.index("deebert-bert-12")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "systems.pabee.training.epoch",
            3,
            r"pabee\.training: .*'epoch'.*allowed keys: epochs, le",
        ),
        ("systems.pabee.training.epochs", 0, r"pabee\.training\.epochs: 0 is less than"),
        ("systems.pabee.training", {}, r"systems\.pabee\.training: \{\} should be non-empty"),
        (
            "replicates",
            2.0,
            r"replicates: 2\.0 is not of type .*write a whole number without a poi",
        ),
        ("tasks.movies.limit.train", 9.0, r"limit\.train: 9\.0 is not of type 'integer'"),
        ("tasks.movies.labels", ["a ", "b"], r"labels\.0: 'a ' does not fit: .* without spaces at"),
        ("tasks.movies.source", {"files": {"train": "a{b}.csv"}}, r"'a\{b\}\.csv' .* no braces"),
        ("systems.pabee.title", "  ", r"pabee\.title: '  ' does not fit: its name in tables"),
        ("systems.cascadebert.members", [5, "bert-2"], r"members\.0: 5 is not .*\(an encoder, or"),
        ("encoders.bert-2", 5, r"encoders\.bert-2: 5 is not valid .*or \{model: "),
        ("systems.pabee.training", {"max_length": 9}, r"pabee\.training: .*'max_length'"),
        ("systems.deebert.pooling", "max", r"deebert\.pooling: 'max' is not one of \['first', "),
        ("systems.bert-6l.pools", "mean", r"systems\.bert-6l: .*'pools'.*allowed keys"),
        ("trainig", {}, r"top level.*'trainig'.*allowed keys: experiment, seed, tasks"),
        ("training.epoch", 3, r"training: .*'epoch'.*allowed keys: epochs, learning_rate"),
        ("training.epochs", 0, r"training\.epochs: 0 is less than the minimum of 1"),
        ("training.epochs", None, r"training: 'epochs' is a required property"),
        ("training.precision", "fp8", r"training\.precision: 'fp8' is not one of \['auto', 'bf16'"),
        ("training.learning_rate", float("nan"), r"training\.learning_rate: nan is not of type"),
        ("evaluation.targets", [2, float("inf")], r"evaluation\.targets\.1: inf is not of type"),
        ("tasks.movies.neutral", float("nan"), r"tasks\.movies\.neutral: nan is not of type"),
        ("training.learning_rate", "2e-5", r"'2e-5' is not of type .*point before an exponent"),
        (
            "tasks.movies.labels",
            [False, True],
            r"labels\.\d: \w+ is not of type .*put it in quotes",
        ),
        ("experiment", date(2021, 11, 7), r"experiment: datetime\.date.* 'string'; put it in quot"),
        ("encoders", [], r"encoders: \[\] is not of type 'object'"),
        ("systems", 5, r"systems: 5 is not of type 'object'"),
        ("training.learning_rate", "fast", r"training\.learning_rate: 'fast' is not of type"),
        ("difficulty.folds", 1, r"difficulty\.folds: 1 is less than the minimum of 2"),
        ("difficulty.margins", [0.1, 2], r"difficulty\.margins\.1: 2 is greater than the maximum"),
        ("evaluation.targets", [], r"evaluation\.targets: \[\] should be non-empty"),
        ("reference", "bert-24", r"reference: 'bert-24' is none of bert-2, bert-12"),
        ("proposed", "cascade", r"proposed: 'cascade' is none of bert-12l,"),
        (
            "systems.pabee.method",
            "pabe",
            r"systems\.pabee\.method: 'pabe' is none of agreement, berxit, ",
        ),
        ("systems.pabee.patience", 3, r"systems\.pabee: .*'patience'.*allowed keys: .*encoder"),
        ("systems.pabee.encoder", "bert-3", r"systems\.pabee\.encoder: 'bert-3' is none of bert-2"),
        ("systems.cascadebert.members", ["bert-2"], r"systems\.cascadebert\.members: .*too short"),
        (
            "systems.cascadebert.members",
            ["bert-2", "b"],
            r"systems\.cascadebert\.members\.1: 'b' is",
        ),
        (
            "systems.cascadebert.members",
            [{"encoder": "bert-12", "layers": 2, "teacher": "b"}, "bert-12"],
            r"systems\.cascadebert\.members\.0\.teacher: 'b' is none of bert-2, bert-12",
        ),
        (
            "systems.cascadebert.members",
            [{"encoder": "bert-12", "depth": 2}, "bert-12"],
            r"systems\.cascadebert\.members\.0: .*'depth'.*allowed keys: encoder, layers, teacher",
        ),
        (
            "systems.student",
            {"method": "pkd", "title": "PKD", "encoder": "bert-12"},
            r"systems\.student: 'layers' is a required property",
        ),
        (
            "systems.student",
            {"method": "kd", "title": "KD", "encoder": "bert-2", "teacher": "bert"},
            r"systems\.student\.teacher: 'bert' is none of bert-2, bert-12",
        ),
        ("tables", {"table9": ["pabee"]}, r"tables: .*'table9'.*allowed keys: table2_main, "),
        (
            "tables",
            {"table3_distillation": ["cascadebert", "nobody"]},
            r"tables\.table3_distillation\.1: 'nobody' is none of bert-12l, ",
        ),
        ("encoders.bert-2.tokenizer", "bert", r"encoders\.bert-2\.tokenizer: 'bert' is none of"),
        ("tasks.movies.metric", "bleu", r"tasks\.movies\.metric: 'bleu' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_path(path, value, message):
    with pytest.raises(UserError, match=message):
        Experiment(changed(path, value))


@pytest.mark.parametrize(
    "name", ["..", ".", "../elsewhere", "a/b", "/tmp/a", "a\n", "-a", "a b", "", "a" * 81]
)
@pytest.mark.parametrize("section", ["experiment", "tasks", "encoders", "systems"])
def test_no_name_leads_out_of_the_results(section, name):
    value = DEFAULT[section]
    if isinstance(value, dict):
        value = {**value, name: next(iter(value.values()))}
    with pytest.raises(UserError, match=rf"{section}: .*a name of files: letters, digits"):
        Experiment(changed(section, value if isinstance(value, dict) else name))


def test_two_trainings_of_one_name_are_refused():
    """An encoder may be called what another one's first layers are."""
    config = changed("encoders.bert-12-layers6", "some/encoder")
    config["systems"]["whole"] = {"method": "finetune", "title": "W", "encoder": "bert-12-layers6"}
    with pytest.raises(UserError, match=r"finetune-bert-12-layers6 would be the name of two .*enc"):
        Experiment(config)
    members = [{"encoder": "bert-12", "layers": 6, "teacher": "bert-12"}, "bert-12"]
    config["systems"] = {
        "proposed": {**DEFAULT["systems"]["cascadebert"], "members": members},
        "whole": {
            **DEFAULT["systems"]["cascadebert"],
            "members": ["bert-12-layers6", "bert-12"],
        },
    }
    config["proposed"] = "proposed"
    with pytest.raises(UserError, match=r"finetune-bert-12-layers6 would be the name of two"):
        Experiment(config)


@pytest.mark.parametrize("name", ["num_hidden_layers", "n_layers"])
def test_more_layers_than_a_local_encoder_has_are_refused(name, tmp_path):
    config = changed("encoders.bert-12", str(tmp_path))
    assert "finetune-bert-12-layers6" in Experiment(config).runs  # not there yet
    (tmp_path / "config.json").write_text(f'{{"{name}": 5, "hidden_size": 128}}')
    with pytest.raises(UserError, match=r"first 6 layers of bert-12, but .* has 5; ask for fewer"):
        Experiment(config)


def test_a_key_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("a: {x: 1, y: 2}\nb:\n- {x: 1}\n- x: 1\n  y: 2\n\n  x: 3\n")
    with pytest.raises(UserError, match=r"twice\.yaml, line 7: the key 'x' is there in line 4 too"):
        refuse_repeated_keys(path)
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, x: 2}\nd: [*a, *a]\n")
    refuse_repeated_keys(path)
    path.write_text("a: {x: 1, x: 1}\n")
    with pytest.raises(UserError, match=r"line 1: the key 'x' is there in this line too, which"):
        refuse_repeated_keys(path)
    path.write_text('{\t"a": 1}')  # JSON, but no YAML
    refuse_repeated_keys(path)
    path.write_text('{\t"a": {"x": 1, "x": 1}}')
    with pytest.raises(UserError, match=r"twice\.yaml: the key 'x' is there twice; rename"):
        refuse_repeated_keys(path)


def test_members_of_a_cascade_may_be_a_part_of_an_encoder_or_students():
    first = {"encoder": "bert-12", "layers": 2}
    members = [{**first, "teacher": "bert-12"}, "bert-12"]
    experiment = Experiment(changed("systems.cascadebert.members", members))
    assert "kd-bert-12-layers2-teacherbert-12-margin0.3" in experiment.runs
    assert "finetune-bert-12-layers2" in experiment.labellers
    order = list(experiment.runs)
    taught = order.index("kd-bert-12-layers2-teacherbert-12-margin0.1")
    assert order.index("finetune-bert-12") < taught


def test_a_student_reads_the_tokens_of_its_teacher():
    student = {"method": "kd", "title": "KD", "encoder": "bert-2", "teacher": "bert-12"}
    config = changed("systems.student", student)
    assert "kd-bert-2-teacherbert-12" in Experiment(config).runs
    config["encoders"]["bert-2"] = config["encoders"]["bert-2"]["model"]
    with pytest.raises(UserError, match=r"kd-bert-2-teacherbert-12 starts from finetune-bert-12"):
        Experiment(config)


def test_an_override_replaces_its_tasks_and_merges_its_settings():
    override = {"experiment": "other", "tasks": {"rte": {}}, "training": {"epochs": 9}}
    resolved = resolve(DEFAULT, override)
    assert list(resolved["tasks"]) == ["rte"]
    assert resolved["training"] == {**DEFAULT["training"], "epochs": 9}
    assert resolved["systems"] == DEFAULT["systems"]
    assert DEFAULT["experiment"] == "movies"


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("[!.]*.yaml")), ids=lambda p: p.stem)
def test_shipped_configurations_are_valid(path):
    if not path.name.endswith("schema.yaml"):
        Experiment(resolve(DEFAULT, yaml.safe_load(path.read_text())))


def test_what_is_compared_has_every_pair_once():
    cascade = {"method": "cascade", "members": ["bert-2", "bert-12"], "dar": True}
    plain = {**cascade, "dar": False}
    config = changed("proposed", "three")
    config["systems"] = {
        "full": {"method": "finetune", "title": "Full", "encoder": "bert-12"},
        "two": {**cascade, "title": "Two"},
        "two-plain": {**plain, "title": "Two w/o DAR", "ablation_of": "two"},
        "three": {**cascade, "title": "Three", "extends": "two"},
        "three-plain": {**plain, "title": "Three w/o DAR", "ablation_of": "three"},
        "cut": {
            **plain,
            "title": "Cut",
            "members": [{"encoder": "bert-12", "layers": 2}, "bert-12"],
            "truncation_of": "two-plain",
        },
    }
    assert Experiment(config).comparisons == [
        ("three", "full"),
        ("three", "two"),
        ("three", "two-plain"),
        ("three", "three-plain"),
        ("three", "cut"),
        ("two", "two-plain"),
        ("two-plain", "cut"),
    ]


def test_pooling_is_the_encoders_unless_a_system_says_otherwise():
    mean = {"model": "models/bert-12x128", "pooling": "mean"}
    config = changed("encoders.bert-12", mean)
    config["systems"]["deebert-first"] = {
        **config["systems"]["deebert"],
        "title": "DeeBERT, first",
        "pooling": "first",
    }
    experiment = Experiment(config)
    assert experiment.systems["deebert"].pooling == experiment.systems["pabee"].pooling == "mean"
    assert experiment.systems["deebert-first"].pooling == "first"
    assert experiment.systems["bert-12l"].pooling == "mean"
    assert "finetune-bert-12-poolingmean" in experiment.runs
    assert "deebert-bert-12-poolingmean" in experiment.runs
    assert experiment.full_run.name == "finetune-bert-12-poolingmean"
    small, large = experiment.systems["cascadebert"].candidates[0].runs
    assert (small.option("pooling"), large.option("pooling")) == (None, "mean")
    # Both put off-ramps on one and the same fine-tuned model.
    backbones = {
        experiment.runs[run].parents for run in ("deebert-bert-12", "deebert-bert-12-poolingmean")
    }
    assert len(backbones) == 1


def test_a_system_trains_what_is_its_own_with_settings_of_its_own():
    config = changed("systems.fastbert", {"method": "fastbert", "title": "F", "encoder": "bert-12"})
    config["systems"]["fastbert"]["training"] = {"epochs": 5}
    config["systems"]["cascadebert"]["training"] = {"learning_rate": 1e-4}
    experiment = Experiment(config)
    [students] = experiment.systems["fastbert"].candidate("").runs
    assert students.name == "fastbert-bert-12-epochs5"
    assert [parent.training for parent in students.parents] == [(("epochs", 5),)]
    small, large = experiment.systems["cascadebert"].candidate("0.1").runs
    assert small.name == "finetune-bert-2-margin0.1-learning_rate0.0001"
    assert small.labeller.training == large.training == (("learning_rate", 1e-4),)
    # Others' models stay as they are.
    assert experiment.systems["bert-12l"].candidate("").runs[0].training == ()
    config["systems"]["deebert"]["training"] = {"epochs": 5}
    with pytest.raises(
        UserError, match=r"systems\.deebert\.training: .* trains heads on finetune-b"
    ):
        Experiment(config)


@pytest.mark.parametrize("method", ["pkd", "theseus"])
def test_layers_that_do_not_divide_the_large_models_are_refused(method):
    entry = {"method": method, "title": "S", "encoder": "bert-12", "layers": 5}
    with pytest.raises(UserError, match=rf"{method}-bert-12-layers5 cuts the 12 layers of .* 12$"):
        Experiment(changed("systems.student", entry))
    assert Experiment(changed("systems.student", {**entry, "layers": 4}))


def test_both_fine_tunings_of_gatekeeper_have_its_settings():
    config = changed(
        "systems.gatekeeper",
        {
            "method": "gatekeeper",
            "title": "Gatekeeper",
            "members": ["bert-2", "bert-12"],
            "alphas": [0.5],
            "training": {"epochs": 5},
        },
    )
    small, large = Experiment(config).systems["gatekeeper"].candidate("0.5").runs
    assert small.name == "gatekeeper-bert-2-alpha0.5-epochs5"
    assert [parent.name for parent in small.parents] == ["finetune-bert-2-epochs5"]
    assert large.name == "finetune-bert-12-epochs5"


def test_settings_that_all_systems_have_make_no_second_training():
    epochs = DEFAULT["training"]["epochs"]
    config = changed("systems.bert-12l.training", {"epochs": epochs, "learning_rate": 1e-4})
    [run] = Experiment(config).systems["bert-12l"].candidate("").runs
    assert run.name == "finetune-bert-12-learning_rate0.0001"
    config = changed("systems.bert-12l.training", {"epochs": epochs})
    assert Experiment(config).systems["bert-12l"].candidate("").runs == (
        Experiment(DEFAULT).full_run,
    )


def test_embedded_models_are_found_from_any_folder(tmp_path, monkeypatch):
    assert Experiment(DEFAULT).encoders.locate("bert-2") == "models/bert-2x128"
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(DEFAULT)
    assert experiment.encoders.locate("bert-2") == str(ROOT / "models/bert-2x128")
    assert experiment.encoders.on_hub == {}
