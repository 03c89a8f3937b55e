# The report's first page, from the evaluation of all tasks.


rule summary:
    input:
        operating_points=evaluation("operating_points"),
        differences=evaluation("differences"),
        exits=evaluation("exits"),
        exit_differences=evaluation("exit_differences"),
        data=prepared(),
        tokens=reference_tokens(),
        claims=["<results>/tables/claims.csv"] if "claims" in CATALOGUE.tables else [],
        figure="<results>/figures/figure_tradeoff.png",
    output:
        page="<results>/summary.rst",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.titles,
        ablations=CATALOGUE.ablations,
        proposed=config["proposed"],
        full=EXPERIMENT.full_model,
        experiment=EXPERIMENT.name,
        missing=CATALOGUE.missing,
        left_out=CATALOGUE.left_out,
        settings=len(EXPERIMENT.settings),
    message:
        "the report's first page"
    script:
        "../workflow_scripts/summary.py"
