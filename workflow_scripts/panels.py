"""The panels of the figures of confidence: each cascade with DAR and without, on every split."""

from chosen import load_chosen

from cascadebert.data.task import Task


def load_panels(snakemake) -> dict:
    """Title -> system -> the scored split's predictions, one a replicate."""
    ablations, titles = snakemake.params.ablations, snakemake.params.titles
    panels = {}
    for task in map(Task.load, snakemake.input.data):
        chosen = load_chosen(snakemake, task)
        for split in task.scored_splits:
            for pair in ablations.items():
                if not set(pair) <= set(chosen):
                    continue
                title = f"{task.name} ({split})"
                title = title if len(ablations) == 1 else f"{title}, {titles[pair[0]]}"
                panels[title] = {key: chosen[key].predictions(split) for key in pair}
    return panels
