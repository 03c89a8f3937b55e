"""An experiment as a Workflow Run RO-Crate: a zip of the workflow, its inputs and its results.

The profile is https://w3id.org/ro/wfrun/workflow/0.5. Data and weights may be large, or not ours to
pass on. The crate therefore describes data and weights, with checksums, but leaves the files out.
"""

import mimetypes
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import cast

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from cascadebert.core.checksums import list_visible
from cascadebert.core.files import File, replacing
from cascadebert.core.sources import LIBRARY, PACKED, WORKFLOW_FOLDER

PROFILES = {  # that the root conforms to -> name and version
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
WORKFLOW = (  # the files that a run needs, beside the Snakefile
    "README.md",
    "LICENSE",
    "config.yaml",
    "environment.yml",
    "requirements.txt",
    "pyproject.toml",
    "rules/*.smk",
    "workflow_scripts/*.py",
    "report/*.rst",
    "config/*.yaml",
)
CODE = ("**/*.py", "**/*.csv", "**/*.html", "**/*.js")  # in the library


def write_crate(record: dict, results: File, made: Iterable[File], out: File) -> None:
    """Writes the crate of an experiment.

    record:  the experiment's provenance.json (`provenance.collect_provenance`)
    results: results/<experiment>
    made:    tables, figures and pages in this folder, or folders of them
    out:     a path that ends in .crate.zip, the ending that WorkflowHub asks for
    """
    name = record["experiment"]
    project = tomllib.loads((WORKFLOW_FOLDER / "pyproject.toml").read_text())["project"]
    crate = ROCrate(version="1.1")  # the version that the profile builds on
    crate.metadata.extra_contexts.append(TERMS)
    crate.name = f"{name}, an experiment of CascadeBERT, reproduced"
    crate.description = project["description"]
    licence = {"@type": "CreativeWork", "name": project["license"]}
    licence_id = f"https://spdx.org/licenses/{project['license']}"
    crate.license = crate.add(ContextEntity(crate, licence_id, licence))

    workflow = crate.add_workflow(
        WORKFLOW_FOLDER / "Snakefile",
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=record["packages"]["snakemake"]["here"],
        properties={"name": "CascadeBERT, reproduced", "version": _name_version(record["code"])},
    )
    workflow = cast(ContextEntity, workflow)
    workflow["license"] = crate.license
    for base, patterns in ((WORKFLOW_FOLDER, WORKFLOW), (LIBRARY, CODE)):
        for path in chain.from_iterable(sorted(base.glob(pattern)) for pattern in patterns):
            if base is LIBRARY and PACKED in path.parents:
                continue  # a wheel has the workflow inside the library
            place = path.relative_to(base if base is WORKFLOW_FOLDER else LIBRARY.parent)
            workflow.append_to("hasPart", _add_file(crate, path, place))
    for link, (title, version) in PROFILES.items():
        about = {"@type": "CreativeWork", "name": title, "version": version}
        crate.root_dataset.append_to("conformsTo", crate.add(ContextEntity(crate, link, about)))

    results, paths = Path(results), [file for path in made for file in list_visible(Path(path))]
    configuration = StringIO(yaml.safe_dump(record["configuration"], sort_keys=False))
    read = [_add_file(crate, configuration, Path("results/config.yaml"))]
    read += [_add_data(crate, task, splits) for task, splits in record["data"].items()]
    read += [_add_encoder(crate, key, about) for key, about in record["encoders"].items()]
    action = crate.add_action(
        workflow,
        f"#run-{name}",
        object=read,
        result=[_add_file(crate, path, "results" / path.relative_to(results)) for path in paths],
        properties={
            "name": f"Run of the experiment {name}",
            "description": " ".join(["Configured by results/config.yaml.", *record["missing"]]),
            "endTime": _format_time(max(path.stat().st_mtime for path in paths)),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    crate.root_dataset.append_to("mentions", action)
    with replacing(out) as draft:
        crate.write_zip(draft)


def _name_version(code: dict) -> str:
    """The commit, unless files were changed since; then the digest of the library."""
    return code["commit"] if code["commit"] and not code["changed"] else code["library"]


def _add_file(crate: ROCrate, source: Path | StringIO, place: Path):
    kind, _ = mimetypes.guess_type(place.name)
    about = {"name": place.name, "encodingFormat": kind or "text/plain"}
    return crate.add_file(source, place.as_posix(), properties=about)


def _add_data(crate: ROCrate, task: str, splits: dict[str, dict]) -> ContextEntity:
    """Describes a task's splits."""
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


def _add_encoder(crate: ROCrate, key: str, about: dict) -> ContextEntity:
    """Describes a pre-trained encoder."""
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


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
