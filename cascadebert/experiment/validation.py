"""Checks a configuration against the schemas in config/, before any job starts."""

import json
import math
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.core.text import join_words
from cascadebert.data.tables import make_object
from cascadebert.experiment import published
from cascadebert.systems import find_methods, load_method

SCHEMAS = WORKFLOW_FOLDER / "config"

# An override of these keys alone is still the default experiment, and needs no name of its own.
HARMLESS = {"only_finished", "pack", "save_seconds", "gpu_slots"}
OF_ENCODERS = ("epochs", "learning_rate", "max_length")  # depend on the encoders' size and the data

# YAML has .nan and .inf, which no bound of a schema refuses. A schema takes 2.0 for an integer, but
# Python counts nothing with it.
TYPES = Draft202012Validator.TYPE_CHECKER
Validator = extend(
    Draft202012Validator,
    type_checker=TYPES.redefine(
        "number", lambda _, value: TYPES.is_type(value, "number") and math.isfinite(value)
    ).redefine(
        "integer", lambda _, value: TYPES.is_type(value, "integer") and isinstance(value, int)
    ),
)


def refuse_repeated_keys(path: File) -> None:
    """Raises UserError if a mapping in a YAML file has a key twice: YAML keeps only the last."""
    text = Path(path).read_text(encoding="utf-8")
    try:
        nodes = [yaml.compose(text, yaml.SafeLoader)]
    except yaml.YAMLError:  # Snakemake also reads JSON, and not all JSON is YAML
        try:
            json.loads(text, object_pairs_hook=make_object)
        except json.JSONDecodeError:
            return
        except ValueError as error:
            raise UserError(f"{path}: {error}; rename or delete one of them") from None
        return
    looked_at = set()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in looked_at:
            continue
        looked_at.add(id(node))  # an alias is the same node again
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
            continue
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            nodes.append(value)
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in first:
                place = "this line" if first[name] == line else f"line {first[name]}"
                raise UserError(
                    f"{path}, line {line}: the key {key.value!r} is there in {place} too, which "
                    "this one would replace; rename or delete one of them"
                )
            first[name] = line


def check_configuration(config: dict[str, Any], override: dict[str, Any] | None = None) -> None:
    """Raises UserError with all mistakes in the configuration, one a line.

    override: the user's part of it; None if all of it is the user's
    """
    schemas = _read_schemas()
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
    checker = FormatChecker(formats=())
    for name, allowed in known.items():
        # Without allowed names, the section of these names is wrong, not this reference.
        checker.checks(name)(lambda value, allowed=allowed: not allowed or value in allowed)

    mistakes: list[Mistake] = []

    def validate(value: Any, schema: dict[str, Any], path: tuple[str, ...]) -> None:
        validator = Validator(schema, registry=registry, format_checker=checker)
        for error in validator.iter_errors(value):
            cause = best_match([error])  # of a choice, the branch that was probably meant
            if cause is not None:
                mistakes.append(Mistake((*path, *cause.absolute_path), _explain(cause, known)))

    validate(config, schemas["complete.schema.yaml"], ())
    common = schema["properties"]["systems"]["additionalProperties"]
    systems = config.get("systems")
    for key, entry in systems.items() if isinstance(systems, dict) else ():
        method = entry.get("method") if isinstance(entry, dict) else None
        if method not in known["method"]:
            continue  # the schema said so
        options = load_method(method).OPTIONS
        whole = common | {
            "$defs": schema["$defs"],
            "additionalProperties": False,
            "required": common["required"] + options.get("required", []),
            "properties": common["properties"] | options["properties"],
        }
        validate(entry, whole, ("systems", key))
    sentences = [*_find_missing_keys(override), *_tell_apart(mistakes, override)]
    if sentences:
        raise UserError("\n".join(f"configuration, {said}" for said in dict.fromkeys(sentences)))


@cache
def _read_schemas() -> dict[str, dict[str, Any]]:
    schemas = {path.name: yaml.safe_load(path.read_text()) for path in SCHEMAS.glob("*schema.yaml")}
    for schema in schemas.values():
        del schema["$schema"]  # jsonschema would follow it to a validator that accepts .nan
    return schemas


class Mistake(NamedTuple):
    """path: the keys that lead to it"""

    path: tuple[str | int, ...]
    said: str

    def __str__(self) -> str:
        said = f"{'.'.join(map(str, self.path)) or 'top level'}: {self.said}"
        # It has one line, whatever a key is made of.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in said)


def _find_missing_keys(override: dict[str, Any] | None) -> Iterator[str]:
    """What an override must say itself, since the default's values belong to the default's data."""
    if not override or not override.keys() - HARMLESS:
        return
    if "experiment" not in override:
        yield (
            "top level: `experiment` is missing, which names the folder of the results; without it "
            "they would lie among those of config.yaml"
        )
    training = override.get("training")
    given = training if isinstance(training, dict) else {}
    lacking = [f"training.{key}" for key in OF_ENCODERS if key not in given]
    if "encoders" in override and lacking:
        yield (
            f"encoders: your encoders need settings of their own, since config.yaml's are those of "
            f"encoders of width 128; add {join_words(lacking)}. Usual for BERT-base are 3 "
            "epochs, learning_rate 2.0e-5 and max_length 128"
        )


def _tell_apart(mistakes: list[Mistake], override: dict[str, Any] | None) -> Iterator[str]:
    """Yields the mistakes; those of a section that is the default's in one sentence.

    The user did not write such a section. It does not fit to one that the user wrote.
    """
    of_default: dict[str | int, list[Mistake]] = {}
    for mistake in mistakes:
        section = mistake.path[0] if mistake.path else ""
        if override is None or not section or section in override:
            yield str(mistake)
        else:
            of_default.setdefault(section, []).append(mistake)
    for section, found in of_default.items():
        others = len(set(found)) - 1
        more = f" (and {others} more like it)" if others else ""
        advice = f"write `{section}` into your configuration"
        if section == "systems":
            advice += ", and `proposed`, which names one of them"
        yield f"{found[0]}{more}; this is config.yaml's `{section}`: {advice}"


def _explain(error: ValidationError, known: dict[str, list[str]]) -> str:
    """Returns what is wrong, and what the user may write instead."""
    if error.validator == "format":
        allowed = known[str(error.validator_value)]
        return f"{error.instance!r} is none of {', '.join(map(str, allowed))}"
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "pattern" and "description" in schema:
        return f"{error.instance!r} does not fit: {schema['description']}"  # no regular expression
    return f"{error.message}{_suggest(error)}"


def _suggest(error: ValidationError) -> str:
    """Returns what the user may write instead, if the validator's message does not say so."""
    if error.validator == "type":
        # YAML reads yes, 2021 and 2021-11-07 as no strings, and 2e-5 as no number.
        read = bool | int | float | date
        if error.validator_value == "string" and isinstance(error.instance, read):
            return "; put it in quotes"
        if error.validator_value == "integer" and isinstance(error.instance, float):
            return "; write a whole number without a point"
        if error.validator_value in ("number", "integer") and _is_number(error.instance):
            return "; write it without quotes, and with a point before an exponent (2.0e-5)"
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator in ("additionalProperties", "propertyNames"):
        keys = schema.get("properties", {})
        for key in cast(dict[str, Any], error.instance):
            section, dot, inside = str(key).partition(".")
            if dot and section in keys:
                return (
                    f"; a key inside a section is written `{section}: {{{inside}: ...}}`, on the "
                    f"command line --config '{section}={{{inside}: ...}}'"
                )
        return f"; allowed keys: {', '.join(keys)}" if keys else ""
    description = schema.get("description")
    return f" ({description})" if description else ""


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False
