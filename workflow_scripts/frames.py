"""The evaluation's frames as tables, figures and the summary take them."""

import pandas as pd

# They stay text, even if it reads as a number or as nothing: a candidate "", a label "NA".
NAMES = ("task", "system", "against", "split", "candidate", "label", "leaving", "note")
TEXTS = dict.fromkeys(NAMES, str)


def frames(snakemake, *names: str) -> list[pd.DataFrame]:
    """Each named input of the rule, over all tasks."""
    return [
        pd.concat(
            [pd.read_csv(path, converters=TEXTS) for path in snakemake.input[name]],
            ignore_index=True,
        )
        for name in names
    ]
