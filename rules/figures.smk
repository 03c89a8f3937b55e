# Figures, one rule each. Those of the paper's sections that an experiment may leave out are defined
# only if its configuration has them.

if LAYERED_ON:

    rule figure2_layers:
        input:
            data=[f"{RESULTS}/data/{task}" for task in LAYERED_ON],
            predictions=predictions_of(LAYERED, LAYERED_ON),
            choices=choices(LAYERED, LAYERED_ON),
        output:
            **drawn("figure2_layers"),
            data=f"{RESULTS}/figures/figure2_layers.csv",
        log:
            f"{RESULTS}/logs/figure2_layers.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure2_layers.tsv"
        conda:
            "../environment.yml"
        params:
            emits=LAYERWISE["emits"],
            series=LAYERWISE["series"],
            target=MIDDLE_TARGET,
            seed=config["seed"],
            resamples=config["evaluation"]["resamples"],
            predictions=predictions_folder,
        message:
            "Figure 2: accuracy where an early exit emits"
        script:
            "../workflow_scripts/figure2_layers.py"

    rule figure3_dis:
        input:
            exits=evaluation("exits", LAYERED_ON),
        output:
            **drawn("figure3_dis"),
            data=f"{RESULTS}/figures/figure3_dis.csv",
        log:
            f"{RESULTS}/logs/figure3_dis.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure3_dis.tsv"
        conda:
            "../environment.yml"
        params:
            series=LAYERWISE["series"],
        message:
            "Figure 3: difficulty inversion score by layers"
        script:
            "../workflow_scripts/figure3_dis.py"


if REPRESENTED_ON:

    rule figure4_representations:
        input:
            data=[f"{RESULTS}/data/{task}" for task in REPRESENTED_ON],
            states=representations(REPRESENTED_ON),
            predictions=predictions_of(REPRESENTATIONS["systems"], REPRESENTED_ON),
            choices=choices(REPRESENTATIONS["systems"], REPRESENTED_ON),
        output:
            **drawn("figure4_representations"),
            data=f"{RESULTS}/figures/figure4_representations.csv",
        log:
            f"{RESULTS}/logs/figure4_representations.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure4_representations.tsv"
        conda:
            "../environment.yml"
        params:
            layers=REPRESENTATIONS["layers"],
            systems=REPRESENTATIONS["systems"],
            seed=config["seed"],
            predictions=predictions_folder,
        message:
            "Figure 4: states after a few layers"
        script:
            "../workflow_scripts/figure4_representations.py"


if EXTENDED_ON:

    rule figure5_tradeoff:
        input:
            curves=evaluation("curves", EXTENDED_ON),
            operating_points=evaluation("operating_points", EXTENDED_ON),
        output:
            **drawn("figure5_tradeoff"),
        log:
            f"{RESULTS}/logs/figure5_tradeoff.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure5_tradeoff.tsv"
        conda:
            "../environment.yml"
        params:
            titles=titled(EXTENDED),
            proposed=config["proposed"],
        message:
            "Figure 5: one more model in the cascade"
        script:
            "../workflow_scripts/figure5_tradeoff.py"


rule figure_tradeoff:
    input:
        curves=evaluations["curves"],
        operating_points=evaluations["operating_points"],
    output:
        **drawn("figure_tradeoff"),
    log:
        f"{RESULTS}/logs/figure_tradeoff.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_tradeoff.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titled(config.get("tables", {}).get("table2_main", titles)),
        proposed=config["proposed"],
    message:
        "score against speed-up"
    script:
        "../workflow_scripts/figure_tradeoff.py"


rule figure_reliability:
    input:
        data=[f"{RESULTS}/data/{task}" for task in TASKS],
        predictions=predictions_of(ABLATED),
        choices=choices(ABLATED),
    output:
        **drawn("figure_reliability"),
    log:
        f"{RESULTS}/logs/figure_reliability.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_reliability.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        predictions=predictions_folder,
    message:
        "reliability diagrams"
    script:
        "../workflow_scripts/figure_reliability.py"


rule figure_confidence:
    input:
        data=[f"{RESULTS}/data/{task}" for task in TASKS],
        predictions=predictions_of(ABLATED),
        choices=choices(ABLATED),
    output:
        **drawn("figure_confidence"),
    log:
        f"{RESULTS}/logs/figure_confidence.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_confidence.tsv"
    conda:
        "../environment.yml"
    params:
        titles=titles,
        ablations=EXPERIMENT.ablations,
        predictions=predictions_folder,
    message:
        "confidence of easy and difficult examples"
    script:
        "../workflow_scripts/figure_confidence.py"
