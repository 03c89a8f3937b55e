"""The command line: its commands and options, and how errors end it.

Starting it imports no torch: every command imports what it needs.
"""

import argparse
import errno
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

from cascadebert import __version__
from cascadebert.core.errors import UserError, explain_error, is_out_of_memory

ABOUT = "Fast text classifiers: a small model answers easy texts, a large one the others."
EXAMPLE = """\
from a table to a classifier:
  cascadebert init tickets.csv                  looks at the table, writes tickets.yaml
  cascadebert run tickets.yaml                  trains, compares, reports
  cascadebert export results/tickets --system cascadebert model
  cascadebert predict --model model --speedup 3 new.csv answers.csv

`cascadebert COMMAND --help` describes a command."""
# Package -> the extra of this one that brings it.
EXTRAS = {"onnxruntime": "serve", "tokenizers": "serve", "torch": "torch", "transformers": "torch"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cascadebert",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cascadebert {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    init = _add(commands, "init", "looks at a table of texts and labels, writes a configuration")
    init.add_argument("data", help="CSV, TSV or JSONL file with labelled texts")
    init.add_argument("--dev", metavar="FILE", help="file to choose thresholds on")
    init.add_argument("--test", metavar="FILE", help="file to measure on")
    init.add_argument("--text", metavar="COLUMN", help="column of the texts, if init is wrong")
    init.add_argument("--pair", metavar="COLUMN", help="column of the second text of a pair")
    init.add_argument("--label", metavar="COLUMN", help="column of the labels, if init is wrong")
    init.add_argument("--output", metavar="FILE", help="default: the data's name with .yaml")
    init.add_argument("--force", action="store_true", help="replace that file if it is there")

    run = _add(commands, "run", "trains and compares what a configuration says, makes the report")
    run.add_argument("configuration", help="YAML file, such as `cascadebert init` writes")
    run.add_argument("--cores", type=int, help="default: all that this process may use")
    run.add_argument("--dry-run", action="store_true", help="show what would be done")
    run.epilog = (
        "Options of Snakemake may follow after --, or targets, which are then made without a "
        "report."
    )

    export = _add(commands, "export", "writes the cascade of finished results as one folder")
    export.add_argument("results", help="results/<experiment>")
    export.add_argument("folder", help="where to write it")
    export.add_argument("--system", required=True, help="a cascade of the experiment")
    export.add_argument("--task", help="default: the only one of the experiment")
    export.add_argument("--replicate", type=int, default=0, help="number of the training (0)")

    predict = _add(commands, "predict", "classifies the texts of a file of any size")
    _add_model(predict)
    predict.add_argument("input", help="CSV, TSV or JSONL file; - for standard input")
    predict.add_argument("output", help="CSV, TSV or JSONL file; - for standard output")
    _add_table(predict)
    predict.add_argument(
        "--bad-rows",
        choices=["stop", "skip"],
        default="stop",
        help="what to do with a row that cannot be read: stop (default), or report and skip it",
    )
    predict.add_argument("--batch-size", type=int, default=32, help="texts at a time (32)")

    explain = _add(commands, "explain", "shows which member answers a text, and why")
    _add_model(explain)
    explain.add_argument("texts", nargs="+", metavar="text", help="the text, in quotes")
    explain.add_argument("--pair", action="append", help="second text, one for each text")

    bench = _add(commands, "bench", "times a cascade beside its largest member alone")
    _add_model(bench, "default: all that the model has files for")
    bench.add_argument("input", help="CSV, TSV or JSONL file with texts such as those to come")
    bench.add_argument("--label", metavar="COLUMN", help="column of the labels, to show scores")
    _add_table(bench)
    bench.add_argument("--rows", type=int, default=200, help="of the file that are read (200)")
    bench.add_argument("--seconds", type=float, default=20, help="of timing, roughly (20)")

    check = _add(commands, "check", "tells all mistakes of a configuration")
    check.add_argument("configuration", help="YAML file")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.set_defaults(command=name)
    return command


def _add_model(
    command: argparse.ArgumentParser,
    runtime: str = "default: onnx if the model has its files, else torch",
) -> None:
    """The options of a model; runtime: what is taken without --runtime."""
    command.add_argument(
        "--model", required=True, help="folder that `export` wrote, or a cascade of the hub"
    )
    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--speedup",
        type=float,
        help="one of the model's; default: the thresholds fitted or saved last, else the smallest "
        "speed-up",
    )
    either.add_argument(
        "--max-loss",
        type=float,
        metavar="SHARE",
        help="a loss of accuracy that the model promises, such as 0.01 for one point",
    )
    either.add_argument(
        "--threshold",
        type=_read_thresholds,
        metavar="NUMBER",
        help="confidence above which a member answers; several with commas, one for each member "
        "but the last",
    )
    command.add_argument("--runtime", choices=["torch", "onnx", "onnx-int8"], help=runtime)
    command.add_argument("--threads", type=int, help="of ONNX Runtime; default: one for each core")


def _add_table(command: argparse.ArgumentParser) -> None:
    """How the input is written, and which of its columns have the texts."""
    command.add_argument("--text", metavar="COLUMN", help="column of the texts")
    command.add_argument("--pair", metavar="COLUMN", help="column of the second texts")
    command.add_argument(
        "--format", choices=["csv", "tsv", "jsonl"], help="of the input; default: by its name, csv"
    )
    command.add_argument(
        "--encoding",
        help="of the input; default: as its mark says, else as where the model was trained if that "
        "was the same format, else utf-8",
    )
    command.add_argument(
        "--quotes",
        choices=["yes", "no"],
        help="whether quotes enclose fields of CSV and TSV; default: as where the model was "
        "trained if that was the same format, else yes for CSV and no for TSV",
    )
    command.add_argument(
        "--no-header",
        action="store_true",
        help="columns have no names, --text counts from 0; default: as where the model was "
        "trained if that was the same format and no option names a column",
    )


def _read_thresholds(given: str) -> float | list[float]:
    try:
        numbers = [float(number) for number in given.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(0 <= number <= 1 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{given!r} is no threshold; give a number from 0 to 1, or several with commas"
        )
    return numbers[0] if len(numbers) == 1 else numbers


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 1 after one sentence on what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    passed_on: list[str] = []
    if given[:1] == ["run"] and "--" in given:
        end = given.index("--")
        given, passed_on = given[:end], given[end + 1 :]
    parsed = build_parser().parse_args(given)
    parsed.snakemake = passed_on
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # A terminal need not have every letter of a label.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A scheduler's warning ends a command as Ctrl-C does: nothing half written stays.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = _run(parsed)
        sys.stdout.flush()  # else Python would do it at its end, outside of this block
        return status
    except BrokenPipeError:  # such as `| head`
        _drop_output()
        return 1
    except KeyboardInterrupt:
        said: str | None = "stopped; nothing half written was left"
        output = getattr(parsed, "output", None)
        if output in ("-", "/dev/stdout"):
            said = "stopped; the answers in standard output are incomplete"
        elif output and Path(output).exists() and not Path(output).is_file():  # a named pipe
            said = f"stopped; the answers in {output} are incomplete"
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "cascadebert":
            raise
        extra = EXTRAS.get(missing, "workflow")
        said = f"{missing} is not installed; pip install 'cascadebert[{extra}]'"
    except Exception as error:  # libraries pass on a full disk in classes of their own
        said = _explain(error, parsed)
        if said is None:
            raise
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    print(f"cascadebert: {said}", file=sys.stderr)
    return 1


def _explain(error: Exception, parsed: argparse.Namespace) -> str | None:
    """What went wrong and what to do; None if the cause may be in our code."""
    cause = error.__cause__ if isinstance(error, UserError) else error
    if cause is not None and is_out_of_memory(cause):
        advice = "give a smaller --batch-size" if parsed.command == "predict" else "free some"
        return f"not enough memory ({error}); {advice}"
    if parsed.command == "export" and isinstance(error, FileNotFoundError) and error.filename:
        return (
            f"{error.filename} is missing: the experiment is not finished. Give its snakemake "
            "command again"
        )
    said = explain_error(error, _find_output(parsed), in_job=False)
    if said is None and isinstance(error, OSError) and error.errno != errno.EBADF:
        place = f"{error.filename}: " if error.filename else ""
        said = f"{place}{error.strerror or error}"
    return said


def _drop_output() -> None:
    """Forgets what cannot be written: Python would complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _find_output(parsed: argparse.Namespace) -> Path:
    """The folder to which a command writes, as far as it is there."""
    named = {"predict": "output", "export": "folder"}.get(parsed.command)
    place = Path(getattr(parsed, named)).absolute() if named else Path.cwd()
    return next(folder for folder in (place.parent, *place.parents) if folder.is_dir())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(parsed: argparse.Namespace) -> int:
    if parsed.command == "check":
        from cascadebert.experiment.check import check

        print(f"{parsed.configuration} is fine; results go to {check(parsed.configuration)}")
        return 0
    module = import_module(f"cascadebert.commands.{parsed.command}")
    command: Callable[[argparse.Namespace], int | None] = getattr(module, parsed.command)
    return command(parsed) or 0
