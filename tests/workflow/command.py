"""Calling Snakemake on the repository's workflow from the tests."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def snakemake(folder: Path, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(cores), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


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
