"""The cascade of a finished experiment, exported: it answers as the experiment computed.

The experiment scales its confidences by temperatures, so that what is exported has to, as well.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from cascadebert.commands.main import main
from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.data.task import Task
from cascadebert.deployment import export
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.finished import find_cascade
from cascadebert.deployment.folder import Description
from cascadebert.deployment.measuring import load_stored
from cascadebert.deployment.packing import describe_origin, export_cascade
from cascadebert.evaluation.temperature import UNSCALED_ECE, fit_temperatures
from cascadebert.systems.exits import CONFIDENCES
from tests.workflow.command import ROOT, snakemake
from tests.workflow.conftest import copy

# Serving needs none of these; None in sys.modules makes an import fail.
SERVE = """if True:
    import json, sys
    runtime, folder, texts = sys.argv[1:]
    if runtime != "torch":
        for name in ("torch", "transformers", "pandas", "snakemake", "huggingface_hub", "yaml"):
            sys.modules[name] = None
    from cascadebert import Cascade
    texts = json.load(open(texts))
    for speedup in (1.5, 2):
        found = Cascade.from_pretrained(folder, runtime=runtime, speedup=speedup)(texts)
        print(json.dumps([found.labels.tolist(), found.exits.tolist()]))
"""


@pytest.fixture(scope="module")
def scaled(finished, tmp_path_factory):
    """The results with `evaluation.temperature`; nothing is trained for them."""
    folder = copy(finished, tmp_path_factory.mktemp("scaled") / "finished")
    path = folder / "small.yaml"
    config = yaml.safe_load(path.read_text())
    config["evaluation"]["temperature"] = True
    path.write_text(yaml.safe_dump(config))
    target = "results/small/tables/temperature.html"
    result = snakemake(folder, target, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    jobs = re.findall(r"^(\w+) +\d+$", result.stderr + result.stdout, re.M)
    assert set(jobs) <= {"evaluate", "temperature", "total"}
    return folder / "results/small"


@pytest.fixture(scope="module")
def exported(scaled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "cascade"
    export_cascade(scaled, "cascadebert", folder)
    return folder


def test_the_experiment_chooses_its_thresholds_on_scaled_confidences(finished, scaled):
    of, plain = (
        find_cascade(results, "words", "cascadebert")
        for results in (scaled, finished / "results/small")
    )
    assert plain.temperatures == [1.0, 1.0]
    assert of.temperatures == fit_temperatures(load_stored(plain, "dev")).tolist()
    assert abs(np.log(of.temperatures)).max() > 0.05
    assert of.thresholds != plain.thresholds
    table = pd.read_csv(scaled / "tables/temperature.csv")
    ece = table[table["measure"] == "ece"].set_index(["system", "exit"])
    for results, column in ((scaled, "scaled"), (finished / "results/small", "unscaled")):
        exits = pd.read_csv(results / "evaluation/words/exits.csv")
        stated = exits[exits["measure"] == "ece"].set_index(["system", "exit"])["score"]
        assert len(stated) == len(ece)
        for place, value in stated.items():
            if of.runs == plain.runs or place[0] != "cascadebert":
                assert ece.loc[place, column] == pytest.approx(value, rel=1e-5)
    exits = pd.read_csv(scaled / "evaluation/words/exits.csv")
    both = exits[exits["measure"] == UNSCALED_ECE].set_index(["system", "exit"])["score"]
    assert both.to_dict() == pytest.approx(ece["unscaled"].to_dict(), rel=1e-5)


@pytest.mark.parametrize("load", ["from_results", "from_pretrained"])
def test_its_probabilities_are_the_scaled_ones(scaled, exported, load):
    if load == "from_results":
        cascade = Cascade.from_results(scaled, "words", "cascadebert", speedup=2)
    else:
        cascade = Cascade.from_pretrained(exported, runtime="onnx", speedup=2)
    found = find_cascade(scaled, "words", "cascadebert")
    texts = Task.load(scaled / "data/words").splits["dev"]["text"].tolist()
    stored = load_stored(found, "dev").probabilities
    assert np.allclose(cascade.compute_all(texts), stored, atol=1e-4)


@pytest.mark.parametrize("runtime", ["torch", "onnx", "onnx-int8"])
def test_a_fresh_process_answers_as_the_experiment_computed(scaled, exported, runtime, tmp_path):
    found = find_cascade(scaled, "words", "cascadebert")
    data = Task.load(scaled / "data/words")
    stored = load_stored(found, "test")
    (tmp_path / "texts.json").write_text(json.dumps(data.splits["test"]["text"].tolist()))
    command = [sys.executable, "-c", SERVE, runtime, exported, tmp_path / "texts.json"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    points = Description.load(exported).list_points(runtime)
    for line, target in zip(said.stdout.splitlines(), (1.5, 2.0), strict=True):
        labels, exits = json.loads(line)
        [point] = [point for point in points if point.target == target]
        measured = point.measured["test"]
        layers = stored.costs[exits].mean()
        if runtime == "onnx-int8":
            assert measured["speedup"] == pytest.approx(4 / layers)
            continue
        assert point.thresholds == found.thresholds[target]
        computed = CONFIDENCES.exit_index(stored, point.thresholds)
        tied = (abs(stored.confidence[:, 0] - point.thresholds[0]) < 1e-5).sum()
        assert (np.array(exits) != computed).sum() <= tied
        answers = stored.predicted[np.arange(len(computed)), computed]
        assert (np.array(labels) != np.array(data.labels)[answers]).sum() <= tied
        assert measured["speedup"] == pytest.approx(4 / stored.costs[computed].mean(), rel=0.02)
        score = 100 * (answers == stored.labels).mean()
        assert measured["score"] == pytest.approx(score, abs=1.0)
        assert measured["low"] <= measured["score"] <= measured["high"]


def test_a_promise_is_loaded_by_its_loss(exported):
    described = Description.load(exported)
    for runtime in ("torch", "onnx-int8"):
        of = {
            p.promise["max_loss"]: p for p in described.points if p.promise and p.runtime == runtime
        }
        assert list(of) == [0.005, 0.01, 0.02]
        for most, point in of.items():
            cascade = Cascade.from_pretrained(exported, runtime=runtime, max_loss=most)
            assert cascade.thresholds == point.thresholds
    with pytest.raises(UserError, match=r"no promise on torch 0\.3; choose from: 0\.005, 0\.01, 0"):
        Cascade.from_pretrained(exported, max_loss=0.3)
    with pytest.raises(UserError, match="give one of `threshold`, `speedup` and `max_loss`"):
        Cascade.from_pretrained(exported, max_loss=0.01, speedup=2)


def test_bench_leaves_out_a_runtime_without_the_promise(exported, tmp_path, capsys):
    folder = shutil.copytree(exported, tmp_path / "cascade")
    described = Description.load(folder)
    kept = [p for p in described.points if not p.promise or p.runtime == "onnx-int8"]
    replace(described, points=kept).save(folder)
    (tmp_path / "texts.csv").write_text("text\n" + 16 * "a good film\n")
    arguments = ["bench", "--model", str(folder), "--max-loss", "0.01", "--seconds", "0.1"]
    assert main([*arguments, str(tmp_path / "texts.csv")]) == 0
    said = capsys.readouterr()
    table = [line.split() for line in said.out.splitlines()]
    assert {line[0] for line in table if "cascade" in line} == {"onnx-int8"}
    for runtime in ("torch", "onnx"):
        assert f"{runtime} is left out: {folder} has no promise on {runtime} 0.01" in said.err
    assert main([*arguments, str(tmp_path / "texts.csv"), "--runtime", "torch"]) == 1
    assert f"cascadebert: {folder} has no promise on torch 0.01" in capsys.readouterr().err


def test_its_model_card_says_what_was_measured(exported):
    card = (exported / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["pipeline_tag"] == "text-classification"
    described = Description.load(exported)
    assert [point.target for point in described.points].count(None) == 9  # promises
    assert len(described.points) == 6 + 9
    for point in described.points:
        of = point.measured["test"]
        if point.promise:
            promised = f"| {100 * point.promise['max_loss']:g} |"
            loss = f"{of['loss']:.1f} ({of['low']:.1f} to {of['high']:.1f}) | {of['speedup']:.2f}x"
            threshold = f"{point.thresholds[0]:.4f}" if point.thresholds[0] < 1 else "none keeps it"
            assert f"| {point.runtime} {promised} {threshold} | {loss} |" in card
            assert of["loss"] == pytest.approx(of["full_score"] - of["score"])
            continue
        assert f"{of['score']:.1f} ({of['low']:.1f} to {of['high']:.1f})" in card
    assert (exported / "tradeoff.png").stat().st_size > 5000
    temperatures = ", ".join(f"{member.temperature:.3f}" for member in described.members)
    assert f"the temperatures that the development split chose ({temperatures})" in card
    chosen = "the best epoch, one of 2 trainings (margins, alphas or settings) and the temperatures"
    assert f"chose {chosen}, which the theory" in card
    assert described.about["columns"] == {"text": "text"}
    form = {"type": "csv", "encoding": "utf-8", "header": True, "quotes": True}
    assert described.about["format"] == form
    assert described.about["sha256"][0]["model.safetensors"] in card


def test_the_cascade_of_results_can_be_saved(scaled, tmp_path):
    cascade = Cascade.from_results(scaled, "words", "cascadebert", speedup=1.5)
    cascade.save_pretrained(tmp_path / "saved")
    loaded = Cascade.from_pretrained(tmp_path / "saved")
    assert loaded.thresholds == cascade.thresholds
    assert loaded.temperatures == cascade.temperatures
    assert loaded.max_length == cascade.max_length


@pytest.fixture
def change(finished, tmp_path):
    """Changes a copy of the results' configuration by a function; returns the results."""

    def change(edit):
        results = copy(finished, tmp_path / "changed") / "results/small"
        config = yaml.safe_load((results / "config.yaml").read_text())
        edit(config)
        (results / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return results

    return change


def test_thresholds_for_seconds_are_not_exported(change, tmp_path):
    results = change(lambda config: config["evaluation"].update(cost="seconds"))
    with pytest.raises(UserError, match=r"counts layers; set evaluation\.cost: layers and run the"):
        export_cascade(results, "cascadebert", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_reference_need_not_be_there(change, tmp_path, monkeypatch):
    """It came from the hub, or lies where the experiment ran."""
    results = change(lambda config: config["encoders"].update({"bert-4": "someone/bert-4"}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_cascade(results, None, "cascadebert").full_cost == 4


def test_what_a_glue_task_leaves_out_is_known(change):
    source = {"glue": "MRPC", "folder": "glue/MRPC"}
    results = change(lambda config: config["tasks"].update(words={"source": source}))
    data = replace(Task.load(results / "data/words"), metric="f1")
    about = describe_origin(find_cascade(results, None, "cascadebert"), data)
    assert about["metric"] == "f1"
    assert about["columns"] == {"text": "#1 String", "text_pair": "#2 String"}
    assert (about["format"]["type"], about["format"]["quotes"]) == ("tsv", False)


def test_a_full_disk_is_one_sentence(finished, exported, small_disk, capsys, monkeypatch):
    made = exported / "member-1/model.onnx"
    monkeypatch.setattr(export, "_export", lambda model, sample, path: shutil.copy(made, path))
    # Room for this file, but not for that in 8 bits, of which ONNX Runtime writes a half.
    subprocess.run(["mount", "-o", "remount,size=500k", small_disk], check=True)
    arguments = [str(finished / "results/small"), str(small_disk / "out")]
    assert main(["export", *arguments, "--system", "cascadebert"]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("cascadebert: no space left to write to")
    assert "Traceback" not in said
    assert list(small_disk.iterdir()) == []


def test_what_is_not_finished_is_told(change, tmp_path, capsys):
    results = change(lambda config: None)
    shutil.rmtree(results / "predictions")
    assert main(["export", str(results), str(tmp_path / "out"), "--system", "cascadebert"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "predictions/words/" in said
    assert "is missing: the experiment is not finished. Give its snakemake command again" in said
    assert not (tmp_path / "out").exists()


def test_thresholds_of_earlier_models_are_told(change, tmp_path):
    """As after a change of configuration, and a run that ended after the trainings."""
    results = change(lambda config: None)
    for path in find_cascade(results, None, "cascadebert").folders[:1]:
        file = results / "predictions" / path.relative_to(results / "models") / "dev.npz"
        old = Predictions.load(file)
        replace(old, logits=2 * old.logits).save(file)
    with pytest.raises(UserError, match="for other models than those that are there now"):
        export_cascade(results, "cascadebert", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_told(finished, exported, tmp_path):
    results = finished / "results/small"
    with pytest.raises(UserError, match="has no cascade 'pabee'; choose"):
        export_cascade(results, "pabee", tmp_path / "out")
    with pytest.raises(UserError, match="not the results of an experiment"):
        export_cascade(tmp_path, "cascadebert", tmp_path / "out")
    with pytest.raises(UserError, match="holds no cascade; name another folder"):
        export_cascade(results, "cascadebert", results)
    assert list(tmp_path.iterdir()) == []
