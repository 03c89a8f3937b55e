from pathlib import Path

import pandas as pd
from chosen import load_choices
from job import job

from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import score
from cascadebert.data.states import States
from cascadebert.data.task import Task
from cascadebert.evaluation.separation import silhouette, tsne
from cascadebert.experiment.configuration import Experiment
from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures.representations import Panel, figure4_representations

with job(snakemake):
    experiment = Experiment(snakemake.config)
    files = {(Path(p).parent.name, Path(p).stem): p for p in snakemake.input.states}
    panels, rows = [], []
    for task in map(Task.load, snakemake.input.data):
        split, of_task = task.scored_splits[0], []
        for key, choice in load_choices(snakemake, task.name).items():
            run = experiment.systems[key].candidate(choice.candidate).runs[0].name
            drawn = States.load(files[task.name, run])
            folder = Path(snakemake.params.predictions, task.name, run, "seed0")
            whole = Predictions.load(folder / f"{split}.npz")
            accuracy = score("accuracy", whole.predicted[:, drawn.exit], whole.labels)
            apart = silhouette(drawn.states, drawn.labels)
            points = tsne(drawn.states, snakemake.params.seed)
            title = f"{task.name}: {experiment.systems[key].title}"
            of_task.append(
                Panel(
                    title=title,
                    points=points,
                    labels=drawn.labels,
                    names=task.labels,
                    accuracy=accuracy,
                    silhouette=apart,
                )
            )
            row = {"task": task.name, "split": split, "system": key, "run": run, "seed": 0}
            row |= {"layers": snakemake.params.layers, "accuracy": accuracy}
            row |= {"n": len(whole.labels), "silhouette": apart, "drawn": len(drawn.labels)}
            rows.append(row)
        panels.append(of_task)
    save_figure(figure4_representations(panels), snakemake.output.figure, pd.DataFrame(rows))
