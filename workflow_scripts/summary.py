import pandas as pd
from frames import frames
from job import job

from cascadebert.core.files import replacing
from cascadebert.data.task import list_doubts, read_descriptions
from cascadebert.reporting.findings import Frames, Subject
from cascadebert.reporting.summary import write_summary

with job(snakemake):
    tasks = read_descriptions(snakemake.input.data, snakemake.input.tokens)
    names = ("operating_points", "differences", "exits", "exit_differences")
    points, differences, exits, exit_differences = frames(snakemake, *names)
    [claims] = frames(snakemake, "claims") if snakemake.input.claims else [pd.DataFrame()]
    page = write_summary(
        Frames(
            points=points,
            differences=differences,
            exits=exits,
            exit_differences=exit_differences,
            claims=claims,
        ),
        Subject(
            experiment=snakemake.params.experiment,
            proposed=snakemake.params.proposed,
            full=snakemake.params.full,
            titles=snakemake.params.titles,
            ablations=snakemake.params.ablations,
            missing=snakemake.params.missing,
            doubts=[f"{doubt}." for task in tasks for doubt in list_doubts(task)],
            left_out=snakemake.params.left_out,
            cost=snakemake.config["evaluation"]["cost"],
            settings=snakemake.params.settings,
        ),
        figure=snakemake.input.figure,
    )
    with replacing(snakemake.output.page) as draft:
        draft.write_text(page, encoding="utf-8")
