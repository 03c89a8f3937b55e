"""What the bench makes of its measurements."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from cascadebert.core.errors import UserError
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import resolve
from tests.synthetic import predictions
from tests.workflow.command import ROOT


def test_a_task_is_served_by_its_name(monkeypatch, tmp_path, task):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from serving import Bench

    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    files = {split: f"{split}.csv" for split in task.splits}
    columns = {"text": "text", "label": "label"}
    entry = {"source": {"files": files}, "columns": columns, "labels": task.labels}
    override = {"experiment": "two", "tasks": {"first": entry, "second": entry}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(resolve(default, override)))
    for name in override["tasks"]:
        replace(task, name=name).save(tmp_path / "data" / name)
    assert Bench(tmp_path, 1).task.name == "first"
    second = Bench(tmp_path, 1, "second")
    assert second.task.name == "second"
    assert second.folder == tmp_path / "performance/second"  # has other models of the same names
    assert second.split == "test"
    secret = task.splits["test"].assign(label=None)
    replace(task, name="second", splits={**task.splits, "test": secret}).save(
        tmp_path / "data/second"
    )
    second = Bench(tmp_path, 1, "second")
    assert second.split == "dev"  # the one that tables score
    assert len(second.labels(second.split)) == len(task.splits["dev"])
    with pytest.raises(UserError, match="has no task 'third'; choose from: first, second"):
        Bench(tmp_path, 1, "third")


def test_a_model_that_was_trained_again_is_exported_again(monkeypatch, tmp_path, task):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import serving

    asked = []

    def export(folder, samples, out):
        asked.append(folder)
        out.mkdir(exist_ok=True)

    monkeypatch.setattr(serving, "export_member", export)
    monkeypatch.setattr(serving, "draw_samples", lambda *_: [])
    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(default))
    replace(task, name="movies").save(tmp_path / "data/movies")
    bench = serving.Bench(tmp_path, 1)
    full = bench.experiment.full_run
    trained = bench.trained(full)
    trained.mkdir(parents=True)
    for weights in (b"first", b"other settings"):
        (trained / "model.safetensors").write_bytes(weights)
        places = [bench.member(full, runtime) for runtime in ("onnx", "onnx-int8", "torch")]
        assert places[0] == places[1] != places[2] == trained
    assert asked == [trained, trained]


@pytest.fixture
def make_bench(monkeypatch, tmp_path, task):
    """Makes the Bench of an experiment that overrides the default one."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from serving import Bench

    def make(**override):
        config = resolve(yaml.safe_load((ROOT / "config.yaml").read_text()), override)
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        replace(task, name="movies").save(tmp_path / "data/movies")
        bench = Bench(tmp_path, 1)
        bench.__dict__["depth"] = 12  # no model is there
        return bench

    return make


def test_with_tuning_the_full_model_is_the_chosen_one(monkeypatch, make_bench):
    bench = make_bench(tuning={"learning_rate": [1e-4, 3e-4]})
    import performance

    system = bench.experiment.systems["bert-12l"]
    candidate = system.candidates[1]
    choices = bench.results / "evaluation/movies/choices"
    Choice(candidate.name, 12.0, {}, {}, {}).save(choices / "bert-12l.json")
    monkeypatch.setattr(bench, "serve", lambda system: iter([system.key]))
    monkeypatch.setattr(bench, "choose_by_time", lambda batch_size: iter(()))
    assert performance.list_served(bench, None)[0] == "bert-12l"
    assert (bench.full,) == candidate.runs


def test_thresholds_of_int8_aim_at_the_costs_of_the_experiment(monkeypatch, make_bench):
    bench = make_bench()
    runs = bench.experiment.systems["cascadebert-without-dar"].candidates[0].runs
    for run, cost in zip(runs, (0.5, 12.0), strict=True):  # the first one is narrow
        place = bench.results / "predictions/movies" / run.name / "seed0"
        predictions(costs=(cost,), split="dev").save(place / "dev.npz")
    monkeypatch.setattr(bench, "predict", lambda *_: predictions(costs=(2, 14), split="dev"))
    speedups = bench.sweep(runs, "onnx-int8").speedups
    assert speedups.min() == pytest.approx(12 / 12.5)
    assert speedups.max() == pytest.approx(12 / 0.5)


def test_early_exits_read_and_execute_what_they_were_trained_to(monkeypatch, make_bench):
    bench = make_bench()
    import serving

    asked, model = [], SimpleNamespace(depths=[1, 2], load=lambda folder: None)
    monkeypatch.setattr(serving, "new_model", lambda *_, **__: model)
    monkeypatch.setattr(serving, "EarlyExits", lambda *_: None)
    monkeypatch.setattr(serving, "load_tokenizer", asked.append)
    system = bench.experiment.systems["deebert"]
    [run] = system.runs
    for replicate in bench.experiment.replicates:
        for split in ("dev", "test"):
            place = bench.results / "predictions/movies" / run.name / f"seed{replicate}"
            predictions(costs=(0.25, 0.5), split=split).save(place / f"{split}.npz")
    served = bench.as_early_exits(system, run, 2.0, 0.3)
    assert asked == [bench.trained(run)]  # its encoder may have no tokenizer, or another one
    layers, _ = served.exits()
    assert set(layers) == {1, 2}


def test_thresholds_for_seconds_are_not_served_as_those_for_layers(make_bench):
    with pytest.raises(UserError, match=r"set evaluation\.cost: layers"):
        make_bench(evaluation={"cost": "seconds"})


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
