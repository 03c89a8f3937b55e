# Training and prediction: every run with all its replicates.


def run_encoder(w):
    return encoder_files(EXPERIMENT.runs[w.run].encoder)


def run_encoder_folder(w, input):
    return staged_folder(EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder), input.encoder)


def reference_folder(w, input):
    return staged_folder(EXPERIMENT.reference, input.reference)


def run_tokens(w):
    return tokens(w.task, EXPERIMENT.runs[w.run].encoder)


def run_parents(replicates):
    """The folders of these replicates of the runs that a run starts from, parent by parent."""

    def find_parents(w):
        parents = EXPERIMENT.runs[w.run].parents
        return [folder for run in parents for folder in trained(w.task, run.name, replicates)]

    return find_parents


def run_difficulty(w):
    """Difficulty labels, where the run is regularised with them."""
    labeller = EXPERIMENT.runs[w.run].labeller
    return f"<results>/difficulty/{w.task}/{labeller.name}.parquet" if labeller else []


def run_settings(w):
    """How the run is trained; the weight of DAR concerns only those that have it."""
    run = EXPERIMENT.runs[w.run]
    settings = {**config["training"], **dict(run.training)}
    if run.labeller is None:
        return settings
    return {**settings, "difficulty_weight": config["difficulty"]["weight"]}


for number, replicates in enumerate(PACKS["train"]):

    rule:
        name:
            f"train_{number}"
        input:
            encoder=run_encoder,
            data="<results>/data/{task}",
            tokens=run_tokens,
            parents=run_parents(replicates),
            difficulty=run_difficulty,
        output:
            models=[directory(folder) for folder in trained("{task}", "{run}", replicates)],
        log:
            f"<logs>/train/{{task}}/{{run}}/{number}.log",
        benchmark:
            f"<benchmarks>/train/{{task}}/{{run}}/{number}.tsv"
        conda:
            "../environment.yml"
        params:
            encoder=run_encoder_folder,
            replicates=replicates,
            settings=run_settings,
            seed=config["seed"],
            store=f"{EXPERIMENT.results}/store",
        message:
            "{wildcards.task}: training {wildcards.run}, replicate {params.replicates}"
        script:
            "../workflow_scripts/train.py"


rule predict:
    input:
        encoder=run_encoder,
        reference=encoder_files(config["reference"]),
        data="<results>/data/{task}",
        tokens=run_tokens,
        parents=run_parents(EXPERIMENT.replicates),
        models=trained("{task}", "{run}"),
    output:
        predictions=[directory(folder) for folder in predicted("{task}", "{run}")],
    log:
        "<logs>/predict/{task}/{run}.log",
    benchmark:
        "<benchmarks>/predict/{task}/{run}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=run_encoder_folder,
        reference=reference_folder,
        max_length=config["training"]["max_length"],
        seed=config["seed"],
    message:
        "{wildcards.task}: logits of all exits of {wildcards.run}"
    script:
        "../workflow_scripts/predict.py"


if "representations" in config:

    rule represent:
        input:
            encoder=run_encoder,
            data="<results>/data/{task}",
            tokens=run_tokens,
            parents=run_parents(EXPERIMENT.replicates[:1]),
            model="<results>/models/{task}/{run}/seed0",
        output:
            states="<results>/representations/{task}/{run}.npz",
        log:
            "<logs>/represent/{task}/{run}.log",
        benchmark:
            "<benchmarks>/represent/{task}/{run}.tsv"
        conda:
            "../environment.yml"
        params:
            encoder=run_encoder_folder,
            layers=config["representations"]["layers"],
            seed=config["seed"],
        message:
            "{wildcards.task}: states of {wildcards.run} after {params.layers} layers"
        script:
            "../workflow_scripts/represent.py"
