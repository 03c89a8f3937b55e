"""All uses of Snakemake's internals, for settings that its public interface lacks.

Each function raises WorkflowError, with the version, where this Snakemake has no such internals.
"""

import snakemake
from snakemake.exceptions import WorkflowError


def spread_settings(workflow, rule: str, count: int) -> None:
    """Applies settings of a profile or --set-threads for `rule` to <rule>_0 to <rule>_<count - 1>.

    A profile cannot know how many packs of trainings there are. Call it before the first rule,
    since Snakemake reads these settings when it registers a rule.
    """
    settings = _find(workflow, "resource_settings")
    for name in ("overwrite_resources", "overwrite_threads"):
        given = _find(settings, name)
        if rule in given:
            for number in range(count):
                given.setdefault(f"{rule}_{number}", given[rule])


def asks_for(workflow, resource: str) -> bool:
    """Whether a profile or --set-resources gives some rule this resource."""
    given = _find(_find(workflow, "resource_settings"), "overwrite_resources")
    return any(resource in resources for resources in given.values())


def offer_resource(workflow, name: str, amount: int) -> None:
    """Jobs share so much of the resource, unless --resources says how much."""
    if name not in _find(workflow, "global_resources"):
        _find(workflow, "register_resource")(name, amount)


def count_cores(workflow) -> int:
    """The cores that jobs share; 1 without --cores, as on a cluster and where no job runs."""
    return _find(workflow, "global_resources")["_cores"].value or 1


def stop_job_rate_limit(workflow) -> None:
    """Snakemake starts as many jobs a second as there are.

    With a limit, Snakemake looks again at all that could start, every second and once more for each
    job that has ended. In a run of hundreds of jobs that takes a third of a core.
    """
    scheduler = _find(workflow, "scheduler")
    _find(scheduler, "job_rate_limiter")
    scheduler.job_rate_limiter = None


def _find(owner, name: str):
    try:
        return getattr(owner, name)
    except AttributeError:
        raise WorkflowError(
            f"Snakemake {snakemake.__version__} has no {type(owner).__name__}.{name}; install the "
            "version that requirements.txt names"
        ) from None
