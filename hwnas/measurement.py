"""Words of measuring: where and how a number was taken, and the samples themselves."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from hwnas.errors import FingerprintError

__all__ = ["PROTOCOL_VERSION", "Fingerprint", "Measurement"]

PROTOCOL_VERSION = 1
"""Number of the measuring protocol; raised only when the procedure or the exporter changes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Where and how a latency was taken; numbers with different fingerprints do not add."""

    device: str
    processor: str
    processor_flags: str
    runtime: str
    runtime_version: str
    precision: str
    threads: int
    batch_size: int
    layout: str
    protocol: int = PROTOCOL_VERSION

    def to_json(self) -> dict[str, str | int]:
        """The fields as a JSON object."""
        return dataclasses.asdict(self)

    @property
    def uid(self) -> str:
        """SHA-256 of the canonical JSON."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: Fingerprint) -> Mapping[str, tuple[str | int, str | int]]:
        """The fields that differ, each with this and the other's value."""
        mine, theirs = self.to_json(), other.to_json()
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def require_same(self, other: Fingerprint, *, what: str) -> None:
        """Raise unless `other` is the same place and procedure.

        Args:
            other: the fingerprint in force now.
            what: what carries this fingerprint, for the message ("the table lat.sqlite").

        Raises:
            FingerprintError: naming every field that differs, with both values.
        """
        differing = self.differences(other)
        if differing:
            fields = ", ".join(f"{name} is {a!r} there and {b!r} here" for name, (a, b) in differing.items())
            raise FingerprintError(
                f"{what} was measured under another fingerprint: {fields}. Measure again with the "
                "present settings (another --out), or use the settings of the table."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """The latency of one item: robust statistics over all rounds, in milliseconds.

    `median_ms` is corrected for drift (raw * baseline / reference at that time) and
    `standard_error_ms` is that of the corrected median; `raw_median_ms` is what the clock said.
    """

    key: str
    median_ms: float
    raw_median_ms: float
    p10_ms: float
    p90_ms: float
    mad_ms: float
    standard_error_ms: float
    num_samples: int
    num_rounds: int
