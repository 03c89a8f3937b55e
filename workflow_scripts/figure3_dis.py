from frames import frames
from job import job

from cascadebert.evaluation.layerwise import list_dis_by_layer
from cascadebert.reporting.drawing import save_figure
from cascadebert.reporting.figures.layers import figure3_dis

with job(snakemake):
    (exits,) = frames(snakemake, "exits")
    table = list_dis_by_layer(exits, snakemake.params.series)
    save_figure(figure3_dis(table), snakemake.output.figure, table)
