# What several stages need: names in paths, and the files that stand for an encoder or a run.

from itertools import chain, product
from pathlib import Path


wildcard_constraints:
    task="|".join(map(re.escape, EXPERIMENT.tasks)),
    run="|".join(map(re.escape, EXPERIMENT.runs)),
    encoder="|".join(map(re.escape, config["encoders"])),
    labeller="|".join(map(re.escape, EXPERIMENT.labellers)) or "none",
    system="|".join(map(re.escape, EXPERIMENT.systems)),
    fold=r"\d+",


# Finished trainings: what an interrupted or extended job had finished is not done again.
STORE = f"{RESULTS}/store"


def model_files(folder):
    """A model's files, or its folder where it comes from the hub."""
    if folder.startswith(f"{RESULTS}/encoders/"):
        return [folder]
    files = sorted(map(str, [*Path(folder).glob("*.json"), *Path(folder).glob("*.safetensors")]))
    # No storage provider needs to have them: they come with the workflow.
    return [local(path) for path in files]


def copied(folder, files):
    """The folder of some of a job's inputs, which a storage provider copies to another place."""
    if not folder.startswith(RESULTS):
        return folder  # it came with the workflow, see `model_files`
    places = [path.partition(folder)[0] for path in map(str, files) if folder in path]
    return f"{places[0]}{folder}" if places else folder


def encoder_files(name):
    """An encoder's files, or its folder where it comes from the hub."""
    folder = EXPERIMENT.encoder(name)
    for layers in DEPTHS:
        made = family_member(layers)
        if Path(made[0]).parent == Path(folder):
            return made
    return model_files(folder)


def task_spec(w, input):
    """A task's entry, with its files as the job finds them."""
    spec = config["tasks"][w.task]
    source = dict(spec["source"])
    if "files" in source:
        source["files"] = dict(zip(source["files"], map(str, input), strict=True))
    elif source.get("archive"):
        source["archive"] = str(input[0])
    return {**spec, "source": source}


def tokens(task, encoder):
    return f"{RESULTS}/tokens/{task}/{EXPERIMENT.tokenizer(encoder)}"


def packs(members):
    """Trainings that share a job, and so a process."""
    members = list(members)
    size = config["pack"]
    return [members[i : i + size] for i in range(0, len(members), size)]


# Each pack is a rule of its own, so that a job's outputs are known by name.
PACKS = {
    "label_runs": packs(product(EXPERIMENT.folds, EXPERIMENT.seeds)),
    "train": packs(EXPERIMENT.replicates),
}
# A profile cannot know how many packs there are: what it sets for `train` holds for `train_0` and
# so on. It has to be said before the first rule, when Snakemake reads these settings.
for rule_name, members in PACKS.items():
    for given in (
        workflow.resource_settings.overwrite_resources,
        workflow.resource_settings.overwrite_threads,
    ):
        if rule_name in given:
            for number in range(len(members)):
                given.setdefault(f"{rule_name}_{number}", given[rule_name])

# Where a profile hands out GPUs, as many jobs as there are slots run at once. A dry run needs no GPU.
if any("gpu_slot" in given for given in workflow.resource_settings.overwrite_resources.values()):
    if "gpu_slot" not in workflow.global_resources:
        workflow.register_resource("gpu_slot", max(1, len(devices()) * config["gpu_slots"]))


def label_run(task, labeller, fold, seed):
    return f"{RESULTS}/difficulty/{task}/{labeller}/fold{fold}-seed{seed}.parquet"


def trained(task, run, replicates=EXPERIMENT.replicates):
    """The folders of these replicates of a trained run."""
    return [f"{RESULTS}/models/{task}/{run}/seed{seed}" for seed in replicates]


def predictions(task, run):
    return [f"{RESULTS}/predictions/{task}/{run}/seed{seed}" for seed in EXPERIMENT.replicates]


def predictions_folder(w, input):
    return copied(f"{RESULTS}/predictions", input.predictions)


def parents_of(replicates):
    """The folders of these replicates of the runs that a run starts from, parent by parent."""
    return lambda w: [
        folder
        for parent in EXPERIMENT.runs[w.run].parents
        for folder in trained(w.task, parent.name, replicates)
    ]


def run_encoder(w):
    return encoder_files(EXPERIMENT.runs[w.run].encoder)


def run_encoder_folder(w, input):
    return copied(EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder), input.encoder)


def run_tokens(w):
    return tokens(w.task, EXPERIMENT.runs[w.run].encoder)


def run_difficulty(w):
    """Difficulty labels, where the run is regularised with them."""
    labeller = EXPERIMENT.runs[w.run].labeller
    return f"{RESULTS}/difficulty/{w.task}/{labeller.name}.parquet" if labeller else []


def run_settings(w):
    """How the run is trained; the weight of DAR concerns only those that have it."""
    run = EXPERIMENT.runs[w.run]
    settings = {**config["training"], **dict(run.training)}
    if run.labeller is None:
        return settings
    return {**settings, "difficulty_weight": config["difficulty"]["weight"]}


def all_predictions(task):
    return [folder for run in EXTENT.runs[task] for folder in predictions(task, run)]


# With `only_finished`, the tasks and systems that are there; else all of them.
TASKS = list(EXTENT.systems)


def tasks_with(systems):
    """The tasks on which all of these were run."""
    return [task for task in TASKS if set(systems) <= set(EXTENT.systems[task])]


def all_label_runs():
    """With `only_finished`, as far as they are there."""
    members = product(TASKS, EXPERIMENT.labellers, EXPERIMENT.folds, EXPERIMENT.seeds)
    files = [label_run(*member) for member in members]
    return [file for file in files if not config["only_finished"] or os.path.exists(file)]


EVALUATION = ["operating_points", "curves", "exits", "probes", "differences", "exit_differences"]


def evaluation(name, tasks=TASKS):
    return [f"{RESULTS}/evaluation/{task}/{name}.csv" for task in tasks]


# The evaluation's frames of all tasks, by name.
evaluations = {name: evaluation(name) for name in EVALUATION}

titles = {key: system.title for key, system in EXPERIMENT.systems.items()}
pooling = {key: system.pooling for key, system in EXPERIMENT.systems.items()}
averaging = [key for key, read in pooling.items() if read == "mean"]

TABLES = {
    "table1_data": "1: data and margins",
    "table2_main": "2: score at equal speed",
    "table3_distillation": "3: against distilled students",
    "table4_dar": "4: with and without DAR",
    "table5_calibration": "5: DIS, accuracy and ECE",
    "table6_backbone": "6: without a pre-trained small model",
    "table7_fastbert": "7: against FastBERT",
    "appendix_c": "C: one more model, expected and measured",
    "probes": "Every exit beside a linear probe: is it trained to the end?",
    "claims": "The paper's claims, one by one",
    "provenance": "what the results were made from and by",
}
ROWS = {"table2_main": list(titles), **config.get("tables", {})}  # of the tables of systems
OPTIONAL = {"table3_distillation", "table6_backbone", "table7_fastbert"}
TABLES = {name: title for name, title in TABLES.items() if name not in OPTIONAL - set(ROWS)}
EXTENSIONS = {new: old for new, old in EXPERIMENT.extensions.items() if tasks_with([new, old])}
if not EXTENSIONS:
    del TABLES["appendix_c"]

# The paper's names of the systems and of the splits that are the paper's.
PUBLISHED = {
    "systems": {key: s.published for key, s in EXPERIMENT.systems.items() if s.published},
    "tasks": {task: config["tasks"][task].get("published", {}) for task in EXPERIMENT.tasks},
}
# Sections of the configuration, and the systems that they and the figures are about.
LAYERWISE = config.get("layerwise")
REPRESENTATIONS = config.get("representations")
SUBMISSION = config.get("submission")
SERIES = list(LAYERWISE["series"].values()) if LAYERWISE else []
LAYERED = [LAYERWISE["emits"], *chain(*SERIES)] if LAYERWISE else []
# The series are in order: the last is of complete models, of which those of one exit are no cascade.
COMPLETE = [key for key in chain(*SERIES[-1:]) if EXPERIMENT.systems[key].rule == "last"]
ABLATED = [*EXPERIMENT.ablations, *EXPERIMENT.ablations.values()]
EXTENDED = [*EXTENSIONS, *EXTENSIONS.values()]
CLAIMED = dict.fromkeys(
    [config["proposed"], *EXPERIMENT.rivals, *ABLATED, *EXTENDED, *chain(*SERIES)]
)
MIDDLE_TARGET = sorted(config["evaluation"]["targets"])[len(config["evaluation"]["targets"]) // 2]


def representations(tasks):
    """States of the first model of each candidate."""
    systems = [EXPERIMENT.systems[key] for key in REPRESENTATIONS["systems"]]
    runs = dict.fromkeys(c.runs[0].name for system in systems for c in system.candidates)
    return [f"{RESULTS}/representations/{task}/{run}.npz" for task in tasks for run in runs]


# Each of these figures compares all of its systems, on the tasks where all were run.
LAYERED_ON = tasks_with(LAYERED) if LAYERWISE else []
REPRESENTED_ON = tasks_with(REPRESENTATIONS["systems"]) if REPRESENTATIONS else []
if config["only_finished"]:
    REPRESENTED_ON = [t for t in REPRESENTED_ON if all(map(os.path.exists, representations([t])))]
EXTENDED_ON = tasks_with(EXTENDED) if EXTENSIONS else []

FIGURES = {
    "figure2_layers": "2: the same number of layers" if LAYERED_ON else None,
    "figure3_dis": "3: DIS by layers" if LAYERED_ON else None,
    "figure4_representations": (
        "4: what a model knows after a few layers" if REPRESENTED_ON else None
    ),
    "figure5_tradeoff": "5: one more model in the cascade" if EXTENDED_ON else None,
    "figure_tradeoff": "score against speed-up",
    "figure_reliability": "reliability diagrams",
    "figure_confidence": "confidence of easy and difficult instances",
}
FIGURES = {name: title for name, title in FIGURES.items() if title}


# What is not shown for want of a system; what was not run is in EXTENT.missing.
LEFT_OUT = [
    f"{figures} without {', '.join(absent)}: not all that they compare was run there."
    for figures, drawn_on, wanted in [
        ("Figures 2 and 3", LAYERED_ON, LAYERWISE),
        ("Figure 4", REPRESENTED_ON, REPRESENTATIONS),
        ("Figure 5 and Appendix C", EXTENDED_ON, EXPERIMENT.extensions),
    ]
    if wanted and (absent := [task for task in TASKS if task not in drawn_on])
]


def drawn(name):
    """The files of a figure, of which the report shows one."""
    return {
        "figure": report(
            f"{RESULTS}/figures/{name}.png",
            caption=f"../report/{name}.rst",
            category="Figures",
            labels={"figure": FIGURES[name]},
        ),
        "pdf": f"{RESULTS}/figures/{name}.pdf",
    }


def tabulated(name, category="Tables"):
    """The files of a table, of which the report shows one."""
    return {
        "table": report(
            f"{RESULTS}/tables/{name}.html",
            caption=f"../report/{name}.rst",
            category=category,
            labels={"table": TABLES[name]},
        ),
        "files": [f"{RESULTS}/tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")],
    }


def titled(systems):
    return {key: titles[key] for key in dict.fromkeys(systems)}


def choices(systems, tasks=TASKS):
    """What the tasks' development splits chose for these systems."""
    return [
        f"{RESULTS}/evaluation/{task}/choices/{system}.json"
        for task in tasks
        for system in dict.fromkeys(systems)
        if system in EXTENT.systems[task]
    ]


def predictions_of(systems, tasks=TASKS):
    """The predictions of all candidates of these systems on the tasks."""
    found = []
    for task in tasks:
        run_here = [EXPERIMENT.systems[key] for key in systems if key in EXTENT.systems[task]]
        runs = dict.fromkeys(run.name for system in run_here for run in system.runs)
        found += [folder for run in runs for folder in predictions(task, run)]
    return found


def copied_encoders(names):
    """Where these encoders are, by name, for a job with the input `encoders`."""
    return lambda w, input: {
        name: copied(EXPERIMENT.encoder(name), input.encoders) for name in names
    }


def backbone():
    """The encoders that the systems of Table 6 start from."""
    systems = [EXPERIMENT.systems[key] for key in ROWS["table6_backbone"]]
    return list(dict.fromkeys(run.encoder for system in systems for run in system.runs))


# Pre-training a family of encoders, where the configuration asks for one.
PRETRAINING = config.get("pretraining")
if PRETRAINING:
    PRETRAINING = {
        **PRETRAINING,
        **{
            section: {**PRETRAINING[section], key: EXPERIMENT.located(PRETRAINING[section][key])}
            for section, key in (("teacher", "model"), ("vocabulary", "from"))
            if key in PRETRAINING.get(section, {})
        },
    }
MADE = f"{RESULTS}/pretraining"
DEPTHS = {entry["layers"]: entry for entry in PRETRAINING["depths"]} if PRETRAINING else {}


def part(*keys):
    """Parts of the section: a change in the others runs nothing again."""
    return {key: PRETRAINING[key] for key in keys if key in PRETRAINING}


def family_member(layers):
    """An encoder's files; the folder may hold more of a tokenizer's."""
    folder = f"{PRETRAINING['family']}-{layers}x{PRETRAINING['encoder']['width']}"
    names = "README.md config.json model.safetensors tokenizer.json tokenizer_config.json"
    return [f"{folder}/{name}" for name in names.split()]


def with_copies(settings, files):
    """Settings with the folders of the models as a job with these inputs finds them."""
    for section, key in (("teacher", "model"), ("vocabulary", "from")):
        if key in settings.get(section, {}):
            place = copied(settings[section][key], files)
            settings = {**settings, section: {**settings[section], key: place}}
    return settings


def vocabulary_settings(w, input):
    """With the teacher, where its vocabulary has to be the student's."""
    started = part("start", "teacher") if "start" in PRETRAINING else {}
    return with_copies(part("vocabulary", "encoder", "max_tokens", "held_out") | started, input)


def teacher_files(w):
    return model_files(PRETRAINING["teacher"]["model"])


def vocabulary_files(w):
    vocabulary = PRETRAINING["vocabulary"]
    return model_files(vocabulary["from"]) if "from" in vocabulary else []


def teacher_shards(w):
    count = PRETRAINING["teacher"]["shards"] if "teacher" in PRETRAINING else 0
    return [f"{MADE}/teacher/{i:04d}" for i in range(count)]


def next_shallower(layers):
    """The depth of the encoder that one of so many layers starts from, where depths are stacked."""
    below = [depth for depth in DEPTHS if depth < int(layers)]
    return max(below) if PRETRAINING["stacking"] and below else None


def shallower(w):
    below = next_shallower(w.layers)
    return f"{MADE}/layers-{below}/student" if below else []


def starts_as_teacher(w):
    return "start" in PRETRAINING and not shallower(w)


def start_files(w):
    return teacher_files(w) if starts_as_teacher(w) else []


def start_space(w):
    """The space of the teacher's states, where the encoder starts in it."""
    return f"{MADE}/space.npz" if starts_as_teacher(w) else []


def encoder_settings(w, input):
    entry = DEPTHS[int(w.layers)]
    parts = part("encoder", "teacher", "objectives", "start", "held_out", "precision")
    return {
        **with_copies(parts, input),
        "layers": entry["layers"],
        "shallower": next_shallower(w.layers),
        "schedule": PRETRAINING["schedule"]
        | {key: value for key, value in entry.items() if key != "layers"},
    }
