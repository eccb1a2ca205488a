"""Programs written for NNI run here with nothing but their imports changed.

The lines between the rulers are those of NNI's pages on hardware-aware search, after their imports. Around them is what
the pages leave to the reader: a model space, inputs, an evaluation. Every strategy is then really run.
"""

from __future__ import annotations

import argparse
import dataclasses

import pytest
import torch
from torch import nn

import hwnas
from hwnas.nn import LayerChoice
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.testing.planted_search import planted_space, run as take_steps
from hwnas.train import Recipe
from tests.experiment.examples import SHORT, tiny_data, tiny_space

DUMMY_INPUT = torch.zeros(1, 1, 256, 256)
"""At which `tiny_space` has from 9 to 328 million multiply-accumulates, so that 300e6 is a limit."""


def evaluate(sample) -> float:
    """Large kernels and depths are better: a search without a limit goes over it."""
    return float(sum(option in ("k5", 2) for option in sample.values()))


def run_experiment(space, strategy, directory, **options):
    experiment = hwnas.Experiment(space, evaluate, strategy, directory=directory)
    experiment.run(**options)
    return experiment


def test_a_profiler():
    from torch.nn import Module as ModelSpace

    # ---
    class MyModelSpace(ModelSpace):
        def __init__(self):
            super().__init__()
            self.layer1 = LayerChoice({"conv": nn.Linear(3, 5), "skip": nn.Identity()}, label="layer1")

        def forward(self, x):
            return self.layer1(x)

    net = MyModelSpace()

    # ---
    from hwnas.profiler import FlopsProfiler

    # initialization
    profiler = FlopsProfiler(
        net, torch.randn(3)
    )  # randn(3) is a dummy input. It could be a tensor or a tuple of tensors.
    # compute flops for a sample
    flops = profiler.profile({"layer1": "conv"})
    # ---
    assert flops == 15
    assert FlopsProfiler(net, (torch.randn(3),)).profile({"layer1": "skip"}) == 0
    assert hwnas.NumParamsProfiler(net, torch.randn(3)).profile({"layer1": "conv"}) == 20


@pytest.mark.parametrize("is_module", [False, True], ids=["space", "module"])
def test_a_filter_around_random_search(tmp_path, is_module):
    space = tiny_space()
    model_space, dummy_input = space.module if is_module else space, DUMMY_INPUT

    # ---
    from hwnas.profiler import FlopsProfiler
    from hwnas.strategy.unbound import Chain, Filter, Random

    profiler = FlopsProfiler(model_space, dummy_input)

    strategy = Chain(Random(), Filter(lambda sample: profiler.profile(sample) < 300e6))
    # ---
    found = run_experiment(space, strategy, tmp_path / "filtered", max_trials=60).top(60)
    assert found
    assert all(profiler.profile(one.architecture) < 300e6 for one in found)
    free = run_experiment(space, Random(), tmp_path / "free", max_trials=60).top(1)
    assert profiler.profile(free[0].architecture) >= 300e6  # without the filter the best is over it


def test_a_filter_that_returns_a_bad_metric(tmp_path):
    """The page tells of it in words: the strategy learns to avoid what is refused."""
    from hwnas.profiler import NumParamsProfiler
    from hwnas.strategy.unbound import Chain, Filter, RegularizedEvolution

    model_space, dummy_input = tiny_space(), DUMMY_INPUT
    profiler = NumParamsProfiler(model_space, dummy_input)
    strategy = Chain(
        RegularizedEvolution(population_size=10, sample_size=3),
        Filter(lambda sample: profiler.profile(sample) < 3e3, metric_for_invalid=-100.0),
    )
    found = run_experiment(model_space, strategy, tmp_path, max_trials=40).top(40)
    assert len(found) > 10
    assert all(profiler.profile(one.architecture) < 3e3 for one in found)


def search_with(strategy, model_space, directory, **options):
    """A whole search, as short as can be."""
    [result] = hwnas.search_each(
        model_space,
        tiny_data(),
        strategy=strategy,
        strategy_options=options,
        search=dataclasses.replace(Recipe(), epochs=2, batch_size=100, warmup_epochs=0),
        recipe=SHORT,
        fine_tune=SHORT,
        rivals="none",
        directory=directory,
    )
    return result


def test_a_chain_in_a_search_with_a_supernet(tmp_path):
    """Beside experiments: the same description, scored with shared weights, fine-tuned and verified."""
    from hwnas.profiler import FlopsProfiler
    from hwnas.strategy.unbound import Chain, Filter, Random, TrialLimit

    model_space, dummy_input = tiny_space(), DUMMY_INPUT
    profiler = FlopsProfiler(model_space, dummy_input)
    strategy = Chain(Random(), TrialLimit(4), Filter(lambda sample: profiler.profile(sample) < 100e6))
    result = search_with(strategy, model_space, tmp_path)
    assert profiler.profile(result.architecture) < 100e6


def test_a_penalty_of_proxylessnas(tmp_path):
    model_space, dummy_input = tiny_space(), DUMMY_INPUT

    # ---
    from hwnas.profiler import FlopsProfiler
    from hwnas.strategy.unbound import ExpectationProfilerPenalty, ProxylessNAS

    # For sampling-based algorithms like ENAS, use `SampleProfilerPenalty` here.
    # Please see the document for each algorithm for the type of penalties they have supported.

    profiler = FlopsProfiler(model_space, dummy_input)
    penalty = ExpectationProfilerPenalty(
        profiler, 300e6
    )  # 300M is the expected profiler here. Exceeding it will be penalized.
    strategy = ProxylessNAS(penalty=penalty)
    # ---
    result = search_with(strategy, model_space, tmp_path, num_warmup_epochs=1)
    assert profiler.profile(result.architecture) < 300e6


def test_a_penalty_of_enas():
    from hwnas.profiler import FlopsProfiler
    from hwnas.strategy.unbound import ENAS, SampleProfilerPenalty

    model_space = planted_space()
    profiler = FlopsProfiler(model_space, torch.zeros(1000, 4))
    strategy = ENAS(penalty=SampleProfilerPenalty(profiler, 1e5, -1.0))(model_space, seed=0)
    take_steps(strategy, model_space, num_steps=20)
    assert profiler.profile(strategy.derive([]).architecture) <= profiler.max()


def test_a_range_filter_of_enas(tmp_path):
    model_space, dummy_input = tiny_space(), DUMMY_INPUT

    # ---
    from hwnas.profiler import FlopsProfiler
    from hwnas.strategy.unbound import ENAS, RangeProfilerFilter

    profiler = FlopsProfiler(model_space, dummy_input)
    filter = RangeProfilerFilter(profiler, 200e6, 300e6)  # Only flops between 200M and 300M are considered legal.
    strategy = ENAS(filter=filter)
    # ---
    result = search_with(strategy, model_space, tmp_path)
    assert 200e6 <= profiler.profile(result.architecture) <= 300e6


def test_the_older_evolution_with_a_latency_filter(tmp_path):
    """The multi-trial demo of SPOS; the device is a simulated one, on which latencies go with file sizes."""
    base_model = tiny_space()
    table = hwnas.measure(base_model, FakeRuntime(), out=tmp_path / "table.sqlite", repeats=1, calibrate=0)
    profiler = hwnas.LatencyProfiler(base_model, table)
    threshold_ms = (profiler.min() + profiler.max()) / 2
    args = argparse.Namespace(evolution_sample_size=5, evolution_population_size=10, evolution_cycles=25)
    evaluator = evaluate

    # ---
    from hwnas import Experiment as RetiariiExperiment
    from hwnas.strategy import unbound as strategy
    from hwnas.strategy.unbound import LatencyFilter

    latency_filter = LatencyFilter(profiler, threshold_ms)
    evolution_strategy = strategy.RegularizedEvolution(
        model_filter=latency_filter,
        sample_size=args.evolution_sample_size,
        population_size=args.evolution_population_size,
        cycles=args.evolution_cycles,
    )

    exp = RetiariiExperiment(base_model, evaluator, strategy=evolution_strategy, directory=tmp_path / "experiment")
    exp.run()
    # ---
    assert exp.status().num_complete == 25
    assert all(profiler.profile(one.architecture) <= threshold_ms for one in exp.top(25))


def test_the_same_call_goes_on_and_another_strategy_is_refused(tmp_path):
    """A strategy whose space comes later is told apart by how it is written."""
    from hwnas.errors import RunDirectoryError
    from hwnas.strategy.unbound import Chain, Deduplication, Random

    space = tiny_space()
    run_experiment(space, Chain(Random(), Deduplication()), tmp_path, max_trials=3)
    again = run_experiment(space, Chain(Random(), Deduplication()), tmp_path, max_trials=5)
    assert again.status().num_complete == 5
    with pytest.raises(RunDirectoryError, match="strategy"):
        run_experiment(space, Chain(Random(), Deduplication("invalid")), tmp_path, max_trials=6)
