"""The workflow started from another folder, by the catalogue's Snakefile and as a module."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.workflow.command import ROOT, warm_server

TICKETS = {
    "experiment": "tickets",
    "tasks": {
        "tickets": {
            "source": {"files": {"train": "train.csv", "dev": "dev.csv"}},
            "columns": {"text": "body", "label": "queue"},
            "labels": ["billing", "outage"],
        }
    },
}


def snakemake(folder: Path, *arguments: str) -> str:
    """What Snakemake says, in both of its streams."""
    result = warm_server().run("snakemake", "--cores", "1", *arguments, cwd=folder)
    return result.stdout + result.stderr


def module(folder: Path, snakefile: str) -> None:
    (folder / "tickets.yaml").write_text(yaml.safe_dump(TICKETS))
    for split in ("train", "dev"):
        lines = [f"{split} ticket {i},{('billing', 'outage')[i % 2]}" for i in range(8)]
        (folder / f"{split}.csv").write_text("\n".join(["body,queue", *lines]))
    (folder / "Snakefile").write_text(f"""
configfile: "tickets.yaml"

module cascadebert:
    snakefile: "{snakefile}"
    config: config

use rule * from cascadebert

onstart:
    cascadebert.onstart()
    assert list(config) == ["experiment", "tasks"]
""")


def test_the_catalogues_entry_plans_the_default_experiment(tmp_path):
    said = snakemake(tmp_path, "--dry-run", "--quiet", "rules", "-s", f"{ROOT}/workflow/Snakefile")
    assert "table2_main" in said
    assert "fetch_encoder" not in said  # models/ is found beside the Snakefile


def test_as_a_module_it_runs_another_experiment(tmp_path):
    module(tmp_path, f"{ROOT}/workflow/Snakefile")
    # As a process of its own, which has to find the library beside the Snakefile.
    target = "results/tickets/tokens/tickets/bert-12"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", target]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "2 of 2 steps (100%) done" in result.stderr, result.stderr
    results = tmp_path / "results/tickets"
    resolved = yaml.safe_load((results / "config.yaml").read_text())
    assert list(resolved["tasks"]) == ["tickets"]
    assert resolved["reference"] == "bert-12"  # from the default
    said = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert "table2_main" in said
    assert "fetch_encoder" not in said


def test_a_snakefile_without_the_library_beside_it_is_refused(tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "Snakefile").write_bytes((ROOT / "Snakefile").read_bytes())
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    module(tmp_path, f"git+file://{clone}/Snakefile@main")
    assert "clone this repository" in snakemake(tmp_path, "--dry-run")
