"""Finds what a valid configuration cannot mean, before any job starts."""

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cascadebert.core.errors import Mistakes
from cascadebert.core.sources import WORKFLOW_FOLDER
from cascadebert.core.text import join_words
from cascadebert.data.load import list_entry_mistakes, list_source_files
from cascadebert.encoders.shape import read_shape
from cascadebert.experiment.catalogue import ALL
from cascadebert.experiment.configuration import RELATIONS, Experiment, System
from cascadebert.experiment.family import find_pretraining_mistakes
from cascadebert.experiment.reach import (
    find_absent_exits,
    find_models_above_reference,
    find_shrinking_cascades,
    find_targets_that_proposed_misses,
    find_unreachable_targets,
)
from cascadebert.experiment.submitted import find_submitted_tasks

# The names that huggingface_hub accepts: `model` or `owner/model`.
HUB_NAME = re.compile(r"(?!.{97})[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def refuse_contradictions(experiment: Experiment) -> None:
    """Raises UserError with all that makes a table wrong or empty, or two results one file."""
    found = [
        *_find_equal_names(experiment),
        *_find_equal_titles(experiment),
        *_find_task_mistakes(experiment),
        *_find_wildcards(experiment),
        *_find_pointless_comparisons(experiment),
        *_find_wrong_ablations(experiment),
    ]
    mistakes = Mistakes()
    if not experiment.config["only_finished"]:  # encoders may be on another machine by then
        found += [
            *_find_missing_folders(experiment),
            *_find_ambiguous_folders(experiment),
            *_find_local_revisions(experiment),
            *_find_short_encoders(experiment),
            *find_shrinking_cascades(experiment),
            *find_unreachable_targets(experiment),
            *_find_missing_full_model(experiment),
            *_find_layers_in_seconds(experiment),
            *find_absent_exits(experiment),
            *find_pretraining_mistakes(experiment),
        ]
        with mistakes.collected():
            find_submitted_tasks(experiment)
    mistakes.found = [*(f"configuration, {sentence}" for sentence in found), *mistakes.found]
    mistakes.raise_all()


def list_doubts(experiment: Experiment) -> list[str]:
    """Returns what is probably not meant: a sentence each."""
    found = [
        *find_models_above_reference(experiment),
        *find_targets_that_proposed_misses(experiment),
    ]
    return [f"configuration, {sentence}" for sentence in found]


def _find_equal_names(experiment: Experiment) -> Iterator[str]:
    """Names are those of files, and some file systems do not tell `Pairs` from `pairs`."""
    if ALL in experiment.config["tasks"]:
        yield f"tasks.{ALL}: in tables, `{ALL}` stands for all tasks together; rename it"
    for section in ("tasks", "encoders", "systems"):
        first: dict[str, str] = {}
        for name in experiment.config[section]:
            if (earlier := first.setdefault(name.lower(), name)) != name:
                yield (
                    f"{section}: {earlier} and {name} differ only in capital letters, so some "
                    "file systems would give both one folder; rename one of them"
                )


def _find_task_mistakes(experiment: Experiment) -> Iterator[str]:
    for name, entry in experiment.config["tasks"].items():
        for sentence in list_entry_mistakes(entry):
            yield f"tasks.{name}: {sentence}"


def _find_wildcards(experiment: Experiment) -> Iterator[str]:
    """Snakemake reads braces and angle brackets in the name of an input as wildcards."""
    tasks, encoders = experiment.config["tasks"], experiment.encoders
    named = {f"tasks.{name}.source": list_source_files(entry) for name, entry in tasks.items()}
    for name in experiment.config["encoders"]:
        if (folder := encoders.locate(name)) not in encoders.on_hub:
            named[f"encoders.{name}"] = [folder]
    for place, paths in named.items():
        for path in paths:
            if re.search("[{}<>]", path):
                yield f"{place}: {path} has one of {{}}<>, which stand for wildcards; rename it"


def _find_missing_folders(experiment: Experiment) -> Iterator[str]:
    """A mistyped folder must not be looked up on the hub."""
    encoders = experiment.encoders
    made = [encoders.family_folder(layers) for layers in encoders.depths]
    for place, folder in _locate_models(experiment).items():
        if folder in made:
            continue
        on_hub = encoders.on_hub.get(folder)
        if on_hub is None:
            if not os.path.isdir(folder):
                yield (
                    f"{place}: there is no folder {folder}, and `pretraining` makes "
                    f"{join_words(made)}; correct the path, or add the depth"
                )
            elif not os.path.isfile(os.path.join(folder, "config.json")):
                yield (
                    f"{place}: the folder {folder} has no config.json, which every model has; "
                    "correct the path"
                )
            continue
        model = on_hub.name
        if os.path.isfile(model):
            yield f"{place}: {model} is a file; name the folder of a model"
        elif neighbours := _list_neighbours(Path(model)):
            close = difflib.get_close_matches(model, neighbours, n=3, cutoff=0)
            yield f"{place}: there is no folder {model}; there is {join_words(close)}"
        elif not HUB_NAME.fullmatch(model):
            yield (
                f"{place}: there is no folder {model}, and a model of the hub has a name "
                "such as google-bert/bert-base-uncased; correct the path"
            )


def _locate_models(experiment: Experiment) -> dict[str, str]:
    """Key of the configuration that names a model -> the folder of the model."""
    encoders = experiment.encoders
    found = {f"encoders.{name}": encoders.locate(name) for name in experiment.config["encoders"]}
    return found | {
        f"pretraining.{part}.{key}": encoders.pretraining[part][key]
        for part, key in encoders.named_in_pretraining
    }


def _find_ambiguous_folders(experiment: Experiment) -> Iterator[str]:
    """A user's model must not be taken for the one of the same name in this repository."""
    if experiment.has_default_encoders:
        return
    for name, entry in experiment.config["encoders"].items():
        model = Path(entry if isinstance(entry, str) else entry["model"])
        embedded = WORKFLOW_FOLDER / model
        if all(map(os.path.isdir, (model, embedded))) and not model.samefile(embedded):
            yield (
                f"encoders.{name}: {model} is a folder here and in {WORKFLOW_FOLDER}; write the "
                "whole path of the one that you mean"
            )


def _find_local_revisions(experiment: Experiment) -> Iterator[str]:
    for name, entry in experiment.config["encoders"].items():
        on_hub = experiment.encoders.locate(name) in experiment.encoders.on_hub
        if isinstance(entry, dict) and "revision" in entry and not on_hub:
            yield (
                f"encoders.{name}.revision: {entry['model']} is a folder, and only models of the "
                "hub have revisions; delete it"
            )


def _find_short_encoders(experiment: Experiment) -> Iterator[str]:
    """Those that cannot read as many tokens as texts may have, as far as config.json tells."""
    length = experiment.config["training"]["max_length"]
    for name in dict.fromkeys(run.encoder for run in experiment.runs.values()):
        shape = read_shape(experiment.encoders.locate(name))
        if shape and shape.max_position_embeddings and length > shape.max_position_embeddings:
            yield (
                f"training.max_length: {length} tokens, but {name} reads "
                f"{shape.max_position_embeddings} at most; lower it"
            )


def _list_neighbours(model: Path) -> list[str]:
    """Returns the models in the folder in which this one would be, here or in this repository."""
    if model.parent == Path("."):
        return []
    places = (model.parent, WORKFLOW_FOLDER / model.parent)
    found = {path.parent.name for place in places for path in place.glob("*/config.json")}
    return sorted(str(model.parent / name) for name in found)


def _find_equal_titles(experiment: Experiment) -> Iterator[str]:
    """Titles that differ only in spaces look alike."""
    titles = {key: " ".join(system.title.split()) for key, system in experiment.systems.items()}
    for title, count in Counter(titles.values()).items():
        if count > 1:
            keys = [key for key, other in titles.items() if other == title]
            yield (
                f"systems: {join_words(keys)} have one title, {title!r}, so that tables could not "
                "tell them apart; give each a title of its own"
            )


def _find_pointless_comparisons(experiment: Experiment) -> Iterator[str]:
    systems = experiment.systems
    proposed = experiment.config["proposed"]
    if not systems[proposed].rule.knob:
        yield (
            f"proposed: {proposed} has one exit, so it has one speed-up; name a system that exits "
            "early, such as a cascade"
        )
    for relation in RELATIONS:
        for key, system in systems.items():
            if getattr(system, relation) == key:
                yield f"systems.{key}.{relation}: {key} is this system itself; name another one"


def _find_wrong_ablations(experiment: Experiment) -> Iterator[str]:
    """An ablation is the same system without DAR, and each system with DAR has one."""
    systems = experiment.systems
    ablations: dict[str, list[str]] = {}
    for key, system in systems.items():
        if system.ablation_of:
            ablations.setdefault(system.ablation_of, []).append(key)
    for full, (key, *others) in ablations.items():
        if others:
            yield (
                f"systems: {join_words([key, *others])} are all an `ablation_of` {full}, and the "
                "tables show one; delete `ablation_of` from the others"
            )
        elif key == full:
            continue  # `_find_pointless_comparisons` says so
        elif not _has_dar(systems[full]):
            yield (
                f"systems.{key}.ablation_of: {full} has no difficulty-aware regularisation "
                "(`dar: true`), so there is nothing to compare; name a system that has it"
            )
        elif _has_dar(systems[key]):
            yield (
                f"systems.{key}: it has difficulty-aware regularisation as {full} has, whose "
                "ablation it shall be; delete `dar` from it"
            )
        elif _list_members(systems[full]) != _list_members(systems[key]):
            yield (
                f"systems.{key}.ablation_of: {full} has other models, and Table 5 compares the "
                "two exit by exit; give both the same `members`"
            )


def _list_members(system: System) -> list[tuple[str, int | None]]:
    """Returns the encoder of each model, and how many first layers of it are kept."""
    return [(run.encoder, run.option("layers")) for run in system.candidates[0].runs]


def _has_dar(system: System) -> bool:
    return any(run.labeller for run in system.runs)


def _find_missing_full_model(experiment: Experiment) -> Iterator[str]:
    """Seconds are compared with those of the full model, which must be there to be timed."""
    if experiment.in_seconds and experiment.full_run.name not in experiment.runs:
        reference = experiment.config["reference"]
        yield (
            f"evaluation.cost: speed-ups in seconds refer to the fine-tuned {reference}, which no "
            f"system trains; add one such as {{method: finetune, title: {reference}, encoder: "
            f"{reference}}}"
        )


def _find_layers_in_seconds(experiment: Experiment) -> Iterator[str]:
    """What counts layers cannot stand beside targets in seconds."""
    if not experiment.in_seconds:
        return
    if "layerwise" in experiment.config:
        yield "layerwise: its figures count layers; leave it out, or set evaluation.cost: layers"
    for key in experiment.extensions:
        yield (
            f"systems.{key}.extends: Appendix C counts layers; leave `extends` out, or set "
            "evaluation.cost: layers"
        )
