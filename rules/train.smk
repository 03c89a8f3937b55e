# Every run with all its replicates: training, and the logits of all exits on every split.
# One job does both, since the start of a process often takes longer than predicting.


for number, replicates in enumerate(PACKS["train"]):

    rule:
        name:
            f"train_{number}"
        input:
            encoder=run_encoder,
            reference=encoder_files(config["reference"]),
            data="<results>/data/{task}",
            tokens=run_tokens,
            parents=run_parents(replicates),
            difficulty=run_difficulty,
        output:
            models=[directory(folder) for folder in trained("{task}", "{run}", replicates)],
            predictions=[directory(folder) for folder in predicted("{task}", "{run}", replicates)],
        log:
            f"<logs>/train/{{task}}/{{run}}/{number}.log",
        benchmark:
            f"<benchmarks>/train/{{task}}/{{run}}/{number}.tsv"
        priority: run_priority
        conda:
            "../environment.yml"
        params:
            encoder=run_encoder_folder,
            reference=reference_folder,
            replicates=told_by_outputs(replicates),
            settings=run_settings,
            seed=config["seed"],
            store=f"{EXPERIMENT.results}/store",
        message:
            "{wildcards.task}: training {wildcards.run}, replicate {params.replicates}"
        script:
            "../workflow_scripts/train.py"


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


if EXPERIMENT.in_seconds:

    rule time_run:
        input:
            encoder=run_encoder,
            data="<results>/data/{task}",
            tokens=run_tokens,
            parents=run_parents(EXPERIMENT.replicates[:1]),
            model="<results>/models/{task}/{run}/seed0",
        output:
            times="<results>/times/{task}/{run}.csv",
        log:
            "<logs>/time_run/{task}/{run}.log",
        benchmark:
            "<benchmarks>/time_run/{task}/{run}.tsv"
        conda:
            "../environment.yml"
        # Other jobs beside it would be measured, too.
        threads: count_cores(workflow)
        params:
            encoder=run_encoder_folder,
            batch_size=config["evaluation"]["batch_size"],
            seed=config["seed"],
        message:
            "{wildcards.task}: seconds up to each exit of {wildcards.run}"
        script:
            "../workflow_scripts/time_run.py"
