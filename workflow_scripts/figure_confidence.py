from job import job
from panels import load_panels

from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures import figure_confidence

with job(snakemake):
    figure = figure_confidence(load_panels(snakemake), snakemake.params.titles)
    save_figure(figure, snakemake.output.figure)
