# Appendix C of the paper, if a system `extends` another.

if CATALOGUE.extensions:

    rule appendix_c:
        input:
            operating_points=evaluation("operating_points"),
            data=prepared(),
            predictions=system_predictions([*CATALOGUE.extended, *CATALOGUE.complete]),
            choices=choices([*CATALOGUE.extended, *CATALOGUE.complete]),
        output:
            **table_files("appendix_c"),
        log:
            "<logs>/appendix_c.log",
        benchmark:
            "<benchmarks>/appendix_c.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles,
            extensions=CATALOGUE.extensions,
            complete=CATALOGUE.complete,
            seed=config["seed"],
            resamples=config["evaluation"]["resamples"],
            predictions=predictions_folder,
        message:
            "Appendix C: what one more model should give, and what it gives"
        script:
            "../workflow_scripts/appendix_c.py"
