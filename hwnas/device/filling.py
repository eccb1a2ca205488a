"""One filling of a latency table: export, measure the blocks, calibrate on whole networks, put the table together."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hwnas.cost import Calibration, CostTable, LatencyTable, block_sum, guarded_sum
from hwnas.device.batching import batched
from hwnas.device.calibration import calibrated
from hwnas.device.noise import Noise, noise_of
from hwnas.device.runtime import Runtime
from hwnas.device.session import RETEST, Item, Progress, Step, measure_items
from hwnas.device.statistics import baseline_ms, summarise
from hwnas.device.timing import Timing
from hwnas.errors import TraceError
from hwnas.export import BlockItem, export_blocks, export_onnx, write_whole
from hwnas.measurement import Measurement
from hwnas.nn import ModelSpace
from hwnas.space import Architecture
from hwnas.store import MeasurementStore, Visit

__all__ = ["Filling", "measurements_of"]

_NUM_REFERENCE_CANDIDATES = 5


def measurements_of(visits: Iterable[Visit], baseline: float) -> list[Measurement]:
    """The measurement of every item that has a visit beside the retest, sorted by key."""
    rounds: dict[str, list[Visit]] = {}
    for visit in visits:
        if visit.round != RETEST:
            rounds.setdefault(visit.key, []).append(visit)
    return [summarise(rounds[key], baseline) for key in sorted(rounds)]


class Filling:
    """One call of `measure`; its arguments are described there."""

    def __init__(
        self,
        space: ModelSpace,
        runtime: Runtime,
        store: MeasurementStore,
        *,
        repeats: int,
        seed: int,
        timing: Timing | None,
        progress: Progress,
    ) -> None:
        self._space = space
        self._runtime = runtime
        self._store = store
        self._repeats = repeats
        self._seed = seed
        self._timing = timing
        self._progress = progress
        self._folder = store.path.with_name(store.path.name + ".onnx")
        self._inputs = batched(space.example_inputs, runtime.fingerprint.batch_size)
        self._blocks = tuple(traced.block for traced in space.blocks())

    def run(self, *, num_networks: int) -> LatencyTable:
        """Do what is missing; the finished table, which is also in the store."""
        reference = self._reference()
        keys = {block.key for block in self._blocks}
        paths = self._export_blocks()
        self._measure([Item(key=key, kind="block", path=path) for key, path in paths.items()], reference)
        visits = [visit for visit in self._store.visits() if visit.key in keys]
        baseline = self._baseline(visits)
        measured = {item.key: item for item in measurements_of(visits, baseline)}
        noise = [noise_of(visits)]
        table = LatencyTable(
            milliseconds={key: item.median_ms for key, item in measured.items()},
            standard_errors_ms={key: item.standard_error_ms for key, item in measured.items()},
            fingerprint=self._runtime.fingerprint,
            baseline_ms=baseline,
            reference=self._store.fact("reference"),
            noise_floor=noise[0].floor,
        )
        calibration: Calibration | None = None
        if num_networks:
            calibration, network_noise = self._calibrate(table, num_networks, reference)
            noise.append(network_noise)
        return self._finished(table, calibration, noise)

    def _measure(self, items: Sequence[Item], reference: Path) -> None:
        measure_items(
            items,
            self._store,
            self._runtime,
            reference,
            rounds=self._repeats,
            seed=self._seed,
            timing=self._timing,
            progress=self._progress,
        )

    def _reference(self) -> Path:
        """The reference model's file: the store's, or else a network of middle size is drawn and kept there."""
        path = self._folder / "reference.onnx"
        kept = self._store.model("reference")
        if kept is None:
            rng = np.random.default_rng([self._seed, 0])
            drawn = [self._space.space.sample(rng) for _ in range(_NUM_REFERENCE_CANDIDATES)]
            drawn.sort(key=lambda one: (sum(p.numel() for p in self._space.freeze(one).parameters()), one.uid))
            chosen = drawn[len(drawn) // 2]
            kept = self._export_network(chosen).read_bytes()
            self._store.set_fact("reference", f"network {chosen.uid}")
            self._store.set_model("reference", kept)  # last: whoever finds it finds its name too
        write_whole(path, kept)
        return path

    def _export_blocks(self) -> Mapping[str, Path]:
        """The file of every block by key, exported at the runtime's batch size."""
        items: dict[str, BlockItem] = {}
        for key, (module, inputs) in self._modules().items():
            items[key] = (key, _with_weights(module), inputs)
        done = export_blocks(
            list(items.values()),
            self._folder,
            progress=lambda done, total: self._progress(Step(phase="export", done=done, total=total)),
        )
        return dict(zip(items, done, strict=True))

    def _modules(self) -> Mapping[str, tuple[nn.Module, tuple[torch.Tensor, ...]]]:
        """Module and inputs of every block by its key in the space, at the runtime's batch size.

        A space of another batch size is traced again with batched inputs; its blocks come in the same order.
        """
        space = self._space
        if self._inputs is not space.example_inputs:
            space = ModelSpace(space.module, self._inputs)
        traced = space.blocks()
        if [block.guard for block in self._blocks] != [one.block.guard for one in traced]:
            raise TraceError(
                f"The space has other blocks at batch size {self._runtime.fingerprint.batch_size} than at that of its "
                "example inputs, so its network depends on the batch. Give example inputs with the batch to measure."
            )
        return {block.key: (one.module, one.example_inputs) for block, one in zip(self._blocks, traced, strict=True)}

    def _export_network(self, architecture: Architecture) -> Path:
        path = self._folder / f"network-{architecture.uid}-{self._runtime.fingerprint.batch_size}.onnx"
        if not path.is_file():
            export_onnx(_with_weights(self._space.freeze(architecture)), self._inputs, path)
        return path

    def _baseline(self, visits: Sequence[Visit]) -> float:
        """The reference's median over the session that filled the table; once known it never changes."""
        known = self._store.fact("baseline_ms")
        if known is None:
            known = baseline_ms([visit for visit in visits if visit.round != RETEST])
            self._store.set_fact("baseline_ms", known)
        return float(known)

    def _calibrate(self, table: LatencyTable, num_networks: int, reference: Path) -> tuple[Calibration, Noise]:
        sums = block_sum(self._space.space, self._blocks, table)
        counts = guarded_sum(self._space.space, ((block.guard, 1.0) for block in self._blocks))
        networks = {f"network {one.uid}": one for one in self._networks(sums, num_networks)}
        self._store.set_fact("networks", {key: one.to_json() for key, one in networks.items()})
        items = []
        for key, architecture in networks.items():
            items.append(Item(key=key, kind="network", path=self._export_network(architecture)))
            self._progress(Step(phase="export", done=len(items), total=len(networks), item=key))
        self._measure(items, reference)
        visits = [visit for visit in self._store.visits() if visit.key in networks]
        measured = measurements_of(visits, table.baseline_ms)
        fit = calibrated(
            [sums.value(networks[item.key]) for item in measured],
            [round(counts.value(networks[item.key])) for item in measured],
            [item.median_ms for item in measured],
            most_isolation_ms=min(table.milliseconds.values()),
        )
        return fit, noise_of(visits)

    def _networks(self, sums: CostTable, num_networks: int) -> list[Architecture]:
        """The cheapest and the dearest by the sum of blocks, and uniform samples of the space."""
        rng = np.random.default_rng([self._seed, 1])
        chosen = dict.fromkeys([sums.minimum().architecture, sums.maximum().architecture])
        for _ in range(20 * num_networks):  # a small space may have fewer networks than are asked for
            if len(chosen) >= num_networks:
                break
            chosen[self._space.space.sample(rng)] = None
        return list(chosen)[:num_networks]

    def _finished(self, table: LatencyTable, calibration: Calibration | None, noise: Sequence[Noise]) -> LatencyTable:
        apart = max(one.apart for one in noise)
        if apart:
            warnings.warn(
                f"Items drifted apart from the reference model by {apart:.1%} between rounds, as memory-bound and "
                "compute-bound ones do on a busy machine; the noise floor is widened to that. Measure on an idle "
                "machine for a narrower one.",
                stacklevel=4,
            )
        floor = max(one.floor for one in noise)
        finished = dataclasses.replace(table, noise_floor=floor, calibration=calibration)
        self._store.set_fact("table", finished.to_json())
        self._store.set_fact("drifted_apart", apart)
        return finished


def _with_weights(module: nn.Module) -> nn.Module:
    """The module itself; weights on the meta device, whose values nobody knows, become numbers around 1."""
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        module = module.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5, generator=generator)
                else:
                    tensor.zero_()
    return module
