"""How fast does each system of a finished experiment answer, and how well?

    make bench        # after `make run`

Runs the full model, smaller models, early exits and cascades on one time axis: in torch, in ONNX
Runtime, there with int8, and in OpenVINO if that is installed. All are timed in turn, round after
round, on the same texts, once one text at a time and once in batches of 32. Writes a table,
its data and a figure to results/<experiment>/performance; for another task than the first, to a
folder of the task there.
"""

import argparse
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from goals import judge_goals
from matplotlib.figure import Figure
from serving import BATCHES, CHOSEN, OPENVINO, Bench, Served, Texts, list_runtimes
from tabulate import tabulate

from cascadebert.core.errors import UserError
from cascadebert.core.text import join_words
from cascadebert.data.scores import score
from cascadebert.deployment.latency import time_in_turn, time_texts
from cascadebert.deployment.members import FILES, INT8, ONNX, TORCH
from cascadebert.reporting.drawing import CURVES, add_common_legend, panel_grid, save_figure, styled
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.training.records import name_processor

Answered = dict[str, float]

FILLS = {TORCH: "white", ONNX: "0.8", INT8: "0.5", OPENVINO: "0.1"}


def list_served(bench: Bench, wanted: list[str] | None) -> list[Served]:
    """The full model on every runtime, then all other systems; of the cascades, the proposed one
    and those that were chosen by time. With `wanted`, the full model and these systems alone."""
    systems = bench.experiment.systems.values()
    full = bench.full_system
    if wanted:
        if unknown := sorted(set(wanted) - set(bench.experiment.systems)):
            raise UserError(
                f"--systems: {join_words(unknown)} is no system of {bench.experiment.name}; it has "
                f"{join_words(list(bench.experiment.systems))}"
            )
        chosen = [system for system in systems if system is full or system.key in wanted]
        return [served for system in chosen for served in bench.serve(system)]
    proposed = bench.experiment.config["proposed"]
    others = [
        system
        for system in systems
        if system is not full and (system.rule is not CONFIDENCES or system.key == proposed)
    ]
    found = [served for system in (full, *others) for served in bench.serve(system)]
    return [*found, *chain.from_iterable(map(bench.choose_by_time, BATCHES))]


def measure_answers(bench: Bench, served: Served, texts: Texts) -> Answered:
    """The score on the whole scored split, the layers saved, and whether exits are as computed.

    wrong_exits:      texts that execute other layers than the logits say
    near_threshold:   texts within 1e-5 of a threshold, where rounding decides; not in wrong_exits
    changed_by_batch: texts with another label or exit when they share no batch
    """
    predicted, layers = served.answer(*bench.texts(bench.split), 32)
    computed, distance = served.exits()
    near = distance < 1e-5
    together = np.stack(served.answer(*texts, 32))
    alone = [served.answer([t], texts[1] and [texts[1][i]], 1) for i, t in enumerate(texts[0])]
    return {
        "score": score(bench.task.metric, predicted, bench.labels(bench.split)),
        "layers_speedup": float(bench.depth / layers.mean()),
        "wrong_exits": int((layers != computed)[~near].sum()),
        "near_threshold": int(near.sum()),
        "changed_by_batch": int((np.concatenate(alone, axis=1) != together).any(axis=0).sum()),
    }


def measure_times(
    served: list[Served], texts: Texts, batch_size: int, rounds: int
) -> list[dict[str, float]]:
    """Milliseconds a text of each system, all in turn: median over rounds, and their range."""
    took = time_in_turn([each.answer for each in served], *texts, batch_size, rounds)
    means = 1000 * took.mean(axis=2)
    ratios = means[:, :1] / means  # against the first, round by round
    return [
        {
            "batch": batch_size,
            "milliseconds": np.median(means[:, i]),
            "fastest_round": means[:, i].min(),
            "slowest_round": means[:, i].max(),
            "p95": 1000 * np.median(np.quantile(took[:, i], 0.95, axis=1)),
            "seconds_speedup": np.median(ratios[:, i]),
        }
        for i in range(len(served))
    ]


def make_table(
    bench: Bench, served: list[Served], arguments: argparse.Namespace, known: dict[str, Answered]
) -> pd.DataFrame:
    """A row for each system, runtime, target and batch size.

    known: what was measured of the answers with another number of threads, and is added to
    """
    texts = bench.texts(bench.split, arguments.texts)
    rows = []
    for each in served:
        said = f"{each.title}, {each.runtime}, {each.target:g}"
        if said not in known or each.kind == CHOSEN:  # its thresholds follow from its times
            print(f"{bench.split} split: {said}", flush=True)
            known[said] = measure_answers(bench, each, texts)
        rows.append(
            {
                "system": each.system,
                "title": each.title,
                "kind": each.kind,
                "runtime": each.runtime,
                "target": each.target,
                "threads": bench.threads,
                "texts": len(texts[0]),
                "rounds": arguments.rounds,
                **known[said],
            }
        )
    frames = []
    for batch_size in BATCHES:
        print(f"timing {len(served)} systems, batches of {batch_size}", flush=True)
        times = measure_times(served, texts, batch_size, arguments.rounds)
        frames.append(pd.concat([pd.DataFrame(rows), pd.DataFrame(times)], axis=1))
    table = pd.concat(frames, ignore_index=True)
    full = table[table["system"] == served[0].system]
    same = table.merge(full, on=["runtime", "batch"], how="left")["milliseconds_y"]
    table["kept"] = same / table["milliseconds"] / table["layers_speedup"]
    int8 = full[full["runtime"] == INT8].set_index("batch")["milliseconds"]
    table["against_int8"] = table["batch"].map(int8) / table["milliseconds"]
    return table


def measure_memory(bench: Bench) -> pd.DataFrame:
    """MiB on disk, and the peak of a process that loads a system and answers texts one by one."""
    rows = []
    runs = {"full model": (bench.full,), "cascade": bench.proposed_runs()}
    for name, members in runs.items():
        for runtime in list_runtimes():
            files = [bench.member(run, runtime) for run in members]
            kind = (FILES | {OPENVINO: FILES[INT8]}).get(runtime, "model.safetensors")
            disk = sum((folder / kind).stat().st_size for folder in files)
            command = [sys.executable, __file__, str(bench.results), "--task", bench.task.name]
            command += ["--peak", runtime, name]
            peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows.append(
                {
                    "": name,
                    "runtime": runtime,
                    "disk (MiB)": f"{disk / 2**20:.1f}",
                    "peak memory (MiB)": f"{float(peak) / 1024:.0f}",
                }
            )
    return pd.DataFrame(rows)


def print_peak(bench: Bench, runtime: str, name: str) -> None:
    """What `measure_memory` asks a process of its own for, in KiB."""
    runs = (bench.full,) if name == "full model" else bench.proposed_runs()
    cascade = bench.cascade(runs, runtime, [0.9] * (len(runs) - 1))
    time_texts(cascade, *bench.texts(bench.split, 64), 1)
    # getrusage would count the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0])


def draw(table: pd.DataFrame) -> Figure:
    """Score against milliseconds a text, a panel for each batch size.

    A line joins the points than which none is both faster and better.
    """
    batches = sorted(table["batch"].unique())
    kinds, runtimes = (list(dict.fromkeys(table[name])) for name in ("kind", "runtime"))
    with styled():
        figure, axes = panel_grid(len(batches), [2.6])
        for ax, batch in zip(axes[0], batches, strict=True):
            here = table[table["batch"] == batch].sort_values("milliseconds")
            front = here[here["score"] > here["score"].cummax().shift(fill_value=-np.inf)]
            ax.step(front["milliseconds"], front["score"], where="post", color="0.6", linewidth=0.8)
            for (kind, runtime), points in here.groupby(["kind", "runtime"], sort=False):
                ax.scatter(
                    points["milliseconds"],
                    points["score"],
                    s=16,
                    marker=CURVES[kinds.index(kind)].marker,
                    facecolor=FILLS[runtime],
                    edgecolor=CURVES[kinds.index(kind)].color,
                    linewidth=0.8,
                    zorder=3,
                )
            for look, kind in zip(CURVES, kinds, strict=False):
                ax.scatter([], [], marker=look.marker, color=look.color, s=16, label=kind)
            for runtime in runtimes:
                ax.scatter(
                    [],
                    [],
                    marker="o",
                    facecolor=FILLS[runtime],
                    edgecolor="0.3",
                    label=runtime,
                    s=16,
                )
            ax.set_xscale("log")
            ax.set_xticks([t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if in_range(t, here)])
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter("")
            ax.set_xlabel("milliseconds a text")
            ax.set_ylabel("Score (%)")
            ax.set_title(f"batches of {batch}" if batch > 1 else "one text at a time", loc="left")
            ax.grid(axis="both")
        add_common_legend(figure, axes[0], [*kinds, *runtimes])
    return figure


def in_range(tick: float, points: pd.DataFrame) -> bool:
    return points["milliseconds"].min() / 1.5 <= tick <= points["milliseconds"].max() * 1.5


def describe(table: pd.DataFrame) -> str:
    """The table in Markdown, one for each batch size."""
    parts = []
    for batch, of_batch in table.groupby("batch"):
        rows = [
            {
                "system": each.title,
                "runtime": each.runtime,
                "target": "" if np.isnan(each.target) else f"{each.target:g}x",
                "score": f"{each.score:.1f}",
                "layers": f"{each.layers_speedup:.2f}",
                "ms a text": f"{each.milliseconds:.2f} "
                f"({each.fastest_round:.2f}-{each.slowest_round:.2f})",
                "95th percentile": f"{each.p95:.2f}",
                "against torch": f"{each.seconds_speedup:.2f}",
                "against int8": f"{each.against_int8:.2f}",
                "kept": f"{each.kept:.2f}",
            }
            for each in of_batch.itertuples()
        ]
        if batch > 1:  # texts of a batch are answered together
            for row in rows:
                del row["95th percentile"]
        title = f"### In batches of {batch}" if batch > 1 else "### One text at a time"
        made = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
        parts.append(f"{title}\n\n{made}")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results/movies"))
    parser.add_argument("--task", help="default: the first of the experiment")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--systems", nargs="+", help="these beside the full model; default: all")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        torch.set_num_threads(1)
        print_peak(Bench(arguments.results, 1, arguments.task), *arguments.peak)
        return
    known: dict[str, Answered] = {}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        bench = Bench(arguments.results, threads, arguments.task)
        print(f"task {bench.task.name}, {threads} thread(s)", flush=True)
        table = make_table(bench, list_served(bench, arguments.systems), arguments, known)
        stem = bench.folder / f"performance_{threads}"
        table.to_csv(f"{stem}.csv", index=False, float_format="%.4g")
        save_figure(draw(table), stem)
        page = write_page(bench, table, arguments)
        if threads == arguments.threads[0]:
            page += f"\n{measure_memory(bench).to_markdown(index=False)}\n"
        stem.with_suffix(".md").write_text(page)
        print(page, flush=True)


def write_page(bench: Bench, table: pd.DataFrame, arguments: argparse.Namespace) -> str:
    wrong = int(table["wrong_exits"].sum() / len(BATCHES))
    changed = table.groupby("runtime")["changed_by_batch"].max().to_dict()
    scored = len(bench.labels(bench.split))
    return f"""{name_processor()}, {bench.threads} thread(s). {scored} texts of
the {bench.split} split of {bench.task.name} are scored; {table["texts"].max()} of them are timed,
in {arguments.rounds} rounds.

{judge_goals(table).to_markdown(index=False)}

{describe(table)}

Texts that leave elsewhere than their logits say: {wrong}. Texts within 1e-5 of a threshold, where
rounding decides: {table["near_threshold"].max()} at most. Texts with another answer alone than in a
batch, at most: {changed}.
"""


if __name__ == "__main__":
    main()
