"""ProxylessNAS on images in ImageNet's layout: search a network for a device, and train it to its final form.

Han Cai, Ligeng Zhu, Song Han: ProxylessNAS, ICLR 2019, https://arxiv.org/abs/1812.00332. The defaults are the paper's.
With --applied-hardware the blocks of the space are measured on that device, and the expected latency is in the loss of
the architecture; a --budget is hard: what is found keeps it as measured. In OUT/search are architecture.json, the
network with the weights of the search, its ONNX file and report.html; --train-mode retrain then trains it from scratch,
into OUT/retrain. The same command goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from options import PAPER, SMOKE, options

from hwnas import load_data, retrain
from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import print_note, progress_bars
from hwnas.cli.retrain import print_results, require_kept
from hwnas.cli.script import run
from hwnas.cli.search import run_search
from hwnas.device import connect, measure
from hwnas.errors import ConfigError
from hwnas.experiment import FINAL_RECIPES, retrain_configured
from hwnas.experiment.config import DataConfig, DeviceConfig, SearchConfig
from hwnas.experiment.found_network import found_networks
from hwnas.experiment.result import write_json
from hwnas.experiment.search import DEFAULT_FINE_TUNE
from hwnas.nn.families import load_space
from hwnas.profiler import LatencyProfiler
from hwnas.testing.layouts import write_image_folder, written_once

SMOKE_SPACE = {
    "widths": (16, 24),
    "strides": (2, 1),
    "depths": (2, 1),
    "kernels": (3, 5),
    "expansions": (3,),
    "stem_channels": 8,
    "first_channels": 8,
    "head_channels": 64,
}


def latency_in_loss(given: argparse.Namespace) -> dict[str, Any]:
    """The strategy's options about the latency; none without a device."""
    if (given.applied_hardware is None) != (given.reference_latency_ms is None):
        raise ConfigError(
            "--applied-hardware, a device, and --reference-latency-ms, in milliseconds, go together; got "
            f"{given.applied_hardware!r} and {given.reference_latency_ms!r}. Give both, or neither."
        )
    if given.applied_hardware is None:
        return {}
    connect(given.applied_hardware)  # an unknown one is said before anything is read
    names = ("lambda",) if given.grad_reg_loss_type == "add#linear" else ("alpha", "beta")
    return {
        "profiler": "latency",
        "reference_latency": given.reference_latency_ms,
        "grad_reg_loss_type": given.grad_reg_loss_type,
        "grad_reg_loss_params": {name: getattr(given, f"grad_reg_loss_{name}") for name in names},
    }


def configuration(given: argparse.Namespace) -> SearchConfig:
    """What is searched, and how."""
    num_images, _, image_size, _ = given.dummy_input
    num_classes = sum(folder.is_dir() for folder in given.data_dir.glob("train/*")) or 1000
    weights = {"epochs": given.epochs, "batch_size": given.batch_size, "learning_rate": given.learning_rate}
    fine_tune = {"epochs": given.fine_tune_epochs, "warmup_epochs": given.fine_tune_epochs / 20}
    fine_tune |= {"batch_size": min(DEFAULT_FINE_TUNE.batch_size, given.batch_size)}
    architecture = {
        "num_warmup_epochs": given.warmup_epochs,
        "architecture_learning_rate": given.arc_learning_rate,
    }
    return SearchConfig(
        space="proxylessnas",
        space_options={"resolution": image_size, "num_classes": num_classes} | (SMOKE_SPACE if given.smoke else {}),
        budgets=tuple(given.budget),
        strategy="proxylessnas",
        strategy_options=architecture | latency_in_loss(given),
        seed=given.seed,
        data=DataConfig(
            name="image-folder",
            folder=str(given.data_dir),
            search_size=given.search_size,
            image_size=image_size,
            num_workers=given.workers,
        ),
        device=DeviceConfig(
            name=given.applied_hardware or given.device,
            batch_size=num_images,
            table=str(given.latency_table or given.out / "latency.sqlite"),
            **({"repeats": 1, "calibrate": 3} if given.smoke else {}),
        ),
        search=dataclasses.replace(PAPER, **weights),
        fine_tune=dataclasses.replace(DEFAULT_FINE_TUNE, **fine_tune),
        rivals="none" if given.smoke else "score",
    )


def within_small_space(config: SearchConfig) -> SearchConfig:
    """The configuration of --smoke with a T that its networks can have: where that given is none, the middle."""
    device, options = config.device, config.strategy_options
    space = load_space(config.space, **config.space_options)
    runtime = connect(device.name, batch_size=device.batch_size)
    with progress_bars() as show:
        table = measure(
            space,
            runtime,
            out=device.table,
            repeats=device.repeats,
            calibrate=device.calibrate,
            progress=lambda step: show(step.phase, step.done, step.total, step.item),
        )
    profiler = LatencyProfiler(space, table, z=1.0)  # as in the search
    least, most = profiler.min(), profiler.max()
    if least <= options["reference_latency"] <= most:
        return config
    middle = (least + most) / 2
    print_note(
        f"The networks of --smoke take {least:.4g} to {most:.4g} ms: --reference-latency-ms is {middle:.4g} here."
    )
    return dataclasses.replace(config, strategy_options=options | {"reference_latency": middle})


def search(given: argparse.Namespace, config: SearchConfig) -> None:
    """Search, or go on with it; the architecture goes to --arch-path too."""
    if given.smoke and given.applied_hardware is not None:
        config = within_small_space(config)
    run_search(config, given.out / "search", title="ProxylessNAS", json=False)
    if given.arch_path is None:
        return
    networks = found_networks(given.out / "search")
    given.arch_path.parent.mkdir(parents=True, exist_ok=True)
    for network in networks:  # several budgets on one quantity are several networks
        path = given.arch_path if len(networks) == 1 else given.arch_path.with_stem(network.directory.name)
        write_json(path, network.architecture.to_json())


def train(given: argparse.Namespace, config: SearchConfig) -> None:
    """Train what OUT/search has found, or the architecture that was given, from scratch."""
    size = {"epochs": given.retrain_epochs, "batch_size": given.batch_size}
    with progress_bars() as show:
        settings = {
            "directory": given.out / "retrain",
            "progress": lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        }
        if given.exported_arch_path is None:
            results = retrain_configured(given.out / "search", **size, **settings)
        else:
            make_space = functools.partial(load_space, config.space, **config.space_options)
            architecture = read_architecture(make_space(), given.exported_arch_path)
            data = load_data(seed=given.seed, **dataclasses.asdict(config.data))
            recipe = FINAL_RECIPES["proxylessnas"].resized(**size)
            results = [retrain(make_space, data, architecture, recipe, seed=given.seed, **settings)]
    print_results(results)
    require_kept(results)


def main(arguments: Sequence[str]) -> None:
    """Search or train, and say what came of it."""
    p = options(__doc__)
    if "--smoke" in arguments:
        p.set_defaults(**SMOKE)
    given = p.parse_args(arguments)
    if given.data_dir is None:
        given.data_dir = written_once(given.out / "smoke-data", write_image_folder)
    config = configuration(given)
    if given.train_mode == "search":
        search(given, config)
    else:
        train(given, config)


if __name__ == "__main__":
    run(main)
