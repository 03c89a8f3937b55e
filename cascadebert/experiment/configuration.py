"""An experiment: one configuration, resolved and checked before any job starts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.encoders.loading import count_local_layers
from cascadebert.experiment import published
from cascadebert.systems import find_methods, load_method
from cascadebert.systems.method import Candidate, Run

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = REPOSITORY / "config"

# YAML has .nan and .inf, which no bound of a schema refuses.
NUMBERS = Draft202012Validator.TYPE_CHECKER
Validator = extend(
    Draft202012Validator,
    type_checker=NUMBERS.redefine(
        "number", lambda _, value: NUMBERS.is_type(value, "number") and math.isfinite(value)
    ),
)

# An override that names its own does not want the default's as well.
REPLACED = (
    *("tasks", "encoders", "systems"),
    *("tables", "layerwise", "representations", "submission"),
)


def refuse_repeated_keys(path: File) -> None:
    """Raises UserError if a mapping in a YAML file has a key twice: YAML keeps the last alone."""
    try:
        nodes = [yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)]
    except yaml.YAMLError:
        return  # JSON, which Snakemake reads too and YAML not always
    looked_at = set()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in looked_at:
            continue
        looked_at.add(id(node))  # an alias is the node that it stands for
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
            continue
        first = {}
        for key, value in node.value:
            nodes.append(value)
            line = key.start_mark.line + 1
            if (earlier := first.setdefault((key.tag, str(key.value)), line)) != line:
                raise UserError(
                    f"{path}, line {line}: the key {key.value!r} is there in line {earlier} too, "
                    "which this one would replace; rename or delete one of them"
                )


def resolve(default: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
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


def load_experiment(
    default: File, override: dict[str, Any], files: Sequence[File] = ()
) -> "Experiment":
    """The experiment of the default configuration with an override laid over it.

    files: the files that the override was read from, for keys that stand in them twice
    """
    for path in (default, *files):
        refuse_repeated_keys(path)
    config = resolve(yaml.safe_load(Path(default).read_text(encoding="utf-8")), override)
    # `--config only_finished=true` is text for Snakemake.
    config["only_finished"] = yaml.safe_load(str(config["only_finished"]))
    return Experiment(config)


@dataclass(frozen=True)
class System:
    """One row of the tables: how its candidates are trained and which rule picks an exit.

    candidates: the alternatives among which the development split chooses
    """

    key: str
    title: str
    rule: str
    candidates: tuple[Candidate, ...]
    ablation_of: str | None
    extends: str | None
    published: str | None

    @property
    def runs(self) -> list[Run]:
        """The runs of all candidates, each of them once."""
        return list(dict.fromkeys(run for each in self.candidates for run in each.runs))

    def candidate(self, label: str) -> Candidate:
        [found] = (candidate for candidate in self.candidates if candidate.label == label)
        return found

    @property
    def pooling(self) -> str:
        """What the exits read of an encoder's states, see `heads.pool`."""
        return self.runs[0].option("pooling", "first")


class Experiment:
    """A checked configuration and what follows from it.

    Raises UserError with the path of the wrong key and what is allowed there.
    """

    def __init__(self, config: dict[str, Any]):
        check(config)
        self.config = config
        self.name: str = config["experiment"]
        self.results = f"results/{self.name}"
        self.tasks: list[str] = list(config["tasks"])
        self.reference = self.encoder(config["reference"])
        self.replicates = range(config["replicates"])
        self.folds = range(config["difficulty"]["folds"])
        self.seeds = range(config["difficulty"]["seeds"])
        self.systems = {
            key: self._system(key, dict(entry)) for key, entry in config["systems"].items()
        }
        # By name: all that has to be trained for a task, and the models that label difficulty.
        self.runs = self._all_runs()
        self.labellers = self._all_labellers()

    def _system(self, key: str, entry: dict[str, Any]) -> System:
        method, title = entry.pop("method"), entry.pop("title")
        related = {name: entry.pop(name, None) for name in ("ablation_of", "extends", "published")}
        training = entry.pop("training", {})
        module = load_method(method)
        if "pooling" in module.OPTIONS["properties"] and (pooling := self._pooling(entry)):
            entry.setdefault("pooling", pooling)
        candidates = module.candidates(entry, self.config["difficulty"]["margins"])
        if training:
            candidates = [
                replace(c, runs=tuple(self._trained_with(key, run, training) for run in c.runs))
                for c in candidates
            ]
        return System(key, title, module.EXIT_RULE, tuple(candidates), **related)

    def _pooling(self, entry: dict[str, Any]) -> str | None:
        """What exits on the entry's encoder read, if the encoder says it."""
        encoder = self.config["encoders"][entry["encoder"]]
        return encoder.get("pooling") if isinstance(encoder, dict) else None

    def _trained_with(self, key: str, run: Run, training: dict[str, Any]) -> Run:
        changed = run.trained_with(training)
        if changed == run:
            raise UserError(
                f"configuration, systems.{key}.training: {run.method} fine-tunes no model of its "
                f"own, it trains heads on {run.parents[0].name}; delete `training` here"
            )
        return changed

    def encoder(self, name: str) -> str:
        """The folder of an encoder."""
        entry = self.config["encoders"][name]
        return self.located(entry if isinstance(entry, str) else entry["model"])

    def located(self, model: str) -> str:
        """The folder of a model: its own, or the one that it is put into from the hub."""
        return self._local(model) or f"{self.results}/encoders/{model.replace('/', '--')}"

    def _local(self, model: str) -> str | None:
        """A model's own folder, relative to the working directory or to this repository."""
        family = self.config.get("pretraining", {}).get("family")
        if Path(model).is_dir() or (family and model.startswith(f"{family}-")):
            return model
        embedded = REPOSITORY / model
        return str(embedded) if embedded.is_dir() else None

    @cached_property
    def on_hub(self) -> dict[str, str]:
        """The models that come from the hub, by the folder that each is put into."""
        pretraining = self.config.get("pretraining", {})
        entries = list(self.config["encoders"].values())
        models = [entry if isinstance(entry, str) else entry["model"] for entry in entries]
        models += [pretraining.get("teacher", {}).get("model")]
        models += [pretraining.get("vocabulary", {}).get("from")]
        return {self.located(name): name for name in models if name and not self._local(name)}

    @cached_property
    def pretraining(self) -> dict[str, Any]:
        """The section `pretraining`, with the folders of the models that it names."""
        section = dict(self.config["pretraining"])
        for part, key in (("teacher", "model"), ("vocabulary", "from")):
            if key in section.get(part, {}):
                section[part] = {**section[part], key: self.located(section[part][key])}
        return section

    @cached_property
    def pretrained_depths(self) -> dict[int, dict[str, Any]]:
        """Layers of the encoders that `pretraining` makes -> the schedule's settings for them."""
        entries = self.config.get("pretraining", {}).get("depths", [])
        return {
            entry["layers"]: {key: value for key, value in entry.items() if key != "layers"}
            for entry in entries
        }

    def family_folder(self, layers: int | str) -> str:
        """The folder of an encoder that `pretraining` makes."""
        section = self.config["pretraining"]
        return f"{section['family']}-{layers}x{section['encoder']['width']}"

    def next_shallower(self, layers: int) -> int | None:
        """The depth that an encoder of so many layers starts from, where depths are stacked."""
        below = [depth for depth in self.pretrained_depths if depth < layers]
        return max(below) if self.config["pretraining"]["stacking"] and below else None

    def tokenizer(self, name: str) -> str:
        """The encoder whose tokenizer this encoder uses."""
        entry = self.config["encoders"][name]
        return name if isinstance(entry, str) else entry.get("tokenizer", name)

    def _all_runs(self) -> dict[str, Run]:
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
            self._check_layers(run)
            _add(found, run)

        for entry in self.systems.values():
            for run in entry.runs:
                add(run)
        return found

    def _all_labellers(self) -> dict[str, Run]:
        found: dict[str, Run] = {}
        for run in self.runs.values():
            if run.labeller:
                _add(found, run.labeller)
        return found

    def _check_layers(self, run: Run) -> None:
        """Of an encoder on the hub, or one that is not yet made, the job that loads it checks."""
        layers, folder = run.option("layers", 1), self.encoder(run.encoder)
        present = count_local_layers(folder) or layers
        if layers > present:
            raise UserError(
                f"configuration, systems: {run.name} has the first {layers} layers of "
                f"{run.encoder}, but {folder} has {present}; ask for fewer `layers`"
            )

    def runs_of(self, systems: Iterable[str]) -> list[Run]:
        """The runs of all candidates of these systems, each once."""
        runs = [run for key in systems for run in self.systems[key].runs]
        return list({run.name: run for run in runs}.values())

    @cached_property
    def predicted(self) -> list[str]:
        """The runs of which systems consist; the others are only started from or learnt from."""
        inside = {run.name for run in self.runs_of(self.systems)}
        return [name for name in self.runs if name in inside]

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
        runs = {key: system.candidates[0].runs for key, system in self.systems.items()}
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


def _add(found: dict[str, Run], run: Run) -> None:
    """Their names are those of folders, so two trainings must not share one."""
    if found.setdefault(run.name, run) != run:
        raise UserError(
            f"configuration, encoders: {run.name} would be the name of two trainings, of encoder "
            f"{found[run.name].encoder} and of encoder {run.encoder}; rename one of the encoders"
        )


def check(config: dict[str, Any]) -> None:
    """Raises UserError for the first thing in the configuration that cannot be meant."""
    schemas = {path.name: yaml.safe_load(path.read_text()) for path in SCHEMAS.glob("*schema.yaml")}
    for schema in schemas.values():
        del schema["$schema"]  # it would make jsonschema go on with a validator that takes .nan
    registry = Registry().with_resources(
        (name, Resource.from_contents(contents, DRAFT202012)) for name, contents in schemas.items()
    )
    schema = schemas["schema.yaml"]
    known = {"method": find_methods()}
    for name in ("encoder", "system"):
        section = config.get(f"{name}s")
        known[name] = list(section) if isinstance(section, dict) else []
    known |= {
        "published method": published.list_methods(),
        "published task": published.list_tasks(),
    }

    def validate(value: Any, schema: dict[str, Any], path: tuple[str, ...]) -> None:
        checker = FormatChecker(formats=())
        for name, allowed in known.items():
            # A section that has none is itself what is wrong.
            checker.checks(name)(lambda value, allowed=allowed: not allowed or value in allowed)
        validator = Validator(schema, registry=registry, format_checker=checker)
        error = best_match(validator.iter_errors(value))
        if error is not None:
            where = ".".join(map(str, (*path, *error.absolute_path))) or "top level"
            raise UserError(f"configuration, {where}: {_explained(error, known)}")

    validate(config, schemas["complete.schema.yaml"], ())
    for key, entry in config["systems"].items():
        options = load_method(entry["method"]).OPTIONS
        common = schema["properties"]["systems"]["additionalProperties"]
        whole = {
            "$defs": schema["$defs"],
            "type": "object",
            "additionalProperties": False,
            "required": common["required"] + options.get("required", []),
            "properties": common["properties"] | options["properties"],
        }
        validate(entry, whole, ("systems", key))


def _explained(error: ValidationError, known: dict[str, list[str]]) -> str:
    """What is wrong, and what the user may write instead."""
    if error.validator == "format":
        return f"{error.instance!r} is none of {', '.join(known[str(error.validator_value)])}"
    return f"{error.message}{_allowed(error)}"


def _allowed(error: ValidationError) -> str:
    """What the user may write instead, where the validator's message does not say it."""
    if error.validator == "type":
        # What YAML makes of yes, no and 2021, and of 2e-5.
        if error.validator_value == "string" and isinstance(error.instance, bool | int | float):
            return "; put it in quotes"
        if error.validator_value in ("number", "integer") and _is_number(error.instance):
            return "; write it without quotes, and with a point before an exponent (2.0e-5)"
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator in ("additionalProperties", "propertyNames"):
        keys = schema.get("properties", {})
        return f"; allowed keys: {', '.join(keys)}" if keys else ""
    description = schema.get("description")
    return f" ({description})" if description else ""


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False
