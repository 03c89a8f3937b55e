from job import job
from panels import load_panels

from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures import figure_reliability

with job(snakemake):
    figure = figure_reliability(load_panels(snakemake), snakemake.params.titles)
    save_figure(figure, snakemake.output.figure)
