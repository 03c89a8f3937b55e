"""The evaluation's frames as tables, figures and the summary take them."""

import pandas as pd


def frames(snakemake, *names: str) -> list[pd.DataFrame]:
    """Each named input of the rule, over all tasks."""
    return [
        pd.concat([pd.read_csv(path, dtype={"candidate": str}) for path in snakemake.input[name]])
        for name in names
    ]
