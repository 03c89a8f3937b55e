"""Does the cascade save the time that its counted layers promise?

    make bench        # after `make run`

Runs the full model and the cascade of a finished experiment on the test sentences, at every
target speed-up, several times in turn, and prints the ratio of their times beside that of their
layers.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import yaml
from tabulate import tabulate

from cascadebert.data.task import Task
from cascadebert.deployment.cascade import Cascade
from cascadebert.evaluation.choice import Choice
from cascadebert.experiment.configuration import Experiment


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results/movies"))
    parser.add_argument("--sentences", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    experiment = Experiment(yaml.safe_load((arguments.results / "config.yaml").read_text()))
    (task, *_), system = experiment.tasks, experiment.config["proposed"]
    table = Task.load(arguments.results / "data" / task).splits["test"].iloc[: arguments.sentences]
    texts = table["text"].tolist()
    pairs = table["text_pair"].tolist() if table["text_pair"].notna().any() else None
    choice = Choice.load(arguments.results / "evaluation" / task / "choices" / f"{system}.json")
    cascades = {
        target: Cascade.from_results(arguments.results, task, system, target)
        for target in choice.knobs
    }
    largest = next(iter(cascades.values()))
    full = Cascade(
        largest.members[-1:], largest.tokenizers[-1:], threshold=0.0, max_length=largest.max_length
    )

    rows = []
    for batch_size in (1, 32):
        ratios = {target: [] for target in cascades}
        full(texts[:64], pairs and pairs[:64], batch_size)  # warm up
        for _ in range(arguments.rounds):
            reference = seconds(full, texts, pairs, batch_size)
            for target, cascade in cascades.items():
                ratios[target].append(reference / seconds(cascade, texts, pairs, batch_size))
        for target, measured in ratios.items():
            layers = cascades[target](texts, pairs, 32).layers
            counted = full.layers[-1] / layers.mean()
            spread = f"{statistics.median(measured):.2f} ({min(measured):.2f}-{max(measured):.2f})"
            rows.append([batch_size, f"{target:g}", f"{counted:.2f}", spread])
    header = ["batch", "target", "speed-up in layers", "speed-up in seconds (range)"]
    print(f"{len(texts)} test sentences of {task}, {torch.get_num_threads()} thread(s), ", end="")
    print(f"{arguments.rounds} rounds\n")
    print(tabulate(rows, headers=header, tablefmt="github"))


def seconds(cascade: Cascade, texts, pairs, batch_size: int) -> float:
    start = time.perf_counter()
    cascade(texts, pairs, batch_size)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
