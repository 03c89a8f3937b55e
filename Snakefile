# CascadeBERT, reproduced: configuration, stages, and what they are collected into.

import os
import sys
from copy import deepcopy

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

# `workflow.basedir` would be the folder of the Snakefile that includes this one or uses it as a module.
if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        "clone this repository: its Snakefile needs the library and models beside it"
    )
HERE = os.fspath(workflow.current_basedir)
sys.path.insert(0, HERE)  # whether or not the library is installed

from cascadebert.core.errors import UserError
from cascadebert.experiment.configuration import Experiment, refuse_repeated_keys, resolve
from cascadebert.experiment.extent import finished, whole
from cascadebert.core.files import replacing
from cascadebert.training.gpus import devices
from cascadebert.reporting.submission import submitted
from cascadebert.data import source_files

# From the command line, or from a workflow that uses this one as a module. `configfile` merges into it.
given = deepcopy(config)


configfile: f"{HERE}/config.yaml"


with open(f"{HERE}/config.yaml") as default:
    resolved = resolve(yaml.safe_load(default), given)
# `--config only_finished=true` is text for Snakemake.
resolved["only_finished"] = yaml.safe_load(str(resolved["only_finished"]))
RESULTS = f"results/{resolved['experiment']}"


try:
    for path in [f"{HERE}/config.yaml", *workflow.config_settings.configfiles]:
        refuse_repeated_keys(path)
    EXPERIMENT = Experiment(resolved)
    EXTENT = (
        finished(
            EXPERIMENT,
            lambda task, run, replicate: (
                os.path.isdir(f"{RESULTS}/predictions/{task}/{run}/seed{replicate}")
                and os.path.isdir(f"{RESULTS}/data/{task}")
            ),
        )
        if resolved["only_finished"]
        else whole(EXPERIMENT)
    )
    SUBMITTED = {} if resolved["only_finished"] else submitted(EXPERIMENT)
except UserError as error:
    raise WorkflowError(str(error))
config = resolved  # a new name: a calling workflow keeps its own configuration as it is


include: "rules/common.smk"


# Whoever wants what is finished wants no training, whatever changed since.
if not config["only_finished"]:

    include: "rules/models.smk"
    include: "rules/data.smk"
    include: "rules/difficulty.smk"
    include: "rules/train.smk"


include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/appendix.smk"
include: "rules/report.smk"
include: "rules/provenance.smk"
include: "rules/submission.smk"


# The first page is a result; Snakemake would look for it beside this file.
report: os.path.abspath(f"{RESULTS}/summary.rst")


# On a cluster these run where Snakemake does: they take seconds.
localrules:
    all,
    table1_data,
    table2_main,
    table4_dar,
    table5_calibration,
    claims,
    figure_tradeoff,
    figure_reliability,
    figure_confidence,
    summary,


rule all:
    default_target: True
    input:
        [f"{RESULTS}/tables/{name}.html" for name in TABLES],
        [f"{RESULTS}/figures/{name}.png" for name in FIGURES],
        rules.summary.output,


onstart:
    os.makedirs(RESULTS, exist_ok=True)
    with replacing(f"{RESULTS}/config.yaml") as draft:
        draft.write_text(yaml.safe_dump(config, sort_keys=False))
    # Snakemake's limit of jobs per second makes it look again, every second and once more for each job
    # that has ended, at all that could start: in a run of hundreds of jobs that takes a third of a core.
    workflow.scheduler.job_rate_limiter = None
