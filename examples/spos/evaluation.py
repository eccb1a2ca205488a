"""Single Path One-Shot, step 3 of 3: train an architecture from scratch and test it.

Zichao Guo et al.: Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020,
https://arxiv.org/abs/1904.00420. The defaults are the recipe of ShuffleNet V2, as in the paper, and the architecture
that its authors released. In OUT/evaluation are network.safetensors, network.onnx and result.json with the test
accuracy. The same command goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from setting import configuration, parse, shared_options

from hwnas import Architecture, load_data, retrain
from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import progress_bars
from hwnas.cli.retrain import print_results
from hwnas.cli.script import run
from hwnas.experiment import FINAL_RECIPES
from hwnas.nn.families import SHUFFLENET_V2_NETWORKS, load_space

PAPER = FINAL_RECIPES["spos"]


def main(arguments: Sequence[str]) -> None:
    """Train and say what came of it."""
    p = shared_options(
        __doc__, example="python examples/spos/evaluation.py --fixed-arc runs/spos/search/architecture.json"
    )
    p.add_argument(
        *("--fixed-arc", "--architecture"),
        metavar="FILE|spos",
        default="spos",
        help="the architecture.json of a search, or the one that the paper's authors released, spos; with --smoke that "
        "of OUT/search if not given",
    )
    p.add_argument("--epochs", type=float, default=PAPER.recipe.epochs, help="passes over the training images")
    p.add_argument(
        "--batch-size",
        type=int,
        default=PAPER.recipe.batch_size,
        help="images a step; the learning rate stays in proportion",
    )
    p.add_argument("--learning-rate", type=float, help=f"the recipe's {PAPER.recipe.learning_rate:g} if not given")
    p.add_argument("--lr-decay", choices=("linear", "cosine"), default="linear", help="how the learning rate falls")
    p.add_argument("--momentum", type=float, default=PAPER.recipe.momentum, help="of SGD")
    p.add_argument("--weight-decay", type=float, default=PAPER.recipe.weight_decay, help="of weights, not of biases")
    p.add_argument("--label-smoothing", "--label-smooth", type=float, default=PAPER.recipe.label_smoothing)
    given = parse(p, arguments, fixed_arc=None, epochs=2, batch_size=16)
    wanted = given.fixed_arc or str(given.out / "search" / "architecture.json")
    config = configuration(given)
    make_space = functools.partial(load_space, config.space, **config.space_options, affine=True)
    if wanted in SHUFFLENET_V2_NETWORKS:  # whatever the number of classes
        architecture = Architecture(SHUFFLENET_V2_NETWORKS[wanted].architecture)
    else:
        architecture = read_architecture(make_space(), wanted)
    resized = PAPER.resized(epochs=given.epochs, batch_size=given.batch_size)
    recipe = dataclasses.replace(
        resized.recipe,
        learning_rate=resized.recipe.learning_rate if given.learning_rate is None else given.learning_rate,
        schedule=given.lr_decay,
        momentum=given.momentum,
        weight_decay=given.weight_decay,
        label_smoothing=given.label_smoothing,
    )
    with progress_bars() as show:
        result = retrain(
            make_space,
            load_data(seed=given.seed, **dataclasses.asdict(config.data)),
            architecture,
            dataclasses.replace(resized, recipe=recipe),
            seed=given.seed,
            directory=given.out / "evaluation",
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    print_results([result])


if __name__ == "__main__":
    run(main)
