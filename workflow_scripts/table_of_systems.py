from pathlib import Path

from frames import frames
from job import job

from cascadebert.encoders.loading import find_shape
from cascadebert.experiment.published import add_published_numbers
from cascadebert.reporting.tables import TABLES_OF_SYSTEMS
from cascadebert.reporting.typeset import write_table

with job(snakemake):
    params = snakemake.params
    table = Path(snakemake.output.table).stem
    [points] = frames(snakemake, "operating_points")
    points = add_published_numbers(points, params.number, params.published)
    options = {"averaging": params.averaging}
    if table == "table6_backbone":
        encoders = params.encoders.items()
        options["backbone"] = {name: find_shape(folder).model_type for name, folder in encoders}
    if table == "table7_fastbert":
        options["cost"] = snakemake.config["evaluation"]["cost"]
    made = TABLES_OF_SYSTEMS[table](points, params.titles, **options)
    write_table(*made, snakemake.output.table)
