"""The tables and figures of an experiment, and the systems and tasks that each of them shows."""

from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from cascadebert.data.load import list_labels
from cascadebert.encoders.pooling import MEAN
from cascadebert.experiment.configuration import Experiment
from cascadebert.experiment.extent import Extent
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.systems.method import Run

ALL = "all"  # in the table of claims: all tasks, or all statistics of a claim

# In the order of the report.
TABLES = {
    "table1_data": "1: data and margins",
    "table2_main": "2: score at equal speed",
    "curve_scores": "the whole curve in one number",
    "table3_distillation": "3: against distilled students",
    "table4_dar": "4: with and without DAR",
    "table5_calibration": "5: DIS, accuracy and ECE",
    "table6_backbone": "6: without a pre-trained small model",
    "table7_fastbert": "7: against FastBERT",
    "appendix_c": "C: one more model, expected and measured",
    "classes": "F1 of each class, where there are more than two",
    "temperature": "DIS and ECE with and without temperature scaling",
    "promises": "Promised and realised loss of the cascades",
    "probes": "Every exit beside a linear probe: is it trained to the end?",
    "claims": "The paper's claims, one by one",
    "provenance": "what the results were made from and by",
}
# Tables of systems -> their number in the paper. The section `tables` names their systems. Without
# this section there is only Table 2, with all systems.
SYSTEM_TABLES = {
    "table2_main": 2,
    "table3_distillation": 3,
    "table6_backbone": 6,
    "table7_fastbert": 7,
}

FIGURES = {
    "figure2_layers": "2: the same number of layers",
    "figure3_dis": "3: DIS by layers",
    "figure4_representations": "4: what a model knows after a few layers",
    "figure5_tradeoff": "5: one more model in the cascade",
    "figure_tradeoff": "score against speed-up",
    "figure_reliability": "reliability diagrams",
    "figure_confidence": "confidence of easy and difficult instances",
}


# Of systems with and without difficulty-aware regularisation.
OF_DAR = ("table4_dar", "table5_calibration", "figure_reliability", "figure_confidence")


class Catalogue:
    """The tables and figures that the finished part of an experiment can show."""

    def __init__(self, experiment: Experiment, extent: Extent):
        self.experiment, self.extent = experiment, extent
        self.tasks = list(extent.systems)
        self.titles = {key: system.title for key, system in experiment.systems.items()}
        self.pooling = {key: system.pooling for key, system in experiment.systems.items()}
        self.averaging = [key for key, state in self.pooling.items() if state == MEAN]

    @cached_property
    def tables(self) -> dict[str, str]:
        """Table -> its label in the report."""
        left_out = SYSTEM_TABLES.keys() - self.rows.keys()
        if not self.extensions:
            left_out.add("appendix_c")
        if not self.ablations:
            left_out.update(OF_DAR)
        if not self.multiclass_tasks:
            left_out.add("classes")
        if not self.experiment.config["evaluation"]["temperature"]:
            left_out.add("temperature")
        if not self.cascades:
            left_out.add("promises")
        if self.claimed == [self.experiment.config["proposed"]]:
            left_out.add("claims")
        return {table: label for table, label in TABLES.items() if table not in left_out}

    @cached_property
    def figures(self) -> dict[str, str]:
        """Figure -> its label in the report."""
        shown_on = {
            "figure2_layers": self.layered_tasks,
            "figure3_dis": self.layered_tasks,
            "figure4_representations": self.represented_tasks,
            "figure5_tradeoff": self.extended_tasks,
            **dict.fromkeys(OF_DAR, self.ablations),
        }
        return {name: label for name, label in FIGURES.items() if shown_on.get(name, self.tasks)}

    @cached_property
    def rows(self) -> dict[str, dict[str, str]]:
        """Table of systems -> its systems in the order of the rows, with their titles."""
        rows = {"table2_main": list(self.titles), **self.experiment.config.get("tables", {})}
        return {table: self.titles_of(systems) for table, systems in rows.items()}

    @cached_property
    def table6_encoders(self) -> list[str]:
        """The encoders that the systems of Table 6 start from."""
        runs = self.experiment.runs_of(self.rows.get("table6_backbone", ()))
        return list(dict.fromkeys(run.encoder for run in runs))

    @cached_property
    def published(self) -> dict[str, dict[str, Any]]:
        """The paper's names of the systems and of the tasks' splits, see `published`."""
        config = self.experiment.config
        systems = self.experiment.systems.items()
        return {
            "systems": {key: system.published for key, system in systems if system.published},
            "tasks": {task: about.get("published", {}) for task, about in config["tasks"].items()},
        }

    @cached_property
    def extensions(self) -> dict[str, str]:
        """`Experiment.extensions`, as far as they were run."""
        return self.pairs_run(self.experiment.extensions)

    @cached_property
    def ablations(self) -> dict[str, str]:
        """`Experiment.ablations`, as far as they were run."""
        return self.pairs_run(self.experiment.ablations)

    @cached_property
    def truncations(self) -> dict[str, str]:
        """`Experiment.truncations`, as far as they were run."""
        return self.pairs_run(self.experiment.truncations)

    @cached_property
    def cascades(self) -> list[str]:
        """Cascades that leave by the confidence of their members and were run on some task."""
        systems = self.experiment.systems.items()
        cascades = [key for key, system in systems if system.rule is CONFIDENCES]
        return [key for key in cascades if self.tasks_with([key])]

    @cached_property
    def ablated(self) -> list[str]:
        """Systems with DAR, and the same without."""
        return [*self.ablations, *self.ablations.values()]

    @cached_property
    def extended(self) -> list[str]:
        """Cascades with one more model, and those with fewer."""
        return [*self.extensions, *self.extensions.values()]

    @cached_property
    def complete(self) -> list[str]:
        """The complete models of the section `layerwise`: those of one exit in its last series."""
        last = self.series[-1] if self.series else []
        return [key for key in last if not self.experiment.systems[key].rule.knob]

    @cached_property
    def series(self) -> list[list[str]]:
        """The systems of each series of the section `layerwise`, from the worst to the best."""
        return list(self.experiment.config.get("layerwise", {}).get("series", {}).values())

    @cached_property
    def layered(self) -> list[str]:
        """The systems of Figures 2 and 3."""
        if not self.series:
            return []
        return [self.experiment.config["layerwise"]["emits"], *chain(*self.series)]

    @cached_property
    def represented(self) -> list[str]:
        """The systems of Figure 4."""
        return self.experiment.config.get("representations", {}).get("systems", [])

    @cached_property
    def claimed(self) -> list[str]:
        """The systems that the paper's claims are about."""
        proposed = self.experiment.config["proposed"]
        about = [proposed, *self.experiment.rivals, *self.ablated, *self.extended]
        about += [*self.truncations, *self.truncations.values()]
        return list(dict.fromkeys([*about, *chain(*self.series)]))

    @cached_property
    def traded_off(self) -> dict[str, str]:
        """The systems of the figure of score against speed-up, with their titles."""
        config = self.experiment.config
        return self.titles_of(config.get("tradeoff", self.rows["table2_main"]))

    @cached_property
    def middle_target(self) -> float:
        targets = sorted(self.experiment.config["evaluation"]["targets"])
        return targets[len(targets) // 2]

    @cached_property
    def layered_tasks(self) -> list[str]:
        """The tasks of Figures 2 and 3: those on which all their systems were run."""
        return self.tasks_with(self.layered) if self.layered else []

    @cached_property
    def represented_tasks(self) -> list[str]:
        """The tasks of Figure 4."""
        if not self.represented:
            return []
        tasks = self.tasks_with(self.represented)
        if not self.experiment.config["only_finished"]:
            return tasks
        folder = Path(self.experiment.results, "representations")
        files = [f"{run.name}.npz" for run in self.represented_runs]
        return [task for task in tasks if all((folder / task / file).exists() for file in files)]

    @cached_property
    def represented_runs(self) -> list[Run]:
        """The first model of each candidate of the systems of Figure 4."""
        systems = [self.experiment.systems[key] for key in self.represented]
        runs = [candidate.runs[0] for system in systems for candidate in system.candidates]
        return list(dict.fromkeys(runs))

    @cached_property
    def multiclass_tasks(self) -> list[str]:
        """The tasks of more than two classes."""
        entries = self.experiment.config["tasks"]
        return [task for task in self.tasks if len(list_labels(entries[task])) > 2]

    @cached_property
    def extended_tasks(self) -> list[str]:
        """The tasks of Figure 5."""
        return self.tasks_with(self.extended) if self.extensions else []

    @cached_property
    def missing(self) -> list[str]:
        """The parts of the experiment that were not run or are not shown, in sentences."""
        config = self.experiment.config
        figures = [
            ("Figures 2 and 3", self.layered_tasks, config.get("layerwise")),
            ("Figure 4", self.represented_tasks, config.get("representations")),
            ("Figure 5 and Appendix C", self.extended_tasks, self.experiment.extensions),
        ]
        return self.extent.missing + [
            f"{name} without {', '.join(absent)}: not all that they compare was run there."
            for name, shown_on, wanted in figures
            if wanted and (absent := [task for task in self.tasks if task not in shown_on])
        ]

    @cached_property
    def left_out(self) -> list[str]:
        """Why tables and figures that every experiment has room for are not there, in sentences."""
        found = []
        if not self.ablations:
            found.append(
                "Tables 4 and 5, the reliability diagrams and the figure of confidence are left "
                "out: they compare a system with and without difficulty-aware regularisation, and "
                "no such pair was run."
            )
        if "claims" not in self.tables:
            found.append(
                "The table of the paper's claims is left out: a claim compares the proposed system "
                "with early exits, a cascade with its variant (`ablation_of`, `extends` or "
                "`truncation_of`), or the series of `layerwise`, and none of these was run."
            )
        return found

    def tasks_with(self, systems: Iterable[str]) -> list[str]:
        """The tasks on which all of these systems were run."""
        return [task for task, run in self.extent.systems.items() if set(systems) <= set(run)]

    def pairs_run(self, pairs: dict[str, str]) -> dict[str, str]:
        """The pairs of systems that were both run on at least one task."""
        return {one: other for one, other in pairs.items() if self.tasks_with([one, other])}

    def titles_of(self, systems: Iterable[str]) -> dict[str, str]:
        return {key: self.titles[key] for key in dict.fromkeys(systems)}
