"""Writes configuration.md, commands.md and python.md of docs/reference from the code.

    PYTHONPATH=. python docs/scripts/reference.py

A test says when a page is stale.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cascadebert.commands.main import build_parser
from cascadebert.systems import find_methods, load_method
from docs.scripts.markdown import MADE, escape
from docs.scripts.python_names import write_python

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/reference"
Schema = dict[str, Any]
Keys = tuple[str, ...]


def read_yaml(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


# --- Configuration ---

BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
}
TYPES = {
    "integer": "whole number",
    "boolean": "true or false",
    "string": "text",
    "object": "mapping",
    "array": "list",
    "null": "null",
}
FORMATS = {
    "encoder": "name of an encoder",
    "system": "name of a system",
    "method": "name of a method",
    "published method": "name in published.csv",
    "published task": "task in published.csv",
}


def follow_references(part: Any, file: str, schemas: dict[str, Schema]) -> Any:
    """A part of the schema in this file; what a `$ref` names lies under the keys beside it."""
    if isinstance(part, list):
        return [follow_references(each, file, schemas) for each in part]
    if not isinstance(part, dict):
        return part
    own = {k: follow_references(v, file, schemas) for k, v in part.items() if k != "$ref"}
    if "$ref" not in part:
        return own
    name, _, place = part["$ref"].partition("#")
    found: Any = schemas[name or file]
    for key in filter(None, place.split("/")):
        found = found[key]
    return follow_references(found, name or file, schemas) | own


def describe_type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(describe_type(each) for each in schema["anyOf"])
    if "format" in schema:
        return FORMATS[schema["format"]]
    kinds = schema.get("type", "object")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    bounds = [said.format(schema[key]) for key, said in BOUNDS.items() if key in schema]
    named = []
    for kind in kinds:
        said = TYPES.get(kind, kind)
        if kind == "array":
            said += f" of {describe_type(schema['items'])}"
        if bounds and kind in ("integer", "number"):
            said += f" {' and '.join(bounds)}"
        named.append(said)
    return " or ".join(named)


def list_keys(schema: Schema, path: Keys = ()) -> Iterator[tuple[Keys, Schema]]:
    """Every key below a schema: its path, and what is said of it.

    A path has `*` where the user chooses the name, and `[]` for the entries of a list.
    """
    for key, entry in schema.get("properties", {}).items():
        yield (*path, key), entry
        yield from list_keys(entry, (*path, key))
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        yield (*path, "*"), rest
        yield from list_keys(rest, (*path, "*"))
    if isinstance(items := schema.get("items"), dict):
        yield from list_keys(items, (*path, "[]"))
    for branch in schema.get("anyOf", []):
        if isinstance(branch, dict) and schema.get("type") != "object":
            yield from list_keys(branch, path)


def find_values(config: Any, path: Keys) -> Iterator[Any]:
    """The values of a configuration at a path."""
    if not path:
        yield config
    elif path[0] == "[]":
        for each in config if isinstance(config, list) else ():
            yield from find_values(each, path[1:])
    elif isinstance(config, dict):
        for key in config if path[0] == "*" else [path[0]]:
            if key in config:
                yield from find_values(config[key], path[1:])


def write_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "") if is_short(value) else ""


def is_short(value: Any) -> bool:
    return len(json.dumps(value)) <= 60


def describe_key(path: Keys, schema: Schema, configs: list[dict[str, Any]]) -> str:
    """One point of a list: the key, its type, default and description, and an example."""
    default, *_ = [*find_values(configs[0], path), None] if "*" not in path else [None]
    facts = [describe_type(schema)]
    if default is not None and is_short(default):
        facts.append(f"default `{write_value(default)}`")
    examples = [
        *schema.get("examples", []),
        *(value for config in configs for value in find_values(config, path)),
    ]
    if "description" not in schema:
        raise ValueError(f"{'.'.join(path)} has no description in its schema")
    told = escape(schema["description"].strip())
    line = (
        f"* **`{'.'.join(path)}`** ({', '.join(facts)}): {told}{'' if told.endswith('.') else '.'}"
    )
    example = next((e for e in examples if is_short(e) and e not in (None, default)), None)
    if example is not None and describe_type(schema) != "true or false":
        line += f" Example: `{write_value(example)}`."
    return line


def write_configuration() -> str:
    names = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))
    read = {name: read_yaml(f"config/{name}") for name in names}
    schemas = {name: read.pop(name) for name in names if name.endswith("schema.yaml")}
    configs = [read_yaml("config.yaml"), *read.values()]
    whole = follow_references(schemas["schema.yaml"], "schema.yaml", schemas)
    lines = [
        MADE,
        "",
        "# Configuration",
        "",
        "An experiment is a YAML file. It says how it differs from",
        "[config.yaml](../../config.yaml), which is complete.",
        "[config/README.md](../../config/README.md) explains how the two are merged.",
        "`cascadebert check FILE` tells all mistakes of a file.",
        "",
        "`*` stands for a name that you choose, `[]` for the entries of a list. Defaults are those",
        "of config.yaml. Examples come from the configurations of this project.",
        "",
        "A file needs `experiment`, whatever the default. One with `encoders` needs",
        "`training.epochs`, `training.learning_rate` and `training.max_length`, too.",
    ]
    for section, entry in whole["properties"].items():
        keys = list_keys({"properties": {section: entry}})
        lines += ["", f"## {section}", ""]
        lines += [describe_key(path, found, configs) for path, found in keys]
        if section == "systems":
            lines += write_methods(schemas, configs)
    return "\n".join(lines) + "\n"


def write_methods(schemas: dict[str, Schema], configs: list[dict[str, Any]]) -> Iterator[str]:
    """The options of each method, with examples from the systems that have it."""
    for method in find_methods():
        of_method = [
            {"systems": {key: e for key, e in config["systems"].items() if e["method"] == method}}
            for config in configs
            if "systems" in config
        ]
        yield from ("", f"### systems, method {method}", "")
        options = follow_references(load_method(method).OPTIONS, "schema.yaml", schemas)
        for path, found in list_keys(options):
            required = path[0] in options.get("required", []) and len(path) == 1
            line = describe_key(("systems", "*", *path), found, [{}, *of_method])
            yield line.replace(" (", " (required; ", 1) if required else line


# --- Commands ---


def write_commands() -> str:
    parser = build_parser()
    lines = [
        MADE,
        "",
        "# Commands",
        "",
        parser.description or "",
        "",
        "`cascadebert COMMAND --help` says what stands here.",
        "Every command ends with status 0, with status 1 and one sentence on what is wrong, or",
        "with status 2 after a wrong option; `run` ends with status 130 after Ctrl-C.",
        "`cascadebert --version` says which version is installed.",
    ]
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        options = [a for a in command._actions if not isinstance(a, argparse._HelpAction)]
        given = [a for a in options if not a.option_strings]
        needed = [a for a in options if a.option_strings and a.required]
        usage = [f"cascadebert {name}", *map(write_option, needed), "[options]"]
        usage = usage if len(options) > len(given) + len(needed) else usage[:-1]
        usage += [write_name(a) + (" ..." if a.nargs == "+" else "") for a in given]
        lines += ["", f"## {name}", "", command.description or "", "", "```"]
        lines += [" ".join(usage), "```", ""]
        rest = [a for a in options if a not in given]
        lines += [f"* `{write_option(a)}`: {describe_option(a)}" for a in (*given, *rest)]
        if command.epilog:
            lines += ["", command.epilog]
    return "\n".join(lines) + "\n"


def write_name(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


def write_option(action: argparse.Action) -> str:
    if not action.option_strings:
        return write_name(action)
    option = action.option_strings[-1]
    if action.nargs == 0:
        return option
    return f"{option} {action.metavar or option.lstrip('-').replace('-', '_').upper()}"


def describe_option(action: argparse.Action) -> str:
    choices = f"; one of {', '.join(map(str, action.choices))}" if action.choices else ""
    return f"{escape(str(action.help))}{choices}."


WRITERS = {
    "configuration.md": write_configuration,
    "commands.md": write_commands,
    "python.md": write_python,
}


def find_stale() -> list[str]:
    """The pages that are not what schemas, parser and code say now."""
    return [
        name
        for name, write in WRITERS.items()
        if not (page := PAGES / name).exists() or page.read_text(encoding="utf-8") != write()
    ]


if __name__ == "__main__":
    for name, write in WRITERS.items():
        (PAGES / name).write_text(write(), encoding="utf-8")
