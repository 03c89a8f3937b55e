from job import job

from cascadebert.core.files import replacing
from cascadebert.data.task import Task
from cascadebert.encoders.loading import find_shape
from cascadebert.evaluation.frames import evaluate_task
from cascadebert.experiment.configuration import Experiment

with job(snakemake):
    params = snakemake.params
    choices, frames = evaluate_task(
        Experiment(snakemake.config),
        Task.load(snakemake.input.data),
        systems=list(params.systems),
        layers=find_shape(params.reference).num_hidden_layers,
        predictions=params.predictions,
        times=params.times,
    )
    for choice, path in zip(choices.values(), snakemake.output.choices, strict=True):
        choice.save(path)
    for name, frame in frames.items():
        with replacing(snakemake.output[name]) as draft:
            frame.to_csv(draft, index=False)
