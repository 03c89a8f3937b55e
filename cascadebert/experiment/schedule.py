"""Which trainings start first: those that begin the longest chain of trainings.

Few processors are then idle at the end. The order is the upward rank of list scheduling (Topcuoglu,
Hariri and Wu, IEEE TPDS 2002). It changes no result.

The work of a training is counted in layers times epochs, since all trainings for a task read about
as many examples.
"""

from cascadebert.encoders.shape import read_shape
from cascadebert.experiment.configuration import Experiment
from cascadebert.systems.method import Run

LAYERS_OF_BASE = 12  # for an encoder that is on the hub or not yet made: the depth of BERT-base


def rank_run(experiment: Experiment, run: Run) -> int:
    """Returns the work of a run, and of the longest chain of runs that wait for it."""
    waiting = [other for other in experiment.runs.values() if run in other.parents]
    work = _measure_training(experiment, run) * len(experiment.replicates)
    return work + max((rank_run(experiment, other) for other in waiting), default=0)


def rank_labeller(experiment: Experiment, labeller: Run) -> int:
    """Returns the work of all trainings that label difficulty, and of what waits for the labels."""
    waiting = [run for run in experiment.runs.values() if run.labeller == labeller]
    trainings = len(experiment.folds) * len(experiment.seeds)
    work = _measure_training(experiment, labeller) * trainings
    return work + max(rank_run(experiment, run) for run in waiting)


def _measure_training(experiment: Experiment, run: Run) -> int:
    """Returns layers times epochs. Heads on a frozen model read its states: one epoch of it."""
    shape = read_shape(experiment.encoders.locate(run.encoder))
    layers = run.option("layers") or (shape.num_hidden_layers if shape else LAYERS_OF_BASE)
    epochs = 1 if run.frozen else (experiment.config["training"] | run.settings)["epochs"]
    return layers * epochs
