"""The command line of train.py, and the paper's recipes of its three steps.

Niv Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646, and the README of its code.
"""

from __future__ import annotations

import argparse
import dataclasses

from setting import add_train_percent, shared_options

from hwnas.experiment import FINAL_RECIPES
from hwnas.strategy import HardCoReNAS
from hwnas.train import Recipe

HEAVIEST = dataclasses.replace(
    HardCoReNAS.recipe,
    epochs=300,
    learning_rate=0.128,
    schedule="step",
    decay_epochs=2.4,
    decay_rate=0.97,
    warmup_epochs=3,
    scheme="largest",
)
ELASTIC = dataclasses.replace(HardCoReNAS.recipe, batch_size=200, warmup_epochs=3, scheme="sandwich")
SMOKE = {"batch_size": 16, "epochs": 1.0, "warmup_epochs": 0.0}
FOUND = dataclasses.replace(FINAL_RECIPES["hardcorenas"].recipe, warmup_epochs=3)


def options(description: str | None) -> argparse.ArgumentParser:
    """The command line: options as in the published code."""
    p = shared_options(description, example="python train.py data/imagenet --heaviest_network -b 256 --drop 0.3")
    add_train_percent(p)
    p.add_argument("--heaviest_network", action="store_true", help="1, or with --train_elastic_model 2")
    p.add_argument("--train_elastic_model", action="store_true", help="2")
    p.add_argument("--transform_model_to_mobilenet", action="store_true", help="3")
    p.add_argument("--initial-checkpoint_IKD", metavar="FOLDER|FILE|URL", help="of 1; OUT/heaviest if not given")
    p.add_argument(
        "--initial-checkpoint", metavar="FOLDER|FILE|URL", help="3: a search; with --mobilenet_string weights"
    )
    p.add_argument("--mobilenet_string", help="3: the network; that of the search if not given")
    p.add_argument("--allow-url", action="store_true", help="fetch weights from an address")
    p.add_argument("--use_KD", action="store_true", help="3: the heaviest network teaches")
    p.add_argument("--gamma_knowledge", type=float, help="2, 3: weight of what is taught; 1 and 2 if not given")
    p.add_argument("-b", "--batch-size", type=int, help="images a step; 256, 200 and 128 if not given")
    p.add_argument("--epochs", type=float, help="300, 100 and 50 if not given")
    p.add_argument("--lr", type=float, help="learning rate; 0.128, 0.0128 and 0.00128 if not given")
    p.add_argument(
        "--sched", choices=("step", "cosine", "linear", "constant"), help="step, cosine, cosine if not given"
    )
    p.add_argument("--decay-epochs", type=float, default=2.4, help="of the schedule step")
    p.add_argument("--decay-rate", type=float, default=0.97, help="of the schedule step")
    p.add_argument("--warmup-epochs", type=float, default=3.0, help="in which the learning rate rises from 0")
    p.add_argument("--weight-decay", type=float, default=1e-5, help="of weights, not of biases and normalisation")
    p.add_argument("--drop", type=float, default=0.0, help="dropout before the classifier, 0.3 in the paper")
    p.add_argument("--drop-path", type=float, default=0.0, help="stochastic depth of the last block, 0.2 in the paper")
    return p


def recipe(given: argparse.Namespace, default: Recipe) -> Recipe:
    """The recipe of a step, with what was given in its place."""
    names = {"batch_size": "batch_size", "epochs": "epochs", "lr": "learning_rate", "sched": "schedule"}
    names |= {"gamma_knowledge": "distillation", "warmup_epochs": "warmup_epochs", "weight_decay": "weight_decay"}
    names |= {"decay_epochs": "decay_epochs", "decay_rate": "decay_rate"}
    said = {field: getattr(given, name) for name, field in names.items() if getattr(given, name) is not None}
    return dataclasses.replace(default, **said)
