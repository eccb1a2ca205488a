"""Train the supernet of HardCoRe-NAS in two steps, or in the end the network that was found.

    --heaviest_network                            1. the heaviest network alone, into OUT/heaviest
    --heaviest_network --train_elastic_model      2. all networks, from 1, into OUT/elastic
    --transform_model_to_mobilenet                3. one network, from the weights of a search, into OUT/train

Niv Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646. The defaults of the three are the paper's,
but for random erasing and averaged weights. In 2 every step takes the heaviest network, the smallest and two random
ones, which the heaviest one teaches (the sandwich rule); in the paper every image has a path of its own, and features
are taught too. The same command goes on where it was. 1 and 2 on several GPUs: torchrun --nproc-per-node 8 train.py
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

from options import ELASTIC, FOUND, HEAVIEST, SMOKE, options, recipe
from setting import configuration, parse

from hwnas.cli.console import print_line, progress_bars
from hwnas.cli.script import run
from hwnas.data import JoinedPart, load_data
from hwnas.errors import ConfigError
from hwnas.experiment import train_configured
from hwnas.experiment.finishing import save_weights
from hwnas.nn.families import architecture_string, load_space
from hwnas.profiler import FlopsProfiler
from hwnas.report.formats import format_score
from hwnas.train import (
    FinalRecipe,
    SupernetEvaluator,
    evaluate_accuracy,
    load_weights,
    read_weights,
    train_finally,
)
from hwnas.train.checkpoint import last_file

WEIGHTS = "network.safetensors"


def weights_file(given: str | Path) -> str | Path:
    """A file or an address as it is; of a folder the last checkpoint."""
    return (last_file(Path(given)) or given) if Path(given).is_dir() else given


def heaviest_weights(given: argparse.Namespace) -> str | Path:
    """The weights that the heaviest network has learnt: those that were given, or of step 1."""
    folder = given.out / "heaviest"
    if given.initial_checkpoint_IKD is None and last_file(folder) is None:
        raise ConfigError(
            f"{folder} has no heaviest network yet. Take step 1, --heaviest_network alone, or give "
            "--initial-checkpoint_IKD."
        )
    return weights_file(given.initial_checkpoint_IKD or folder)


def train_supernet(given: argparse.Namespace) -> None:
    """Steps 1 and 2."""
    elastic = given.train_elastic_model
    config = configuration(
        given,
        space_options={"drop_rate": given.drop, "drop_path_rate": given.drop_path},
        train=recipe(given, ELASTIC if elastic else HEAVIEST),
    )
    folder = given.out / ("elastic" if elastic else "heaviest")
    with progress_bars() as show:
        result = train_configured(
            config,
            folder,
            weights=heaviest_weights(given) if elastic else None,
            allow_url=given.allow_url,
            progress=lambda step: show("train", step.step, step.num_steps, f"loss {step.loss:.3f}"),
        )
    print_line(f"supernet: {folder}, {result.step} steps, loss {result.loss:.3f}")


def train_found(given: argparse.Namespace) -> None:
    """Step 3."""
    if given.initial_checkpoint is None:
        raise ConfigError("`--initial-checkpoint` is missing: a search's folder, or a file with --mobilenet_string.")
    begins_with, string = given.initial_checkpoint, given.mobilenet_string
    if string is None:
        content = Path(begins_with) / "result.json"
        if not content.is_file():
            raise ConfigError(f"{begins_with} is no finished search; give --mobilenet_string beside a file of weights.")
        string, begins_with = json.loads(content.read_text())["architecture_string"], content.with_name(WEIGHTS)
    config = configuration(given)
    build = functools.partial(architecture_string.build, num_classes=config.space_options["num_classes"])
    network = build(string, drop_rate=given.drop, drop_path_rate=given.drop_path)
    load_weights(network, read_weights(begins_with, allow_url=given.allow_url))
    data = load_data(seed=given.seed, **dataclasses.asdict(config.data))
    teacher = None
    if given.use_KD:
        space = load_space(config.space, **config.space_options)
        load_weights(space, read_weights(heaviest_weights(given), allow_url=given.allow_url))
        teacher = SupernetEvaluator(space, data).calibrated(FlopsProfiler(space).maximum().architecture)
    with progress_bars() as show:
        train_finally(
            network,
            JoinedPart([data.train, data.search]),
            data.task,
            FinalRecipe(recipe=recipe(given, FOUND)),
            seed=given.seed,
            teacher=teacher,
            directory=given.out / "train",
            progress=lambda step: show("train", step.step, step.num_steps, f"loss {step.loss:.3f}"),
        )
    save_weights(network, given.out / "train" / WEIGHTS)
    found = evaluate_accuracy(network, data.test)
    score = format_score(found.accuracy, found.standard_error, name="accuracy")
    print_line(f"accuracy {score} of {len(data.test)} images; weights: {given.out / 'train' / WEIGHTS}")


def main(arguments: Sequence[str]) -> None:
    """Train what the arguments say."""
    given = parse(options(__doc__), arguments, **SMOKE)
    if given.transform_model_to_mobilenet == (given.heaviest_network or given.train_elastic_model):
        raise ConfigError(
            "Say which step to take: --heaviest_network, --train_elastic_model or --transform_model_to_mobilenet."
        )
    if given.transform_model_to_mobilenet:
        train_found(given)
    else:
        train_supernet(given)


if __name__ == "__main__":
    run(main)
