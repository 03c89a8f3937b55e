# CascadeBERT, reproduced: the configuration, the rules of all stages, and the files to make.

import os
import sys
from copy import deepcopy

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.17")  # a priority that is a function

# Not `workflow.basedir`: that is the folder of a Snakefile that includes this one or uses it as a module.
if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        "clone this repository: its Snakefile needs the library and models beside it"
    )
HERE = os.fspath(workflow.current_basedir)
sys.path.insert(0, HERE)  # the library need not be installed

from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.experiment.catalogue import SYSTEM_TABLES, Catalogue
from cascadebert.experiment.configuration import load_experiment
from cascadebert.experiment.consistency import list_doubts, refuse_contradictions
from cascadebert.experiment.extent import find_extent
from cascadebert.experiment.schedule import rank_labeller, rank_run
from cascadebert.experiment.submitted import find_submitted_tasks
from cascadebert.data.load import list_source_files
from cascadebert.training.gpus import list_gpus
from workflow_scripts.internals import (
    asks_for,
    count_cores,
    offer_resource,
    spread_settings,
    stop_job_rate_limit,
)

# The override, from the command line or from a workflow that uses this one as a module. It is copied,
# since `configfile` merges the default into `config`.
given = deepcopy(config)


configfile: f"{HERE}/config.yaml"


try:
    EXPERIMENT = load_experiment(
        default=f"{HERE}/config.yaml",
        override=given,
        files=workflow.config_settings.configfiles,
    )
    refuse_contradictions(EXPERIMENT)
    EXTENT = find_extent(EXPERIMENT)
    SUBMITTED = {} if EXPERIMENT.config["only_finished"] else find_submitted_tasks(EXPERIMENT)
except UserError as error:
    raise WorkflowError(str(error))
if workflow.is_main_process:
    for doubt in list_doubts(EXPERIMENT):
        logger.warning(doubt)
CATALOGUE = Catalogue(EXPERIMENT, EXTENT)
config = EXPERIMENT.config  # a new name: a calling workflow keeps its own configuration


pathvars:
    results=EXPERIMENT.results,
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


include: "rules/common.smk"
include: "rules/training_inputs.smk"
include: "rules/pretraining_inputs.smk"
include: "rules/results_inputs.smk"


# With `only_finished`, nothing is trained again, whatever was changed since.
if not config["only_finished"]:

    include: "rules/pretraining.smk"
    include: "rules/data.smk"
    include: "rules/difficulty.smk"
    include: "rules/train.smk"


include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/dar.smk"
include: "rules/appendix.smk"
include: "rules/report.smk"
include: "rules/provenance.smk"
include: "rules/submission.smk"


# The first page is a result. Snakemake would look for a relative path beside this file.
report: os.path.abspath(f"{EXPERIMENT.results}/summary.rst")


# With a cluster, a `localrule` runs on the machine that runs Snakemake: what takes seconds, and what
# needs the network.
rule all:
    default_target: True
    input:
        expand("<results>/tables/{table}.html", table=CATALOGUE.tables),
        expand("<results>/figures/{figure}.png", figure=CATALOGUE.figures),
        rules.summary.output,
        rules.explorer.output,
    localrule: True


onstart:
    os.makedirs(EXPERIMENT.results, exist_ok=True)
    with replacing(f"{EXPERIMENT.results}/config.yaml") as draft:
        draft.write_text(yaml.safe_dump(config, sort_keys=False))
    stop_job_rate_limit(workflow)


onsuccess:
    # Pre-training makes none, and those of object storage lie elsewhere.
    if os.path.exists(f"{EXPERIMENT.results}/summary.rst"):
        logger.info(
            f"Tables and figures are in {EXPERIMENT.results}. Snakemake with the same options and "
            f"`--report {EXPERIMENT.results}/report.html` makes the report, too."
        )


onerror:
    logger.info(
        "What was finished is kept. To go on, run the same command again; if Snakemake itself was "
        "killed, first once with --unlock."
    )
