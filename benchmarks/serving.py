"""The systems of a finished experiment, ready to answer: on every runtime, at every target."""

import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from cascadebert.core.checksums import hash_file
from cascadebert.core.errors import UserError
from cascadebert.data.predictions import Predictions
from cascadebert.data.scores import score
from cascadebert.data.task import Task
from cascadebert.data.tokens import encode_texts, has_pairs, make_sorted_batches
from cascadebert.deployment.cascade import Cascade
from cascadebert.deployment.exits import EarlyExits
from cascadebert.deployment.export import export_member
from cascadebert.deployment.given import choose
from cascadebert.deployment.latency import time_texts
from cascadebert.deployment.members import FILES, INT8, ONNX, RUNTIMES, TORCH, OnnxMember
from cascadebert.deployment.packing import draw_samples
from cascadebert.encoders.loading import find_shape, load_tokenizer
from cascadebert.evaluation.choice import Choice, Sweep, sweep
from cascadebert.evaluation.results import load_system
from cascadebert.experiment.configuration import Experiment, System
from cascadebert.models.building import new_model
from cascadebert.systems.exits import CONFIDENCES, Knob
from cascadebert.systems.method import Run

REPLICATE = 0
BATCHES = (1, 32)
PROFILE = 100  # texts
# Points that the cascade chosen by time may lose on dev against the full model in int8. The best of
# very many thresholds looks better on dev than it is, so it may lose nothing there.
PROMISE = 0.0

OPENVINO = "openvino-int8"  # a runtime of Intel's, on the int8 file of ONNX Runtime
OWN_CONFIDENCES = (INT8, OPENVINO)  # differ from torch's, and so need thresholds of their own

CHOSEN = "cascade chosen by time"

Texts = tuple[list[str], list[str] | None]
Answer = Callable[[list[str], list[str] | None, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Served:
    """A system as it is served.

    kind:   what the systems of one colour have in common
    target: the speed-up for which its thresholds were chosen; NaN without thresholds
    answer: texts, pairs, batch size -> predicted labels and layers executed, `[texts]` each
    exits:  what its stored logits say of the scored split: the exits, and the distance of each text
            to the nearest threshold, `[texts]` each
    """

    system: str
    title: str
    kind: str
    runtime: str
    target: float
    answer: Answer
    exits: Callable[[], tuple[np.ndarray, np.ndarray]]


def list_runtimes() -> list[str]:
    """Those of a cascade, and OpenVINO where it is installed (`pip install openvino`)."""
    return [*RUNTIMES, *([OPENVINO] if importlib.util.find_spec("openvino") else [])]


class OpenVinoMember(OnnxMember):
    """A classifier in OpenVINO on the CPU."""

    def __init__(self, folder: Path, threads: int):
        import openvino

        super().__init__(folder, INT8, threads)  # for what the file says of itself
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        self.compiled = openvino.Core().compile_model(folder / FILES[INT8], "CPU", settings)
        del self.session

    def compute_logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.compiled({name: inputs[name] for name in self.reads})[0]


class Bench:
    """What a finished experiment trained for a task, by default its first, ready to be served.

    Raises UserError if the experiment has no such task, scales confidences, or counts seconds.
    """

    def __init__(self, results: Path, threads: int, task: str | None = None):
        self.results, self.threads = results, threads
        self.experiment = Experiment(yaml.safe_load((results / "config.yaml").read_text()))
        if self.experiment.config["evaluation"]["temperature"]:
            raise UserError("the bench does not scale confidences: evaluation.temperature is true")
        if self.experiment.in_seconds:
            raise UserError(
                f"{results} chose its thresholds by seconds, but the bench serves speed-ups in "
                "layers; set evaluation.cost: layers and run the experiment again: nothing is "
                "trained anew"
            )
        first = next(iter(self.experiment.tasks))
        name = choose(results, "task", task or first, self.experiment.tasks)
        self.task = Task.load(results / "data" / name)
        self.split = self.task.scored_splits[0]
        self.max_length = self.experiment.config["training"]["max_length"]
        # The models of another task have the same names.
        self.folder = results / "performance" / ("" if name == first else name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.predicted: dict[tuple[Run, str, str], Predictions] = {}

    @functools.cached_property
    def full_system(self) -> System:
        """Raises UserError if the experiment has no full model."""
        key = self.experiment.full_model
        if key is None:
            raise UserError(
                f"{self.results} has no full model to compare with; add a system that fine-tunes "
                f"{self.experiment.config['reference']}"
            )
        return self.experiment.systems[key]

    @functools.cached_property
    def full(self) -> Run:
        """Of the full model; with `tuning`, the setting that the development split chose."""
        [run] = self.full_system.candidate(self.choice(self.full_system).candidate).runs
        return run

    @functools.cached_property
    def depth(self) -> int:
        """The layers of the full model."""
        return find_shape(self.trained(self.full)).num_hidden_layers

    def proposed_runs(self) -> tuple[Run, ...]:
        system = self.experiment.systems[self.experiment.config["proposed"]]
        return system.candidate(self.choice(system).candidate).runs

    def texts(self, split: str, count: int | None = None) -> Texts:
        table = self.task.splits[split].iloc[:count]
        return table["text"].tolist(), table["text_pair"].tolist() if has_pairs(table) else None

    def labels(self, split: str) -> np.ndarray:
        return self.task.splits[split]["label"].to_numpy(dtype=np.int64)

    def trained(self, run: Run) -> Path:
        return self.results / "models" / self.task.name / run.name / f"seed{REPLICATE}"

    def member(self, run: Run, runtime: str) -> Path:
        """The folder of a classifier; it is exported the first time that another runtime asks.

        And again where the experiment was run with other settings since: its weights tell.
        """
        trained = self.trained(run)
        if runtime == TORCH:
            return trained
        place = self.folder / "exported" / run.name
        note = place / "weights.sha256"  # comes last, so that an export without it is done again
        weights = " ".join(map(hash_file, sorted(trained.glob("*.safetensors"))))
        if not note.is_file() or note.read_text() != weights:
            samples = draw_samples(trained, self.task, self.max_length)
            print(f"exporting {run.name}", flush=True)
            place.parent.mkdir(exist_ok=True)
            export_member(trained, samples, place)
            note.write_text(weights)
        return place

    def cascade(self, runs: tuple[Run, ...], runtime: str, threshold: Knob = ()) -> Cascade:
        folders = [self.member(run, runtime) for run in runs]
        if runtime == OPENVINO:
            members = [OpenVinoMember(folder, self.threads) for folder in folders]
            tokenizers = [load_tokenizer(folder) for folder in folders]
            return Cascade(members, tokenizers, threshold, self.max_length)
        return Cascade.from_pretrained(
            folders, threshold, self.max_length, runtime=runtime, threads=self.threads
        )

    def predict(self, runs: tuple[Run, ...], runtime: str, split: str) -> Predictions:
        """The logits of all members of a cascade on a split, as this runtime computes them."""
        members = [self.predict_member(run, runtime, split) for run in runs]
        return functools.reduce(Predictions.followed_by, members)

    def predict_member(self, run: Run, runtime: str, split: str) -> Predictions:
        """Kept, since every threshold asks for it."""
        key = (run, runtime, split)
        if key not in self.predicted:
            cascade, labels = self.cascade((run,), runtime), self.labels(split)
            self.predicted[key] = Predictions(
                logits=np.log(cascade(*self.texts(split)).probabilities)[:, None],
                costs=cascade.layers.astype(float),
                ids=np.arange(len(labels)),
                labels=labels,
            )
        return self.predicted[key]

    def choice(self, system: System) -> Choice:
        folder = self.results / "evaluation" / self.task.name / "choices"
        return Choice.load(folder / f"{system.key}.json")

    def serve(self, system: System) -> Iterator[Served]:
        """The system on every runtime that has it, at every target."""
        choice = self.choice(system)
        runs = system.candidate(choice.candidate).runs
        if not system.rule.knob:
            for runtime in list_runtimes():
                yield self.as_cascade(system, runs, runtime)
        elif system.rule is CONFIDENCES:
            chosen = {target: knobs[REPLICATE] for target, knobs in choice.knobs.items()}
            for runtime in list_runtimes():
                knobs = chosen
                if runtime in OWN_CONFIDENCES:
                    swept = self.sweep(runs, runtime)
                    knobs = {target: swept.nearest(target).slower for target in chosen}
                for target, knob in knobs.items():
                    yield self.as_cascade(system, runs, runtime, target, knob)
        elif len(runs) == 1:  # cascades with a rule of their own are not served
            for target, knobs in choice.knobs.items():
                yield self.as_early_exits(system, runs[0], target, knobs[REPLICATE])

    def sweep(self, runs: tuple[Run, ...], runtime: str) -> Sweep:
        """Score and speed-up of all thresholds on dev, by the costs that the experiment counts.

        A narrow layer costs less than one of the full model.
        """
        place = self.results / "predictions" / self.task.name
        files = [place / run.name / f"seed{REPLICATE}" / "dev.npz" for run in runs]
        stored = functools.reduce(Predictions.followed_by, map(Predictions.load, files))
        dev = replace(self.predict(runs, runtime, "dev"), costs=stored.costs)
        return sweep(dev, CONFIDENCES, self.task.metric, self.depth)

    def as_cascade(
        self,
        system: System,
        runs: tuple[Run, ...],
        runtime: str,
        target: float = np.nan,
        knob: Knob = (),
    ) -> Served:
        """A cascade, or a single classifier as a cascade of one."""
        cascade = self.cascade(runs, runtime, knob)

        def answer(texts, pairs, batch_size):
            found = cascade(texts, pairs, batch_size)
            return found.probabilities.argmax(axis=1), found.layers

        def exits():
            computed = self.predict(runs, runtime, self.split)
            return self.take(system, computed, knob)

        kind = "cascade" if len(runs) > 1 else "smaller model"
        if runs == (self.full,):
            kind = "full model"
        return Served(system.key, system.title, kind, runtime, target, answer, exits)

    def as_early_exits(self, system: System, run: Run, target: float, knob: Knob) -> Served:
        encoder = self.experiment.encoders.locate(run.encoder)
        parents = [self.trained(parent) for parent in run.parents]
        model = new_model(run, encoder, self.task.labels, parents, seed=0)
        model.load(self.trained(run))
        runner = EarlyExits(model, system.rule, knob)
        tokenizer = load_tokenizer(self.trained(run))  # not that of the encoder, see `tokenizer`
        depths = np.array(model.depths)

        def answer(texts, pairs, batch_size):
            encoded = encode_texts(texts, pairs, tokenizer, self.max_length)
            predicted, exits = np.empty((2, len(texts)), dtype=np.int64)
            for rows in make_sorted_batches(encoded.lengths, batch_size):
                logits, exits[rows] = runner(encoded.batch(rows))
                predicted[rows] = logits.argmax(axis=1)
            return predicted, depths[exits]

        def exits():
            place = self.results / "predictions"
            stored = load_system(self.experiment, place, self.task, system.key, self.depth)
            [replicates] = stored.candidates.values()
            computed = replace(replicates[REPLICATE][self.split], costs=depths.astype(float))
            return self.take(system, computed, knob)

        return Served(system.key, system.title, "early exits", TORCH, target, answer, exits)

    def take(
        self, system: System, computed: Predictions, knob: Knob
    ) -> tuple[np.ndarray, np.ndarray]:
        """The layers that a rule executes, and how near each text is to a threshold."""
        exits = system.rule.exit_index(computed, knob)
        signal = system.rule.signal(computed)[:, :-1]
        if signal.dtype.kind == "i":  # patience compares labels, which have no threshold
            return computed.costs[exits], np.full(len(exits), np.inf)
        near = abs(signal - np.asarray(knob)).min(axis=1, initial=np.inf)
        return computed.costs[exits], near

    def choose_by_time(self, batch_size: int) -> Iterator[Served]:
        """The cascade that is fastest on dev among those that keep the promise there, if any does.

        Every cascade of the experiment, every threshold, and both precisions of ONNX Runtime are
        candidates.
        """
        full = self.predict((self.full,), INT8, "dev").predicted[:, 0]
        least = score(self.task.metric, full, self.labels("dev")) - PROMISE
        found = []
        for system in self.experiment.systems.values():
            if system.rule is not CONFIDENCES:
                continue
            runs = system.candidate(self.choice(system).candidate).runs
            for runtime in (ONNX, INT8):
                seconds = [self.time_member(run, runtime, batch_size) for run in runs]
                dev = replace(self.predict(runs, runtime, "dev"), costs=np.cumsum(seconds))
                swept = sweep(dev, CONFIDENCES, self.task.metric, full_cost=1.0)
                took = np.where(swept.scores >= least, 1 / swept.speedups, np.inf)
                best = int(took.argmin())
                if np.isfinite(took[best]):
                    found.append((took[best], system, runs, runtime, swept.knobs[best].tolist()))
        if not found:
            return
        _, system, runs, runtime, knob = min(found, key=lambda each: each[0])
        served = self.as_cascade(system, runs, runtime, np.nan, knob)
        key, title = f"chosen_{batch_size}", f"{system.title}, chosen for batches of {batch_size}"
        yield replace(served, system=key, title=title, kind=CHOSEN)

    def time_member(self, run: Run, runtime: str, batch_size: int) -> float:
        """Seconds a text, on development texts."""
        alone = self.cascade((run,), runtime)
        texts = self.texts("dev", PROFILE)
        took = [time_texts(alone, *texts, batch_size).mean() for _ in range(7)]
        return float(np.median(took))
