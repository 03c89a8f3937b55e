# Tasks, from wherever they come, to one table a split and to token ids; and encoders of the hub.


rule fetch_encoder:
    output:
        model=directory("<results>/encoders/{model}"),
    log:
        "<logs>/fetch_encoder/{model}.log",
    benchmark:
        "<benchmarks>/fetch_encoder/{model}.tsv"
    priority: PREPARATION
    localrule: True
    conda:
        "../environment.yml"
    params:
        model=hub_model,
        revision=hub_revision,
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
    priority: PREPARATION
    localrule: True
    conda:
        "../environment.yml"
    params:
        spec=task_spec,
        files=task_files,
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
    priority: PREPARATION
    conda:
        "../environment.yml"
    params:
        encoder=named_encoder_folder,
        max_length=config["training"]["max_length"],
    message:
        "{wildcards.task}: token ids for {wildcards.encoder}"
    script:
        "../workflow_scripts/tokenize_task.py"
