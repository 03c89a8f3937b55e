"""How well does each encoder of the family fine-tune, against its own random start and others?

    PYTHONPATH=. python benchmarks/encoders.py models/bert-2x128 models/bert-12x128
    PYTHONPATH=. python benchmarks/encoders.py models/bert-* --glue local/glue_data

Movie reviews as in config.yaml, scored on its test split; with --glue also SST-2, MRPC, RTE and
QNLI, scored on dev: a tenth of train chooses the epoch, and at most --sentences of the rest are
trained on. Prints a table and, with --out, writes every single score as CSV.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
import yaml

from cascadebert.core.seeds import derive_seed
from cascadebert.data.load import load_task
from cascadebert.data.scores import score
from cascadebert.data.tokens import has_pairs, tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.experiment.configuration import resolve
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.loop import Examples, Settings, predict, train

ROOT = Path(__file__).parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+", help="folders or hub names")
    parser.add_argument("--glue", type=Path, help="a folder with GLUE's own layout")
    parser.add_argument("--tasks", nargs="*", help="only these tasks")
    parser.add_argument("--sentences", type=int, default=4000, help="of GLUE's training splits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-random", action="store_true", help="leave the random starts out")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    config = resolve(yaml.safe_load((ROOT / "config.yaml").read_text()), {})
    if arguments.epochs:
        config["training"]["epochs"] = arguments.epochs
    if arguments.learning_rate:
        config["training"]["learning_rate"] = arguments.learning_rate
    tasks = {"movies": config["tasks"]["movies"]}
    if arguments.glue:
        for name in ("SST-2", "MRPC", "RTE", "QNLI"):
            source = {"glue": name, "folder": str(arguments.glue / name)}
            tasks[name] = {
                "source": source,
                "hold_out": 0.1,
                "limit": {"train": arguments.sentences},
            }

    if arguments.tasks:
        tasks = {name: entry for name, entry in tasks.items() if name in arguments.tasks}

    rows = []
    for name, entry in tasks.items():
        task = load_task(name, entry, config["seed"])
        for encoder in arguments.encoders:
            for start in ("pre-trained", "random")[: 1 if arguments.no_random else 2]:
                for seed in range(arguments.seeds):
                    value = fine_tuned(task, encoder, start == "random", seed, config)
                    rows.append([name, task.metric, encoder, start, seed, value])
                    print(*rows[-1][:-1], f"{value:.2f}", flush=True)
    table = pd.DataFrame(rows, columns=["task", "metric", "encoder", "start", "seed", "score"])
    if arguments.out:
        table.to_csv(arguments.out, index=False)
    means = table.groupby(["encoder", "start", "task"], sort=False)["score"].mean().unstack()
    print(means[list(tasks)].round(1).reset_index().to_markdown(index=False))


def fine_tuned(task, encoder: str, random: bool, seed: int, config: dict) -> float:
    """The score in percent on the test split, or on dev where test has no labels."""
    longest = config["training"]["max_length"]
    if has_pairs(task.splits["train"]):
        longest *= 2
    tokenizer = load_tokenizer(encoder)
    splits = {name: tokenize(table, tokenizer, longest) for name, table in task.splits.items()}
    scored = task.scored_splits[0]
    seed = derive_seed(config["seed"], "benchmark", task.name, seed)
    model = new_model(Run("finetune", "encoder"), encoder, task.labels, [], seed)
    if random:
        fresh = type(model.classifier)(model.classifier.config)
        model.classifier.load_state_dict(fresh.state_dict())
    train(
        model,
        Examples(splits["train"], splits["dev"], task.metric),
        Settings.of(config["training"]),
        seed=seed,
        name=f"{task.name}/{encoder}",
    )
    predicted = predict(model, splits[scored])[:, 0].argmax(axis=-1)
    return score(task.metric, predicted, splits[scored].labels)


if __name__ == "__main__":
    main()
