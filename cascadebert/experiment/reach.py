"""Finds speed-ups and exits that are asked for and that the systems do not have."""

from collections.abc import Iterator
from itertools import pairwise

from cascadebert.core.text import join_words
from cascadebert.encoders.shape import count_layer_flops, read_shape
from cascadebert.experiment.configuration import Experiment, System
from cascadebert.systems.method import Run

ROUNDING = 1e-6  # of a speed-up that is computed from numbers of operations


def find_shrinking_cascades(experiment: Experiment) -> Iterator[str]:
    for key, system in experiment.systems.items():
        runs = system.candidates[0].runs
        for run, following in pairwise(runs):
            cost, next_cost = (_compute_cost(experiment, each) for each in (run, following))
            if cost is not None and next_cost is not None and cost > next_cost:
                yield (
                    f"systems.{key}: {run.encoder} costs more than {following.encoder}, which "
                    "comes after it; order the members from the smallest to the largest"
                )


def find_absent_exits(experiment: Experiment) -> Iterator[str]:
    """Exits that figures need and systems lack, as far as the encoders' shapes tell."""
    systems = experiment.systems
    layerwise = experiment.config.get("layerwise", {"series": {}})
    emits = layerwise.get("emits")
    if emits and not _has_exits_inside(systems[emits]):
        yield (
            f"layerwise.emits: {emits} has no exit after every layer; name a system that exits "
            "early inside one model"
        )
    for title, keys in layerwise["series"].items():
        for key in keys:
            if len(systems[key].candidates[0].runs) > 1:
                yield (
                    f"layerwise.series.{title}: {key} consists of several models, whose layers "
                    f"{emits} has not; name systems of one model"
                )
            elif absent := _list_absent_layers(experiment, key, emits):
                yield (
                    f"layerwise.series.{title}: {key} costs {join_words(absent)} layers of the "
                    f"reference model, but {emits} has no exit there; name systems of its width, "
                    "whose layers are among its own"
                )
    section = experiment.config.get("representations", {"systems": []})
    for key in section["systems"]:
        run = systems[key].candidates[0].runs[0]
        shape = read_shape(experiment.encoders.locate(run.encoder))
        if shape is None:
            continue
        layers, depth = section["layers"], run.option("layers", shape.num_hidden_layers)
        if layers > depth or (layers < depth and not _has_exits_inside(systems[key])):
            yield (
                f"representations: {key} has no exit after {layers} layers (its first model has "
                f"{depth}); leave it out, or set representations.layers: {depth}"
            )


def find_unreachable_targets(experiment: Experiment) -> Iterator[str]:
    """A target above the highest speed-up of all systems, as far as layers tell."""
    if experiment.in_seconds:
        return
    fastest = {key: _find_highest_speedup(experiment, key) for key in experiment.systems}
    known = {key: speedup for key, speedup in fastest.items() if speedup is not None}
    if len(known) < len(fastest):
        return
    best = max(known, key=lambda key: known[key])
    missed = [_list_missed(experiment, key, speedup) for key, speedup in known.items()]
    for target in sorted(set(missed[0]).intersection(*missed)):
        yield (
            f"evaluation.targets: no system has a speed-up of {target}x; the highest is "
            f"{known[best]:.2f}x, of {best} where all inputs leave at its first exit. Lower the "
            "target, or add a smaller model"
        )


def find_targets_that_proposed_misses(experiment: Experiment) -> Iterator[str]:
    if experiment.in_seconds:
        return
    proposed = experiment.config["proposed"]
    highest = _find_highest_speedup(experiment, proposed)
    if highest is not None and (missed := _list_missed(experiment, proposed, highest)):
        yield (
            f"{proposed} cannot be {join_words([f'{target}x' for target in missed], last='or')} as "
            f"fast as {experiment.config['reference']}: where all inputs leave at its first exit, "
            f"its speed-up is {highest:.2f}x. Tables have no row of it there"
        )


def find_models_above_reference(experiment: Experiment) -> Iterator[str]:
    reference = experiment.config["reference"]
    full = _compute_cost(experiment, experiment.full_run)
    if full is None:
        return
    encoders = dict.fromkeys(run.encoder for run in experiment.runs_of(experiment.systems))
    costs = {name: _compute_cost(experiment, Run("finetune", name)) for name in encoders}
    if larger := [name for name, cost in costs.items() if cost is not None and cost > full]:
        yield (
            f"the reference, {reference}, is smaller than {join_words(larger)}: the larger model "
            "has a speed-up below 1x. Speed-ups usually refer to the largest model"
        )


def _list_absent_layers(experiment: Experiment, key: str, emits: str) -> list[str]:
    """Returns the layers at which a system has an exit and `emits` has none, as far as is known."""
    ours, theirs = (_list_layers(experiment, each) for each in (key, emits))
    return [f"{layers:g}" for layers in ours if theirs and layers not in theirs]


def _list_layers(experiment: Experiment, key: str) -> list[float]:
    """Returns the costs of the exits of a system of one model, in layers of the reference model.

    [] where an encoder's shape is not known. Rounded as `layerwise` rounds them.
    """
    system = experiment.systems[key]
    run = system.candidates[0].runs[0]
    shape = read_shape(experiment.encoders.locate(run.encoder))
    unit = _compute_cost(experiment, Run("finetune", experiment.config["reference"]), 1)
    own = _compute_cost(experiment, run, 1)
    if shape is None or unit is None or own is None:
        return []
    last = run.option("layers", shape.num_hidden_layers)
    first = 1 if _has_exits_inside(system) else last
    return [round(layer * own / unit, 3) for layer in range(first, last + 1)]


def _has_exits_inside(system: System) -> bool:
    """Whether it exits after each layer of one model."""
    return bool(system.rule.knob) and len(system.candidates[0].runs) == 1


def _list_missed(experiment: Experiment, key: str, highest: float) -> list[float]:
    """Returns the targets that a system of this highest speed-up does not reach.

    A system without a knob may miss a target by the tolerance.
    """
    settings = experiment.config["evaluation"]
    allowed = ROUNDING if experiment.systems[key].rule.knob else settings["tolerance"]
    return [target for target in settings["targets"] if highest < target * (1 - allowed)]


def _find_highest_speedup(experiment: Experiment, key: str) -> float | None:
    """Returns the speed-up of a system where all inputs leave at its first exit.

    None if an encoder's shape is not known yet, as before it is fetched from the hub.
    """
    system = experiment.systems[key]
    full = _compute_cost(experiment, experiment.full_run)
    if full is None:
        return None
    costs: list[float] = []
    for candidate in system.candidates:
        first = candidate.runs[:-1] if system.rule.ensemble else candidate.runs[:1]
        layers = 1 if _has_exits_inside(system) else None
        parts = [_compute_cost(experiment, run, layers) for run in first]
        known = [cost for cost in parts if cost is not None]
        if len(known) < len(parts):
            return None
        costs.append(sum(known))
    return full / min(costs)


def _compute_cost(experiment: Experiment, run: Run, layers: int | None = None) -> float | None:
    """Returns the operations of a run's first `layers` layers (all, if None).

    None if the encoder's shape is not known.
    """
    shape = read_shape(experiment.encoders.locate(run.encoder))
    if shape is None:
        return None
    layers = layers or run.option("layers", shape.num_hidden_layers)
    return layers * count_layer_flops(shape, experiment.config["training"]["max_length"])
