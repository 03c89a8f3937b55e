import math

import numpy as np
import pandas as pd
import pytest

from cascadebert.core.errors import UserError
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.layerwise import list_dis_by_layer, score_where_emitted
from tests.synthetic import predictions

EXITS = (1.0, 2.0, 3.0, 4.0)
SERIES = {"Exits": ["exits"], "First k": ["first-2", "first-3"], "Complete": ["complete-2", "full"]}
COSTS = {"exits": EXITS, "first-2": [2.0], "first-3": [3.0], "complete-2": [2.0], "full": [4.0]}


def made_up(replicates: int = 3, examples: int = 60) -> dict:
    return {
        key: [predictions(examples, costs, replicate=10 * i + r) for r in range(replicates)]
        for i, (key, costs) in enumerate(COSTS.items())
    }


def taken(replicates: int = 3, examples: int = 60) -> np.ndarray:
    """Exit 3 (of 4 layers) is taken in the last replicate only, and exit 0 never."""
    drawn = np.random.default_rng(0).integers(1, 3, size=(replicates, examples))
    drawn[-1, : examples // 2] = 3
    return drawn


def chances(exits: np.ndarray) -> np.ndarray:
    """`[exits, replicates, examples]`"""
    return (exits == np.arange(4)[:, None, None]).astype(float)


def test_each_series_is_scored_on_what_the_same_replicate_emits():
    systems, exits = made_up(), taken()
    table = score_where_emitted("exits", chances(exits), SERIES, systems, Resampling(0, 50))
    assert list(table["series"].drop_duplicates()) == list(SERIES)
    assert len(table) == 4 + 2 + 2
    for row in table.itertuples():
        shares, counts = [], []
        for replicate, of_system, where in zip(
            systems["exits"], systems[row.system], exits, strict=True
        ):
            assert list(replicate.ids) == list(of_system.ids)
            position = list(of_system.costs).index(row.layers)
            emitted = [i for i in range(60) if EXITS[where[i]] == row.layers]
            right = [of_system.predicted[i, position] == of_system.labels[i] for i in emitted]
            counts.append(len(emitted))
            if emitted:
                shares.append(sum(right) / len(right))
        assert row.n == pytest.approx(np.mean(counts))
        if shares:
            assert row.accuracy == pytest.approx(100 * np.mean(shares))
            assert row.low <= row.accuracy <= row.high
        else:
            assert math.isnan(row.accuracy)
    assert table.loc[table["layers"] == 1, "n"].item() == 0
    assert table.loc[table["layers"] == 4, "n"].unique() == pytest.approx(10)


def test_its_interval_is_that_of_a_mean_on_the_emitted_examples():
    """Of one replicate, nearly the textbook's: +- 1.96 standard errors."""
    systems = {"exits": [predictions(4000, EXITS)]}
    exits = chances(np.repeat([0, 1, 2, 3], 1000)[None])
    table = score_where_emitted("exits", exits, {"Exits": ["exits"]}, systems, Resampling(0))
    share = table["accuracy"] / 100
    half = 196 * np.sqrt(share * (1 - share) / 1000)
    np.testing.assert_allclose(table["high"] - table["low"], 2 * half, rtol=0.15)


def test_a_depth_that_the_early_exit_has_not_is_an_error():
    systems = made_up() | {"wide": [predictions(60, [2.7])] * 3}
    with pytest.raises(UserError, match=r"layerwise\.series\.Wide: wide costs 2\.7 layers"):
        score_where_emitted("exits", chances(taken()), {"Wide": ["wide"]}, systems, Resampling(0))


def test_the_heat_map_shows_every_exits_dis():
    rows = [
        {"task": "t", "split": "test", "system": system, "exit": e + 1, "cost": cost}
        | {"measure": measure, "score": 10 * e + len(system), "low": 0, "high": 100}
        | {"n": 60, "replicates": 3}
        for system, costs in {**COSTS, "other": [2.0]}.items()
        for e, cost in enumerate(costs)
        for measure in ("accuracy", "dis")
    ]
    table = list_dis_by_layer(pd.DataFrame(rows), SERIES)
    assert len(table) == 4 + 2 + 2
    at = table.set_index(["series", "layers"])["dis"]
    assert at["Exits", 3] == 10 * 2 + len("exits")
    assert at["Complete", 2] == len("complete-2")
    assert ("Complete", 3) not in at.index
