"""An experiment: one configuration, resolved and checked before any job starts."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cascadebert import published
from cascadebert.errors import UserError
from cascadebert.systems import Run, names, system

SCHEMAS = Path(__file__).parent.parent / "config"

# An override that names its own does not want the default's as well.
REPLACED = (
    *("tasks", "encoders", "systems"),
    *("tables", "layerwise", "representations", "submission"),
)


def resolve(default: dict, override: dict) -> dict:
    """The default configuration with an override laid over it.

    Sections of the override that name tasks, encoders or systems take the place of the default's;
    the others are merged key by key.
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
    extends: str | None
    published: str | None


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
        related = {name: entry.pop(name, None) for name in ("ablation_of", "extends", "published")}
        module = system(method)
        candidates = module.candidates(entry, self.config["difficulty"]["margins"])
        return System(key, title, module.EXIT_RULE, candidates, **related)

    def encoder(self, name: str) -> str:
        """The folder of an encoder."""
        entry = self.config["encoders"][name]
        return self.located(entry if isinstance(entry, str) else entry["model"])

    def located(self, model: str) -> str:
        """The folder of a model: its own, or the one that it is put into from the hub."""
        family = self.config.get("pretraining", {}).get("family")
        if Path(model).is_dir() or (family and model.startswith(f"{family}-")):
            return model
        return f"results/{self.name}/encoders/{model.replace('/', '--')}"

    @cached_property
    def on_hub(self) -> dict[str, str]:
        """The models that come from the hub, by the folder that each is put into."""
        pretraining = self.config.get("pretraining", {})
        entries = list(self.config["encoders"].values())
        models = [entry if isinstance(entry, str) else entry["model"] for entry in entries]
        models += [pretraining.get("teacher", {}).get("model")]
        models += [pretraining.get("vocabulary", {}).get("from")]
        return {self.located(name): name for name in models if name and self.located(name) != name}

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
                if self.tokenizer(parent.encoder) != self.tokenizer(run.encoder):
                    raise UserError(
                        f"configuration, encoders: {run.name} starts from {parent.name} and reads "
                        f"the same tokens, but {run.encoder} and {parent.encoder} have tokenizers "
                        f"of their own; if their vocabularies are the same, say `tokenizer: "
                        f"{self.tokenizer(parent.encoder)}` for {run.encoder}"
                    )
            found[run.name] = run

        for entry in self.systems.values():
            for candidate in entry.candidates.values():
                for run in candidate:
                    add(run)
        return found

    @cached_property
    def labellers(self) -> dict[str, Run]:
        """The models that label difficulty, by name."""
        found = [run.labeller for run in self.runs.values() if run.labeller]
        return {run.name: run for run in found}

    @cached_property
    def ablations(self) -> dict[str, str]:
        """Systems with DAR and the same without: {"cascadebert": "cascadebert-without-dar"}."""
        return {s.ablation_of: s.key for s in self.systems.values() if s.ablation_of}

    @cached_property
    def extensions(self) -> dict[str, str]:
        """Cascades with a model more than another: {"cascadebert-2-6-12": "cascadebert"}."""
        return {s.key: s.extends for s in self.systems.values() if s.extends}

    @cached_property
    def rivals(self) -> list[str]:
        """Systems that exit early inside the very model that the proposed cascade ends in."""
        runs = {key: next(iter(s.candidates.values())) for key, s in self.systems.items()}
        backbone = runs[self.config["proposed"]][-1].encoder
        return [
            key
            for key, system in self.systems.items()
            if system.rule != "last" and [run.encoder for run in runs[key]] == [backbone]
        ]

    @cached_property
    def comparisons(self) -> list[tuple[str, str]]:
        """Who is compared with whom: `proposed` with all others, and the pairs above."""
        proposed = self.config["proposed"]
        of_proposed = [(proposed, key) for key in self.systems if key != proposed]
        pairs = [*of_proposed, *self.ablations.items(), *self.extensions.items()]
        return list(dict.fromkeys(pairs))


def check(config: dict) -> None:
    """Raises UserError for the first thing in the configuration that cannot be meant."""
    registry = Registry().with_resources(
        (path.name, Resource.from_contents(yaml.safe_load(path.read_text()), DRAFT202012))
        for path in SCHEMAS.glob("*schema.yaml")
    )
    schema = yaml.safe_load((SCHEMAS / "schema.yaml").read_text())
    known = {"method": names()}
    known |= {name: list(config.get(f"{name}s", [])) for name in ("encoder", "system")}
    known |= {"published method": published.methods(), "published task": published.tasks()}

    def validate(value, schema: dict, path: tuple[str, ...]) -> None:
        checker = FormatChecker(formats=())
        for name, allowed in known.items():
            checker.checks(name)(lambda value, allowed=allowed: value in allowed)
        validator = Draft202012Validator(schema, registry=registry, format_checker=checker)
        error = best_match(validator.iter_errors(value))
        if error is not None:
            where = ".".join(map(str, (*path, *error.absolute_path))) or "top level"
            raise UserError(f"configuration, {where}: {_explained(error, known)}")

    validate(config, schema, ())
    for key, entry in config["systems"].items():
        options = system(entry["method"]).OPTIONS
        common = schema["properties"]["systems"]["additionalProperties"]
        whole = {
            "type": "object",
            "additionalProperties": False,
            "required": common["required"] + options.get("required", []),
            "properties": common["properties"] | options["properties"],
        }
        validate(entry, whole, ("systems", key))


def _explained(error: ValidationError, known: dict[str, list[str]]) -> str:
    """What is wrong, and what the user may write instead."""
    if error.validator == "format":
        return f"{error.instance!r} is none of {', '.join(known[error.validator_value])}"
    return f"{error.message}{_allowed(error)}"


def _allowed(error: ValidationError) -> str:
    """What the user may write instead, where the validator's message does not say it."""
    if error.validator in ("additionalProperties", "propertyNames"):
        keys = error.schema.get("properties", {})
        return f"; allowed keys: {', '.join(keys)}" if keys else ""
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f" ({description})" if description else ""
