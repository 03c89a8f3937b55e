"""The tasks of the section `submission`."""

from cascadebert.core.errors import UserError
from cascadebert.data.glue import GLUE, identify_glue_task
from cascadebert.experiment.configuration import Experiment


def find_submitted_tasks(experiment: Experiment) -> dict[str, str]:
    """GLUE task -> the experiment's name for it; {} without a section `submission`.

    Raises UserError if no task is a GLUE task, if two are the same GLUE task, if one has no whole
    test split, or if no threshold is chosen for the speed-up.
    """
    section = experiment.config.get("submission")
    if section is None:
        return {}
    targets = set(experiment.config["evaluation"]["targets"])
    if not experiment.systems[section["system"]].rule.knob:
        targets.add(1)
    if section["speedup"] not in targets:
        allowed = ", ".join(f"{target:g}" for target in sorted(targets))
        raise UserError(
            f"configuration, submission.speedup: no thresholds are chosen for "
            f"{section['speedup']:g}x; say one of {allowed}, or add it to evaluation.targets"
        )
    found: dict[str, str] = {}
    for task, spec in experiment.config["tasks"].items():
        if (glue := identify_glue_task(spec["source"])) is None:
            continue
        if glue in found:
            raise UserError(
                f"configuration, submission: {found[glue]} and {task} are both GLUE's {glue}, of "
                "which the server takes one; leave one of them out"
            )
        found[glue] = task
        limited = [split for split in spec.get("limit") or {} if split.startswith("test")]
        if spec.get("hold_out") or limited:
            what = "hold_out" if spec.get("hold_out") else f"limit.{limited[0]}"
            raise UserError(
                f"configuration, submission: the server takes predictions for the whole test split "
                f"of {glue}, which {task} has not; leave {what} out"
            )
    if not found:
        raise UserError(
            f"configuration, submission: the server takes predictions for {', '.join(GLUE)}, and "
            f"none of the tasks ({', '.join(experiment.tasks)}) is one of these: a source must "
            "have `glue: RTE`, or `hub: nyu-mll/glue` with `config: rte`"
        )
    return found
