# What the results were made from and by.


rule provenance:
    input:
        data=[f"{RESULTS}/data/{task}" for task in EXPERIMENT.tasks],
        encoders=[file for name in config["encoders"] for file in encoder_files(name)],
        predictions=[
            folder
            for task in EXPERIMENT.tasks
            for run in EXPERIMENT.runs
            for folder in predictions(task, run)
        ],
        labels=[
            label_run(task, labeller, fold, seed)
            for task in EXPERIMENT.tasks
            for labeller in EXPERIMENT.labellers
            for fold, seed in product(EXPERIMENT.folds, EXPERIMENT.seeds)
        ],
    output:
        **tabulated("provenance", "Provenance"),
        record=f"{RESULTS}/provenance.json",
    log:
        f"{RESULTS}/logs/provenance.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance.tsv"
    conda:
        "../environment.yml"
    params:
        configuration=dict(config),
        encoders={name: EXPERIMENT.encoder(name) for name in config["encoders"]},
    message:
        "what the results were made from and by"
    script:
        "../workflow_scripts/provenance.py"
