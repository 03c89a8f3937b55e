"""profiles/kubernetes: its plan, and what its object storage needs of the rules.

The jobs run here and not in pods, but find their files as pods do: copied from a bucket.
"""

import re
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.pretraining.test_pretraining import prose
from tests.workflow.command import ROOT, warm_server
from tests.workflow.conftest import read_all, write
from tests.workflow.test_pretrain import settings

BUCKET = "my-bucket"  # of the profile
PREDICTIONS = "results/small/predictions/words"
SOURCES = """
Snakefile config.yaml environment.yml requirements.txt
config rules workflow_scripts cascadebert profiles report
"""


@pytest.fixture
def storage(monkeypatch):
    """The bucket, of which Snakemake finds address and keys in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "endpoint_url": f"http://{host}:{port}",
        "access_key": "the key",
        "secret_key": "its secret",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name.upper()}", value)
    connected = boto3.resource(
        "s3",
        endpoint_url=settings["endpoint_url"],
        region_name="us-east-1",
        aws_access_key_id="the key",
        aws_secret_access_key="its secret",
    )
    yield connected.create_bucket(Bucket=BUCKET)
    server.stop()


@pytest.fixture
def clone(tmp_path, config, task, storage):
    """A git repository with the workflow and an experiment.

    Its data is in the bucket only, and so is an encoder that was fetched from the hub.
    """
    folder = tmp_path / "clone"
    folder.mkdir()
    for source in SOURCES.split():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, folder / source)
    shutil.copytree(config["encoders"]["bert-2"]["model"], folder / "enc/bert-2")
    encoders = {"bert-2": {"model": "enc/bert-2", "tokenizer": "bert-4"}, "bert-4": "some/bert-4"}
    for path in Path(config["encoders"]["bert-4"]).iterdir():
        place = f"cascadebert/results/small/encoders/some--bert-4/{path.name}"
        storage.upload_file(str(path), place)
    systems = {"cascadebert": config["systems"]["cascadebert"]}
    difficulty = {**config["difficulty"], "margins": [0.5]}
    changed = {"encoders": encoders, "systems": systems, "difficulty": difficulty}
    write(folder, {**config, **changed}, task)
    for split in task.splits:
        storage.upload_file(str(folder / f"{split}.csv"), f"cascadebert/{split}.csv")
        (folder / f"{split}.csv").unlink()
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    given = ("--profile", "profiles/kubernetes", "--configfile", "small.yaml")
    return warm_server().run("snakemake", *given, *arguments, cwd=folder)


def test_a_dry_run_plans_with_what_is_in_the_bucket(clone):
    result = snakemake(clone, "--dry-run")
    assert result.returncode == 0, result.stderr
    stats = result.stdout + result.stderr
    assert re.search(r"^train_0 +2$", stats, re.M)
    assert f"s3://{BUCKET}/cascadebert/{PREDICTIONS}" in stats


def test_jobs_find_their_files_in_the_bucket(clone, storage, finished, tmp_path):
    result = snakemake(clone, "--executor", "local", "--cores", "2")
    assert result.returncode == 0, result.stderr
    assert not list((clone / "results").rglob("*.npz"))

    found = tmp_path / "found"
    for item in storage.objects.filter(Prefix="cascadebert/results/"):
        path = found / item.key.removeprefix("cascadebert/")
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.download_file(item.key, str(path))
    made, expected = read_all(found / PREDICTIONS), read_all(finished / PREDICTIONS)
    assert len(made) == 2 * 2 * 2 * 2  # runs, replicates, splits, exits and their probes
    assert made.items() <= expected.items()
    results = found / "results/small"
    assert "cascadebert" in (results / "tables/table2_main.csv").read_text()
    assert (results / "figures/figure_tradeoff.png").exists()


def test_an_encoder_that_is_made_is_found_in_the_bucket(clone, storage):
    """As config/paper.yaml has one: it lies beside the experiment's results."""
    pretraining = settings("none") | {
        "corpora": [{"file": "a.txt"}],
        "objectives": {"mlm": 1.0},
        "depths": [{"layers": 1, "tokens": 500}],
    }
    del pretraining["teacher"]
    path = clone / "small.yaml"
    config = yaml.safe_load(path.read_text()) | {"pretraining": pretraining}
    config["encoders"]["made"] = "made/tiny-1x16"
    path.write_text(yaml.safe_dump(config))
    storage.put_object(Key="cascadebert/a.txt", Body="\n".join(prose(200)).encode())
    tokens = "results/small/tokens/words/made"
    result = snakemake(clone, "--executor", "local", "--cores", "2", tokens)
    assert result.returncode == 0, result.stderr
    assert any(storage.objects.filter(Prefix=f"cascadebert/{tokens}"))
