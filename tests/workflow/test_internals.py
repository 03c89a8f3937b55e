"""What the workflow takes from Snakemake's internals, on the Snakemake that is installed."""

from types import SimpleNamespace

import pytest
import snakemake as installed
from snakemake.exceptions import WorkflowError

from tests.workflow.command import ROOT, warm_server
from workflow_scripts import internals

START = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from workflow_scripts.internals import *
"""


def run(folder, snakefile: str, *arguments: str) -> str:
    """The log of a small workflow."""
    (folder / "Snakefile").write_text(START + snakefile)
    result = warm_server().run("snakemake", "--cores", "2", *arguments, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_what_is_set_for_a_rule_holds_for_its_packs(tmp_path):
    snakefile = """
spread_settings(workflow, "train", 2)

rule all:
    input: "0", "1", "2"

for number in range(3):
    rule:
        name: f"train_{number}"
        output: str(number)
        shell: "echo {threads} {resources.mem_mb} > {output}"
"""
    settings = ("--set-resources", "train:mem_mb=7", "train_1:mem_mb=8", "--set-threads", "train=2")
    run(tmp_path, snakefile, "--default-resources", "mem_mb=5", *settings)
    found = [(tmp_path / str(number)).read_text().split() for number in range(3)]
    assert found == [["2", "7"], ["2", "8"], ["1", "5"]]


@pytest.mark.parametrize(("given", "together"), [((), False), (("--resources", "slot=2"), True)])
def test_jobs_share_what_is_offered_unless_the_user_says_how_much(tmp_path, given, together):
    snakefile = """
assert asks_for(workflow, "slot") and not asks_for(workflow, "gpu_slot")
offer_resource(workflow, "slot", 1)

rule all:
    input: "a", "b"

rule wait:
    output: "{name,[ab]}"
    shell: "date +%s.%N > {output}; sleep 1.5; date +%s.%N >> {output}"
"""
    run(tmp_path, snakefile, "--set-resources", "wait:slot=1", *given)
    (a, b), (c, d) = ([float(t) for t in (tmp_path / name).read_text().split()] for name in "ab")
    assert (a < d and c < b) == together


def test_no_limit_of_jobs_a_second(tmp_path):
    snakefile = """
rule all:
    output: touch("done")

onstart:
    print("before:", workflow.scheduler.job_rate_limiter)
    stop_job_rate_limit(workflow)

onsuccess:
    print("after:", workflow.scheduler.job_rate_limiter)
"""
    log = run(tmp_path, snakefile)
    assert "after: None" in log
    assert "before: None" not in log  # else there is nothing to stop any more


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (lambda w: internals.spread_settings(w, "train", 2), "resource_settings"),
        (lambda w: internals.asks_for(w, "gpu_slot"), "resource_settings"),
        (lambda w: internals.offer_resource(w, "gpu_slot", 1), "global_resources"),
        (lambda w: internals.count_cores(w), "global_resources"),
        (lambda w: internals.stop_job_rate_limit(w), "scheduler"),
    ],
)
def test_another_snakemake_is_named(call, missing):
    with pytest.raises(WorkflowError, match=rf"{installed.__version__} has no .*{missing}"):
        call(SimpleNamespace())
