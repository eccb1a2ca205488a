"""For those who extend hwnas: fakes that keep a protocol, and contract suites that check one (these need pytest).

fake_runtime       a runtime with known latencies, noise and drift, on a clock of its own
runtime_contract   what every runtime must do
"""

from hwnas.testing.fake_runtime import FakeRuntime

__all__ = ["FakeRuntime"]
