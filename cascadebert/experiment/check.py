"""`python -m cascadebert.experiment.check [FILE]`: what is wrong with a configuration?

Prints the folder of the experiment's results; or all mistakes, and ends with status 1. Snakemake
reads a --configfile before any code of this repository can look at it, and ends with a traceback
where it cannot.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.experiment.configuration import load_experiment
from cascadebert.experiment.consistency import list_doubts, refuse_contradictions


def read_override(path: File) -> dict[str, Any]:
    """Returns what a JSON or YAML file says. Raises UserError, with the line, if it is neither."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no UTF-8 text ({error.reason}); save it as UTF-8") from None
    try:
        try:
            found = json.loads(text)
        except ValueError:
            found = yaml.safe_load(text)
        json.dumps(found, default=str)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{place}: no YAML ({error.problem}); correct it") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: no YAML ({error}); correct it") from None
    except (ValueError, RecursionError, TypeError) as error:
        said = "a part of it contains itself" if "ircular" in str(error) else str(error)
        raise UserError(f"{path}: {said}; correct it") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: it has no keys; write lines such as `experiment: my-experiment`")
    return found


def check(path: File | None = None) -> str:
    """Returns the folder of the results of the default, or of a file that is laid over it."""
    override, files = (read_override(path), [path]) if path else ({}, [])
    experiment = load_experiment(WORKFLOW_FOLDER / "config.yaml", override, files)
    refuse_contradictions(experiment)
    for doubt in list_doubts(experiment):
        print(doubt, file=sys.stderr)
    return experiment.results


if __name__ == "__main__":
    try:
        print(check(*sys.argv[1:2]))
    except UserError as error:
        sys.exit(str(error))
