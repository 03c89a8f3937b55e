from frames import frames
from job import job

from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures.tradeoff import figure_tradeoff

with job(snakemake):
    params = snakemake.params
    figure = figure_tradeoff(
        *frames(snakemake, "curves", "operating_points", "probes"),
        titles=params.titles,
        proposed=params.proposed,
        full=params.full,
        bands=params.bands,
    )
    save_figure(figure, snakemake.output.figure)
