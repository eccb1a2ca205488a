"""What `bench/speed.py` measures: a function for each row, which makes ready and returns the measurement."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from setting import Measure, Setting
from training_step import training_step

from hwnas.cost import CostTable, LatencyTable
from hwnas.device import connect, measure
from hwnas.measurement import Fingerprint
from hwnas.nn import ModelSpace
from hwnas.nn.families import family
from hwnas.profiler import FlopsProfiler, LatencyProfiler, NumParamsProfiler
from hwnas.solve import maximise, pareto_front
from hwnas.space import Space

__all__ = ["ROWS", "Row"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        name: for `--only`.
        what: in words.
        start: makes ready.
        unit: of the readings, as written behind a number.
        target: the bound that the project has set itself; None for a number that is only reported.
        more_is_better: whether the bound is a lower one.
        peer: the key of NNI's reading.
        is_long: measured only when asked for.
    """

    name: str
    what: str
    start: Callable[[Setting], Measure]
    unit: str
    target: float | None = None
    more_is_better: bool = False
    peer: str | None = None
    is_long: bool = False


def _help(setting: Setting) -> Measure:
    command = [sys.executable, "-m", "hwnas.cli", "--help"]

    def once() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    once()
    return lambda seed: [setting.seconds(once) for _ in range(3)]


def _prepare(setting: Setting) -> Measure:
    def once() -> float:
        space = family(setting.space)
        return setting.seconds(lambda: (FlopsProfiler(space), NumParamsProfiler(space)))

    once()
    return lambda seed: [once()]


def _sample(setting: Setting) -> Measure:
    space = family(setting.space).space
    space.sample_codes(1, np.random.default_rng(0))

    def once(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        return [setting.num_codes / setting.seconds(lambda: space.sample_codes(setting.num_codes, rng))]

    return once


def _profile(setting: Setting) -> Measure:
    profiler = FlopsProfiler(family(setting.space))
    profiler.profile_many(profiler.space.sample_codes(1, np.random.default_rng(0)))

    def once(seed: int) -> list[float]:
        codes = profiler.space.sample_codes(setting.num_codes, np.random.default_rng(seed))
        return [setting.num_codes / setting.seconds(lambda: profiler.profile_many(codes))]

    return once


def _random_latency(space: ModelSpace, rng: np.random.Generator) -> LatencyProfiler:
    """A random latency for every distinct block."""
    keys = sorted({block.key for block in space.trace().blocks})
    nowhere = Fingerprint(
        device="random", processor="", processor_flags="", runtime="", runtime_version="", precision="", threads=1,
        batch_size=1, layout="",
    )  # fmt: skip
    table = LatencyTable(
        milliseconds=dict(zip(keys, rng.lognormal(sigma=0.5, size=len(keys)).tolist(), strict=True)),
        standard_errors_ms=dict.fromkeys(keys, 0.0),
        fingerprint=nowhere,
        baseline_ms=1.0,
        reference="none",
        noise_floor=0.0,
    )
    return LatencyProfiler(space, table)


def _random_utility(space: Space, rng: np.random.Generator) -> CostTable:
    """A random number for every option of every choice."""
    return CostTable.from_options(
        space, {c.name: dict(zip(c.options, rng.random(c.num_options), strict=True)) for c in space.choices}
    )


def _front(setting: Setting, *, correlated: bool) -> Measure:
    space = family(setting.space)

    def once(seed: int) -> float:
        rng = np.random.default_rng(seed)
        cost = _random_latency(space, rng).cost
        assert isinstance(cost, CostTable)
        utility = _random_utility(space.space, rng)
        if correlated:
            utility = cost.with_unit("") + 0.5 * utility
        return setting.seconds(lambda: pareto_front(utility, cost))

    once(0)
    return lambda seed: [once(4 * seed + part) for part in range(4)]


def _maximise(setting: Setting) -> Measure:
    space = family(setting.space)
    counts = (FlopsProfiler(space), NumParamsProfiler(space))

    def once(seed: int) -> float:
        rng = np.random.default_rng(seed)
        profilers = (*counts, _random_latency(space, rng))
        utility = _random_utility(space.space, rng)
        codes = space.space.sample_codes(10_000, rng)
        budgets = [profiler.at_most(float(np.quantile(profiler.profile_many(codes), 0.3))) for profiler in profilers]
        solution = []
        seconds = setting.seconds(lambda: solution.append(maximise(utility, budgets)))
        if solution[0].certificate.status != "optimal":
            raise RuntimeError(f"not solved: {solution[0].certificate}")
        return seconds

    once(0)
    return lambda seed: [once(4 * seed + part) for part in range(4)]


def _table(setting: Setting) -> Measure:
    space = family(setting.space)

    def once() -> float:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "table.sqlite"
            return setting.seconds(lambda: measure(space, connect("onnxruntime:cpu"), out=out, calibrate=0)) / 60

    return lambda seed: [once()]


_RANDOM = "a random latency for every block and a random utility for every option"

ROWS = {
    row.name: row
    for row in (
        Row(
            name="prepare",
            what="FLOPs and parameter profilers of `mobilenet_v3` at 224 (NNI: ProxylessNAS)",
            start=_prepare,
            unit=" s",
            target=2.0,
            peer="prepare_seconds",
        ),
        Row(
            name="sample",
            what="architectures sampled, as an encoded batch of 100,000 (NNI: one by one)",
            start=_sample,
            unit="/s",
            target=50_000,
            more_is_better=True,
            peer="samples_per_second",
        ),
        Row(
            name="profile",
            what="`profile_many` of 100,000 architectures (NNI: one by one)",
            start=_profile,
            unit="/s",
            target=1_000_000,
            more_is_better=True,
            peer="profiles_per_second",
        ),
        Row(
            name="front",
            what=f"exact Pareto front of 5.9e21 networks, {_RANDOM}",
            start=lambda setting: _front(setting, correlated=False),
            unit=" s",
            target=0.1,
        ),
        Row(
            name="front_correlated",
            what="the same where the utility is the latency plus noise, so that fronts are ten times longer",
            start=lambda setting: _front(setting, correlated=True),
            unit=" s",
        ),
        Row(
            name="maximise",
            what="the best network under three budgets (MACs, parameters, latency), proven",
            start=_maximise,
            unit=" s",
            target=0.5,
        ),
        Row(
            name="train",
            what="a single-path training step of `mobilenet_v3_28`, batch 128, over a step of the frozen subnet",
            start=lambda setting: training_step(setting, bare=False),
            unit=" x",
            target=1.10,
        ),
        Row(
            name="train_bare",
            what="the same step over one of the frozen subnet in bare PyTorch, without clipping and checks",
            start=lambda setting: training_step(setting, bare=True),
            unit=" x",
        ),
        Row(name="help", what="from start to the end of `hwnas --help`", start=_help, unit=" s"),
        Row(
            name="table",
            what="filling the block table of `mobilenet_v3` at 224, export included, calibration apart",
            start=_table,
            unit=" min",
            target=6.0,
            is_long=True,
        ),
    )
}
