"""The evaluation's frames as tables, figures and the summary take them."""

import pandas as pd


def frames(snakemake, *names: str) -> list[pd.DataFrame]:
    """Each named input of the rule, over all tasks."""
    return [
        pd.concat(
            # A candidate is a label, "0.3" or "", and CSV cannot tell "" from nothing.
            [
                pd.read_csv(path, dtype={"candidate": str}).fillna({"candidate": ""})
                for path in snakemake.input[name]
            ],
            ignore_index=True,
        )
        for name in names
    ]
