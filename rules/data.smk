# The tasks: from wherever they come to one table a split, and to token ids.


rule prepare_task:
    message: "{wildcards.task}: reading the data"
    output:
        data=directory(f"{RESULTS}/data/{{task}}"),
    params:
        spec=lambda w: config["tasks"][w.task],
        seed=config["seed"],
    log:
        f"{RESULTS}/logs/prepare_task/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_task/{{task}}.tsv"
    script:
        "../workflow_scripts/prepare_task.py"


rule tokenize_task:
    message: "{wildcards.task}: token ids for {wildcards.encoder}"
    input:
        encoder=lambda w: encoder_files(w.encoder),
        data=rules.prepare_task.output.data,
    output:
        tokens=directory(f"{RESULTS}/tokens/{{task}}/{{encoder}}"),
    params:
        encoder=lambda w: EXPERIMENT.encoder(w.encoder),
        max_length=config["training"]["max_length"],
    log:
        f"{RESULTS}/logs/tokenize_task/{{task}}/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenize_task/{{task}}/{{encoder}}.tsv"
    script:
        "../workflow_scripts/tokenize_task.py"
