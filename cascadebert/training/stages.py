"""The expensive stages, each from files to files: tokenize, label difficulty, train, predict."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from cascadebert.core.errors import UserError
from cascadebert.core.files import replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.data import Task
from cascadebert.data.tokens import TokenizedSplit, tokenize
from cascadebert.encoders.loading import check_family, layer_cost, load_config, load_tokenizer
from cascadebert.systems import Run, system
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.difficulty import fold_of
from cascadebert.training.head_training import train_heads
from cascadebert.training.loop import Settings, predict, train
from cascadebert.training.predictions import PROBES, Predictions
from cascadebert.training.probes import predict_with_probes, scale_exits
from cascadebert.training.records import MACHINE, ORIGIN, machine, origin
from cascadebert.training.store import Store, fingerprint

log = logging.getLogger(__name__)

File = str | os.PathLike


def tokenize_task(task: Task, encoder: File, max_length: int, folder: File) -> None:
    """Writes <folder>/<split>.npz for every split, and logs how many texts were cut.

    Raises UserError if the encoder cannot read these texts, or none of `max_length` tokens.
    """
    config = load_config(encoder)
    check_family(encoder, config)
    tokenizer = load_tokenizer(encoder)
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {encoder} has no padding token; name another encoder")
    longest = min(
        tokenizer.model_max_length, getattr(config, "max_position_embeddings", max_length)
    )
    if max_length > longest:
        raise UserError(
            f"training.max_length is {max_length}, but {encoder} reads {longest} tokens at most"
        )
    with replacing(folder) as draft:
        for split, table in task.splits.items():
            data = tokenize(table, tokenizer, max_length)
            if split == "train" and np.isin(data.tokens, tokenizer.all_special_ids).all():
                raise UserError(
                    f"{task.name}: {encoder} knows no word of the training texts; does it have "
                    "its tokenizer's files (tokenizer.json), and is it of their language?"
                )
            cut = count_cut(table, data, tokenizer, max_length)
            log.info("%s: %d of %d texts were cut at %d tokens", split, cut, len(data), max_length)
            data.save(draft / f"{split}.npz")


def count_cut(table: pd.DataFrame, data: TokenizedSplit, tokenizer, max_length: int) -> int:
    """How many texts of a tokenized split are longer than it has them."""
    full = table[data.lengths == max_length]
    if full.empty:
        return 0
    pairs = full["text_pair"].tolist() if full["text_pair"].notna().any() else None
    whole = tokenizer(full["text"].tolist(), pairs, verbose=False)["input_ids"]
    return sum(len(ids) > max_length for ids in whole)


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

    A table with columns id, predicted, confidence, correct, and as its `attrs` the machine. A
    training that is in the `store` is not done again.
    """

    def label(draft: Path, checkpoint: Checkpoint) -> None:
        data, dev = (TokenizedSplit.load(tokens / f"{split}.npz") for split in ("train", "dev"))
        fold_seed = derive_seed(base_seed, task.name, "folds")
        numbers = fold_of(data.labels, folds, fold_seed, task.name, task.labels)
        inside, held_out = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        name = f"difficulty {task.name}/{run.name} fold {fold} seed {seed}"
        job_seed = derive_seed(base_seed, task.name, "difficulty", run.name, fold, seed)
        model = new_model(run, encoder, task.labels, (), job_seed)
        check_reads(model, encoder, data)
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
        table.attrs = machine(settings.precision)
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
        check_reads(model, encoder, data)
        name = f"{task.name}/{run.name} replicate {replicate}"
        if run.frozen:
            scores = train_heads(model, data, dev, task.metric, seed, name, checkpoint)
        else:
            scale_exits(model, data, seed)
            scores = train(
                model,
                data,
                np.arange(len(data)),
                dev,
                task.metric,
                settings,
                seed,
                name,
                difficult,
                run.option("margin"),
                checkpoint,
            )
        model.save(draft)
        epochs = pd.DataFrame({"epoch": range(1, len(scores) + 1), "dev_score": scores})
        epochs.to_csv(draft / "epochs.csv", index=False)
        (draft / MACHINE).write_text(json.dumps(machine(settings.precision)) + "\n")
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
    seed: int,
    folder: File,
) -> None:
    """Writes the logits of all exits on every split but train to <folder>/<split>.npz.

    <folder>/probes has the same of linear probes on the states that the exits read, and
    origin.json says which weights gave them, and where (`records.origin`).

    seed: draws the training examples of the probes where there are more than they need
    """
    model = new_model(run, encoder, task.labels, parents, seed=0)
    model.load(trained)
    costs = np.array(model.depths) * layer_cost(encoder, reference, max_length)
    splits = {split: TokenizedSplit.load(tokens / f"{split}.npz") for split in task.splits}
    logits, probes = predict_with_probes(model, splits, derive_seed(seed, task.name, "probes"))
    with replacing(folder) as draft:
        for place, found in ((draft, logits), (draft / PROBES, probes)):
            place.mkdir(exist_ok=True)
            for split, of_split in found.items():
                data = splits[split]
                Predictions(of_split, costs, data.ids, data.labels).save(place / f"{split}.npz")
        (draft / ORIGIN).write_text(json.dumps(origin(trained)) + "\n")


def _inputs(tokens: Path, encoder: File) -> list[File]:
    """What every training reads: the examples and the encoder."""
    return [*(tokens / f"{split}.npz" for split in ("train", "dev")), encoder]


def new_model(
    run: Run, encoder: File, labels: list[str], parents: Sequence[Path], seed: int
) -> torch.nn.Module:
    """The run's model before training; `seed` draws its new weights.

    Raises UserError if the encoder cannot host it.
    """
    check_family(encoder, load_config(encoder))
    torch.manual_seed(seed)
    model = system(run.method).Model(run, encoder, labels, parents)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(
            f"{run.name}: {encoder} has too few layers (num_hidden_layers) for {run.method}, which "
            "trains exits before the last one; take an encoder of at least 2 layers"
        )
    return model


def check_reads(model: torch.nn.Module, encoder: File, data: TokenizedSplit) -> None:
    """Raises UserError if the model lacks embeddings of these tokens or of that many."""
    inside = next(part for part in model.modules() if isinstance(part, PreTrainedModel))
    words = inside.get_input_embeddings().num_embeddings
    if data.tokens.max() >= words:
        raise UserError(
            f"{encoder} has a vocabulary of {words}, but the texts have token {data.tokens.max()}; "
            "give it in `encoders` the `tokenizer` of an encoder with the same vocabulary, or none"
        )
    for name, part in inside.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            # RoBERTa counts positions from after the one that stands for padding.
            room = part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
            if data.lengths.max() > room:
                raise UserError(
                    f"training.max_length: texts have up to {data.lengths.max()} tokens, but "
                    f"{encoder} reads {room} at most"
                )
