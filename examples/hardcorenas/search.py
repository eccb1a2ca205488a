"""Search HardCoRe-NAS's space under a hard limit on the latency, in the supernet that train.py has trained.

Niv Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646. Every step keeps the limit in expectation;
the exact solver ends with one network that keeps it (the published argmax did not always), and it is exported and
measured before it is fine-tuned by the paper's recipe, taught by the heaviest network. In OUT/search are result.json
with its mobilenet_string, network.safetensors, network.onnx and report.html. The same command goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from setting import add_train_percent, configuration, connect_target, num_train_images, parse, shared_options

from hwnas.cli.script import run
from hwnas.cli.search import run_search
from hwnas.device import read_table
from hwnas.errors import BudgetError
from hwnas.experiment import FINAL_RECIPES
from hwnas.experiment.config import DeviceConfig
from hwnas.nn.families import load_space
from hwnas.profiler import LatencyProfiler
from hwnas.strategy import HardCoReNAS

FINE_TUNING = FINAL_RECIPES["hardcorenas"]
SMOKE = {
    "batch_size": 16,
    "bcfw_steps": 20,
    "supernet_epochs": 2.0,
    "fine_tune_epochs": 1.0,
    "fine_tune_batch_size": 16,
    "repeat_measure": 1,
    "calibrate": 3,
}


def options() -> argparse.ArgumentParser:
    """The command line: options as in the published code, and what the library adds."""
    p = shared_options(
        __doc__,
        example="python search.py data/imagenet --initial-checkpoint runs/hardcorenas/elastic --lut_filename "
        "lut.sqlite --inference_time_limit_ms 40",
    )
    add_train_percent(p)
    p.add_argument("--inference_time_limit_ms", type=float, help="the hard limit of a run, in milliseconds; required")
    p.add_argument("--inference_time_limit", help="refused: it had no unit")
    p.add_argument("--lut_filename", help="the table of measure_latency_lut.py; without it one is measured first")
    p.add_argument("--target_device", default="onnx", help="the device, where there is no table yet")
    p.add_argument("--repeat_measure", type=int, default=3, help="rounds of measuring that the table must have")
    p.add_argument("--calibrate", type=int, default=12, help="whole networks that the table must have")
    p.add_argument("--initial-checkpoint", help="folder of the supernet; without it one is trained, without a teacher")
    p.add_argument("--supernet_epochs", type=float, default=HardCoReNAS.recipe.epochs, help="of one trained here")
    p.add_argument("--bcfw_steps", type=int, default=10_000, help="steps of the search")
    p.add_argument("--step_size", type=float, default=0.002, help="how far a step goes")
    p.add_argument("-b", "--batch-size", type=int, default=256, help="images a step")
    p.add_argument("--fine_tune_epochs", type=float, default=FINE_TUNING.recipe.epochs, help="of the network found")
    p.add_argument("--fine_tune_batch_size", type=int, default=FINE_TUNING.recipe.batch_size, help="images a step")
    p.add_argument("--rivals", choices=("none", "score", "train"), default="none", help="random networks beside it")
    return p


def measured(given: argparse.Namespace) -> DeviceConfig:
    """The device that the table was measured on, or that one is to be measured on."""
    table = None if given.lut_filename is None else read_table(given.lut_filename)
    found = connect_target(given.target_device).fingerprint if table is None else table.fingerprint
    return DeviceConfig(
        name=f"{found.runtime}:{found.device}",
        threads=found.threads,
        batch_size=found.batch_size,
        repeats=given.repeat_measure,
        calibrate=given.calibrate,
        table=given.lut_filename,
    )


def main(arguments: Sequence[str]) -> None:
    """Search and say what came of it."""
    given = parse(options(), arguments, **SMOKE)
    if given.inference_time_limit is not None:
        raise BudgetError("`--inference_time_limit` has no unit. Write `--inference_time_limit_ms`, in milliseconds.")
    if given.inference_time_limit_ms is None:
        raise BudgetError("`--inference_time_limit_ms` is missing: the limit of a run, in milliseconds.")
    recipe = dataclasses.replace(HardCoReNAS.recipe, batch_size=given.batch_size)
    resized = FINE_TUNING.resized(epochs=given.fine_tune_epochs, batch_size=given.fine_tune_batch_size)
    config = configuration(
        given,
        budgets=(f"latency<={given.inference_time_limit_ms!r}ms",),
        strategy="hardcorenas",
        strategy_options={"step_size": given.step_size},
        device=measured(given),
        supernet=given.initial_checkpoint,
        train=dataclasses.replace(recipe, epochs=given.supernet_epochs),
        search=recipe.of_steps(given.bcfw_steps, num_examples=num_train_images(given)),
        fine_tune=resized.recipe,
        rivals=given.rivals,
    )
    if given.lut_filename is not None:  # one of another space is refused, not filled
        LatencyProfiler(load_space(config.space, **config.space_options), read_table(given.lut_filename))
    run_search(config, given.out / "search", title="HardCoRe-NAS", json=False)


if __name__ == "__main__":
    run(main)
