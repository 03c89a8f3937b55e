"""The expensive stages, each from files to files: label difficulty, train, predict."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cascadebert.core.files import File, replacing
from cascadebert.core.seeds import derive_seed
from cascadebert.data.predictions import PROBES, Predictions
from cascadebert.data.task import DEV, Task
from cascadebert.data.tokens import TokenizedSplit, has_pairs
from cascadebert.encoders.loading import READS_PAIRS, compute_layer_cost, load_tokenizer
from cascadebert.models import model_module, model_packages
from cascadebert.models.base import ExitModel
from cascadebert.models.building import check_reads, find_encoder, new_model
from cascadebert.models.heads import FrozenExits
from cascadebert.systems.method import Run
from cascadebert.training import head_training
from cascadebert.training.checkpoint import Checkpoint
from cascadebert.training.difficulty import assign_folds
from cascadebert.training.loop import Examples, Regularisation, Settings, predict, train
from cascadebert.training.probes import predict_with_probes, scale_exits
from cascadebert.training.records import MACHINE, ORIGIN, describe_machine, describe_origin
from cascadebert.training.stacked import train_stack
from cascadebert.training.store import Store, fingerprint, put
from cascadebert.training.tokenizing import TOKENIZER, check_tokens

TRAIN = "train"
FOLDING = {"scikit-learn"}  # the packages on which `difficulty.assign_folds` rests


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run on a task, and the files that its model is made from.

    tokens:  the folder of the task's tokenized splits, and of the tokenizer that made them
    encoder: the folder of the run's encoder
    parents: the folders of the run's trained parents, of the same replicate
    seed:    the experiment's seed
    """

    task: Task
    tokens: Path
    run: Run
    encoder: File
    parents: Sequence[Path] = ()
    seed: int

    def load_split(self, split: str) -> TokenizedSplit:
        return TokenizedSplit.load(self.tokens / f"{split}.npz")

    def derive_seed(self, *names: object) -> int:
        """The seed of a part of the job, the same whenever and wherever the job runs."""
        return derive_seed(self.seed, self.task.name, *names)

    def start_model(self, seed: int) -> ExitModel:
        """The run's model before training. Raises UserError unless it can read the tokens."""
        check_tokens(self.tokens, self.encoder, any(map(has_pairs, self.task.splits.values())))
        model = self.new_model(seed)
        check_reads(model, self.encoder, self.load_split(TRAIN))
        return model

    def new_model(self, seed: int) -> ExitModel:
        return new_model(self.run, self.encoder, self.task.labels, self.parents, seed)

    def load_model(self, trained: File) -> ExitModel:
        """The model that a training wrote to the folder `trained`."""
        model = self.new_model(seed=0)
        model.load(trained)
        return model


@dataclass(frozen=True, kw_only=True)
class LabellingJob(Job):
    """One training of a run that labels difficulty, on all folds of a task but one.

    replicate: which of the trainings on these folds; each has a seed of its own
    """

    settings: Settings
    fold: int
    folds: int
    replicate: int

    @property
    def own_seed(self) -> int:
        return self.derive_seed("difficulty", self.run.name, self.fold, self.replicate)

    @property
    def key(self) -> str:
        """The job's name in the store."""
        return _fingerprint("difficulty", self, [self.fold, self.folds, self.replicate])


@dataclass(frozen=True, kw_only=True)
class TrainingJob(Job):
    """One replicate of a run.

    difficulty: difficulty labels of the training split, if the run is regularised with them
    """

    settings: Settings
    replicate: int
    difficulty: File | None = None

    @property
    def key(self) -> str:
        """The job's name in the store."""
        difficulty = [] if self.difficulty is None else [self.difficulty]
        files = [self.tokens / TOKENIZER, *self.parents, *difficulty]
        return _fingerprint("train", self, [self.replicate], files)


def _fingerprint(
    stage: str, job: LabellingJob | TrainingJob, numbers: list[int], files: Sequence[File] = ()
) -> str:
    """Names the job by what its result depends on.

    files: beside the examples and the encoder, which every training reads
    """
    task = job.task
    names = [stage, task.name, task.metric, task.labels, job.run.name]
    examples = [job.tokens / f"{split}.npz" for split in (TRAIN, DEV)]
    packages = set(model_packages(job.run.method))
    if isinstance(job, LabellingJob):
        packages |= FOLDING
    return fingerprint(
        {"names": [*names, *numbers, job.seed], "settings": vars(job.settings)},
        [*examples, job.encoder, *files],
        # The method's own module is found by name, so that no import of this one leads there.
        modules=[__name__, model_module(job.run.method)],
        packages=sorted(packages),
    )


def label_run(job: LabellingJob, store: Store, output: File) -> None:
    """Trains on all folds but one and notes which examples of that fold come right.

    A table with columns id and correct, and as its `attrs` the machine. A training that is in the
    `store` is not done again.
    """

    def label(draft: Path, checkpoint: Checkpoint) -> None:
        examples, held_out = _split_fold(job)
        model = job.start_model(job.own_seed)
        name = f"{_name_labelling(job)} seed {job.replicate}"
        train(model, examples, job.settings, seed=job.own_seed, name=name, checkpoint=checkpoint)
        _write_answers(job, model, held_out, draft)

    store.once(job.key, output, label)


def label_stack(jobs: Sequence[LabellingJob], store: Store, outputs: Sequence[File]) -> None:
    """As `label_run`, for all seeds of a fold at once (`stacked`)."""

    def label(draft: Path, checkpoint: Checkpoint) -> None:
        examples, held_out = _split_fold(jobs[0])
        models = [job.start_model(job.own_seed) for job in jobs]
        train_stack(
            models,
            examples,
            jobs[0].settings,
            seeds=[job.own_seed for job in jobs],
            name=_name_labelling(jobs[0]),
            checkpoint=checkpoint,
        )
        draft.mkdir()
        for job, model in zip(jobs, models, strict=True):
            _write_answers(job, model, held_out, draft / f"{job.replicate}.parquet")

    numbers = [jobs[0].fold, jobs[0].folds, *(job.replicate for job in jobs)]
    kept = store.keep(_fingerprint("difficulty stack", jobs[0], numbers), label)
    for job, output in zip(jobs, outputs, strict=True):
        put(kept / f"{job.replicate}.parquet", output)


def _split_fold(job: LabellingJob) -> tuple[Examples, TokenizedSplit]:
    """What the job trains on, and the examples of the fold that it holds out."""
    task, data = job.task, job.load_split(TRAIN)
    seed = job.derive_seed("folds")
    numbers = assign_folds(data.labels, job.folds, seed, task.name, task.labels)
    inside = data.take(np.flatnonzero(numbers != job.fold))
    examples = Examples(train=inside, dev=job.load_split(DEV), metric=task.metric)
    return examples, data.take(np.flatnonzero(numbers == job.fold))


def _name_labelling(job: LabellingJob) -> str:
    return f"difficulty {job.task.name}/{job.run.name} fold {job.fold}"


def _write_answers(
    job: LabellingJob, model: ExitModel, held_out: TokenizedSplit, path: Path
) -> None:
    correct = predict(model, held_out)[:, 0].argmax(axis=-1) == held_out.labels
    table = pd.DataFrame({"id": held_out.ids, "correct": correct})
    table.attrs = describe_machine(job.settings.precision)
    table.to_parquet(path, index=False)


def train_run(job: TrainingJob, store: Store, folder: File) -> None:
    """Trains one replicate of a run and writes it to `folder`, unless it is in the `store`."""

    def fit(draft: Path, checkpoint: Checkpoint) -> None:
        data, dev = job.load_split(TRAIN), job.load_split(DEV)
        seed = job.derive_seed(job.run.name, job.replicate)
        name = f"{job.task.name}/{job.run.name} replicate {job.replicate}"
        model = job.start_model(seed)
        # Whoever uses the model is told if they forget the pairs.
        setattr(find_encoder(model).config, READS_PAIRS, has_pairs(job.task.splits[TRAIN]))
        if isinstance(model, FrozenExits):
            precision = head_training.SETTINGS.precision
            scores = head_training.train_heads(
                model, data, dev, job.task.metric, seed=seed, name=name, checkpoint=checkpoint
            )
        else:
            precision = job.settings.precision
            scale_exits(model, data, seed)
            scores = train(
                model,
                Examples(train=data, dev=dev, metric=job.task.metric),
                job.settings,
                seed=seed,
                name=name,
                regularisation=_regularisation(job, data.ids),
                checkpoint=checkpoint,
            )
        model.save(draft)
        epochs = pd.DataFrame({"epoch": range(1, len(scores) + 1), "dev_score": scores})
        epochs.to_csv(draft / "epochs.csv", index=False)
        (draft / MACHINE).write_text(json.dumps(describe_machine(precision)) + "\n")
        load_tokenizer(job.tokens / TOKENIZER).save_pretrained(draft)

    store.once(job.key, folder, fit)


def _regularisation(job: TrainingJob, ids: np.ndarray) -> Regularisation | None:
    if job.difficulty is None:
        return None
    labelled = pd.read_parquet(job.difficulty).set_index("id")
    return Regularisation(labelled.loc[ids, "difficult"].to_numpy(), job.run.option("margin"))


def predict_run(job: Job, trained: Path, reference: File, max_length: int, folder: File) -> None:
    """Writes the logits of all exits on every split but train to <folder>/<split>.npz.

    <folder>/probes has the same of linear probes on the states that the exits read, and
    origin.json says which weights gave them, and where (`records.describe_origin`).

    trained:    the folder of the trained run
    reference:  the encoder in whose layers costs are counted
    max_length: the number of tokens of the text for which costs are counted
    """
    model = job.load_model(trained)
    costs = np.array(model.depths) * compute_layer_cost(job.encoder, reference, max_length)
    splits = {split: job.load_split(split) for split in job.task.splits}
    logits, probes = predict_with_probes(model, splits, job.derive_seed("probes"))
    with replacing(folder) as draft:
        for place, found in ((draft, logits), (draft / PROBES, probes)):
            place.mkdir(exist_ok=True)
            for split, of_split in found.items():
                data = splits[split]
                Predictions(of_split, costs, data.ids, data.labels).save(place / f"{split}.npz")
        (draft / ORIGIN).write_text(json.dumps(describe_origin(trained)) + "\n")
