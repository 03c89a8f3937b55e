"""Checks a configuration against the schemas in config/, before any job starts."""

import math
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
from cascadebert.experiment import published
from cascadebert.systems import find_methods, load_method

SCHEMAS = Path(__file__).parents[2] / "config"

# YAML has .nan and .inf, which no bound of a schema refuses.
NUMBERS = Draft202012Validator.TYPE_CHECKER
Validator = extend(
    Draft202012Validator,
    type_checker=NUMBERS.redefine(
        "number", lambda _, value: NUMBERS.is_type(value, "number") and math.isfinite(value)
    ),
)


def refuse_repeated_keys(path: File) -> None:
    """Raises UserError if a mapping in a YAML file has a key twice: YAML keeps only the last."""
    try:
        nodes = [yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)]
    except yaml.YAMLError:
        return  # Snakemake also reads JSON, and not all JSON is YAML
    looked_at = set()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in looked_at:
            continue
        looked_at.add(id(node))  # an alias is the same node again
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


def check_configuration(config: dict[str, Any]) -> None:
    """Raises UserError for the first mistake in the configuration."""
    schemas = {path.name: yaml.safe_load(path.read_text()) for path in SCHEMAS.glob("*schema.yaml")}
    for schema in schemas.values():
        del schema["$schema"]  # jsonschema would follow it to a validator that accepts .nan
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
            # Without allowed names, the section of these names is wrong, not this reference.
            checker.checks(name)(lambda value, allowed=allowed: not allowed or value in allowed)
        validator = Validator(schema, registry=registry, format_checker=checker)
        error = best_match(validator.iter_errors(value))
        if error is not None:
            where = ".".join(map(str, (*path, *error.absolute_path))) or "top level"
            raise UserError(f"configuration, {where}: {_explain(error, known)}")

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


def _explain(error: ValidationError, known: dict[str, list[str]]) -> str:
    """Returns what is wrong, and what the user may write instead."""
    if error.validator == "format":
        return f"{error.instance!r} is none of {', '.join(known[str(error.validator_value)])}"
    return f"{error.message}{_suggest(error)}"


def _suggest(error: ValidationError) -> str:
    """Returns what the user may write instead, if the validator's message does not say so."""
    if error.validator == "type":
        # YAML reads yes and 2021 as no strings, and 2e-5 as no number.
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
