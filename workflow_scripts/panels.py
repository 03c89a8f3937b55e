"""The panels of the figures of confidence: each cascade with DAR and without, on every split."""

from chosen import load_choices, load_systems, of_split

from cascadebert.data.task import Task


def panels(snakemake) -> dict:
    """Title -> system -> the scored split's predictions, one a replicate."""
    ablations, titles = snakemake.params.ablations, snakemake.params.titles
    found = {}
    for task in map(Task.load, snakemake.input.data):
        choices = load_choices(snakemake, task)
        systems = load_systems(snakemake, task, choices)
        for split in task.scored_splits:
            for pair in ablations.items():
                if not set(pair) <= set(systems):
                    continue
                title = f"{task.name} ({split})"
                title = title if len(ablations) == 1 else f"{title}, {titles[pair[0]]}"
                found[title] = {key: of_split(systems[key], choices[key], split) for key in pair}
    return found
