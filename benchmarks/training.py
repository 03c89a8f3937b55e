"""How long does a fine-tuning take, against the Trainer of transformers?

    PYTHONPATH=. python benchmarks/training.py results/movies       # needs `pip install accelerate`

Fine-tunes each encoder of a finished experiment for one epoch on the experiment's own training
examples: with the loop of this repository, with the Trainer as its examples use it (texts padded to
128 tokens), and with the Trainer at its best (batches padded to their longest text and grouped by
length, fused AdamW, bf16 where the hardware has it). All run in turn, round after round, in one
process. Saving and loading are not timed. With --stack N, N copies are also trained as one model
(`training.stacked`); its seconds are those of one copy. With --profile, the shares of torch's
operators in our loop are printed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from cascadebert.data.task import Task
from cascadebert.data.tokens import TokenizedSplit
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.experiment.configuration import Experiment
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training import loop
from cascadebert.training.records import name_processor
from cascadebert.training.stacked import train_stack

OURS = "this repository"
PADDED = 128  # tokens, as transformers' examples pad GLUE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results/movies"))
    parser.add_argument("--encoders", nargs="*", help="only these of the experiment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stack", type=int, default=0, help="copies that are trained as one")
    parser.add_argument("--profile", action="store_true", help="shares of torch's operators")
    parser.add_argument("--sizes", type=int, nargs="*", default=[], help="also with fewer examples")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    experiment = Experiment(yaml.safe_load((arguments.results / "config.yaml").read_text()))
    settings = loop.Settings.of(experiment.config["training"] | {"epochs": 1})
    task = Task.load(arguments.results / "data" / next(iter(experiment.tasks)))
    rows = []
    for name in arguments.encoders or experiment.config["encoders"]:
        encoder = experiment.encoders.locate(name)
        [tokens] = (arguments.results / "tokens" / task.name).glob("*/train.npz")
        data = TokenizedSplit.load(tokens)
        for size in (len(data), *arguments.sizes):
            chosen = data.take(np.random.default_rng(0).permutation(len(data))[:size])
            ways = prepare_ways(encoder, task.labels, chosen, settings)
            if arguments.profile:
                print_profile(ways[OURS])
            if arguments.stack:
                ways["this repository, stacked"] = stack_way(
                    encoder, task.labels, chosen, settings, arguments.stack
                )
            took = time_ways(ways, arguments.rounds)
            ours = took[:, :1]
            for way, seconds, ratio in zip(ways, took.T, (took / ours).T, strict=True):
                rows.append(
                    {
                        "encoder": name,
                        "examples": size,
                        "trained with": way,
                        "seconds an epoch": np.median(seconds),
                        "from": seconds.min(),
                        "to": seconds.max(),
                        "against ours": np.median(ratio),
                    }
                )
                print(rows[-1], flush=True)
    precision = loop.choose_dtype(settings.precision, loop.choose_device())
    print(
        f"\n{name_processor()}, {arguments.threads} thread(s), {precision}, {arguments.rounds} "
        f"rounds, batches of {settings.batch_size}, {data.lengths.mean():.0f} tokens a text\n"
    )
    print(pd.DataFrame(rows).round(2).to_markdown(index=False))


def prepare_ways(
    encoder: str, labels: list[str], data: TokenizedSplit, settings: loop.Settings
) -> dict[str, Callable[[], float]]:
    """Each way to train, as a function that trains a new model and returns the seconds."""
    tokenizer = load_tokenizer(encoder)
    records = [
        {
            **{name: values[0].tolist() for name, values in data.pad(np.array([row])).items()},
            "labels": int(data.labels[row]),
        }
        for row in range(len(data))
    ]
    reduced = loop.choose_dtype(settings.precision, loop.choose_device()) == torch.bfloat16

    def train_here() -> float:
        model = new_model(Run("finetune", "encoder"), encoder, labels, [], seed=0)
        examples = loop.Examples(data, data.take(np.arange(1)), "accuracy")
        return measure(
            lambda: loop.train(model, examples, settings, seed=0, name=f"{encoder}, ours")
        )

    def train_there(best: bool) -> float:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(labels)),
                TrainingArguments(
                    folder,
                    num_train_epochs=1,
                    per_device_train_batch_size=settings.batch_size,
                    learning_rate=settings.learning_rate,
                    weight_decay=settings.weight_decay,
                    max_grad_norm=settings.clip,
                    optim="adamw_torch_fused" if best else "adamw_torch",
                    train_sampling_strategy="group_by_length" if best else "random",
                    bf16=best and reduced,
                    use_cpu=not torch.cuda.is_available(),
                    save_strategy="no",
                    report_to=[],
                    disable_tqdm=True,
                ),
                DataCollatorWithPadding(tokenizer, "longest" if best else "max_length", PADDED),
                train_dataset=records,
            )
            return measure(trainer.train)

    return {
        OURS: train_here,
        "Trainer at its best": lambda: train_there(best=True),
        f"Trainer, padded to {PADDED}": lambda: train_there(best=False),
    }


def stack_way(
    encoder: str, labels: list[str], data: TokenizedSplit, settings: loop.Settings, copies: int
) -> Callable[[], float]:
    """Trains so many copies as one model; returns the seconds of one of them."""

    def train_copies() -> float:
        models = [
            new_model(Run("finetune", "encoder"), encoder, labels, [], seed)
            for seed in range(copies)
        ]
        examples = loop.Examples(data, data.take(np.arange(1)), "accuracy")
        seeds = list(range(copies))
        took = measure(
            lambda: train_stack(models, examples, settings, seeds=seeds, name=f"{encoder}, stacked")
        )
        return took / copies

    return train_copies


def print_profile(train: Callable[[], float]) -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        train()
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12), flush=True)


def time_ways(ways: dict[str, Callable[[], float]], rounds: int) -> np.ndarray:
    """Seconds, `[rounds, ways]`, of all ways in turn."""
    return np.array([[train() for train in ways.values()] for _ in range(rounds)])


def measure(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
