# What the results were made from and by, and all of it to hand on.


rule provenance:
    input:
        data=[f"{RESULTS}/data/{task}" for task in TASKS],
        encoders=[file for name in config["encoders"] for file in encoder_files(name)],
        predictions=[folder for task in TASKS for folder in all_predictions(task)],
        labels=all_label_runs(),
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
        # The same record whether what is there was asked for as all or as what is finished.
        configuration={key: config[key] for key in config if key != "only_finished"},
        missing=EXTENT.missing,
        encoders=copied_encoders(config["encoders"]),
    message:
        "what the results were made from and by"
    script:
        "../workflow_scripts/provenance.py"


# Tables and figures are named as their rules.
rule crate:
    input:
        record=rules.provenance.output.record,
        made=[
            rules.summary.output,
            [getattr(rules, name).output for name in TABLES],
            [getattr(rules, name).output for name in FIGURES],
        ],
    output:
        zip=f"{RESULTS}/{EXPERIMENT.name}.crate.zip",
    log:
        f"{RESULTS}/logs/crate.log",
    benchmark:
        f"{RESULTS}/benchmarks/crate.tsv"
    conda:
        "../environment.yml"
    params:
        results=lambda w: RESULTS,
    message:
        "the experiment as a Workflow Run RO-Crate"
    script:
        "../workflow_scripts/crate.py"
