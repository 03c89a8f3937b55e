# Input functions of evaluation and reporting, and the files of a table or a figure.


def scored_predictions(w):
    return task_predictions(w.task)


def exit_times(w):
    """The measured times of all that was run on a task, if costs are seconds."""
    if not EXPERIMENT.in_seconds:
        return []
    runs = [*EXTENT.runs[w.task], EXPERIMENT.full_run.name]
    return [f"<results>/times/{w.task}/{run}.csv" for run in dict.fromkeys(runs)]


def times_folder(w, input):
    return staged_folder(f"{EXPERIMENT.results}/times", input.times) if input.times else None


def table_files(name, category="Tables"):
    """The files of a table, of which the report shows one."""
    table = report(
        f"<results>/tables/{name}.html",
        caption=f"../report/{name}.rst",
        category=category,
        labels={"table": CATALOGUE.tables[name]},
    )
    files = [f"<results>/tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")]
    return {"table": table, "files": files}


def figure_files(name):
    """The files of a figure, of which the report shows one."""
    figure = report(
        f"<results>/figures/{name}.png",
        caption=f"../report/{name}.rst",
        category="Figures",
        labels={"figure": CATALOGUE.figures[name]},
    )
    return {"figure": figure, "pdf": f"<results>/figures/{name}.pdf"}


def label_runs():
    """The answers behind the difficulty labels."""
    members = product(TASKS, EXPERIMENT.labellers, EXPERIMENT.folds, EXPERIMENT.seeds)
    return keep_finished([held_out_answers(*member) for member in members])


def reference_tokens():
    """The token ids of the tasks for the reference encoder, which tell what was cut."""
    return keep_finished([tokens(task, config["reference"]) for task in TASKS])


def encoders_there(names):
    """These encoders; with `only_finished`, those that are there, since a fetch may have failed."""
    files = {name: encoder_files(name) for name in names}
    return [name for name, of_name in files.items() if keep_finished(of_name) == of_name]


def keep_finished(paths):
    """All of them; with `only_finished`, those that are there."""
    if not config["only_finished"]:
        return paths
    return [path for path in paths if os.path.exists(path.replace("<results>", EXPERIMENT.results))]


def results_folder(w, input):
    return staged_folder(EXPERIMENT.results, input.predictions)


def made_folder(w, input):
    return staged_folder(EXPERIMENT.results, input.made)
