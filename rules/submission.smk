# What the GLUE server takes; defined only if the configuration has a section `submission`.

if SUBMITTED:

    rule submission:
        input:
            reference=encoder_files(config["reference"]),
            data=[f"{RESULTS}/data/{task}" for task in SUBMITTED.values()],
            predictions=predictions_of([SUBMISSION["system"]], SUBMITTED.values()),
            choices=choices([SUBMISSION["system"]], SUBMITTED.values()),
        output:
            zip=f"{RESULTS}/submission/{SUBMISSION['system']}-{SUBMISSION['speedup']:g}x.zip",
        log:
            f"{RESULTS}/logs/submission.log",
        benchmark:
            f"{RESULTS}/benchmarks/submission.tsv"
        conda:
            "../environment.yml"
        params:
            submission=SUBMISSION,
            tolerance=config["evaluation"]["tolerance"],
            results=lambda w, input: copied(RESULTS, input.predictions),
        message:
            "predictions for the GLUE server"
        script:
            "../workflow_scripts/submission.py"
