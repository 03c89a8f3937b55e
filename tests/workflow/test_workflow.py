"""The real workflow on a small task: plan, run, rerun, change, and go wrong."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cascadebert.commands.main import main
from cascadebert.core.errors import UserError
from cascadebert.deployment.cascade import Cascade
from cascadebert.evaluation.claims import ABLATION, CLAIMS, EARLY_EXIT
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.experiment.schedule import rank_run
from tests.workflow.command import ROOT, planned, snakemake, warm_server
from tests.workflow.conftest import copy, read_all, write

MODELS = "models/*/*/*/model.safetensors"


def test_the_default_labels_8_folds_x_5_seeds_and_shares_runs(tmp_path):
    jobs = planned(ROOT, "--forceall")
    assert jobs["label_runs"] == 8
    assert jobs["train"] == 13
    summary = snakemake(ROOT, "--summary").stdout
    labels = re.findall(r"difficulty/movies/finetune-bert-2/fold\d-seed\d", summary)
    assert len(set(labels)) == 8 * 5


# What a system's trainings add to those of the systems above it, by task: systems share runs.
PAPER_TRAININGS = {
    "bert-base": 1,
    **{f"bert-{layers}l": 1 for layers in range(1, 12)},
    **{f"complete-{layers}": 1 for layers in (2, 4, 6, 8, 10)},
    "deebert": 1,  # the off-ramps
    "pabee": 1,
    "fastbert": 2,  # the teacher, the students
    "linear": 1,
    "kd": 1,
    "distilbert": 1,
    "distilbert-6l": 1,
    "bert-pkd": 1,
    "theseus": 1,
    "bert-pd": 1,
    "cascadebert": 4,  # a margin each
    "cascadebert-without-dar": 0,
    "cascadebert-2-6-12": 4,
    "cascade-distilled": 1,  # the student
    "roberta-base": 1,
    "roberta-4l": 1,
    "deebert-roberta": 1,
    "pabee-roberta": 1,
    "cascaderoberta": 4,
    "cascaderoberta-kd": 4,
}


def test_the_papers_configuration_plans_the_papers_jobs(tmp_path):
    path = ROOT / "config" / "paper.yaml"
    jobs = planned(tmp_path, "--configfile", str(path))
    tasks, regularised = 6, 3  # BERT of 2 and of 6 layers, the first 2 of RoBERTa
    assert jobs["prepare_task"] == jobs["evaluate"] == tasks
    assert jobs["difficulty"] == tasks * regularised
    assert jobs["label_runs"] == tasks * regularised * 8
    assert jobs["train"] == tasks * sum(PAPER_TRAININGS.values())
    assert jobs["pretrain_encoder"] == 1  # the DistilBERT of 4 layers

    default, paper = (yaml.safe_load(p.read_text()) for p in (ROOT / "config.yaml", path))
    experiment = Experiment(resolve(default, paper))
    assert set(experiment.systems) == set(PAPER_TRAININGS)
    seen = set()
    for key, added in PAPER_TRAININGS.items():
        own = set(experiment.systems[key].runs)
        own |= {parent for run in own for parent in run.parents}
        assert len(own - seen) == added, key
        seen |= own
    assert len(seen) == len(experiment.runs)


def test_every_folder_of_the_results_is_explained(finished):
    page = (ROOT / "results/README.md").read_text()
    made = [path.name for path in (finished / "results/small").iterdir() if path.is_dir()]
    assert [name for name in made if f"`{name}" not in page] == []


def test_it_ends_in_tables_figures_and_a_report(finished):
    results = finished / "results" / "small"
    table = pd.read_csv(results / "tables" / "table2_main.csv")
    columns = "task system split target_speedup speedup metric score low high n"
    assert set(columns.split()) <= set(table)
    systems = "bert-4l bert-2l deebert pabee cascadebert plain"
    assert set(table["system"]) == set(systems.split())
    assert set(table["split"]) == {"test"}
    reached = table.dropna(subset="score")
    assert len(reached) >= 5
    assert ((reached["low"] <= reached["score"]) & (reached["score"] <= reached["high"])).all()
    for note in table.loc[table["score"].isna(), "note"]:
        assert "not reachable" in note
    for stem in ("table1_data", "table2_main", "table4_dar", "table5_calibration"):
        assert {p.suffix for p in (results / "tables").glob(f"{stem}.*")} >= {".csv", ".md", ".tex"}
    figures = {p.stem for p in (results / "figures").glob("*.pdf")}
    assert figures == {p.stem for p in (results / "figures").glob("*.png")}
    assert len(figures) >= 3
    claimed = set(pd.read_csv(results / "tables/claims.csv")["claim"])
    needed = (EARLY_EXIT, ABLATION)
    assert {claim.name for claim in CLAIMS if claim.needs.startswith(needed)} <= claimed
    choice = json.loads((results / "evaluation/words/choices/cascadebert.json").read_text())
    assert choice["candidate"] in {"0.1", "0.5"}
    assert yaml.safe_load((results / "config.yaml").read_text())["experiment"] == "small"
    record = json.loads((results / "provenance.json").read_text())
    whole = yaml.safe_load((results / "config.yaml").read_text())
    assert record["configuration"] | {"only_finished": False} == whole
    trained = {str(p.parent.relative_to(results / "models")) for p in results.glob(MODELS)}
    assert set(record["models"]) == trained
    assert sum(about["count"] for about in record["models_trained_on"]) == len(trained)
    assert sum(about["count"] for about in record["difficulty_labels_trained_on"]) == 4
    assert record["models_trained_on"][0]["code"] == record["code"]["library"]

    path = finished / "report.html"
    config_path = str(finished / "small.yaml")
    report = snakemake(finished, "--configfile", config_path, "--report", str(path))
    assert report.returncode == 0, report.stderr
    html = path.read_text()
    assert "CascadeBERT w/o DAR" in html
    assert "what the results were made from and by" in html
    assert "data:image/png" in html or "image/png" in html


def test_the_command_says_why_it_cannot_make_the_report(finished, tmp_path, monkeypatch, capfd):
    folder = copy(finished, tmp_path / "copy")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", str(warm_server().python))
    (folder / "results/small/report.html").mkdir()
    assert main(["run", "small.yaml", "--", "--config", "only_finished=true"]) == 1
    assert "Is a directory: 'results/small/report.html'" in capfd.readouterr().err


def test_reading_predictions_loads_no_torch(finished):
    code = """if True:
        import sys, yaml
        from cascadebert.data.task import Task
        from cascadebert.evaluation.results import load_system
        from cascadebert.experiment.configuration import Experiment
        results = sys.argv[1]
        experiment = Experiment(yaml.safe_load(open(f"{results}/config.yaml")))
        task = Task.load(f"{results}/data/words")
        assert load_system(experiment, f"{results}/predictions", task, "cascadebert", 4).sweeps
        print("torch" in sys.modules)
    """
    command = [sys.executable, "-c", code, str(finished / "results/small")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "False\n", found.stderr


def test_it_can_be_handed_on_as_a_crate(finished):
    config = ("--configfile", str(finished / "small.yaml"))
    result = snakemake(finished, "crate", *config)
    assert result.returncode == 0, result.stderr
    results = finished / "results/small"
    with zipfile.ZipFile(results / "small.crate.zip") as archive:
        packed = set(archive.namelist())
    made = [p for part in ("tables", "figures") for p in (results / part).iterdir()]
    assert {f"results/{p.relative_to(results)}" for p in made if p.is_file()} <= packed
    assert {"Snakefile", "ro-crate-metadata.json", "results/provenance.json"} <= packed


def test_every_job_has_a_log_and_a_benchmark(finished):
    results = finished / "results" / "small"
    logs, times = results / "logs", results / "benchmarks"
    logged = {p.relative_to(logs).with_suffix("") for p in logs.rglob("*.log")}
    assert logged == {p.relative_to(times).with_suffix("") for p in times.rglob("*.tsv")}
    log = (results / "logs/label_runs/words/finetune-bert-2/0.log").read_text()
    name = "difficulty words/finetune-bert-2 fold 1 seed 1"
    assert re.search(name + r" .*\d+/\d+ \[\d\d:\d\d<\d\d:\d\d", log)


def test_its_cascade_can_be_loaded_or_it_says_what_there_is(finished, tmp_path):
    results = finished / "results/small"
    right = {"task": "words", "system": "cascadebert", "speedup": 2}
    cascade = Cascade.from_results(results, **right)
    with pytest.raises(UserError, match="trained on single texts"):
        cascade("a superb film", pairs="a dull plot")
    for wrong, message in [
        ({"task": "word"}, "has no task 'word'; choose from: words$"),
        ({"system": "pabee"}, "has no cascade 'pabee'; choose from: cascadebert, plain$"),
        ({"speedup": 3}, r"has no speed-up 3; choose from: 1\.5, 2$"),
        ({"replicate": 2}, "has no replicate 2; choose from: 0, 1$"),
        ({"replicate": -1}, "has no replicate -1"),
        ({"replicate": True}, "has no replicate True; choose from: 0, 1$"),
        ({"speedup": np.array([1.5, 2])}, r"has no speed-up array\(\[1\.5, 2\. \]\); choose"),
        ({"task": pd.Series(["words"])}, "choose from: words$"),
    ]:
        with pytest.raises(UserError, match=message):
            Cascade.from_results(results, **right | wrong)
    assert len(Cascade.from_results(results, **right, replicate=np.int64(1)).members) == 2
    for wrong in (None, 5, b"results", [results]):
        with pytest.raises(UserError, match=r"results is .*; give the folder results/<experiment>"):
            Cascade.from_results(wrong, **right)
    with pytest.raises(UserError, match=r"not the results of an experiment; .* are: small"):
        Cascade.from_results(results.parent / "smal", **right)

    half = shutil.copytree(results, tmp_path / "half", ignore=shutil.ignore_patterns("store"))
    config = (half / "config.yaml").read_text()
    for damaged in ("", "- a\n", "a: [", "experiment: small\n"):
        (half / "config.yaml").write_text(damaged)
        with pytest.raises(UserError, match=r"config\.yaml is damaged or of another version"):
            Cascade.from_results(half, **right)
    for old, new, replicate in (("replicates: 2", "replicates: 3", 2), ("- 0.", "- 0.0", 0)):
        (half / "config.yaml").write_text(config.replace(old, new))  # margins are such lists
        with pytest.raises(UserError, match=r"does not fit .*: the experiment is not finished"):
            Cascade.from_results(half, **right, replicate=replicate)
    (half / "config.yaml").write_text(config)
    shutil.rmtree(half / "models/words/finetune-bert-4/seed0")
    with pytest.raises(UserError, match="finetune-bert-4/seed0 is missing: the experiment is not"):
        Cascade.from_results(half, **right)
    shutil.rmtree(half / "evaluation")
    with pytest.raises(UserError, match=r"cascadebert\.json is missing: the experiment is not"):
        Cascade.from_results(half, **right)


def test_a_second_run_does_nothing_and_a_new_target_only_arithmetic(finished, config, task):
    path = str(finished / "small.yaml")
    assert planned(finished, "--configfile", path) == {}
    assert planned(finished, "--configfile", path, "--config", "only_finished=true") == {}
    changed = {**config, "evaluation": {**config["evaluation"], "targets": [1.5, 1.8]}}
    (finished / "changed.yaml").write_text(yaml.safe_dump(changed))
    jobs = planned(finished, "--configfile", str(finished / "changed.yaml"))
    assert jobs
    expensive = "prepare_task tokenize_task label_runs difficulty train"
    assert not set(jobs) & set(expensive.split())
    named = {**config, "tuning": {"epochs": [config["training"]["epochs"]]}}
    (finished / "changed.yaml").write_text(yaml.safe_dump(named))
    jobs = planned(finished, "--configfile", str(finished / "changed.yaml"))
    assert jobs["evaluate"] == 1  # choices name the candidates, which have another name now
    assert not set(jobs) & set(expensive.split())
    more = {**config, "replicates": 3}
    (finished / "changed.yaml").write_text(yaml.safe_dump(more))
    assert "label_runs" not in planned(finished, "--configfile", str(finished / "changed.yaml"))


def test_smaller_packs_do_nothing_again(finished):
    """But for trainings that start from others: a job's inputs are the parents of its pack."""
    path = ("--configfile", str(finished / "small.yaml"))
    jobs = planned(finished, *path, "--config", "pack=1")
    assert "label_runs" not in jobs
    assert jobs["train"] == 2  # the replicates of DeeBERT


@pytest.mark.parametrize(
    ("changed", "reads_again"),
    [
        ({"limit": {"train": 100}}, True),
        ({"labels": ["positive", "negative"]}, True),
        ({"metric": "f1"}, True),
        ({"columns": {"text": "text", "label": "label"}}, True),
        ({"published": {"test": "sst2"}}, False),
    ],
)
def test_a_changed_task_is_read_again(finished, config, changed, reads_again):
    entry = {**config["tasks"]["words"], **changed}
    path = finished / "changed.yaml"
    path.write_text(yaml.safe_dump({**config, "tasks": {"words": entry}}))
    jobs = planned(finished, "--configfile", str(path))
    assert ("prepare_task" in jobs) == ("train" in jobs) == reads_again


def test_a_new_encoder_on_old_tokens_leaves_the_other_trainings_alone(
    finished, config, tmp_path, encoders
):
    small = shutil.copytree(encoders["bert-2"], tmp_path / "other")
    more = {**config["encoders"], "other": {"model": str(small), "tokenizer": "bert-4"}}
    system = {"method": "finetune", "title": "Other", "encoder": "other"}
    path = finished / "changed.yaml"
    systems = {**config["systems"], "other": system}
    path.write_text(yaml.safe_dump({**config, "encoders": more, "systems": systems}))
    jobs = planned(finished, "--configfile", str(path))
    assert "tokenize_task" not in jobs
    assert jobs["train"] == 1


def test_settings_are_params_that_snakemake_compares():
    """Of a param whose function asks for `input` Snakemake keeps no record: those give places.

    And the members of a pack, which the names of its outputs tell.
    """
    code = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    names = re.findall(r"def (\w+)\(w, input\)", code)
    assert len(names) > 5
    others = [n for n in names if not n.endswith(("_folder", "_folders", "_places"))]
    assert others == ["tell"]  # of `told_by_outputs`
    assert re.findall(r"=told_by_outputs\((\w+)\)", code) == ["members", "replicates"]
    assert "lambda" not in code


def test_what_is_trained_is_not_trained_again(finished, config):
    """One label file is lost and one replicate is added; each job has others that are there."""
    lost = finished / "results/small/difficulty/words/finetune-bert-2/fold0-seed1.parquet"
    content = lost.read_bytes()
    lost.unlink()
    (finished / "changed.yaml").write_text(yaml.safe_dump({**config, "replicates": 3}))
    added = "results/small/models/words/finetune-bert-2/seed2"
    kept = (finished / added).with_name("seed0") / "model.safetensors"
    weights = kept.read_bytes()
    targets = (str(lost.relative_to(finished)), added)
    result = snakemake(finished, *targets, "--configfile", str(finished / "changed.yaml"))
    assert result.returncode == 0, result.stderr
    assert lost.read_bytes() == content
    assert kept.read_bytes() == weights
    logs = finished / "results/small/logs"
    assert "epoch" not in (logs / "label_runs/words/finetune-bert-2/0.log").read_text()
    log = (logs / "train/words/finetune-bert-2/0.log").read_text()
    assert "replicate 2 epoch" in log
    assert "replicate 0 epoch" not in log


def test_one_core_gives_the_same_bytes_as_two(finished, tmp_path, config, task):
    path = write(tmp_path, config, task)
    runs = ("finetune-bert-2-margin0.5", "deebert-bert-4")
    targets = [f"results/small/predictions/words/{run}/seed1" for run in runs]
    result = snakemake(tmp_path, *targets, "--configfile", str(path), cores=1)
    assert result.returncode == 0, result.stderr
    for run in runs:
        place = Path("results/small/predictions/words", run)
        alone = read_all(tmp_path / place)
        assert len(alone) == 8  # two replicates, dev and test, of the exits and of their probes
        assert alone == read_all(finished / place)


def test_the_training_that_begins_the_longest_chain_starts_first(finished, tmp_path):
    """With --touch, the scheduler orders all jobs, and none of them computes."""
    folder = copy(finished, tmp_path / "touched")
    config = ("--configfile", str(folder / "small.yaml"))
    target = "results/small/evaluation/words/exits.csv"
    result = snakemake(folder, target, "--touch", "--forceall", *config, cores=1)
    assert result.returncode == 0, result.stderr
    started = re.findall(r": training (\S+), replicate", result.stdout + result.stderr)
    experiment = Experiment(yaml.safe_load((folder / "results/small/config.yaml").read_text()))
    assert set(started) == set(experiment.runs)
    ranks = [rank_run(experiment, experiment.runs[run]) for run in started]
    assert ranks == sorted(ranks, reverse=True)


DEEP = f"""
encoders: {{bert: {ROOT}/models/bert-2x128}}
reference: bert
proposed: deep
systems:
  deep: {{method: finetune, title: Deep, encoder: bert, layers: 3}}
training: {{epochs: 1, learning_rate: 1.0e-4, max_length: 64}}
"""


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "training: {epoch: 3}",
            ["training: Additional properties are not allowed ('epoch'", "epochs, learning_rate"],
        ),
        ("seed: 1\nseed: 2", ["wrong.yaml, line 3: the key 'seed' is there in line 2 too"]),
        ("proposed: bert-12l", ["proposed: bert-12l has one exit"]),
        (DEEP, ["finetune-bert-layers3 has the first 3 layers of bert", "has 2; ask for fewer"]),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_job(text, messages, tmp_path):
    (tmp_path / "wrong.yaml").write_text(f"experiment: wrong\n{text}\n")
    result = snakemake(tmp_path, "--configfile", str(tmp_path / "wrong.yaml"))
    assert result.returncode != 0
    for message in messages:
        assert message in result.stderr
    assert "cascadebert/" not in result.stderr  # no traceback
    assert not (tmp_path / "results").exists()


def test_without_the_hub_each_job_says_what_it_cannot_reach(tmp_path, config, task):
    far = {**config["tasks"]["words"], "source": {"hub": "nobody/data"}}
    encoders = {**config["encoders"], "far": "nobody/model"}
    changed = {**config, "tasks": {**config["tasks"], "far": far}, "encoders": encoders}
    path = write(tmp_path, changed, task)
    targets = ["results/small/data/far", "results/small/tokens/words/far"]
    result = snakemake(tmp_path, *targets, "--keep-going", "--configfile", str(path))
    assert result.returncode != 0
    for what in ("data set nobody/data", "encoder nobody/model"):
        said = re.search(rf"Error: ({what} could not be loaded .*)", result.stderr)
        assert "make the hub reachable" in said.group(1)
    assert "Traceback" not in result.stderr


def test_a_bad_row_is_named_and_leaves_nothing_half_done(tmp_path, config, task):
    path = write(tmp_path, config, task)
    lines = (tmp_path / "dev.csv").read_text().splitlines()
    lines[4] = lines[4].rsplit(",", 1)[0] + ",7"
    (tmp_path / "dev.csv").write_text("\n".join(lines) + "\n")
    result = snakemake(tmp_path, "--configfile", str(path))
    assert result.returncode != 0
    assert re.search(r"dev\.csv, line 5: .*'7'", result.stderr)
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "results/small/data/words").exists()
    assert list((tmp_path / "results/small/data").glob("*")) == []


def test_labels_of_stacked_trainings_are_of_all_examples(config, task, tmp_path):
    """Seeds of a fold share a job, whatever `pack` says."""
    changed = {"pack": 1, "difficulty": {**config["difficulty"], "stacked": True}}
    path = write(tmp_path, {**config, **changed}, task)
    target = "results/small/difficulty/words/finetune-bert-2.parquet"
    result = snakemake(tmp_path, target, "--configfile", str(path))
    assert result.returncode == 0, result.stderr
    labelled = pd.read_parquet(tmp_path / target)
    assert sorted(labelled["id"]) == sorted(task.splits["train"]["id"])
    assert 0 < labelled["difficult"].mean() < 1
    log = (tmp_path / "results/small/logs/label_runs/words/finetune-bert-2/0.log").read_text()
    assert "finetune-bert-2 fold 0 1 epoch 2: dev accuracy" in log


def test_seconds_need_no_cores_where_no_job_runs(tmp_path, config, task):
    """As for `--unlock` and `--report`, and where a cluster has the cores."""
    path = write(tmp_path, {**config, "evaluation": {"cost": "seconds"}}, task)
    given = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    result = warm_server().run("snakemake", *given, "--configfile", str(path), "--unlock")
    assert result.returncode == 0, result.stderr


def test_speedups_may_count_seconds(finished, tmp_path):
    """Times are measured, and thresholds are chosen anew."""
    folder = copy(finished, tmp_path / "copy")
    path, results = folder / "seconds.yaml", folder / "results/small"
    config = yaml.safe_load((folder / "small.yaml").read_text())
    config["systems"] = {key: config["systems"][key] for key in ("bert-4l", "bert-2l", "plain")}
    del config["systems"]["plain"]["ablation_of"]
    config |= {"proposed": "plain", "evaluation": {"cost": "seconds", "resamples": 100}}
    path.write_text(yaml.safe_dump(config))
    jobs = planned(folder, "--configfile", str(path))
    assert jobs["time_run"] == 3
    target = "results/small/evaluation/words/curves.csv"
    result = snakemake(folder, target, "--configfile", str(path))
    assert result.returncode == 0, result.stderr

    def measured(run: str) -> float:
        times = pd.read_csv(results / f"times/words/{run}.csv")
        return (times["share"] * times["milliseconds"]).sum()

    curves = pd.read_csv(folder / target).groupby("system")["speedup"]
    full, cut = measured("finetune-bert-4"), measured("finetune-bert-4-layers2")
    small = measured("finetune-bert-2")
    assert curves.max()["bert-4l"] == pytest.approx(1)
    assert curves.max()["bert-2l"] == pytest.approx(full / cut)
    assert curves.max()["plain"] == pytest.approx(full / small)
    assert curves.min()["plain"] == pytest.approx(full / (small + full))
