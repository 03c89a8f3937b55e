from pathlib import Path

from frames import frames
from job import job

from cascadebert.drawing import save_figure
from cascadebert.experiment import Experiment
from cascadebert.figures import figure_confidence, figure_reliability, figure_tradeoff
from cascadebert.results import load_system, scored_splits
from cascadebert.tasks import Task

with job(snakemake):
    experiment = Experiment(snakemake.config)
    curves, points = frames(snakemake, "curves", "operating_points")
    chosen = points.drop_duplicates(["task", "system"]).set_index(["task", "system"])["candidate"]
    titles, ablations = snakemake.params.titles, snakemake.params.ablations

    # A panel for each cascade, with DAR and without, on every scored split.
    panels = {}
    for data in snakemake.input.data:
        task = Task.load(data)
        for split in scored_splits(task):
            for full, without in ablations.items():
                title = f"{task.name} ({split})"
                panel = panels[title if len(ablations) == 1 else f"{title}, {titles[full]}"] = {}
                for key in (full, without):
                    system = load_system(experiment, snakemake.params.predictions, task, key)
                    candidate = system.candidates[chosen[task.name, key]]
                    panel[key] = [replicate[split] for replicate in candidate]

    figures = {
        "figure_tradeoff": figure_tradeoff(curves, points, titles, snakemake.params.proposed),
        "figure_reliability": figure_reliability(panels, titles),
        "figure_confidence": figure_confidence(panels, titles),
    }
    for name, figure in figures.items():
        save_figure(figure, Path(snakemake.output[name]).with_suffix(""))
