# Tasks, from wherever they come, to one table a split and to token ids; and encoders of the hub.


# They need the network, which a cluster has where Snakemake runs.
localrules:
    prepare_task,
    fetch_encoder,


def task_files(w):
    """The local files that a task's entry names."""
    return list_source_files(config["tasks"][w.task])


def task_spec(w, input):
    """A task's entry, with its files as the job finds them."""
    spec = config["tasks"][w.task]
    source = dict(spec["source"])
    if "files" in source:
        source["files"] = dict(zip(source["files"], map(str, input), strict=True))
    elif source.get("archive"):
        source["archive"] = str(input[0])
    return {**spec, "source": source}


def tokens(task, encoder):
    """The folder of a task's token ids for an encoder."""
    return f"<results>/tokens/{task}/{EXPERIMENT.tokenizer(encoder)}"


def hub_model(w):
    return EXPERIMENT.on_hub[f"{EXPERIMENT.results}/encoders/{w.model}"]


def named_encoder(w):
    return encoder_files(w.encoder)


def named_encoder_folder(w, input):
    return staged_folder(EXPERIMENT.encoder(w.encoder), input.encoder)


rule fetch_encoder:
    output:
        model=directory("<results>/encoders/{model}"),
    log:
        "<logs>/fetch_encoder/{model}.log",
    benchmark:
        "<benchmarks>/fetch_encoder/{model}.tsv"
    conda:
        "../environment.yml"
    params:
        model=hub_model,
    message:
        "fetching {params.model} from the hub"
    script:
        "../workflow_scripts/fetch_encoder.py"


rule prepare_task:
    input:
        task_files,
    output:
        data=directory("<results>/data/{task}"),
    log:
        "<logs>/prepare_task/{task}.log",
    benchmark:
        "<benchmarks>/prepare_task/{task}.tsv"
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
        encoder=named_encoder,
        data="<results>/data/{task}",
    output:
        tokens=directory("<results>/tokens/{task}/{encoder}"),
    log:
        "<logs>/tokenize_task/{task}/{encoder}.log",
    benchmark:
        "<benchmarks>/tokenize_task/{task}/{encoder}.tsv"
    conda:
        "../environment.yml"
    params:
        encoder=named_encoder_folder,
        max_length=config["training"]["max_length"],
    message:
        "{wildcards.task}: token ids for {wildcards.encoder}"
    script:
        "../workflow_scripts/tokenize_task.py"
