"""Train the network that `train.py` has found to its final form: from the supernet's weights, with the angle head.

The auxiliary head estimates how a face is turned, and the loss weighs examples by its errors; nothing of it is kept.
The network, its ONNX file and its score on the test faces lie in SNAPSHOT/subnet. The same command goes on where it
was.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path

from faces import SMOKE_IMAGE_SIZE, load_faces, make_space, num_points_of

from hwnas.cli.console import progress_bars
from hwnas.cli.retrain import print_results
from hwnas.cli.script import parser, run
from hwnas.errors import InfeasibleError
from hwnas.experiment import FINAL_RECIPES, retrain

SMOKE = {"data_root": None, "img_size": SMOKE_IMAGE_SIZE, "end_epoch": 3, "base_lr": 0.01, "train_batchsize": 32}
EXAMPLE = "python retrain.py --dev_id 0 --data_root ./data/106points --supernet ./ckpt_save/supernet"


def main(arguments: Sequence[str]) -> None:
    """Train as the arguments say."""
    published = FINAL_RECIPES["pfld"]
    program = parser(__doc__, example=EXAMPLE)
    add = program.add_argument
    add("--dev_id", help="the GPU, as CUDA_VISIBLE_DEVICES has it; of several the first")
    add("--snapshot", default="./ckpt_save", help="folder of all that is written")
    add("--data_root", default="./data/106points", help="folder of train_data and test_data")
    add("--supernet", default="./ckpt_save/supernet", help="folder that train.py has written: SNAPSHOT/supernet")
    add("--lookup_table", help="that of train.py, if it was given one; the network is measured beside it")
    add("--img_size", type=int, default=112, help="as of train.py")
    add("--workers", type=int, default=0, help="processes that read images ahead")
    add("--end_epoch", type=float, default=published.recipe.epochs, help="passes over the training images")
    add("--train_batchsize", type=int, default=published.recipe.batch_size, help="images a step")
    add("--base_lr", type=float, default=published.recipe.learning_rate, help="learning rate, AdamW's; cosine to 0")
    add("--weight_decay", "--wd", type=float, default=published.recipe.weight_decay, help="of the weights")
    add("--angles", action=argparse.BooleanOptionalAction, default=True, help="the auxiliary head and its weights")
    add("--seed", type=int, default=1, help="of everything")
    add("--smoke", action="store_true", help="goes with that of train.py")
    if "--smoke" in arguments:
        program.set_defaults(**SMOKE)
    options = program.parse_args(arguments)
    if options.dev_id is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = options.dev_id  # read when CUDA is first asked for

    data = load_faces(options, angles=options.angles)
    recipe = dataclasses.replace(
        published.recipe,
        epochs=options.end_epoch,
        batch_size=options.train_batchsize,
        learning_rate=options.base_lr,
        weight_decay=options.weight_decay,
    )
    with progress_bars() as show:
        result = retrain(
            functools.partial(
                make_space, num_points=num_points_of(data), image_size=options.img_size, smoke=options.smoke
            ),
            data,
            options.supernet,
            dataclasses.replace(published, recipe=recipe),
            table=options.lookup_table,
            seed=options.seed,
            directory=Path(options.snapshot) / "subnet",
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    print_results([result])
    broken = [row.profiler for row in result.budgets if not row.kept]
    if broken:
        raise InfeasibleError(
            f"As measured now, the network breaks its budget on {', '.join(broken)}. Verify it again on an idle "
            "device: hwnas verify."
        )


if __name__ == "__main__":
    run(main)
