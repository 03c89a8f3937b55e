# Appendix C of the paper, if a system `extends` another.

if EXTENSIONS:

    rule appendix_c:
        input:
            operating_points=evaluations["operating_points"],
            data=[f"{RESULTS}/data/{task}" for task in TASKS],
            predictions=predictions_of([*EXTENDED, *COMPLETE]),
            choices=choices([*EXTENDED, *COMPLETE]),
        output:
            **tabulated("appendix_c"),
        log:
            f"{RESULTS}/logs/appendix_c.log",
        benchmark:
            f"{RESULTS}/benchmarks/appendix_c.tsv"
        conda:
            "../environment.yml"
        params:
            titles=titles,
            extensions=EXTENSIONS,
            complete=COMPLETE,
            seed=config["seed"],
            resamples=config["evaluation"]["resamples"],
            predictions=predictions_folder,
        message:
            "Appendix C: what one more model should give, and what it gives"
        script:
            "../workflow_scripts/appendix_c.py"
