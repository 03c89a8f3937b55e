# The report's first page, from the evaluation of all tasks.


rule summary:
    input:
        **evaluations,
        claims=f"{RESULTS}/tables/claims.csv",
        figure=f"{RESULTS}/figures/figure_tradeoff.png",
    output:
        page=f"{RESULTS}/summary.rst",
    log:
        f"{RESULTS}/logs/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/summary.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        proposed=config["proposed"],
        experiment=EXPERIMENT.name,
        missing=[*EXTENT.missing, *LEFT_OUT],
    message:
        "the report's first page"
    script:
        "../workflow_scripts/summary.py"
