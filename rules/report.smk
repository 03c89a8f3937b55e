# Tables, figures and the report's first page, from the evaluation of all tasks.


rule tables:
    input:
        **evaluations,
        data=[f"{RESULTS}/data/{task}" for task in EXPERIMENT.tasks],
    output:
        **{
            name: report(
                f"{RESULTS}/tables/{name}.html",
                caption=f"../report/{name}.rst",
                category="Tables",
                labels={"table": title},
            )
            for name, title in TABLES.items()
        },
        files=[
            f"{RESULTS}/tables/{name}.{suffix}"
            for name in TABLES
            for suffix in ("csv", "md", "tex")
        ],
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
    message:
        "tables"
    script:
        "../workflow_scripts/tables.py"


rule figures:
    input:
        **evaluations,
        data=[f"{RESULTS}/data/{task}" for task in EXPERIMENT.tasks],
        predictions=[
            folder
            for task in EXPERIMENT.tasks
            for run in EXPERIMENT.runs
            for folder in predictions(task, run)
        ],
    output:
        **{
            name: report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": title},
            )
            for name, title in FIGURES.items()
        },
        files=[f"{RESULTS}/figures/{name}.pdf" for name in FIGURES],
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        proposed=config["proposed"],
        predictions=lambda w: f"{RESULTS}/predictions",
    message:
        "figures"
    script:
        "../workflow_scripts/figures.py"


rule summary:
    input:
        **evaluations,
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
    message:
        "the report's first page"
    script:
        "../workflow_scripts/summary.py"
