"""What the bench makes of its measurements."""

import pandas as pd
import pytest

from tests.workflow.command import ROOT


@pytest.mark.slow
def test_a_measurement_is_drawn_and_described(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import performance

    table = pd.read_csv(ROOT / "docs/replication/sst2/performance_1.csv")
    performance.save_figure(performance.draw(table), tmp_path / "figure")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    page = performance.describe(table)
    assert page.count("\n| ") == len(table) + 2  # a header for each batch size
    assert "### One text at a time" in page
    assert "### In batches of 32" in page
