"""The protocol of a runtime: what a device must offer to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwnas.measurement import Fingerprint

__all__ = ["Array", "Prepared", "Runtime"]

Array = npt.NDArray[Any]


class Prepared(Protocol):
    """A model on the device, ready to run.

    Guarantees: inputs and outputs are allocated once, when it is prepared; `run` does nothing but run the model and
    returns when the result is there; the same model runs the same way however often it ran before.
    """

    def run(self) -> None:
        """Run the model once on the inputs it was prepared with.

        Raises:
            DeviceError: the device failed.
        """
        ...

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        """The model's outputs for these inputs, in the file's order; never called while timing.

        Raises:
            DeviceError: the device failed, or refuses the inputs.
        """
        ...


class Runtime(Protocol):
    """A device with its runtime and settings.

    Guarantees: `fingerprint` is constant and says everything on which a latency depends; equal fingerprints mean
    comparable numbers; the clock is monotonic. So that weights do not change the time, who measures flushes denormals
    in the thread that calls (`hwnas.device.denormals`), a runtime in threads of its own; how the calling thread
    computes otherwise is left as it was.
    """

    @property
    def fingerprint(self) -> Fingerprint:
        """Where and how this runtime measures."""
        ...

    def prepare(self, path: Path) -> Prepared:
        """Load an ONNX file; its inputs are filled with fixed random numbers (integers: zeros).

        Raises:
            BadInputError: there is no such file, it is no ONNX file, or its shapes are not fixed.
            DeviceError: the device refuses the model.
        """
        ...

    def begin(self, visit: str) -> None:
        """Called before every visit of an item with the visit's name, before the item is prepared.

        A device that heats up may rest here; a fake draws its noise from the name, so that a resumed session sees
        what the uninterrupted one saw. Most runtimes do nothing.
        """
        ...

    def clock_ns(self) -> int:
        """Nanoseconds on the clock that times the runs; only differences have a meaning."""
        ...


def example_array(shape: Sequence[int], dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    """Inputs for timing: standard normal floats; zeros for integers, which may be indices; true for booleans."""
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return np.ones(shape, dtype) if dtype.kind == "b" else np.zeros(shape, dtype)
