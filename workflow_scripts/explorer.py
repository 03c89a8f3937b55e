from chosen import load_chosen
from frames import frames
from job import job

from cascadebert.core.files import replacing
from cascadebert.data.task import Task
from cascadebert.experiment.configuration import Experiment
from cascadebert.reporting.explorer import Scene, collect_examples, write_explorer

with job(snakemake):
    params, tasks = snakemake.params, [Task.load(folder) for folder in snakemake.input.data]
    systems = Experiment(snakemake.config).systems
    scene = Scene(
        experiment=params.experiment,
        titles=params.titles,
        knobs={key: systems[key].rule.knob for key in params.titles},
        targets=sorted(params.targets),
        tolerance=params.tolerance,
        cost=params.cost,
        proposed=params.proposed,
    )
    examples = {}
    for task in tasks:
        chosen = load_chosen(snakemake, task)
        for split in task.scored_splits:
            examples[task.name, split] = collect_examples(scene, task, chosen, split)
    names = ("curves", "operating_points", "exits", "probes")
    page = write_explorer(scene, *frames(snakemake, *names), examples)
    with replacing(snakemake.output.page) as draft:
        draft.mkdir()
        (draft / "index.html").write_text(page, encoding="utf-8")
