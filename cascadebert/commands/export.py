"""`cascadebert export`."""

import argparse

from cascadebert.deployment.packing import export_cascade


def export(parsed: argparse.Namespace) -> None:
    """Writes the folder, and says what it promises."""
    described = export_cascade(
        parsed.results, parsed.system, parsed.folder, parsed.task, parsed.replicate
    )
    metric = described.about["metric"]
    for point in described.points:
        if point.target is None:  # a promise, which the model card shows
            continue
        split, of = list(point.measured.items())[-1]
        print(f"{point.runtime:10} {of['speedup']:.2f}x on {split}, {metric} {of['score']:.1f}")
    print(f"{parsed.folder}/README.md is its model card")
