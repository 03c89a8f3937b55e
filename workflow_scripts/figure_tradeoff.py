from frames import frames
from job import job

from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures import figure_tradeoff

with job(snakemake):
    curves, points = frames(snakemake, "curves", "operating_points")
    params = snakemake.params
    figure = figure_tradeoff(
        curves,
        points,
        titles=params.titles,
        proposed=params.proposed,
        full=params.full,
        bands=params.bands,
    )
    save_figure(figure, snakemake.output.figure)
