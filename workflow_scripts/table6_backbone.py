from pathlib import Path

from frames import frames
from job import job

from cascadebert.encoders.loading import load_config
from cascadebert.experiment.published import beside
from cascadebert.reporting.tables import table6_backbone
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    [points] = frames(snakemake, "operating_points")
    points = beside(points, 6, params.published)
    encoders = params.encoders.items()
    backbone = {name: load_config(encoder).model_type for name, encoder in encoders}
    made = table6_backbone(points, params.titles, backbone, params.averaging)
    write_table(*made, Path(snakemake.output.table).with_suffix(""))
