# The record of inputs, code and machines, and a crate of the experiment to hand on.


rule provenance:
    input:
        data=prepared(),
        encoders=[
            file for name in encoders_there(config["encoders"]) for file in encoder_files(name)
        ],
        predictions=[folder for task in TASKS for folder in task_predictions(task)],
        labels=label_runs(),
    output:
        **table_files("provenance", "Provenance"),
        record="<results>/provenance.json",
    log:
        "<logs>/provenance.log",
    benchmark:
        "<benchmarks>/provenance.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        # Without `only_finished`: the same results have the same record with and without it.
        configuration={key: config[key] for key in config if key != "only_finished"},
        missing=EXTENT.missing,
        encoders=encoder_folders(encoders_there(config["encoders"])),
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
            rules.explorer.output,
            [getattr(rules, name).output for name in CATALOGUE.tables],
            [getattr(rules, name).output for name in CATALOGUE.figures],
        ],
    output:
        zip=f"<results>/{EXPERIMENT.name}.crate.zip",
    log:
        "<logs>/crate.log",
    benchmark:
        "<benchmarks>/crate.tsv"
    conda:
        "../environment.yml"
    params:
        results=made_folder,
    message:
        "the experiment as a Workflow Run RO-Crate"
    script:
        "../workflow_scripts/crate.py"
