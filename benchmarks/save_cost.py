"""What share of a training goes into saving its state?

    PYTHONPATH=. python benchmarks/save_cost.py --save-seconds 1
    PYTHONPATH=. python benchmarks/save_cost.py --base --rounds 1

Fine-tunes on movie reviews as config.yaml does, saves the state as a job does, and prints the time
spent in it. With --base the encoder is a BERT-base of random weights: 110 M parameters.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import yaml

from cascadebert.data.load import load_task
from cascadebert.data.tokens import tokenize
from cascadebert.encoders.loading import load_tokenizer
from cascadebert.models.building import new_model
from cascadebert.systems.method import Run
from cascadebert.training.checkpoint import SAVE_SECONDS, Checkpoint
from cascadebert.training.loop import Examples, Settings, train

ROOT = Path(__file__).parent.parent
TOKENIZER = str(ROOT / "models/bert-12x128")


class Timed(Checkpoint):
    spent, saves = 0.0, 0

    def save(self, parts, about):
        super().save(parts, about)
        self.spent += self.duration
        self.saves += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", action="store_true", help="a BERT-base of random weights")
    parser.add_argument("--save-seconds", type=float, default=SAVE_SECONDS)
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    task = load_task("movies", config["tasks"]["movies"], config["seed"])
    tokenizer = load_tokenizer(TOKENIZER)
    splits = {name: tokenize(table, tokenizer, 64) for name, table in task.splits.items()}
    rows = np.arange(min(arguments.sentences, len(splits["train"])))
    examples = Examples(splits["train"].take(rows), splits["dev"], task.metric)
    with tempfile.TemporaryDirectory() as folder:
        encoder = base(folder, len(tokenizer)) if arguments.base else TOKENIZER
        for number in range(arguments.rounds):
            model = new_model(Run("finetune", "encoder"), encoder, task.labels, (), number)
            checkpoint = Timed(Path(folder, "state.safetensors"), arguments.save_seconds)
            start = time.perf_counter()
            train(
                model,
                examples,
                Settings.of({**config["training"], "epochs": 1}),
                seed=number,
                name=f"round {number}",
                checkpoint=checkpoint,
            )
            seconds = time.perf_counter() - start
            size = checkpoint.path.stat().st_size / 2**20 if checkpoint.saves else 0
            checkpoint.remove()
            print(
                f"{checkpoint.saves} saves of {size:,.0f} MiB in {seconds:.0f} s: "
                f"{100 * checkpoint.spent / (seconds - checkpoint.spent):.2f}% on top of training"
            )


def base(folder: str, words: int) -> str:
    from transformers import BertConfig, BertModel

    path = Path(folder, "base")
    BertModel(BertConfig(vocab_size=words)).save_pretrained(path)
    return str(path)


if __name__ == "__main__":
    main()
