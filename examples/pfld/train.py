"""Search a network for facial landmarks with FBNet, over the supernet of PFLD.

The defaults are those of the old toolkit's example. What the search has found, with the supernet's weights and the
evidence for every budget, lies in SNAPSHOT/supernet; `retrain.py` trains it to its final form. The same command goes on
where it was.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from faces import SMOKE_IMAGE_SIZE, load_faces, make_space, num_points_of

from hwnas.cli.console import progress_bars
from hwnas.cli.script import parser, run
from hwnas.cli.search import print_results
from hwnas.experiment import search
from hwnas.train import Recipe

SMOKE = {
    "data_root": None,
    "img_size": SMOKE_IMAGE_SIZE,
    "end_epoch": 3,
    "start_epoch": 1,
    "base_lr": 0.01,
    "train_batchsize": 32,
}
EXAMPLE = 'python train.py --dev_id 0 --snapshot ./ckpt_save --data_root ./data/106points --budget "latency<=2ms"'


def main(arguments: Sequence[str]) -> None:
    """Search as the arguments say."""
    program = parser(__doc__, example=EXAMPLE)
    add = program.add_argument
    add("--dev_id", help="the GPU, as CUDA_VISIBLE_DEVICES has it; of several the first, for a search is one process")
    add("--snapshot", default="./ckpt_save", help="folder of all that is written")
    add("--data_root", default="./data/106points", help="folder of train_data and test_data")
    add("--img_size", type=int, default=112, help="side of the images in pixels; a multiple of 16")
    add("--workers", type=int, default=0, help="processes that read images ahead")
    add("--end_epoch", type=float, default=300, help="passes over the training images")
    add("--train_batchsize", type=int, default=256, help="images a step")
    add("--base_lr", type=float, default=1e-4, help="learning rate of the weights, AdamW's; cosine to 0")
    add("--weight_decay", "--wd", type=float, default=1e-6, help="of the weights")
    add("--nas_lr", "--theta_lr", "--tlr", type=float, default=0.01, help="learning rate of the architecture")
    add("--nas_weight_decay", type=float, default=5e-4, help="of the architecture")
    add("--mode", choices=["mul", "add"], default="mul", help="whether the cost multiplies the loss or is added to it")
    add("--alpha", type=float, default=0.25, help="factor of the cost in the loss")
    add("--beta", type=float, default=0.6, help="exponent of the cost in the loss")
    add("--start_epoch", type=float, default=50, help="epochs in which only weights learn")
    add("--init_temperature", type=float, default=5.0, help="of the Gumbel softmax")
    add("--exp_anneal_rate", type=float, default=math.exp(-0.045), help="factor on the temperature after every epoch")
    add("--perf_metric", choices=["flops", "latency"], default="flops", help="the cost in the loss")
    add("--lookup_table", help="table of the blocks' latencies, as `hwnas measure pfld` writes it; what is missing in "
        "it is measured; SNAPSHOT/supernet/table.sqlite if not given")  # fmt: skip
    add("--budget", action="append", default=[], metavar="TEXT",
        help='a hard limit, as in "latency<=2ms" or "macs<=8M"; may be repeated')  # fmt: skip
    add("--latency_budget_ms", type=float, help="the same as --budget latency<=...ms")
    add("--device", default="onnxruntime:cpu", help="where latencies are measured")
    add("--seed", type=int, default=1, help="of everything")
    add("--smoke", action="store_true", help="drawn faces, small networks, three epochs: to see that it runs")
    if "--smoke" in arguments:
        program.set_defaults(**SMOKE)
    options = program.parse_args(arguments)
    if options.dev_id is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = options.dev_id  # read when CUDA is first asked for
    if options.latency_budget_ms is not None:
        options.budget.append(f"latency<={options.latency_budget_ms}ms")

    data = load_faces(options)
    torch.manual_seed(options.seed)  # of the weights that the space begins with
    weights = Recipe(
        epochs=options.end_epoch,
        batch_size=options.train_batchsize,
        optimizer="adamw",
        learning_rate=options.base_lr,
        weight_decay=options.weight_decay,
        gradient_clip=None,
        distillation=0.0,
    )
    with progress_bars() as show:
        result = search(
            make_space(num_points=num_points_of(data), image_size=options.img_size, smoke=options.smoke),
            data,
            options.budget,
            device=options.device,
            table=options.lookup_table,
            repeats=1 if options.smoke else 3,
            calibrate=3 if options.smoke else 12,
            strategy="fbnet",
            strategy_options={
                "profiler": "macs" if options.perf_metric == "flops" else "latency",
                "mode": options.mode,
                "alpha": options.alpha,
                "beta": options.beta,
                "nas_lr": options.nas_lr,
                "nas_weight_decay": options.nas_weight_decay,
                "start_epoch": options.start_epoch,
                "init_temperature": options.init_temperature,
                "exp_anneal_rate": options.exp_anneal_rate,
            },
            search=weights,
            fine_tune=dataclasses.replace(weights, epochs=1),  # for its score; `retrain.py` is the final training
            rivals="none",
            seed=options.seed,
            directory=Path(options.snapshot) / "supernet",
            title="PFLD by FBNet",
            space_name="pfld",
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    print_results([result])


if __name__ == "__main__":
    run(main)
