# Input functions of the stages that fetch, tokenize, label difficulty and train.


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
    return f"<results>/tokens/{task}/{EXPERIMENT.encoders.tokenizer(encoder)}"


def hub_model(w):
    return EXPERIMENT.encoders.on_hub[f"{EXPERIMENT.results}/encoders/{w.model}"].name


def hub_revision(w):
    return EXPERIMENT.encoders.on_hub[f"{EXPERIMENT.results}/encoders/{w.model}"].revision


def named_encoder(w):
    return encoder_files(w.encoder)


def named_encoder_folder(w, input):
    return staged_folder(EXPERIMENT.encoders.locate(w.encoder), input.encoder)


def sharing_encoders(w):
    """The files of the other encoders that read an encoder's tokens."""
    return [path for name in EXPERIMENT.list_sharers(w.encoder) for path in encoder_files(name)]


def sharing_encoder_folders(w, input):
    folders = map(EXPERIMENT.encoders.locate, EXPERIMENT.list_sharers(w.encoder))
    return [staged_folder(folder, input.sharers) for folder in folders]


def labeller_encoder(w):
    return encoder_files(EXPERIMENT.labellers[w.labeller].encoder)


def labeller_encoder_folder(w, input):
    folder = EXPERIMENT.encoders.locate(EXPERIMENT.labellers[w.labeller].encoder)
    return staged_folder(folder, input.encoder)


def labeller_tokens(w):
    return tokens(w.task, EXPERIMENT.labellers[w.labeller].encoder)


def labeller_settings(w):
    return config["training"] | EXPERIMENT.labellers[w.labeller].settings


def labeller_priority(w):
    return rank_labeller(EXPERIMENT, EXPERIMENT.labellers[w.labeller])


def run_priority(w):
    return rank_run(EXPERIMENT, EXPERIMENT.runs[w.run])


def run_encoder(w):
    return encoder_files(EXPERIMENT.runs[w.run].encoder)


def run_encoder_folder(w, input):
    return staged_folder(EXPERIMENT.encoders.locate(EXPERIMENT.runs[w.run].encoder), input.encoder)


def reference_folder(w, input):
    return staged_folder(EXPERIMENT.reference, input.reference)


def run_tokens(w):
    return tokens(w.task, EXPERIMENT.runs[w.run].encoder)


def run_parents(replicates):
    """The folders of these replicates of the runs that a run starts from, parent by parent."""

    def find_parents(w):
        parents = EXPERIMENT.runs[w.run].parents
        return [folder for run in parents for folder in trained(w.task, run.name, replicates)]

    return find_parents


def run_difficulty(w):
    """Difficulty labels, where the run is regularised with them."""
    labeller = EXPERIMENT.runs[w.run].labeller
    return f"<results>/difficulty/{w.task}/{labeller.name}.parquet" if labeller else []


def run_settings(w):
    """How the run is trained; the weight of DAR concerns only those that have it."""
    run = EXPERIMENT.runs[w.run]
    settings = config["training"] | run.settings
    if run.labeller is None:
        return settings
    return {**settings, "difficulty_weight": config["difficulty"]["weight"]}
