# Predictions in the form that the GLUE server takes; defined only if the configuration has a section `submission`.

if SUBMITTED:
    submission = config["submission"]

    rule submission:
        input:
            data=prepared(SUBMITTED.values()),
            predictions=system_predictions([submission["system"]], SUBMITTED.values()),
            choices=choices([submission["system"]], SUBMITTED.values()),
        output:
            zip=f"<results>/submission/{submission['system']}-{submission['speedup']:g}x.zip",
        log:
            "<logs>/submission.log",
        benchmark:
            "<benchmarks>/submission.tsv"
        conda:
            "../environment.yml"
        params:
            submission=submission,
            tolerance=config["evaluation"]["tolerance"],
            results=results_folder,
        message:
            "predictions for the GLUE server"
        script:
            "../workflow_scripts/submission.py"
