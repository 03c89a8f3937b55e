"""The expensive stages, each from files to files: tokenize, label difficulty, train, predict."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cascadebert.checkpoint import Checkpoint
from cascadebert.difficulty import fold_of
from cascadebert.encoders import layer_cost, load_tokenizer
from cascadebert.errors import UserError
from cascadebert.files import replacing
from cascadebert.predictions import Predictions
from cascadebert.seeds import derive_seed
from cascadebert.store import Store, fingerprint
from cascadebert.systems import Run, system
from cascadebert.tasks import Task
from cascadebert.tokens import TokenizedSplit, tokenize
from cascadebert.training import Settings, predict, train

File = str | os.PathLike


def tokenize_task(task: Task, encoder: File, max_length: int, folder: File) -> None:
    """Writes <folder>/<split>.npz for every split.

    Raises UserError if the encoder cannot read texts of `max_length` tokens.
    """
    tokenizer = load_tokenizer(encoder)
    if max_length > tokenizer.model_max_length:
        raise UserError(
            f"training.max_length is {max_length}, but {encoder} reads "
            f"{tokenizer.model_max_length} tokens at most"
        )
    with replacing(folder) as draft:
        for split, table in task.splits.items():
            tokenize(table, tokenizer, max_length).save(draft / f"{split}.npz")


def label_run(
    task: Task,
    tokens: Path,
    run: Run,
    encoder: File,
    fold: int,
    folds: int,
    seed: int,
    settings: Settings,
    base_seed: int,
    store: Store,
    output: File,
) -> None:
    """Trains on all folds but one and notes which examples of that fold come right.

    A table with columns id, predicted, confidence, correct. A training that is in the `store` is
    not done again.
    """

    def label(draft: Path, checkpoint: Checkpoint) -> None:
        data, dev = (TokenizedSplit.load(tokens / f"{split}.npz") for split in ("train", "dev"))
        numbers = fold_of(data.labels, folds, derive_seed(base_seed, task.name, "folds"))
        inside, held_out = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        name = f"difficulty {task.name}/{run.name} fold {fold} seed {seed}"
        job_seed = derive_seed(base_seed, task.name, "difficulty", run.name, fold, seed)
        model = new_model(run, encoder, task.labels, (), job_seed)
        train(
            model,
            data,
            inside,
            dev,
            task.metric,
            settings,
            job_seed,
            name,
            checkpoint=checkpoint,
        )
        probabilities = torch.from_numpy(predict(model, data.take(held_out))[:, 0]).softmax(-1)
        confidence, predicted = (values.numpy() for values in probabilities.max(-1))
        table = pd.DataFrame(
            {
                "id": data.ids[held_out],
                "predicted": predicted,
                "confidence": confidence,
                "correct": predicted == data.labels[held_out],
            }
        )
        table.to_parquet(draft, index=False)

    names = ["difficulty", task.name, task.metric, task.labels, run.name, str(encoder)]
    names += [fold, folds, seed, base_seed]
    key = fingerprint({"names": names, "settings": vars(settings)}, _inputs(tokens, encoder))
    store.once(key, output, label)


def train_run(
    task: Task,
    tokens: Path,
    run: Run,
    encoder: File,
    parents: Sequence[Path],
    difficulty: File | None,
    settings: Settings,
    base_seed: int,
    replicate: int,
    store: Store,
    folder: File,
) -> None:
    """Trains one replicate of a run and writes it to `folder`, unless it is in the `store`.

    parents:    the folders of this replicate of the run's parents
    difficulty: difficulty labels of the training split, if the run is regularised with them
    """

    def fit(draft: Path, checkpoint: Checkpoint) -> None:
        data, dev = (TokenizedSplit.load(tokens / f"{split}.npz") for split in ("train", "dev"))
        difficult = None
        if difficulty is not None:
            labelled = pd.read_parquet(difficulty).set_index("id")
            difficult = labelled.loc[data.ids, "difficult"].to_numpy()
        seed = derive_seed(base_seed, task.name, run.name, replicate)
        model = new_model(run, encoder, task.labels, parents, seed)
        scores = train(
            model,
            data,
            np.arange(len(data)),
            dev,
            task.metric,
            settings,
            seed,
            f"{task.name}/{run.name} replicate {replicate}",
            difficult,
            run.option("margin"),
            checkpoint,
        )
        model.save(draft)
        epochs = pd.DataFrame({"epoch": range(1, len(scores) + 1), "dev_score": scores})
        epochs.to_csv(draft / "epochs.csv", index=False)
        load_tokenizer(encoder).save_pretrained(draft)

    names = ["train", task.name, task.metric, task.labels, run.name, str(encoder)]
    names += [replicate, base_seed]
    files = [*_inputs(tokens, encoder), *parents, *([difficulty] if difficulty else [])]
    key = fingerprint({"names": names, "settings": vars(settings)}, files)
    store.once(key, folder, fit)


def predict_run(
    task: Task,
    tokens: Path,
    run: Run,
    encoder: File,
    parents: Sequence[Path],
    trained: Path,
    reference: File,
    max_length: int,
    folder: File,
) -> None:
    """Writes the logits of all exits on every split but train to <folder>/<split>.npz."""
    model = new_model(run, encoder, task.labels, parents, seed=0)
    model.load(trained)
    costs = np.array(model.depths) * layer_cost(encoder, reference, max_length)
    with replacing(folder) as draft:
        for split in task.splits:
            if split != "train":
                data = TokenizedSplit.load(tokens / f"{split}.npz")
                logits = predict(model, data)
                Predictions(logits, costs, data.ids, data.labels).save(draft / f"{split}.npz")


def _inputs(tokens: Path, encoder: File) -> list[File]:
    """What every training reads: the examples and the encoder."""
    return [*(tokens / f"{split}.npz" for split in ("train", "dev")), encoder]


def new_model(
    run: Run, encoder: File, labels: list[str], parents: Sequence[Path], seed: int
) -> torch.nn.Module:
    """The run's model before training; `seed` draws its new weights."""
    torch.manual_seed(seed)
    return system(run.method).Model(run, encoder, labels, parents)
