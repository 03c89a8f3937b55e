"""What did a finished experiment cost, and what would the paper's protocol cost on this machine?

    PYTHONPATH=. python benchmarks/protocol.py results/movies

The first table adds up what Snakemake measured of each job: CPU time and peak memory by stage. The
second models the paper's protocol. It takes from the experiment's first task how long an example
takes in an epoch, for the runs that label difficulty and for the trained runs, and multiplies by
the number of examples of the paper's tasks, 10 epochs and 40 label runs. Replicates and the length
of texts are the experiment's.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from cascadebert.data.tokens import TokenizedSplit
from cascadebert.experiment.configuration import Experiment
from cascadebert.training.records import name_processor

# Training examples (Wang et al. 2019, "GLUE", Table 1).
TASKS = {
    "MRPC": 3_668,
    "RTE": 2_490,
    "SST-2": 67_349,
    "QNLI": 104_743,
    "QQP": 363_846,
    "MNLI": 392_702,
}
EPOCHS, LABEL_RUNS = 10, 40  # of the paper: 8 folds x 5 seeds
FOLD = 7 / 8  # of the examples that a label run trains on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results/movies"))
    arguments = parser.parse_args()
    experiment = Experiment(yaml.safe_load((arguments.results / "config.yaml").read_text()))
    jobs = read_jobs(arguments.results / "benchmarks")
    print(f"{name_processor()}\n")
    print(add_up_stages(jobs).to_markdown(index=False, floatfmt=".1f"), "\n")
    print(model_protocol(experiment, jobs, arguments.results).to_markdown(index=False))


def read_jobs(folder: Path) -> pd.DataFrame:
    """A row a job: stage, name, seconds, CPU seconds, and peak memory in MiB."""
    frames = []
    for path in sorted(folder.rglob("*.tsv")):
        stage, *names = path.relative_to(folder).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t")[["s", "cpu_time", "max_rss"]]
        frames.append(
            measured.assign(stage=stage if names else "tables and figures", names=[names])
        )
    return pd.concat(frames, ignore_index=True)


def add_up_stages(jobs: pd.DataFrame) -> pd.DataFrame:
    stages = jobs.groupby("stage").agg(
        jobs=("s", "size"),
        cpu=("cpu_time", "sum"),
        longest=("s", "max"),
        memory=("max_rss", "max"),
    )
    total = stages["cpu"].sum()
    return (
        stages.assign(share=100 * stages["cpu"] / total, cpu=stages["cpu"] / 60)
        .sort_values("cpu", ascending=False)
        .reset_index()
        .rename(
            columns={
                "cpu": "CPU minutes",
                "share": "% of all",
                "longest": "longest job (s)",
                "memory": "peak memory (MiB)",
            }
        )
    )


def model_protocol(experiment: Experiment, jobs: pd.DataFrame, results: Path) -> pd.DataFrame:
    """CPU hours a task, of the label runs and of the systems, with two jobs side by side."""
    task = next(iter(experiment.tasks))
    tokens = next((results / "tokens" / task).glob("*/train.npz"))  # all have the same examples
    examples = len(TokenizedSplit.load(tokens))
    epochs = experiment.config["training"]["epochs"]
    jobs = jobs[[names[:1] == [task] for names in jobs["names"]]]  # others have other examples
    labelling = jobs[jobs["stage"] == "label_runs"]["cpu_time"].sum()
    runs = len(experiment.labellers) * len(experiment.folds) * len(experiment.seeds)
    inside = examples * (1 - 1 / len(experiment.folds))
    label_second = labelling / max(1, runs) / inside / epochs
    trainings = jobs[jobs["stage"] == "train"]["cpu_time"].sum() / examples / epochs
    rows = []
    for name, count in TASKS.items():
        labels = label_second * LABEL_RUNS * len(experiment.labellers) * FOLD * count * EPOCHS
        systems = trainings * count * EPOCHS
        rows.append(
            {
                "task": name,
                "training examples": count,
                "label runs (CPU h)": round(labels / 3600, 1),
                "systems (CPU h)": round(systems / 3600, 1),
                "two jobs at a time (h)": round((labels + systems) / 7200, 1),
            }
        )
    table = pd.DataFrame(rows)
    total = {"task": "all", **table.drop(columns="task").sum().round(1)}
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


if __name__ == "__main__":
    main()
