# Difficulty labels: K folds x S seeds of a model that is to be regularised.


rule label_fold:
    input:
        encoder=lambda w: encoder_files(w.encoder),
        data=rules.prepare_task.output.data,
        tokens=lambda w: tokens(w.task, w.encoder),
    output:
        # One file a training; the seeds of a fold share a process, so that it starts up once.
        runs=expand(
            f"{RESULTS}/difficulty/{{{{task}}}}/{{{{encoder}}}}/fold{{{{fold}}}}-seed{{seed}}.parquet",
            seed=EXPERIMENT.seeds,
        ),
    log:
        f"{RESULTS}/logs/label_fold/{{task}}/{{encoder}}/fold{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/label_fold/{{task}}/{{encoder}}/fold{{fold}}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=lambda w: EXPERIMENT.encoder(w.encoder),
        folds=len(EXPERIMENT.folds),
        seeds=list(EXPERIMENT.seeds),
        settings=config["training"],
        seed=config["seed"],
        store=STORE,
    message:
        "{wildcards.task}: difficulty for {wildcards.encoder}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/label_fold.py"


rule difficulty:
    input:
        data=rules.prepare_task.output.data,
        runs=expand(
            f"{RESULTS}/difficulty/{{{{task}}}}/{{{{encoder}}}}/fold{{fold}}-seed{{seed}}.parquet",
            fold=EXPERIMENT.folds,
            seed=EXPERIMENT.seeds,
        ),
    output:
        labels=f"{RESULTS}/difficulty/{{task}}/{{encoder}}.parquet",
    log:
        f"{RESULTS}/logs/difficulty/{{task}}/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/difficulty/{{task}}/{{encoder}}.tsv"
    conda:
        "../environment.yml"
    message:
        "{wildcards.task}: difficulty for {wildcards.encoder}, all folds and seeds"
    script:
        "../workflow_scripts/difficulty.py"
