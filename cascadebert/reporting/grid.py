"""Systems at target speed-ups, a column a task: the layout of Tables 2, 3, 4, 6 and 7.

A table's frame has the operating points of its systems (`points.measure_operating_points`), the
paper's numbers beside them (`published.add_published_numbers`) and, where there are ablations, the
columns GAIN.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import pandas as pd

from cascadebert.data.task import DEV
from cascadebert.evaluation.measures import BELOW
from cascadebert.evaluation.points import NOT_RUN, SAME_SPLIT
from cascadebert.reporting.typeset import Cell, Display, Footnotes, Row
from cascadebert.reporting.wording import format_interval, format_note, format_signed

METRICS = {"accuracy": "accuracy", "f1": "F1"}
NOTHING = "—"
INTERVALS = "Brackets: 95% bootstrap interval over examples and seeds"
GAIN = ["difference", "difference_low", "difference_high"]
IN_SAMPLE = "what was chosen on dev was chosen on examples that are scored, which flatters it"
INCOMPLETE = "no average without all columns"
ONE_EXAMPLE = "no interval of a single example"
UNDEFINED = "undefined: no example, or every one, is right"
MEAN = "its exits read the mean of all tokens' states; those of the others the first token's"
MAJORITY = "the most frequent label of train, whatever the text"
NO_MODEL = "no model is run"
UNDERTRAINED = (
    f"undertrained: an exit lies more than {BELOW} points below a linear probe on its states"
)

COST = {  # what the column of costs counts, by `evaluation.cost`
    "layers": " Cost: in layers of the reference model.",
    "seconds": " Cost: measured time, in layers of the full model that take as long.",
}

Place = tuple[str, str]  # task, split: a column of a table
Found = dict[Place, pd.Series | None]  # a row of the frame for each place; None without one


def select_rows(frame: pd.DataFrame, titles: dict[str, str]) -> pd.DataFrame:
    """The rows of the systems of `titles`, with their titles.

    Tasks and splits keep their order; systems get the order of the titles.
    """
    frame = frame[frame["system"].isin(titles)]
    order = {system: position for position, system in enumerate(titles)}
    tasks = {task: position for position, task in enumerate(dict.fromkeys(frame["task"]))}
    splits = {split: position for position, split in enumerate(dict.fromkeys(frame["split"]))}
    ranks = {"task": tasks, "split": splits, "system": order}
    keys = [k for k in ("task", "split", "target_speedup", "system", "exit") if k in frame]
    frame = frame.sort_values(
        keys, key=lambda column: column.map(ranks.get(column.name, lambda x: x)), kind="stable"
    )
    return frame.assign(title=frame["system"].map(titles)).reset_index(drop=True)


def select_place(frame: pd.DataFrame, place: Place) -> pd.DataFrame:
    """The rows of a task's split."""
    task, split = place
    return frame[(frame["task"] == task) & (frame["split"] == split)]


def list_undertrained(probes: pd.DataFrame) -> set[tuple[str, str, str]]:
    """System, task and split wherever an exit is undertrained.

    probes: `measures.compare_with_probes` of all tasks, which knows systems near no target, too
    """
    weak = probes[probes["undertrained"]]
    return set(zip(weak["system"], weak["task"], weak["split"], strict=True))


class Grid:
    """A table in blocks by target speed-up, with a row for each system and a column for each task.

    averaging: the systems whose exits read the mean of all tokens' states
    """

    def __init__(
        self,
        table: pd.DataFrame,
        titles: dict[str, str],
        ablations: Mapping[str, str] = MappingProxyType({}),
        averaging: Collection[str] = (),
    ):
        self.table, self.titles = table, titles
        self.ablations, self.averaging = ablations, averaging
        self.columns = list_columns(table)
        keys = ("target_speedup", "system", "task", "split")
        self.rows = {tuple(row[key] for key in keys): row for _, row in table.iterrows()}
        absent = table[table["note"] == NOT_RUN]
        self.absent = set(zip(absent["system"], absent["task"], absent["split"], strict=True))
        self.notes = Footnotes()

    def display(self, caption: str, majority: bool = False) -> Display:
        """The table for readers; a row with the gain follows a system and the same without DAR.

        majority: whether the last row is the score of the most frequent class
        """
        header = self._make_header()
        full_of = {without: full for full, without in self.ablations.items()}
        blocks = []
        for target, block in self.table.groupby("target_speedup"):
            systems = [system for system in self.titles if system in set(block["system"])]
            best = _find_best(block, self.columns) if len(systems) > 1 else {}
            lines = []
            for system in systems:
                mark = self.notes.mark(MEAN) if system in self.averaging else ""
                cells = self._make_score_cells(target, system, best)
                lines.append([Cell(self.titles[system], mark=mark), *cells])
                if full_of.get(system) in systems:
                    found = self._find(target, full_of[system])
                    lines.append([Cell("gain by DAR"), *_make_gain_cells(found, self.notes)])
            first = [Cell(f"{target:g}×"), *[Cell()] * (len(lines) - 1)]
            blocks.append([[label, *line] for label, line in zip(first, lines, strict=True)])
        if majority:
            mark = self.notes.mark(MAJORITY)
            blocks.append(
                [[Cell("any"), Cell("Majority class", mark=mark), *self._make_chance_cells()]]
            )
        return Display(caption, header, blocks, labels=2, notes=self.notes)

    def _make_chance_cells(self) -> list[Cell]:
        scores = self.table.groupby(["task", "split"])["majority"].first()
        cells = [Cell(f"{scores[place]:.1f}") for place in self.columns]
        if len(cells) > 1:
            return [*cells, Cell(f"{scores[self.columns].mean():.1f}")]
        return [*cells, *[Cell(NOTHING, mark=self.notes.mark(NO_MODEL))] * 2]

    def _find(self, target: float, system: str) -> Found:
        return {place: self.rows.get((target, system, *place)) for place in self.columns}

    def _make_header(self) -> Row:
        header = [Cell("Target"), Cell("System")]
        for task, split in self.columns:
            mine = select_place(self.table, (task, split))
            same = (mine["note"] == SAME_SPLIT).any()
            said = "thresholds were chosen on the split that is scored"
            mark = self.notes.mark(said) if same else ""
            header.append(Cell(f"{task}\n{split} {METRICS[mine['metric'].iloc[0]]}", mark=mark))
        last = ["Average"] if len(self.columns) > 1 else ["95% interval", "Speed-up"]
        return [*header, *map(Cell, last)]

    def _make_score_cells(self, target: float, system: str, best: dict) -> list[Cell]:
        """The cells of a system at a target: a column for each place, and their average.

        A single place has the score, its interval and the speed-up in columns of their own.
        """
        found, notes = self._find(target, system), self.notes
        alone = len(found) == 1
        cells = []
        for place, row in found.items():
            theirs = (None, None) if row is None else (row["paper_score"], row["paper_speedup"])
            if row is None or pd.isna(row["score"]):
                mark = notes.mark(self._explain_nothing(target, system, place))
                score, interval, real, bold = NOTHING, NOTHING, NOTHING, False
            else:
                score, real = f"{row['score']:.1f}", f"{row['speedup']:.2f}×"
                interval = format_interval(row["low"], row["high"])
                bold, mark = score == best.get(place), ""
            if not interval:
                interval, mark = NOTHING, notes.mark(ONE_EXAMPLE)
            if row is not None and row["undertrained"]:
                mark = ", ".join(filter(None, [mark, notes.mark(UNDERTRAINED)]))
            if alone:
                cells.append(Cell(score + format_paper(theirs[0]), bold, mark))
                cells.append(Cell(interval, mark=mark))
                cells.append(Cell(real + format_paper(None, theirs[1]), mark=mark))
            elif score == NOTHING:
                cells.append(Cell(NOTHING + format_paper(*theirs), mark=mark))
            else:
                text = f"{score} ({real})\n{interval}{format_paper(*theirs)}"
                cells.append(Cell(text, bold, mark))
        return cells if alone else [*cells, _make_average_cell(found, best, notes)]

    def _explain_nothing(self, target: float, system: str, place: Place) -> str:
        task, split = place
        if (row := self.rows.get((target, system, task, split))) is not None:
            why = format_note(row["note"])
        else:
            why = NOT_RUN if (system, task, split) in self.absent else "no operating point"
        return f"{self.titles[system]} at {target:g}× on {task} ({split}): {why}"


def _make_average_cell(found: Found, best: dict, notes: Footnotes) -> Cell:
    rows = pd.DataFrame([row for row in found.values() if row is not None])
    ours, theirs = (
        rows[name].mean(skipna=False) if len(rows) == len(found) else None
        for name in ("score", "paper_score")
    )
    if ours is None or pd.isna(ours):
        mark = notes.mark(INCOMPLETE)
        return Cell(NOTHING + format_paper(theirs), mark=mark)
    average = f"{ours:.1f}"
    return Cell(average + format_paper(theirs), average == best.get("average"))


def _make_gain_cells(found: Found, notes: Footnotes) -> list[Cell]:
    """The cells of a system's gain by DAR, in the columns of the scores."""
    if len(found) == 1:
        [row] = found.values()
        cell = make_gain_cell(row, notes)
        number, _, interval = cell.text.partition("\n")
        no_speedup = notes.mark("the two speed-ups stand above")
        return [
            cell._replace(text=number),
            Cell(interval) if interval else Cell(NOTHING, mark=cell.mark),
            Cell(NOTHING, mark=no_speedup),
        ]
    gains = [float("nan") if row is None else row["difference"] for row in found.values()]
    cells = [make_gain_cell(row, notes) for row in found.values()]
    if pd.isna(gains).any():
        return [*cells, Cell(NOTHING, mark=notes.mark(INCOMPLETE))]
    return [*cells, Cell(format_signed(sum(gains) / len(gains)))]


def make_gain_cell(row: pd.Series | None, notes: Footnotes) -> Cell:
    """The columns GAIN of a row: the difference and, below, its interval."""
    if row is None or pd.isna(row["difference"]):
        return Cell(NOTHING, mark=notes.mark("the two were not compared here"))
    return make_estimate_cell(row[GAIN], notes, number=format_signed)


def make_estimate_cell(
    estimate: Iterable[float], notes: Footnotes, *, number="{:.1f}".format, bold=False, end=""
) -> Cell:
    """A number and, below, its interval, then `end`; a footnote where there is no interval.

    estimate: the number, and the bounds of its interval
    number:   writes one of them
    """
    value, low, high = estimate
    interval = format_interval(low, high, number)
    if not interval:
        return Cell(number(value) + end, bold, notes.mark(ONE_EXAMPLE))
    return Cell(f"{number(value)}\n{interval}{end}", bold)


def _find_best(block: pd.DataFrame, columns: list[Place]) -> dict:
    """Column -> its highest score, as printed."""
    wide = block.pivot(index="system", columns=["task", "split"], values="score")
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(columns))
    highest = {column: f"{wide[column].max():.1f}" for column in columns}
    return highest | {"average": f"{wide.mean(axis=1, skipna=False).max():.1f}"}


def select_gains(differences: pd.DataFrame, ablations: dict[str, str]) -> pd.DataFrame:
    """The differences between a system and the same without DAR, columns renamed to GAIN."""
    of_dar = differences["against"] == differences["system"].map(ablations)
    gains = differences[of_dar].rename(columns={"low": "difference_low", "high": "difference_high"})
    keys = [k for k in ("task", "split", "target_speedup", "measure", "system") if k in gains]
    return gains[[*keys, *GAIN]]


def format_paper(score: float | None, speedup: float | None = None, digits: int = 1) -> str:
    """One more line of a cell with the paper's score and speed-up; empty without either."""
    parts = [] if pd.isna(score) else [f"{score:.{digits}f}"]
    parts += [] if pd.isna(speedup) else [f"({speedup:.2f}×)" if parts else f"{speedup:.2f}×"]
    return f"\npaper {' '.join(parts)}" if parts else ""


def describe_paper(table: pd.DataFrame, number: int) -> str:
    """A caption's sentence on the paper's numbers; empty without any.

    number: of the paper's table
    """
    if table["paper_score"].isna().all():
        return ""
    data = "GLUE's development splits" if number == 5 else "GLUE's test splits, by its server"
    return (
        f" Lines that begin with paper: Table {number} of Li et al. (2021), on {data}; ours are "
        "on the splits named here."
    )


def list_columns(table: pd.DataFrame) -> list[Place]:
    """Task and split of each column, in order."""
    return list(dict.fromkeys(zip(table["task"], table["split"], strict=True)))


def describe_sizes(table: pd.DataFrame) -> str:
    """Splits, what is in-sample, and numbers of examples and of seeds: the end of a sentence."""
    examples = [
        f"{task} {split}, n = {n:,}"
        for (task, split), n in table.groupby(["task", "split"], sort=False)["n"].first().items()
    ]
    low, high = int(table["replicates"].min()), int(table["replicates"].max())
    seeds = f"mean of {low if low == high else f'{low} to {high}'} seeds"
    same = f"; {IN_SAMPLE}" if DEV in set(table["split"]) else ""
    return f" ({'; '.join(examples)}); {'a single seed' if high == 1 else seeds}{same}"
