# What several stages need: names in paths, and the files that stand for an encoder or a run.

from pathlib import Path


wildcard_constraints:
    task="|".join(map(re.escape, EXPERIMENT.tasks)),
    run="|".join(map(re.escape, EXPERIMENT.runs)),
    encoder="|".join(map(re.escape, config["encoders"])),
    system="|".join(map(re.escape, EXPERIMENT.systems)),
    fold=r"\d+",


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
