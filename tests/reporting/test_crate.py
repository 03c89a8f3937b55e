import json
import os
import zipfile

import pytest
import yaml
from rocrate.rocrate import ROCrate

from cascadebert.reporting.crate import write_crate
from cascadebert.reporting.provenance import list_packages

RECORD = {
    "experiment": "small",
    "missing": ["Not run on words: PABEE."],
    "configuration": {"experiment": "small", "replicates": 2},
    "code": {"commit": "c0ffee", "changed": [], "library": "abc"},
    "packages": list_packages(),
    "data": {
        "words": {
            "train": {"rows": 3000, "labelled": True, "source": "a.csv", "sha256": "1" * 64},
            "dev": {"rows": 80, "labelled": True, "source": "b.csv", "sha256": "2" * 64},
        }
    },
    "encoders": {
        "small": {
            "folder": "models/small",
            "hub": None,
            "sha256": {"config.json": "3" * 64, "model.safetensors": "4" * 64},
        },
        "large": {
            "folder": "results/small/encoders/large",
            "hub": {"model": "some/model", "commit": "f00d"},
            "sha256": {"model.safetensors": "5" * 64},
        },
    },
}
MADE = ("provenance.json", "tables/table2_main.csv", "figures/figure_tradeoff.png")


@pytest.fixture
def crate(tmp_path):
    """The crate of a made-up run, unpacked and read back, and its folder."""
    results = tmp_path / "results/small"
    for place in MADE:
        (results / place).parent.mkdir(parents=True, exist_ok=True)
        (results / place).write_text(place)
        os.utime(results / place, (0, 1.7e9 + len(place)))
    write_crate(RECORD, results, [results / place for place in MADE], results / "small.crate.zip")
    with zipfile.ZipFile(results / "small.crate.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    return ROCrate(tmp_path / "unpacked"), tmp_path / "unpacked"


def test_it_conforms_to_the_profiles(crate):
    read, folder = crate
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())
    assert graph["@context"] == [
        "https://w3id.org/ro/crate/1.1/context",
        "https://w3id.org/ro/terms/workflow-run/context",
    ]
    conforming = {entity.id: entity for entity in read.root_dataset["conformsTo"]}
    assert {link.removeprefix("https://w3id.org/") for link in conforming} == {
        "ro/wfrun/process/0.5",
        "ro/wfrun/workflow/0.5",
        "workflowhub/workflow-ro-crate/1.0",
    }
    assert {entity.type for entity in conforming.values()} == {"CreativeWork"}
    described = {entity["@id"]: entity for entity in graph["@graph"]}
    assert {link["@id"] for link in described["ro-crate-metadata.json"]["conformsTo"]} == {
        "https://w3id.org/ro/crate/1.1",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    }
    for key in ("name", "description", "license", "datePublished"):
        assert read.root_dataset[key], key
    assert read.root_dataset["license"].id == "https://spdx.org/licenses/MIT"


def test_the_main_entity_is_the_snakefile(crate):
    workflow = crate[0].mainEntity
    assert workflow.id == "Snakefile"
    assert set(workflow.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    language = workflow["programmingLanguage"]
    assert language.id.endswith("#snakemake")
    assert language["version"] == RECORD["packages"]["snakemake"]["here"]
    assert workflow["version"] == "c0ffee"
    parts = {part.id for part in workflow["hasPart"]}
    assert {"rules/common.smk", "cascadebert/reporting/crate.py", "config/schema.yaml"} <= parts


def test_one_action_ran_it_from_what_to_what(crate):
    read, _ = crate
    [action] = read.get_by_type("CreateAction")
    assert action["instrument"] is read.mainEntity
    assert [mentioned.id for mentioned in read.root_dataset["mentions"]] == [action.id]
    assert {result.id for result in action["result"]} == {f"results/{place}" for place in MADE}
    used = {entity.id: entity for entity in action["object"]}
    assert set(used) == {"results/config.yaml", "#data-words", "#encoder-small", "#encoder-large"}
    assert used["#data-words"]["identifier"] == [f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"]
    assert "train: 3,000 rows, a.csv" in used["#data-words"]["description"]
    assert used["#encoder-small"]["identifier"] == [f"sha256:{'4' * 64}"]
    assert used["#encoder-small"]["description"] == "local folder models/small"
    assert used["#encoder-large"]["description"].startswith("model some/model of the ")
    assert used["#encoder-large"]["version"] == "f00d"
    assert "Not run on words: PABEE." in action["description"]
    assert action["endTime"] == "2023-11-14T22:13:47+00:00"  # of the last of MADE


def test_every_file_that_it_names_is_in_it(crate):
    read, folder = crate
    files = read.get_by_type("File")
    assert len(files) > 100
    for entity in files:
        assert (folder / entity.id).is_file(), entity.id
    packed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert packed - {entity.id for entity in files} == {"ro-crate-metadata.json"}
    assert {part.id for part in read.root_dataset["hasPart"]} == {entity.id for entity in files}
    assert yaml.safe_load((folder / "results/config.yaml").read_text()) == RECORD["configuration"]
