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

    # The cascades with and without DAR, as chosen, on every scored split: one panel each.
    panels = {}
    for data in snakemake.input.data:
        task = Task.load(data)
        for split in scored_splits(task):
            panel = panels.setdefault(f"{task.name} ({split})", {})
            for key in (key for pair in ablations.items() for key in pair):
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
