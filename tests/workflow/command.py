"""Calling Snakemake on the repository's workflow from the tests."""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

from tests.workflow.warm import WarmServer

ROOT = Path(__file__).parent.parent.parent


@cache
def warm_server() -> WarmServer:
    return WarmServer()


def snakemake(folder: Path, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
    """Snakemake and its jobs, without the time that their imports take."""
    return warm_server().run("snakemake", *options(folder, cores), *arguments)


def options(folder: Path, cores: int = 2) -> list[str]:
    given = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*given, "--cores", str(cores)]


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of each rule a dry run plans; packs of a rule are counted together."""
    result = snakemake(folder, "--dry-run", *arguments)
    assert result.returncode == 0, result.stderr
    if "Nothing to be done" in result.stdout + result.stderr:
        return {}
    stats = (result.stdout + result.stderr).split("Job stats:")[1].split("total")[0]
    counts = Counter()
    for rule, count in re.findall(r"^(\w+?)(?:_\d+)? +(\d+)$", stats, re.M):
        counts[rule] += int(count)
    return dict(counts)
