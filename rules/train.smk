# Training and prediction: every run with all its replicates.


def parents(w):
    return [folder for parent in EXPERIMENT.runs[w.run].parents for folder in trained(w.task, parent.name)]


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


rule train:
    message: "{wildcards.task}: training {wildcards.run}"
    input:
        encoder=run_encoder,
        data=rules.prepare_task.output.data,
        tokens=run_tokens,
        parents=parents,
        difficulty=run_difficulty,
    output:
        models=[directory(folder) for folder in trained("{task}", "{run}")],
    params:
        encoder=lambda w: EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder),
        replicates=list(EXPERIMENT.replicates),
        settings={**config["training"], "difficulty_weight": config["difficulty"]["weight"]},
        seed=config["seed"],
    log:
        f"{RESULTS}/logs/train/{{task}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{task}}/{{run}}.tsv"
    script:
        "../workflow_scripts/train.py"


rule predict:
    message: "{wildcards.task}: logits of all exits of {wildcards.run}"
    input:
        encoder=run_encoder,
        reference=encoder_files(config["reference"]),
        data=rules.prepare_task.output.data,
        tokens=run_tokens,
        parents=parents,
        models=lambda w: trained(w.task, w.run),
    output:
        predictions=[directory(folder) for folder in predictions("{task}", "{run}")],
    params:
        encoder=lambda w: EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder),
        reference=EXPERIMENT.reference,
        max_length=config["training"]["max_length"],
    log:
        f"{RESULTS}/logs/predict/{{task}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{{task}}/{{run}}.tsv"
    script:
        "../workflow_scripts/predict.py"
