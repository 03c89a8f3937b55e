"""Writes the tables and a figure of docs/replication.md from the CSV files in docs/replication/.

    PYTHONPATH=. python docs/scripts/replication.py                        # from the files there
    PYTHONPATH=. python docs/scripts/replication.py results/replication    # after copying them
    PYTHONPATH=. python docs/scripts/replication.py results/replication_epochs

Tasks may be run one after another, on whatever machine: each run has a folder there, named by its
tasks, and the tables show the tasks of all folders of an experiment. A table stands between
`<!-- NAME -->` and `<!-- end -->`; NAME is one of TABLES, or of a task. The CSV files are those
that an experiment and `make bench` make, and cost.csv, which adds up what Snakemake measured of
each job. A test says when the page is stale.
"""

import json
import re
import shutil
import sys
from itertools import product
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.protocol import read_jobs
from cascadebert.core.files import replacing
from cascadebert.evaluation.claims import BEATS, COMPLETE, Claim
from cascadebert.evaluation.temperature import UNSCALED_ECE
from cascadebert.experiment.published import add_published_numbers
from cascadebert.reporting import drawing
from cascadebert.reporting.grid import GAIN

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/replication.md"
DATA = ROOT / "docs/replication"
EPOCHS = DATA / "epochs"
FOLDERS = {"replication": DATA, "replication_epochs": EPOCHS}  # the runs of each experiment
MARKED = re.compile(r"(?<=<!-- )(?!end )([\w-]+)( -->\n).*?(?=<!-- end -->)", re.S)

# What the paper says of its own numbers: the first system less the second.
CASCADES = ["cascadebert", "cascadebert-without-dar"]
RIVALS = ["first-6", "first-4", "first-3", "deebert", "pabee", "fastbert"]
PAIRS = [*product(CASCADES, RIVALS), tuple(CASCADES)]
MEASURES = {"accuracy": "accuracy", "dis": "DIS", "ece": "ECE"}
VERDICTS = ["holds", "undecided", "does not hold"]
ONNX = {"onnx": "fp32", "onnx-int8": "int8"}
TRAINED = ["train", "label_runs"]  # the stages that train

# The systems of the study of epochs are called by these and the number of epochs.
TRAININGS = {"plain": "w/o DAR", "dar": "with DAR", "gatekeeper": "Gatekeeper"}

COPIED = [
    "provenance.json",
    "tables/table1_data.csv",
    "tables/table2_main.csv",
    "tables/table4_dar.csv",
    "tables/table5_calibration.csv",
    "tables/temperature.csv",
    "tables/curve_scores.csv",
    "tables/probes.csv",
    "tables/claims.csv",
    "figures/figure_tradeoff.png",
    "figures/figure_reliability.png",
    "performance/performance_1.csv",
    "performance/performance_1.png",
]


def copy_results(results: Path) -> None:
    """What the page shows of a run, to a folder of its experiment's in docs/replication."""
    experiment = json.loads((results / "provenance.json").read_text())["experiment"]
    if experiment not in FOLDERS:
        shown = " and ".join(FOLDERS)
        raise SystemExit(f"{results} has results of {experiment}; the page shows {shown}")
    tasks = list_tasks(results / "tables/table1_data.csv")
    folder = FOLDERS[experiment] / "-".join(tasks)
    for path in FOLDERS[experiment].glob("*/table1_data.csv"):
        shared = [task for task in list_tasks(path) if task in tasks]
        if shared and path.parent != folder:
            raise SystemExit(f"{path.parent} has {', '.join(shared)}, too; delete it first")
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (results / name).exists():
            shutil.copy(results / name, folder)
    jobs = read_jobs(results / "benchmarks")
    jobs["task"] = [names[0] if names else "" for names in jobs["names"]]
    jobs = jobs[jobs["task"].isin([*tasks, ""])]  # the folder may have jobs of other tasks, too
    cost = jobs.groupby(["stage", "task"], as_index=False).agg(
        jobs=("s", "size"),
        cpu_hours=("cpu_time", lambda seconds: seconds.sum() / 3600),
        longest_job_minutes=("s", lambda seconds: seconds.max() / 60),
        peak_memory_mib=("max_rss", "max"),
    )
    cost.to_csv(folder / "cost.csv", index=False, float_format="%.3f")


def list_tasks(table1: Path) -> list[str]:
    return pd.read_csv(table1)["task"].unique().tolist()


def read(name: str, folder: Path = DATA) -> pd.DataFrame:
    """The rows of a file, of all runs in the folder that have it."""
    return pd.concat(map(pd.read_csv, sorted(folder.glob(f"*/{name}.csv"))), ignore_index=True)


def read_points() -> pd.DataFrame:
    """Table 2 of all runs; the paper has cascades without DAR in its Table 4, and FastBERT in 7."""
    runs = []
    for path in sorted(DATA.glob("*/table2_main.csv")):
        said = json.loads(path.with_name("provenance.json").read_text())["configuration"]
        names = {
            section: {
                name: entry["published"]
                for name, entry in said[section].items()
                if "published" in entry
            }
            for section in ("systems", "tasks")
        }
        points = pd.read_csv(path)
        paper = points["paper_score"]
        for table in (4, 7):
            paper = paper.fillna(add_published_numbers(points, table, names)["paper_score"])
        runs.append(points.assign(paper_score=paper))
    return pd.concat(runs, ignore_index=True)


def write_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_score(row: pd.Series) -> str:
    if pd.isna(row["score"]):
        return "not reached"
    mark = "*" if row["undertrained"] else ""
    paper = "" if pd.isna(row["paper_score"]) else f"; {row['paper_score']:.1f}"
    interval = f"{row['low']:.1f} to {row['high']:.1f}"
    return f"{row['score']:.1f}{mark} ({interval}{paper}) at {row['speedup']:.2f}x"


def format_difference(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def format_gain(value: float, low: float, high: float) -> str:
    """A difference and its interval."""
    shown = [format_difference(number) for number in (value, low, high)]
    return "{} ({} to {})".format(*shown)


def write_scores(task: str) -> str:
    """The score of every system at every target speed-up on a task, beside the paper's."""
    points = read_points()
    points = points[points["task"] == task]
    targets = sorted(points["target_speedup"].unique())
    rows = []
    for title, of_system in points.groupby("title", sort=False):
        cells = {row["target_speedup"]: format_score(row) for _, row in of_system.iterrows()}
        rows.append([str(title), *(cells.get(target, "") for target in targets)])
    return write_table(["", *(f"{target:g}x" for target in targets)], rows)


def write_deebert() -> str:
    """The cascade less DeeBERT."""
    return write_gains(BEATS, "DeeBERT")


def write_complete() -> str:
    """A complete small model less first layers in a cascade."""
    return write_gains(COMPLETE)


def write_gains(claim: Claim, rival: str = "") -> str:
    """A claim's differences, from the rival if one is named, at each target speed-up.

    A row for each task and pair of systems; bold where the verdict is decided, corrected.
    """
    claims = read("claims")
    parts = claims["statistic"].str.extract(r"(?P<pair>.*), at (?P<target>.*)×$")
    found = claims.join(parts)[claims["claim"] == claim.name].dropna(subset="pair")
    found = found[found["pair"].str.endswith(rival)]
    targets = sorted(found["target"].unique(), key=float)
    rows = []
    for (task, pair), of_pair in found.groupby(["task", "pair"], sort=False):
        gains = [format_gain(*row) for row in of_pair[["value", "low", "high"]].values]
        decided = of_pair["verdict_holm"].isin(["holds", "does not hold"])
        gains = [f"**{gain}**" if sure else gain for gain, sure in zip(gains, decided, strict=True)]
        at = dict(zip(of_pair["target"], gains, strict=True))
        rows.append([str(task), str(pair), *(at.get(target, "") for target in targets)])
    return write_table(["", "", *(f"{target}x" for target in targets)], rows)


def write_curves() -> str:
    """The mean score of every curve from 1x to 4x, best first."""
    curves = read("curve_scores").dropna(subset="score")
    curves = curves[(curves["measure"] == "mean") & (curves["split"] == "test")]
    rows = []
    for task, of_task in curves.groupby("task", sort=False):
        for _, row in of_task.sort_values("score", ascending=False).iterrows():
            score = f"{row['score']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
            rows.append([str(task), str(row["title"]), score])
    return write_table(["", "", "mean score from 1x to 4x"], rows)


def write_data() -> str:
    """The rows of every split, and the share of the most frequent class."""
    splits = read("table1_data")
    majority = read("table2_main").groupby("task")["majority"].first()
    rows = []
    for task, of_task in splits.groupby("task", sort=False):
        of_split = of_task.set_index("split")
        sizes = [f"{of_split.loc[name, 'rows']:,}" for name in ("train", "dev", "test")]
        first = of_task.iloc[0]
        rows.append([str(task), first["metric"], *sizes, f"{majority[task]:.1f}"])
    return write_table(["", "measure", "train", "dev", "test", "most frequent class"], rows)


def write_paper() -> str:
    """The differences that the paper reports, and ours, with their signs."""
    points = read_points().set_index(["task", "system", "target_speedup"])
    rows = []
    for task in points.index.unique("task"):
        for target in sorted(points.index.unique("target_speedup")):
            for pair in PAIRS:
                both = [(task, system, target) for system in pair]
                if not all(key in points.index for key in both):
                    continue
                found = points.loc[both]
                columns = found[["score", "paper_score"]].astype(float)
                ours, theirs = columns.iloc[0] - columns.iloc[1]
                if pd.isna(ours) or pd.isna(theirs):
                    continue
                name = " − ".join(found["title"])
                same = "yes" if round(ours, 1) * round(theirs, 1) > 0 else "no"
                shown = [format_difference(value) for value in (theirs, ours)]
                rows.append([task, f"{target:g}x", name, *shown, same])
    return write_table(["", "", "difference", "the paper", "here", "same sign"], rows)


def write_dar() -> str:
    """Accuracy, DIS and ECE of the small model, with and without DAR."""
    exits = read("table5_calibration")
    exits = exits[exits["exit"] == 1]
    plain = exits[exits["difference"].isna()].set_index(["task", "measure"])["score"]
    rows = []
    for _, row in exits.dropna(subset="difference").iterrows():
        key = (row["task"], row["measure"])
        if row["measure"] in MEASURES and key in plain.index:
            scores = [f"{plain[key]:.1f}", f"{row['score']:.1f}"]
            rows.append([row["task"], MEASURES[row["measure"]], *scores, format_gain(*row[GAIN])])
    return write_table(["", "", "without DAR", "with DAR", "difference"], rows)


def read_epochs() -> pd.DataFrame:
    """What the small model and its cascade reach after each number of epochs.

    A row for each task, number of epochs and training: accuracy, dis, ECE without and with
    temperature scaling (unscaled, scaled) of the small model, in percent, and the cascade's score
    at each target speed-up (score_2, ...).
    """
    keys = ["task", "system"]
    exits = read("temperature", EPOCHS).merge(
        read("probes", EPOCHS)[[*keys, "exit", "accuracy"]], on=[*keys, "exit"]
    )
    exits = exits[exits["exit"] == 1]
    ece = exits[exits["measure"] == "ece"][[*keys, "accuracy", "unscaled", "scaled"]]
    dis = exits[exits["measure"] == "dis"].rename(columns={"scaled": "dis"})[[*keys, "dis"]]
    points = read("table2_main", EPOCHS)
    scores = points.pivot(index=keys, columns="target_speedup", values="score")
    scores.columns = [f"score_{target:g}" for target in scores.columns]
    found = ece.merge(dis, on=keys).merge(scores.reset_index(), on=keys)
    parts = found["system"].str.rpartition("-")
    found = found.assign(training=parts[0], epochs=parts[2])
    found = found[found["training"].isin(TRAININGS)].astype({"epochs": int})
    found["training"] = pd.Categorical(found["training"], list(TRAININGS))
    return found.sort_values(["task", "epochs", "training"], ignore_index=True)


def write_epochs() -> str:
    """The small model and the cascade after each number of epochs, by training."""
    measures = ["accuracy", "dis", "unscaled", "scaled", "score_2", "score_3"]
    rows = [
        [f"{row['task']}, {row['epochs']} epochs", TRAININGS[row["training"]]]
        + [f"{row[measure]:.1f}" for measure in measures]
        for _, row in read_epochs().iterrows()
    ]
    header = ["", "", "accuracy", "DIS", "ECE", "ECE, scaled"]
    return write_table([*header, "cascade at 2x", "at 3x"], rows)


def write_epochs_dar() -> str:
    """The small model and the cascade with DAR less those without, after each number of epochs."""
    exits = read("table5_calibration", EPOCHS)
    exits = exits[exits["exit"] == 1].set_index(["task", "system", "measure"])
    points = read("table4_dar", EPOCHS).set_index(["task", "system", "target_speedup"])
    measures = {"accuracy": "accuracy", "dis": "DIS", UNSCALED_ECE: "ECE", "ece": "ECE, scaled"}
    rows = []
    for _, row in read_epochs().query("training == 'dar'").iterrows():
        at = row["task"], row["system"]
        gains = [exits.loc[(*at, measure), GAIN] for measure in measures]
        gains += [points.loc[(*at, target), GAIN] for target in (2, 3)]
        shown = [format_gain(*gain) for gain in gains]
        rows.append([f"{row['task']}, {row['epochs']} epochs", *shown])
    header = ["", *measures.values(), "cascade at 2x", "at 3x"]
    return write_table(header, rows)


def draw_epochs() -> None:
    """ECE and DIS of the small model, and the cascade's score, by epochs; a row for each task."""
    found = read_epochs()
    tasks = found["task"].unique()
    panels = {"unscaled": "ECE (%)", "dis": "DIS (%)", "score_2": "score at 2x (%)"}
    with drawing.styled():
        figure = Figure(figsize=(drawing.PAGE, 2.2 * len(tasks)), layout="constrained")
        axes = figure.subplots(len(tasks), len(panels), squeeze=False)
        for of_task, task in zip(axes, tasks, strict=True):
            for ax, (measure, label) in zip(of_task, panels.items(), strict=True):
                draw_measure(ax, found[found["task"] == task], measure)
                ax.set(xlabel="epochs", ylabel=label, title=task)
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        with replacing(EPOCHS / "epochs.png") as draft:
            figure.savefig(draft, dpi=200, metadata={"Software": None})


def draw_measure(ax: Axes, of_task: pd.DataFrame, measure: str) -> None:
    """One measure of each training by epochs; of ECE the scaled one, too, in grey."""
    for look, (training, title) in zip(drawing.CURVES, TRAININGS.items(), strict=False):
        rows = of_task[of_task["training"] == training]
        style = {"marker": look.marker, "linestyle": look.line}
        ax.plot(rows["epochs"], rows[measure], color=look.color, label=title, **style)
        if measure == "unscaled":
            ax.plot(rows["epochs"], rows["scaled"], color="0.6", **style)
    ax.set_xticks(sorted(of_task["epochs"].unique()))
    ax.grid(axis="y")


def write_claims() -> str:
    """The tasks on which each claim holds: as the intervals say, and after Holm's correction."""
    claims = read("claims")
    of_tasks = claims[(claims["statistic"] == "all") & (claims["task"] != "all")]
    rows = []
    for claim, found in of_tasks.groupby("claim", sort=False):
        counts = []
        for column in ("verdict", "verdict_holm"):
            said = found[column].str.split(":").str[0]
            counts += [str(int((said == verdict).sum())) for verdict in VERDICTS]
        rows.append([str(claim), *counts])
    return write_table(["claim", *VERDICTS, *(f"{name}, corrected" for name in VERDICTS)], rows)


def write_milliseconds() -> str:
    """Score and time in ONNX Runtime, one text at a time and in batches."""
    measured = read("performance_1")
    measured = measured[measured["runtime"].isin(ONNX)]
    alone, batched = (measured[measured["batch"] == batch] for batch in (1, 32))
    keys = ["title", "runtime", "target"]
    rows = []
    for _, row in alone.merge(batched, on=keys, suffixes=("_alone", "_batched")).iterrows():
        target = "" if pd.isna(row["target"]) else f" at {row['target']:g}x"
        numbers = [f"{row['score_alone']:.1f}"]
        for batch in ("alone", "batched"):
            numbers += [
                f"{row[f'{name}_{batch}']:.2f}" for name in ("milliseconds", "against_int8")
            ]
        rows.append([f"{row['title']}{target}", ONNX[row["runtime"]], *numbers])
    header = ["", "precision", "score", "ms alone", "speed-up", "ms in batches of 32", "speed-up"]
    return write_table(header, rows)


def write_cost() -> str:
    """CPU hours of the trainings by experiment and task, and of all else."""
    parts = [read("cost", folder).assign(experiment=name) for name, folder in FOLDERS.items()]
    cost = pd.concat(parts, ignore_index=True)
    cost.loc[~cost["stage"].isin(TRAINED), ["stage", "task"]] = "all else", ""
    keys = ["experiment", "stage", "task"]
    cost = cost.groupby(keys, as_index=False).agg(
        {"jobs": "sum", "cpu_hours": "sum", "longest_job_minutes": "max", "peak_memory_mib": "max"}
    )
    rows = [
        [
            row["experiment"],
            row["stage"],
            row["task"],
            f"{row['jobs']}",
            f"{row['cpu_hours']:.2f}",
            f"{row['longest_job_minutes']:.1f}",
            f"{row['peak_memory_mib']:.0f}",
        ]
        for _, row in cost.sort_values("cpu_hours", ascending=False).iterrows()
    ]
    numbers = ["jobs", "CPU hours", "longest job (min)", "peak memory (MiB)"]
    return write_table([*keys, *numbers], rows)


TABLES = {
    "data": write_data,
    "deebert": write_deebert,
    "curves": write_curves,
    "paper": write_paper,
    "complete": write_complete,
    "dar": write_dar,
    "claims": write_claims,
    "epochs": write_epochs,
    "epochs-dar": write_epochs_dar,
    "milliseconds": write_milliseconds,
    "cost": write_cost,
}


def fill(page: str) -> str:
    """The page with every table made anew."""

    def make(found: re.Match[str]) -> str:
        name = found.group(1)
        table = TABLES[name]() if name in TABLES else write_scores(name)
        return f"{name}{found.group(2)}{table}\n"

    return MARKED.sub(make, page)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        copy_results(Path(folder))
    draw_epochs()
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
