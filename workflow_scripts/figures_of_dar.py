from pathlib import Path

from chosen import load_chosen
from job import job

from cascadebert.data.task import Task
from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures.confidence import figure_confidence, figure_reliability

FIGURES = {"figure_reliability": figure_reliability, "figure_confidence": figure_confidence}

with job(snakemake):
    ablations, titles = snakemake.params.ablations, snakemake.params.titles
    panels = {}
    for task in map(Task.load, snakemake.input.data):
        chosen = load_chosen(snakemake, task)
        for split in task.scored_splits:
            for pair in ablations.items():
                if not set(pair) <= set(chosen):
                    continue
                title = f"{task.name} ({split})"
                title = title if len(ablations) == 1 else f"{title}, {titles[pair[0]]}"
                panels[title] = {key: chosen[key].predictions(split) for key in pair}
    draw = FIGURES[Path(snakemake.output.figure).stem]
    save_figure(draw(panels, titles), snakemake.output.figure)
