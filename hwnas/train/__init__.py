"""Training supernets and networks, and scoring architectures.

recipe.py       the numbers of training
loop.py         the loop, once for all; resumable at any step
single_path.py  a supernet's step: one uniform path
cost_bins.py    ... uniform over ranges of cost
one_network.py  a supernet's step: one network alone, the largest
sandwich.py     a supernet's step: largest, smallest and random ones
supernet.py     training a supernet, loading its weights, keeping given ones
fine_tune.py    training one network
final.py        ... to its final form, with what papers add
checkpoint.py   the files that training goes on from
foreign_weights.py     reading weights that others trained, and laying them into a module
resemblance.py  which known network weights are of
batch_norm.py   statistics of one subnet
evaluator.py    the score of an architecture
train_evaluator.py     ... after training from scratch, for trials; named_data: data as other processes find them
unused.py       what a step does not use stays as it is
    inputs.py       whether data fit a space
    losses.py       cross-entropy and distillation
processes.py    devices, precision and several processes, through accelerate
"""

from hwnas.train.batch_norm import batch_statistics, reestimate_batch_norm
from hwnas.train.checkpoint import Checkpoint, Run, latest_checkpoint, read_checkpoint
from hwnas.train.evaluator import Evaluation, SupernetEvaluator, evaluate_accuracy
from hwnas.train.final import FinalRecipe, train_finally
from hwnas.train.fine_tune import fine_tune
from hwnas.train.foreign_weights import load_weights, read_weights, weights_fit
from hwnas.train.inputs import check_inputs
from hwnas.train.loop import Progress, StepContext, TrainingResult, train
from hwnas.train.recipe import Precision, Recipe
from hwnas.train.supernet import load_supernet, save_supernet, train_supernet
from hwnas.train.train_evaluator import TrainEvaluator

__all__ = [
    "Checkpoint",
    "Evaluation",
    "FinalRecipe",
    "Precision",
    "Progress",
    "Recipe",
    "Run",
    "StepContext",
    "SupernetEvaluator",
    "TrainEvaluator",
    "TrainingResult",
    "batch_statistics",
    "check_inputs",
    "evaluate_accuracy",
    "fine_tune",
    "latest_checkpoint",
    "load_supernet",
    "load_weights",
    "read_checkpoint",
    "read_weights",
    "reestimate_batch_norm",
    "save_supernet",
    "train",
    "train_finally",
    "train_supernet",
    "weights_fit",
]
