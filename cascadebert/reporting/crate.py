"""An experiment as a Workflow Run RO-Crate: the workflow, what it read and what it made, in a zip.

The profile is https://w3id.org/ro/wfrun/workflow/0.5. Data and weights are described, with their
checksums, and not packed: they may be large, or not ours to pass on.
"""

import mimetypes
import os
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from cascadebert.core.files import replacing
from cascadebert.reporting.provenance import ROOT

PROFILES = {  # what the root conforms to -> name and version
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
WORKFLOW = (  # all that a run needs, beside the Snakefile
    *("README.md", "LICENSE", "config.yaml", "environment.yml", "requirements.txt"),
    *("pyproject.toml", "rules/*.smk", "workflow_scripts/*.py", "report/*.rst"),
    *("config/*.yaml", "cascadebert/**/*.py", "cascadebert/**/*.csv"),
)

File = str | os.PathLike


def write_crate(record: dict, results: File, made: Iterable[File], out: File) -> None:
    """Writes the crate of an experiment.

    record:  its provenance.json (`provenance.provenance`)
    results: results/<experiment>
    made:    the files that the run is for, in this folder
    out:     a path that ends in .crate.zip, as WorkflowHub wants it
    """
    name = record["experiment"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    crate = ROCrate(version="1.1")  # the version that the profile is of
    crate.metadata.extra_contexts.append(TERMS)
    crate.name = f"{name}, an experiment of CascadeBERT, reproduced"
    crate.description = project["description"]
    licence = {"@type": "CreativeWork", "name": project["license"]}
    licence_id = f"https://spdx.org/licenses/{project['license']}"
    crate.license = crate.add(ContextEntity(crate, licence_id, licence))

    workflow = crate.add_workflow(
        ROOT / "Snakefile",
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=record["packages"]["snakemake"]["here"],
        properties={"name": "CascadeBERT, reproduced", "version": _version(record["code"])},
    )
    workflow = cast(ContextEntity, workflow)
    workflow["license"] = crate.license
    for pattern in WORKFLOW:
        for path in sorted(ROOT.glob(pattern)):
            workflow.append_to("hasPart", _file(crate, path, path.relative_to(ROOT)))
    for link, (title, version) in PROFILES.items():
        about = {"@type": "CreativeWork", "name": title, "version": version}
        crate.root_dataset.append_to("conformsTo", crate.add(ContextEntity(crate, link, about)))

    results, paths = Path(results), list(map(Path, made))
    read = [_file(crate, results / "config.yaml", _placed(results / "config.yaml", results))]
    read += [_data(crate, task, splits) for task, splits in record["data"].items()]
    read += [_encoder(crate, key, about) for key, about in record["encoders"].items()]
    action = crate.add_action(
        workflow,
        f"#run-{name}",
        object=read,
        result=[_file(crate, path, _placed(path, results)) for path in paths],
        properties={
            "name": f"Run of the experiment {name}",
            "description": " ".join(["Configured by results/config.yaml.", *record["missing"]]),
            "endTime": _time(max(path.stat().st_mtime for path in paths)),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    crate.root_dataset.append_to("mentions", action)
    with replacing(out) as draft:
        crate.write_zip(draft)


def _version(code: dict) -> str:
    """The commit, if it is all that was run; else the digest of the library."""
    return code["commit"] if code["commit"] and not code["changed"] else code["library"]


def _placed(path: Path, results: Path) -> Path:
    """Where the crate has a result."""
    return Path("results", path.relative_to(results))


def _file(crate: ROCrate, path: Path, place: Path):
    kind, _ = mimetypes.guess_type(path.name)
    about = {"name": place.name, "encodingFormat": kind or "text/plain"}
    return crate.add_file(path, place.as_posix(), properties=about)


def _data(crate: ROCrate, task: str, splits: dict[str, dict]) -> ContextEntity:
    """What a task's splits are; the data itself stays where it is."""
    sources = "; ".join(
        f"{split}: {about['rows']:,} rows, {about['source']}" for split, about in splits.items()
    )
    about = {
        "@type": "CreativeWork",
        "name": f"Data of the task {task}",
        "description": sources,
        "identifier": [f"sha256:{about['sha256']}" for about in splits.values()],
    }
    return cast(ContextEntity, crate.add(ContextEntity(crate, f"#data-{task}", about)))


def _encoder(crate: ROCrate, key: str, about: dict) -> ContextEntity:
    """A pre-trained encoder, by name and checksum."""
    found = {
        "@type": "CreativeWork",
        "name": f"Encoder {key}",
        "description": f"local folder {about['folder']}",
        "identifier": [
            f"sha256:{sha256}"
            for file, sha256 in about["sha256"].items()
            if file.endswith(".safetensors")
        ],
    }
    if hub := about["hub"]:
        found["description"] = f"model {hub['model']} of the Hugging Face hub"
        found["version"] = hub["commit"]
    return cast(ContextEntity, crate.add(ContextEntity(crate, f"#encoder-{key}", found)))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
