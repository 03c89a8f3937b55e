from pathlib import Path

from frames import frames
from job import job

from cascadebert.drawing import save_figure
from cascadebert.figures import figure3_dis
from cascadebert.layerwise import dis_by_layer

with job(snakemake):
    (exits,) = frames(snakemake, "exits")
    table = dis_by_layer(exits, snakemake.params.series)
    save_figure(figure3_dis(table), Path(snakemake.output.figure).with_suffix(""), table)
