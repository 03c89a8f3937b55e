# What several stages need: names in paths, and the files that stand for an encoder or a run.

from pathlib import Path


wildcard_constraints:
    task="|".join(map(re.escape, EXPERIMENT.tasks)),
    run="|".join(map(re.escape, EXPERIMENT.runs)),
    encoder="|".join(map(re.escape, config["encoders"])),
    system="|".join(map(re.escape, EXPERIMENT.systems)),
    fold=r"\d+",


# Finished trainings: what an interrupted or extended job had finished is not done again.
STORE = f"{RESULTS}/store"


def encoder_files(name):
    """An encoder's files if it is a local folder; nothing if it comes from the hub."""
    folder = Path(EXPERIMENT.encoder(name))
    return sorted(map(str, [*folder.glob("*.json"), *folder.glob("*.safetensors")]))


def tokens(task, encoder):
    return f"{RESULTS}/tokens/{task}/{EXPERIMENT.tokenizer(encoder)}"


def trained(task, run):
    """The folders of all replicates of a trained run."""
    return [f"{RESULTS}/models/{task}/{run}/seed{seed}" for seed in EXPERIMENT.replicates]


def predictions(task, run):
    return [f"{RESULTS}/predictions/{task}/{run}/seed{seed}" for seed in EXPERIMENT.replicates]


def run_parents(w):
    """The folders of all replicates of the runs that a run starts from, parent by parent."""
    run = EXPERIMENT.runs[w.run]
    return [folder for parent in run.parents for folder in trained(w.task, parent.name)]


def run_encoder(w):
    return encoder_files(EXPERIMENT.runs[w.run].encoder)


def run_tokens(w):
    return tokens(w.task, EXPERIMENT.runs[w.run].encoder)


def run_difficulty(w):
    """Difficulty labels, where the run is regularised with them."""
    run = EXPERIMENT.runs[w.run]
    if run.option("margin") is None:
        return []
    return f"{RESULTS}/difficulty/{w.task}/{run.encoder}.parquet"


def run_settings(w):
    """How the run is trained; the weight of DAR concerns only those that have it."""
    if EXPERIMENT.runs[w.run].option("margin") is None:
        return config["training"]
    return {**config["training"], "difficulty_weight": config["difficulty"]["weight"]}


def all_predictions(w):
    return [folder for run in EXPERIMENT.runs for folder in predictions(w.task, run)]


EVALUATION = ["operating_points", "curves", "exits", "differences", "exit_differences"]

# The evaluation's frames of all tasks, by name.
evaluations = {
    name: [f"{RESULTS}/evaluation/{task}/{name}.csv" for task in EXPERIMENT.tasks]
    for name in EVALUATION
}

titles = {key: system.title for key, system in EXPERIMENT.systems.items()}

TABLES = {
    "table1_data": "1: data and margins",
    "table2_main": "2: score at equal speed",
    "table4_dar": "4: with and without DAR",
    "table5_calibration": "5: DIS, accuracy and ECE",
}
FIGURES = {
    "figure_tradeoff": "score against speed-up",
    "figure_reliability": "reliability diagrams",
    "figure_confidence": "confidence of easy and difficult instances",
}


# Pre-training a family of encoders, where the configuration asks for one.
PRETRAINING = config.get("pretraining")
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


def teacher_shards(w):
    count = PRETRAINING["teacher"]["shards"] if "teacher" in PRETRAINING else 0
    return [f"{MADE}/teacher/{i:04d}" for i in range(count)]


def shallower(w):
    """The next shallower encoder, where depths are stacked."""
    below = [layers for layers in DEPTHS if layers < int(w.layers)]
    if not (PRETRAINING["stacking"] and below):
        return []
    return f"{MADE}/layers-{max(below)}/student.pt"


def encoder_settings(w):
    entry = DEPTHS[int(w.layers)]
    return {
        **part("encoder", "teacher", "objectives", "held_out", "bf16"),
        "layers": entry["layers"],
        "schedule": PRETRAINING["schedule"]
        | {key: value for key, value in entry.items() if key != "layers"},
    }
