# Helpers shared by all stages: path patterns and input functions.
#
# A job is done again when one of its params changes, but only if wildcards alone make the param:
# Snakemake keeps no record of a param whose function asks for `input`. Such functions therefore give
# places of files or what the names of the outputs tell, and never settings.

import re
from itertools import product
from pathlib import Path


wildcard_constraints:
    task="|".join(map(re.escape, EXPERIMENT.tasks)),
    run="|".join(map(re.escape, EXPERIMENT.runs)),
    encoder="|".join(map(re.escape, config["encoders"])),
    labeller="|".join(map(re.escape, EXPERIMENT.labellers)) or "none",
    system="|".join(map(re.escape, EXPERIMENT.systems)),
    fold=r"\d+",


TASKS = CATALOGUE.tasks

PREPARATION = 100_000  # a priority above that of all trainings, which wait for these jobs


def split_packs(members, together=1):
    """Packs of trainings that share a job, and therefore a process; so many are kept together."""
    members = list(members)
    size = max(1, config["pack"] // together) * together
    return [members[i : i + size] for i in range(0, len(members), size)]


# Each pack is a rule of its own, so that a job's outputs are known by name.
PACKS = {
    "label_runs": split_packs(
        product(EXPERIMENT.folds, EXPERIMENT.seeds),
        # The seeds of a fold learn from the same examples, so they are what is stacked.
        together=len(EXPERIMENT.seeds) if config["difficulty"]["stacked"] else 1,
    ),
    "train": split_packs(EXPERIMENT.replicates),
}
for rule_name, members in PACKS.items():
    spread_settings(workflow, rule_name, len(members))

# Where a profile hands out GPUs, as many jobs as there are slots run at once. A dry run needs no GPU.
if asks_for(workflow, "gpu_slot"):
    offer_resource(workflow, "gpu_slot", max(1, len(list_gpus()) * config["gpu_slots"]))


def told_by_outputs(value):
    """A param of which Snakemake keeps no record, so that another `pack` does no job again."""

    def tell(w, input):
        return value

    return tell


def model_files(folder):
    """A model's files, or its folder where it comes from the hub."""
    if folder in EXPERIMENT.encoders.on_hub:
        return [folder]
    files = sorted(map(str, [*Path(folder).glob("*.json"), *Path(folder).glob("*.safetensors")]))
    # These files come with the workflow, so no storage provider needs to hold them.
    return [local(path) for path in files]


def staged_folder(folder, inputs):
    """Where a job finds a folder: a storage provider copies a job's inputs to another place."""
    made = [EXPERIMENT.encoders.family_folder(layers) for layers in EXPERIMENT.encoders.depths]
    if not folder.startswith(EXPERIMENT.results) and folder not in made:
        return folder  # it came with the workflow, see `model_files`
    places = [path.partition(folder)[0] for path in map(str, inputs) if folder in path]
    return f"{places[0]}{folder}" if places else folder


def reference_folder(w, input):
    return staged_folder(EXPERIMENT.reference, input.reference)


def encoder_files(name):
    """An encoder's files, or its folder where it comes from the hub."""
    folder = EXPERIMENT.encoders.locate(name)
    for layers in EXPERIMENT.encoders.depths:
        files = family_files(layers)
        if Path(files[0]).parent == Path(folder):
            return files
    return model_files(folder)


def family_files(layers):
    """The files of an encoder that `pretraining` makes; its folder may hold more, which stays."""
    folder = EXPERIMENT.encoders.family_folder(layers)
    names = ["README.md", "config.json", "model.safetensors"]
    names += ["tokenizer.json", "tokenizer_config.json"]
    return [f"{folder}/{name}" for name in names]


def encoder_folders(names):
    """Where the encoders are, by name, for a job with the input `encoders`."""

    def find_folders(w, input):
        folders = {name: EXPERIMENT.encoders.locate(name) for name in names}
        return {name: staged_folder(folder, input.encoders) for name, folder in folders.items()}

    return find_folders


def trained(task, run, replicates=EXPERIMENT.replicates):
    """The folders of these replicates of a trained run."""
    return [f"<results>/models/{task}/{run}/seed{seed}" for seed in replicates]


def predicted(task, run, replicates=EXPERIMENT.replicates):
    """The folders of these replicates of a run's predictions."""
    return [f"<results>/predictions/{task}/{run}/seed{seed}" for seed in replicates]


def held_out_answers(task, labeller, fold, seed):
    """The file with a model's answers for the fold that its training left out."""
    return f"<results>/difficulty/{task}/{labeller}/fold{fold}-seed{seed}.parquet"


def task_predictions(task):
    """The predictions of all that was run on a task."""
    return [folder for run in EXTENT.runs[task] for folder in predicted(task, run)]


def system_predictions(systems, tasks=TASKS):
    """The predictions of all candidates of these systems on the tasks."""
    found = []
    for task in tasks:
        there = [key for key in systems if key in EXTENT.systems[task]]
        for run in EXPERIMENT.runs_of(there):
            found += predicted(task, run.name)
    return found


def predictions_folder(w, input):
    return staged_folder(f"{EXPERIMENT.results}/predictions", input.predictions)


def choices(systems, tasks=TASKS):
    """What the tasks' development splits chose for these systems."""
    return [
        f"<results>/evaluation/{task}/choices/{system}.json"
        for task in tasks
        for system in dict.fromkeys(systems)
        if system in EXTENT.systems[task]
    ]


def prepared(tasks=TASKS):
    """The folders of the tasks' data."""
    return [f"<results>/data/{task}" for task in tasks]


def evaluation(name, tasks=TASKS):
    """A frame of the evaluation, a file a task."""
    return [f"<results>/evaluation/{task}/{name}.csv" for task in tasks]
