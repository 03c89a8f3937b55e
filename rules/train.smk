# Training and prediction: every run with all its replicates.


rule train:
    input:
        encoder=run_encoder,
        data=rules.prepare_task.output.data,
        tokens=run_tokens,
        parents=run_parents,
        difficulty=run_difficulty,
    output:
        models=[directory(folder) for folder in trained("{task}", "{run}")],
    log:
        f"{RESULTS}/logs/train/{{task}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{task}}/{{run}}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=lambda w: EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder),
        replicates=list(EXPERIMENT.replicates),
        settings=run_settings,
        seed=config["seed"],
        store=STORE,
    message:
        "{wildcards.task}: training {wildcards.run}"
    script:
        "../workflow_scripts/train.py"


rule predict:
    input:
        encoder=run_encoder,
        reference=encoder_files(config["reference"]),
        data=rules.prepare_task.output.data,
        tokens=run_tokens,
        parents=run_parents,
        models=lambda w: trained(w.task, w.run),
    output:
        predictions=[directory(folder) for folder in predictions("{task}", "{run}")],
    log:
        f"{RESULTS}/logs/predict/{{task}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{{task}}/{{run}}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=lambda w: EXPERIMENT.encoder(EXPERIMENT.runs[w.run].encoder),
        reference=lambda w: EXPERIMENT.reference,
        max_length=config["training"]["max_length"],
    message:
        "{wildcards.task}: logits of all exits of {wildcards.run}"
    script:
        "../workflow_scripts/predict.py"
