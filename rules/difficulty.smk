# Difficulty labels: K folds x S seeds of a model that is to be regularised.


# One file a training; those of a pack share a process.
for number, members in enumerate(PACKS["label_runs"]):

    rule:
        name:
            f"label_runs_{number}"
        input:
            encoder=labeller_encoder,
            data="<results>/data/{task}",
            tokens=labeller_tokens,
        output:
            runs=[held_out_answers("{task}", "{labeller}", *member) for member in members],
        log:
            f"<logs>/label_runs/{{task}}/{{labeller}}/{number}.log",
        benchmark:
            f"<benchmarks>/label_runs/{{task}}/{{labeller}}/{number}.tsv"
        priority: labeller_priority
        conda:
            "../environment.yml"
        params:
            encoder=labeller_encoder_folder,
            members=told_by_outputs(members),
            folds=len(EXPERIMENT.folds),
            # The seeds of a stack are trained together: fewer of them are another training.
            stacked=len(EXPERIMENT.seeds) if config["difficulty"]["stacked"] else False,
            settings=labeller_settings,
            seed=config["seed"],
            store=f"{EXPERIMENT.results}/store",
        message:
            "{wildcards.task}: difficulty for {wildcards.labeller}, fold and seed {params.members}"
        script:
            "../workflow_scripts/label_runs.py"


rule difficulty:
    input:
        data="<results>/data/{task}",
        runs=[
            held_out_answers("{task}", "{labeller}", fold, seed)
            for fold, seed in product(EXPERIMENT.folds, EXPERIMENT.seeds)
        ],
    output:
        labels="<results>/difficulty/{task}/{labeller}.parquet",
    log:
        "<logs>/difficulty/{task}/{labeller}.log",
    benchmark:
        "<benchmarks>/difficulty/{task}/{labeller}.tsv"
    priority: PREPARATION
    localrule: True
    conda:
        "../environment.yml"
    message:
        "{wildcards.task}: difficulty for {wildcards.labeller}, all folds and seeds"
    script:
        "../workflow_scripts/difficulty.py"
