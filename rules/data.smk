# What comes from outside: encoders of the hub, and the tasks, from wherever they come to one table a
# split, and to token ids.


# They need the network, which a cluster has where Snakemake runs.
localrules:
    prepare_task,
    fetch_encoder,


rule fetch_encoder:
    output:
        model=directory(f"{RESULTS}/encoders/{{model}}"),
    log:
        f"{RESULTS}/logs/fetch_encoder/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch_encoder/{{model}}.tsv"
    conda:
        "../environment.yml"
    params:
        model=lambda w: EXPERIMENT.on_hub[f"{RESULTS}/encoders/{w.model}"],
    message:
        "fetching {params.model} from the hub"
    script:
        "../workflow_scripts/fetch_encoder.py"


rule prepare_task:
    input:
        lambda w: source_files(config["tasks"][w.task]),
    output:
        data=directory(f"{RESULTS}/data/{{task}}"),
    log:
        f"{RESULTS}/logs/prepare_task/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_task/{{task}}.tsv"
    conda:
        "../environment.yml"
    params:
        spec=task_spec,
        seed=config["seed"],
    message:
        "{wildcards.task}: reading the data"
    script:
        "../workflow_scripts/prepare_task.py"


rule tokenize_task:
    input:
        encoder=lambda w: encoder_files(w.encoder),
        data=rules.prepare_task.output.data,
    output:
        tokens=directory(f"{RESULTS}/tokens/{{task}}/{{encoder}}"),
    log:
        f"{RESULTS}/logs/tokenize_task/{{task}}/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenize_task/{{task}}/{{encoder}}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=lambda w, input: copied(EXPERIMENT.encoder(w.encoder), input.encoder),
        max_length=config["training"]["max_length"],
    message:
        "{wildcards.task}: token ids for {wildcards.encoder}"
    script:
        "../workflow_scripts/tokenize_task.py"
