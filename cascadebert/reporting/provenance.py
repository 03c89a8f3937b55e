"""The record of a run: configuration, code, packages, machines, seeds, data and weights.

The record does not depend on the time of writing: the same run gives the same record.
"""

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from cascadebert.core.checksums import hash_file
from cascadebert.core.errors import UserError
from cascadebert.core.files import File
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.core.text import join_words
from cascadebert.encoders.loading import HUB
from cascadebert.reporting.typeset import Cell, Display, Row
from cascadebert.training.records import ORIGIN, identify_code, name_processor

CODE = ("Snakefile", "rules", "workflow_scripts", "cascadebert")  # files and folders that run
NAMED = ("torch", "transformers", "numpy", "snakemake")  # packages that the table names
DERIVATION = (
    "cascadebert.core.seeds.derive_seed(experiment, *names): the first four bytes, big-endian, of "
    "the SHA-256 of the experiment's seed and the names, joined by the character 31; halved"
)
DERIVED = {
    "split drawn from train": "task, 'split'",
    "rows drawn by a limit": "task, 'limit', split",
    "folds of the difficulty labels": "task, 'folds'",
    "training for difficulty labels": "task, 'difficulty', run, fold, seed",
    "training of a run": "task, run, replicate",
    "rows that a probe learns from": "task, 'probes'",
    "rows of Figure 4": "task, 'representations'",
    "intervals": "what is resampled, task, split",
    "intervals of differences at a target, and of Appendix C": (
        "'difference' or 'appendix c', task, split, target"
    ),
    "coin of a GLUE submission": "'submission', task, system, split",
}


def collect_provenance(
    config: dict,
    data: Sequence[File],
    encoders: Mapping[str, File],
    predictions: Sequence[File],
    labels: Sequence[File],
    missing: Sequence[str] = (),
) -> dict:
    """The record that becomes provenance.json.

    config:      the resolved configuration
    data:        the folders of the tasks
    encoders:    name -> folder
    predictions: folders <task>/<run>/seed<n> of predictions
    labels:      the tables that `stages.label_run` writes
    missing:     parts of the experiment that were not run (`extent.Extent`)
    """
    origins = {"/".join(Path(folder).parts[-3:]): _read_origin(folder) for folder in predictions}
    trained = [about.get("trained") for about in origins.values()]
    return {
        "experiment": config["experiment"],
        "missing": list(missing),
        "configuration": config,
        "code": describe_code(),
        "python": platform.python_version(),
        "packages": list_packages(),
        "machine": describe_this_machine(),
        "models_trained_on": _count_machines(trained),
        "difficulty_labels_trained_on": _count_machines(
            pd.read_parquet(path).attrs for path in labels
        ),
        "predicted_on": _count_machines(about.get("predicted") for about in origins.values()),
        "seeds": {"experiment": config["seed"], "derivation": DERIVATION, "names": DERIVED},
        "data": {task["name"]: task["splits"] for task in map(_read_splits, data)},
        "encoders": {name: _describe_encoder(Path(folder)) for name, folder in encoders.items()},
        "models": {name: about.get("weights") for name, about in origins.items()},
    }


def describe_code() -> dict:
    """Commit, files changed since, and digest of the library.

    Commit and changed files are None without git or its history.
    """
    tracked = _run_git("cat-file", "-e", "HEAD:./Snakefile") is not None
    changed = _run_git("status", "--porcelain", "--", *CODE) if tracked else None
    return {
        "commit": (_run_git("rev-parse", "HEAD") or "").strip() if tracked else None,
        "changed": None if changed is None else [line[3:] for line in changed.splitlines()],
        "library": identify_code(),
    }


def _run_git(*arguments: str) -> str | None:
    """The output of git in the folder of the Snakefile; None if git fails or is missing."""
    try:
        result = subprocess.run(
            ["git", "-C", WORKFLOW_FOLDER, *arguments], capture_output=True, text=True
        )
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None


def list_packages() -> dict[str, dict]:
    """Package -> the version that requirements.txt pins, and the installed version."""
    lines = (WORKFLOW_FOLDER / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    pins = {name.partition("[")[0]: pinned for name, pinned in pins.items()}  # without extras
    return {
        name: {"pinned": pinned, "here": _find_installed(name)} for name, pinned in pins.items()
    }


def _find_installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def describe_this_machine() -> dict:
    """The machine that runs this process; `training.records` describes those of trainings."""
    import torch  # takes seconds, which every command that plans the workflow would pay

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.system(),
        "cpu": name_processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": gpus,
    }


def _read_origin(folder: File) -> dict:
    path = Path(folder, ORIGIN)
    if not path.exists():
        return {}  # an older version of this code noted nothing
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); delete the folder and run again") from error


def _count_machines(machines: Iterable[dict | None]) -> list[dict]:
    """The distinct machines, the one with most trainings first; {} for trainings without a note."""
    counts = Counter(json.dumps(machine or {}, sort_keys=True) for machine in machines)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{**json.loads(text), "count": count} for text, count in ordered]


def _read_splits(folder: File) -> dict:
    """task.json, with the checksum of every split."""
    task = json.loads(Path(folder, "task.json").read_text(encoding="utf-8"))
    for split, about in task["splits"].items():
        about["sha256"] = hash_file(Path(folder, f"{split}.parquet"))
    return task


def _describe_encoder(folder: Path) -> dict:
    """Folder and checksums; `hub` has the model and commit, for an encoder of the hub."""
    noted = folder / HUB
    files = sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")])
    return {
        "folder": str(folder),
        "hub": json.loads(noted.read_text()) if noted.exists() else None,
        "sha256": {file.name: hash_file(file) for file in files},
    }


def table_provenance(record: dict) -> tuple[pd.DataFrame, Display]:
    """The record for readers, without checksums and seldom needed detail."""
    rows = [
        ("Code", _format_code(record["code"])),
        ("Packages", _format_packages(record["python"], record["packages"])),
        ("This page made on", _format_machine(record["machine"])),
        ("Models trained on", _format_machines(record["models_trained_on"], "model")),
    ]
    if record["difficulty_labels_trained_on"]:
        labels = _format_machines(record["difficulty_labels_trained_on"], "training")
        rows.append(("Difficulty labels from", labels))
    rows += [
        ("Logits computed on", _format_machines(record["predicted_on"], "model")),
        ("Seeds", f"{record['seeds']['experiment']}, from which every job derives its own"),
    ]
    rows += [(f"Data: {task}", _format_data(splits)) for task, splits in record["data"].items()]
    rows += [
        (f"Encoder: {name}", _format_weights(about)) for name, about in record["encoders"].items()
    ]
    caption = (
        f"What the experiment {record['experiment']} was made from and by. provenance.json beside "
        "the results has all of it: the configuration, every package, and the SHA-256 of every "
        "split, encoder and trained model."
    )
    if record["missing"]:
        rows.insert(0, ("Missing", "\n".join(record["missing"])))
    lines: list[Row] = [[Cell(what), Cell(text)] for what, text in rows]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    return frame, Display(caption, [Cell("What"), Cell("Value")], [lines], labels=2)


def _format_code(about: dict) -> str:
    parts = [f"library {about['library']}"]
    if about["commit"]:
        changed = about["changed"]
        where = join_words(changed) if 0 < len(changed) <= 3 else f"{len(changed)} files"
        state = f"and uncommitted changes in {where}" if changed else "as committed"
        parts.insert(0, f"commit {about['commit'][:12]}, {state}")
    return "; ".join(parts)


def _format_packages(python: str, found: dict[str, dict]) -> str:
    named = [f"{name} {found[name]['here']}" for name in NAMED if name in found]
    # A local part, as in 2.13.0+cpu, is another build of the same version.
    unlike = [
        f"{name} {about['here'] or 'missing'}"
        for name, about in found.items()
        if about["here"] is None or about["here"].split("+")[0] != about["pinned"]
    ]
    others = (
        f"unlike requirements.txt: {join_words(unlike)}" if unlike else "all as requirements.txt"
    )
    return f"Python {python}, {', '.join(named)}; {others}"


def _format_machine(about: dict) -> str:
    gpus = join_words([f"{n} × {name}" for name, n in Counter(about["gpus"]).items()] or ["no GPU"])
    return f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']:g} GiB, {gpus}"


def _format_machines(machines: list[dict], noun: str) -> str:
    lines = []
    for about in machines:
        facts = "not noted"
        if "cpu" in about:
            facts = (
                f"{about['cpu']}, {about.get('gpu') or 'no GPU'}, {about.get('precision')}, "
                f"torch {about.get('torch')}, library {about.get('code')}"
            )
        lines.append(f"{about['count']} {noun}{'s' if about['count'] > 1 else ''}: {facts}")
    return "\n".join(lines)


def _format_data(splits: dict[str, dict]) -> str:
    sources = dict.fromkeys(about["source"] for about in splits.values())
    sizes = ", ".join(f"{split} {about['rows']:,}" for split, about in splits.items())
    return "\n".join([sizes, *sources])


def _format_weights(about: dict) -> str:
    if about["hub"]:
        return f"{about['hub']['model']} of the hub, commit {about['hub']['commit']}"
    return f"{about['folder']} (local)"
