"""Each configuration names its schema, as editors want it, and keeps to it."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted(ROOT.glob("config/*schema.yaml"))
CONFIGURATIONS = [ROOT / "config.yaml", *sorted(set(ROOT.glob("config/*.yaml")) - set(SCHEMAS))]
MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


def load(path: Path):
    return yaml.safe_load(path.read_text())


def named_schema(path: Path) -> Path:
    """The schema that a configuration names in its first line."""
    first = path.read_text().splitlines()[0]
    return path.parent / MODELINE.fullmatch(first)[1]


def validator(path: Path) -> Draft202012Validator:
    resources = [(p.name, Resource.from_contents(load(p), DRAFT202012)) for p in SCHEMAS]
    return Draft202012Validator(load(path), registry=Registry().with_resources(resources))


def messages(path: Path, config: dict) -> list[str]:
    return [error.message for error in validator(named_schema(path)).iter_errors(config)]


def of_all(paths: list[Path]):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


@of_all(SCHEMAS)
def test_a_schema_is_one(path):
    schema = load(path)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


@of_all(CONFIGURATIONS)
def test_a_configuration_keeps_to_the_schema_that_it_names(path):
    assert named_schema(path).is_file()
    assert messages(path, load(path)) == []


@of_all(CONFIGURATIONS)
def test_a_wrong_key_is_found(path):
    config = {**load(path), "trainig": {}}
    [message] = messages(path, config)
    assert "'trainig' was unexpected" in message


@pytest.mark.parametrize(
    ("section", "wrong", "message"),
    [
        ("training", {"epoch": 3}, "'epoch' was unexpected"),
        ("evaluation", {"resamples": 1}, "1 is less than the minimum of 100"),
        ("tasks", {"one": {"columns": {"text": 0}}}, "'source' is a required property"),
        ("pretraining", {}, "'family' is a required property"),
    ],
)
def test_an_override_is_checked_inside_its_sections(section, wrong, message):
    found = messages(ROOT / "config/paper.yaml", {"experiment": "mine", section: wrong})
    assert any(message in line for line in found)


@pytest.mark.parametrize("section", ["difficulty", "training", "evaluation"])
def test_only_the_default_needs_every_key(section):
    default = ROOT / "config.yaml"
    config = copy.deepcopy(load(default))
    key = next(iter(config[section]))
    del config[section][key]
    assert messages(default, config) == [f"'{key}' is a required property"]
    assert messages(ROOT / "config/paper.yaml", config) == []
