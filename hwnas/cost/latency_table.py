"""Measured milliseconds of every block, with the place and the procedure they come from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

from pydantic import ConfigDict, TypeAdapter, ValidationError

from hwnas.errors import BadInputError
from hwnas.measurement import Fingerprint

__all__ = ["Calibration", "LatencyTable"]

_STRICT = ConfigDict(extra="forbid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the sum over isolated blocks becomes the latency of a whole network.

    latency = intercept + slope * sum over its blocks of (measured by itself - isolation)

    Attributes:
        intercept_ms: of the fit.
        slope: of the fit, positive.
        r2: coefficient of determination on the networks of the fit.
        max_relative_error: largest |predicted - measured| / measured among them.
        num_networks: how many whole networks were measured.
        isolation_ms: what measuring a block by itself adds to it: the call of the runtime, the change of layout at
            its borders. Blocks of a few microseconds are mostly that.
    """

    __pydantic_config__ = _STRICT

    intercept_ms: float
    slope: float
    r2: float
    max_relative_error: float
    num_networks: int
    isolation_ms: float = 0.0

    def __post_init__(self) -> None:
        """Check the fit.

        Raises:
            BadInputError: a slope that is not positive, or a number that is not finite.
        """
        if not all(map(math.isfinite, dataclasses.astuple(self))) or self.slope <= 0:
            raise BadInputError(
                f"A calibration must be finite with a positive slope; got {self}. Measure more networks."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyTable:
    """The latency of every block of a space on one device.

    Attributes:
        milliseconds: corrected median by block key.
        standard_errors_ms: of those, by the same keys.
        fingerprint: where and how all of them were taken.
        baseline_ms: median of the reference model over the session; corrected = raw * baseline / reference now.
        reference: key or name of the reference model.
        noise_floor: relative test-retest difference (0.02 is 2 %).
        calibration: block sums to whole networks; None before whole networks were measured.
        path: the SQLite file with the measurements themselves and the reference model; None where none was kept.
    """

    __pydantic_config__ = _STRICT

    milliseconds: Mapping[str, float]
    standard_errors_ms: Mapping[str, float]
    fingerprint: Fingerprint
    baseline_ms: float
    reference: str
    noise_floor: float
    calibration: Calibration | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers and make the mappings read-only.

        Raises:
            BadInputError: other keys in the standard errors; a number that is negative or not finite;
                a baseline of 0.
        """
        for name in ("milliseconds", "standard_errors_ms"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        differing = sorted(self.milliseconds.keys() ^ self.standard_errors_ms.keys())
        if differing:
            raise BadInputError(f"Every block must have a latency and a standard error; {differing!r} have one only.")
        numbers = {
            **{f"the latency of {key!r}": value for key, value in self.milliseconds.items()},
            **{f"the standard error of {key!r}": value for key, value in self.standard_errors_ms.items()},
            "noise_floor": self.noise_floor,
            "baseline_ms": self.baseline_ms,
        }
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise BadInputError(f"In a latency table, {name} must be finite and at least 0; got {value}.")
        if self.baseline_ms == 0:
            raise BadInputError("In a latency table, baseline_ms must be positive; got 0.")

    def latency_ms(self, key: str) -> float:
        """The latency of a block.

        Raises:
            BadInputError: it was not measured; unknown is never zero.
        """
        if key not in self.milliseconds:
            raise BadInputError(
                f"Block {key!r} is not in the latency table of {self.fingerprint.device}. "
                "Measure again with the same output: only what is missing is measured."
            )
        return self.milliseconds[key]

    def to_json(self) -> dict[str, object]:
        """The table as a JSON object."""
        return {
            "milliseconds": dict(self.milliseconds),
            "standard_errors_ms": dict(self.standard_errors_ms),
            "fingerprint": self.fingerprint.to_json(),
            "baseline_ms": self.baseline_ms,
            "reference": self.reference,
            "noise_floor": self.noise_floor,
            "calibration": None if self.calibration is None else dataclasses.asdict(self.calibration),
        }

    @classmethod
    def from_json(cls, value: object) -> LatencyTable:
        """The inverse of `to_json`.

        Raises:
            BadInputError: anything that `to_json` does not write, naming the field.
        """
        try:
            return _ADAPTER.validate_python(value)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}" for problem in error.errors()
            )
            raise BadInputError(f"This is not a latency table: {problems}. Measure again.") from None


_ADAPTER = TypeAdapter(LatencyTable)
