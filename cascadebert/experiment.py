"""An experiment: one configuration, resolved and checked before any job starts."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cascadebert.errors import UserError
from cascadebert.systems import Run, names, system

SCHEMAS = Path(__file__).parent.parent / "config"

# An override that names its own tasks does not want the default's as well.
REPLACED = ("tasks", "encoders", "systems")


def resolve(default: dict, override: dict) -> dict:
    """The default configuration with an override laid over it.

    `tasks`, `encoders` and `systems` of the override take the place of the default's; the other
    sections are merged key by key.
    """
    merged = dict(default)
    for key, value in override.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and key not in REPLACED:
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


@dataclass(frozen=True)
class System:
    """One row of the tables: how its candidates are trained and which rule picks an exit.

    candidates: by label, the alternatives among which the development split chooses; each is a list
                of runs whose exits follow one another
    """

    key: str
    title: str
    rule: str
    candidates: dict[str, list[Run]]
    ablation_of: str | None


class Experiment:
    """A checked configuration and what follows from it.

    Raises UserError with the path of the wrong key and what is allowed there.
    """

    def __init__(self, config: dict):
        check(config)
        self.config = config
        self.name: str = config["experiment"]
        self.tasks: list[str] = list(config["tasks"])
        self.reference = self.encoder(config["reference"])
        self.replicates = range(config["replicates"])
        self.folds = range(config["difficulty"]["folds"])
        self.seeds = range(config["difficulty"]["seeds"])
        self.systems = {
            key: self._system(key, dict(entry)) for key, entry in config["systems"].items()
        }

    def _system(self, key: str, entry: dict) -> System:
        method, title = entry.pop("method"), entry.pop("title")
        ablation_of = entry.pop("ablation_of", None)
        module = system(method)
        candidates = module.candidates(entry, self.config["difficulty"]["margins"])
        return System(key, title, module.EXIT_RULE, candidates, ablation_of)

    def encoder(self, name: str) -> str:
        """Hub name or folder of an encoder."""
        entry = self.config["encoders"][name]
        return entry if isinstance(entry, str) else entry["model"]

    def tokenizer(self, name: str) -> str:
        """The encoder whose tokenizer this encoder uses."""
        entry = self.config["encoders"][name]
        return name if isinstance(entry, str) else entry.get("tokenizer", name)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Everything that has to be trained for a task, by name."""
        found: dict[str, Run] = {}

        def add(run: Run) -> None:
            for parent in run.parents:
                add(parent)
            found[run.name] = run

        for entry in self.systems.values():
            for candidate in entry.candidates.values():
                for run in candidate:
                    add(run)
        return found

    @cached_property
    def ablations(self) -> dict[str, str]:
        """Systems with DAR and the same without: {"cascadebert": "cascadebert-without-dar"}."""
        return {s.ablation_of: s.key for s in self.systems.values() if s.ablation_of}


def check(config: dict) -> None:
    """Raises UserError for the first thing in the configuration that cannot be meant."""
    registry = Registry().with_resources(
        (path.name, Resource.from_contents(yaml.safe_load(path.read_text()), DRAFT202012))
        for path in SCHEMAS.glob("*schema.yaml")
    )
    schema = yaml.safe_load((SCHEMAS / "schema.yaml").read_text())
    _validate(config, schema, registry, ())

    encoders, systems = config["encoders"], config["systems"]
    _known(config["reference"], encoders, "reference")
    _known(config["proposed"], systems, "proposed")
    for name, entry in encoders.items():
        if isinstance(entry, dict) and "tokenizer" in entry:
            _known(entry["tokenizer"], encoders, f"encoders.{name}.tokenizer")
    for key, entry in systems.items():
        path = f"systems.{key}"
        _known(entry["method"], names(), f"{path}.method")
        _known(entry.get("ablation_of", key), systems, f"{path}.ablation_of")
        options = system(entry["method"]).OPTIONS
        common = schema["properties"]["systems"]["additionalProperties"]
        whole = {
            "type": "object",
            "additionalProperties": False,
            "required": common["required"] + options.get("required", []),
            "properties": common["properties"] | options["properties"],
        }
        _validate(entry, whole, registry, ("systems", key))
        for name in [entry.get("encoder"), *entry.get("members", [])]:
            if name is not None:
                _known(name, encoders, path)


def _known(value: str, allowed, path: str) -> None:
    if value not in allowed:
        raise UserError(f"configuration, {path}: {value!r} is none of {', '.join(allowed)}")


def _validate(value, schema: dict, registry: Registry, path: tuple[str, ...]) -> None:
    validator = Draft202012Validator(schema, registry=registry)
    error = best_match(validator.iter_errors(value))
    if error is not None:
        where = ".".join(map(str, (*path, *error.absolute_path))) or "top level"
        raise UserError(f"configuration, {where}: {error.message}{_allowed(error)}")


def _allowed(error: ValidationError) -> str:
    """What the user may write instead, where the validator's message does not say it."""
    if error.validator in ("additionalProperties", "propertyNames"):
        keys = error.schema.get("properties", {})
        return f"; allowed keys: {', '.join(keys)}" if keys else ""
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f" ({description})" if description else ""
