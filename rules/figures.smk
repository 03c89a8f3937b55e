# Figures, one rule each. Those of the paper's sections that an experiment may leave out are defined
# only if its configuration has them.


if CATALOGUE.layered_tasks:

    rule figure2_layers:
        input:
            data=prepared(CATALOGUE.layered_tasks),
            predictions=system_predictions(CATALOGUE.layered, CATALOGUE.layered_tasks),
            choices=choices(CATALOGUE.layered, CATALOGUE.layered_tasks),
        output:
            **figure_files("figure2_layers"),
            data="<results>/figures/figure2_layers.csv",
        log:
            "<logs>/figure2_layers.log",
        benchmark:
            "<benchmarks>/figure2_layers.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            emits=config["layerwise"]["emits"],
            series=config["layerwise"]["series"],
            target=CATALOGUE.middle_target,
            seed=config["seed"],
            resamples=config["evaluation"]["resamples"],
            predictions=predictions_folder,
        message:
            "Figure 2: accuracy where an early exit emits"
        script:
            "../workflow_scripts/figure2_layers.py"

    rule figure3_dis:
        input:
            exits=evaluation("exits", CATALOGUE.layered_tasks),
        output:
            **figure_files("figure3_dis"),
            data="<results>/figures/figure3_dis.csv",
        log:
            "<logs>/figure3_dis.log",
        benchmark:
            "<benchmarks>/figure3_dis.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            series=config["layerwise"]["series"],
        message:
            "Figure 3: difficulty inversion score by layers"
        script:
            "../workflow_scripts/figure3_dis.py"


if CATALOGUE.represented_tasks:

    rule figure4_representations:
        input:
            data=prepared(CATALOGUE.represented_tasks),
            states=[
                f"<results>/representations/{task}/{run.name}.npz"
                for task in CATALOGUE.represented_tasks
                for run in CATALOGUE.represented_runs
            ],
            predictions=system_predictions(CATALOGUE.represented, CATALOGUE.represented_tasks),
            choices=choices(CATALOGUE.represented, CATALOGUE.represented_tasks),
        output:
            **figure_files("figure4_representations"),
            data="<results>/figures/figure4_representations.csv",
        log:
            "<logs>/figure4_representations.log",
        benchmark:
            "<benchmarks>/figure4_representations.tsv"
        conda:
            "../environment.yml"
        params:
            layers=config["representations"]["layers"],
            systems=CATALOGUE.represented,
            seed=config["seed"],
            predictions=predictions_folder,
        message:
            "Figure 4: states after a few layers"
        script:
            "../workflow_scripts/figure4_representations.py"


if CATALOGUE.extended_tasks:

    rule figure5_tradeoff:
        input:
            curves=evaluation("curves", CATALOGUE.extended_tasks),
            operating_points=evaluation("operating_points", CATALOGUE.extended_tasks),
            probes=evaluation("probes", CATALOGUE.extended_tasks),
        output:
            **figure_files("figure5_tradeoff"),
        log:
            "<logs>/figure5_tradeoff.log",
        benchmark:
            "<benchmarks>/figure5_tradeoff.tsv"
        localrule: True
        conda:
            "../environment.yml"
        params:
            titles=CATALOGUE.titles_of(CATALOGUE.extended),
            proposed=config["proposed"],
            full=EXPERIMENT.full_model,
            bands=True,
        message:
            "Figure 5: one more model in the cascade"
        script:
            "../workflow_scripts/figure_tradeoff.py"


rule figure_tradeoff:
    input:
        curves=evaluation("curves"),
        operating_points=evaluation("operating_points"),
        probes=evaluation("probes"),
    output:
        **figure_files("figure_tradeoff"),
    log:
        "<logs>/figure_tradeoff.log",
    benchmark:
        "<benchmarks>/figure_tradeoff.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.traded_off,
        proposed=config["proposed"],
        full=EXPERIMENT.full_model,
        bands=False,
    message:
        "score against speed-up"
    script:
        "../workflow_scripts/figure_tradeoff.py"


rule explorer:
    input:
        curves=evaluation("curves"),
        operating_points=evaluation("operating_points"),
        exits=evaluation("exits"),
        probes=evaluation("probes"),
        data=prepared(),
        predictions=system_predictions(CATALOGUE.titles),
        choices=choices(CATALOGUE.titles),
    output:
        page=report(
            directory("<results>/explorer"),
            htmlindex="index.html",
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"page": "curves, thresholds, exits and examples"},
        ),
    log:
        "<logs>/explorer.log",
    benchmark:
        "<benchmarks>/explorer.tsv"
    localrule: True
    conda:
        "../environment.yml"
    params:
        titles=CATALOGUE.titles,
        targets=config["evaluation"]["targets"],
        tolerance=config["evaluation"]["tolerance"],
        cost=config["evaluation"]["cost"],
        proposed=config["proposed"],
        experiment=EXPERIMENT.name,
        predictions=predictions_folder,
    message:
        "the explorer: one page on which a reader moves the speed-up"
    script:
        "../workflow_scripts/explorer.py"
