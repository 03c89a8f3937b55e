# Input functions of the stages that fetch, tokenize, label difficulty and train.


def task_files(w):
    """The local files that a task's entry names."""
    return list_source_files(config["tasks"][w.task])


def task_spec(w):
    """A task's entry; the names of the paper's columns are not about the data."""
    return {key: value for key, value in config["tasks"][w.task].items() if key != "published"}


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
