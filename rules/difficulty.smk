# Difficulty labels: K folds x S seeds of a model that is to be regularised.

# One file a training; those of a pack share a process.
for number, members in enumerate(PACKS["label_runs"]):

    rule:
        name:
            f"label_runs_{number}"
        input:
            encoder=lambda w: encoder_files(EXPERIMENT.labellers[w.labeller].encoder),
            data=rules.prepare_task.output.data,
            tokens=lambda w: tokens(w.task, EXPERIMENT.labellers[w.labeller].encoder),
        output:
            runs=[label_run("{task}", "{labeller}", *member) for member in members],
        log:
            f"{RESULTS}/logs/label_runs/{{task}}/{{labeller}}/{number}.log",
        benchmark:
            f"{RESULTS}/benchmarks/label_runs/{{task}}/{{labeller}}/{number}.tsv"
        conda:
            "../environment.yml"
        params:
            encoder=lambda w, input: copied(
                EXPERIMENT.encoder(EXPERIMENT.labellers[w.labeller].encoder), input.encoder
            ),
            members=members,
            folds=len(EXPERIMENT.folds),
            settings=lambda w: {
                **config["training"],
                **dict(EXPERIMENT.labellers[w.labeller].training),
            },
            seed=config["seed"],
            store=STORE,
        message:
            "{wildcards.task}: difficulty for {wildcards.labeller}, fold and seed {params.members}"
        script:
            "../workflow_scripts/label_runs.py"


rule difficulty:
    input:
        data=rules.prepare_task.output.data,
        runs=[
            label_run("{task}", "{labeller}", fold, seed)
            for fold, seed in product(EXPERIMENT.folds, EXPERIMENT.seeds)
        ],
    output:
        labels=f"{RESULTS}/difficulty/{{task}}/{{labeller}}.parquet",
    log:
        f"{RESULTS}/logs/difficulty/{{task}}/{{labeller}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/difficulty/{{task}}/{{labeller}}.tsv"
    conda:
        "../environment.yml"
    message:
        "{wildcards.task}: difficulty for {wildcards.labeller}, all folds and seeds"
    script:
        "../workflow_scripts/difficulty.py"
