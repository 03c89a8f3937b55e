# Training and prediction: every run with all its replicates.

for number, replicates in enumerate(PACKS["train"]):

    rule:
        name:
            f"train_{number}"
        input:
            encoder=run_encoder,
            data=rules.prepare_task.output.data,
            tokens=run_tokens,
            parents=parents_of(replicates),
            difficulty=run_difficulty,
        output:
            models=[directory(folder) for folder in trained("{task}", "{run}", replicates)],
        log:
            f"{RESULTS}/logs/train/{{task}}/{{run}}/{number}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train/{{task}}/{{run}}/{number}.tsv"
        conda:
            "../environment.yml"
        params:
            encoder=run_encoder_folder,
            replicates=replicates,
            settings=run_settings,
            seed=config["seed"],
            store=STORE,
        message:
            "{wildcards.task}: training {wildcards.run}, replicate {params.replicates}"
        script:
            "../workflow_scripts/train.py"


rule predict:
    input:
        encoder=run_encoder,
        reference=encoder_files(config["reference"]),
        data=rules.prepare_task.output.data,
        tokens=run_tokens,
        parents=parents_of(EXPERIMENT.replicates),
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
        encoder=run_encoder_folder,
        reference=lambda w, input: copied(EXPERIMENT.reference, input.reference),
        max_length=config["training"]["max_length"],
        seed=config["seed"],
    message:
        "{wildcards.task}: logits of all exits of {wildcards.run}"
    script:
        "../workflow_scripts/predict.py"


if REPRESENTATIONS:

    rule represent:
        input:
            encoder=run_encoder,
            data=rules.prepare_task.output.data,
            tokens=run_tokens,
            parents=parents_of(EXPERIMENT.replicates[:1]),
            model=f"{RESULTS}/models/{{task}}/{{run}}/seed0",
        output:
            states=f"{RESULTS}/representations/{{task}}/{{run}}.npz",
        log:
            f"{RESULTS}/logs/represent/{{task}}/{{run}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/represent/{{task}}/{{run}}.tsv"
        conda:
            "../environment.yml"
        params:
            encoder=run_encoder_folder,
            layers=REPRESENTATIONS["layers"],
            seed=config["seed"],
        message:
            "{wildcards.task}: states of {wildcards.run} after {params.layers} layers"
        script:
            "../workflow_scripts/represent.py"
