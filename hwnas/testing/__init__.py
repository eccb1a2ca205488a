"""For those who extend hwnas: fakes that keep a protocol, and contract suites that check one (these need pytest).

drawn_face         a face of known pose, with its landmarks
executor_contract  what every executor must do; trial_functions: good and bad evaluations for it
fake_runtime       a runtime with known latencies, noise and drift, on a clock of its own
layouts            small data sets to learn, written in the layouts of the published ones
one_shot_contract  what every one-shot strategy must do
planted_search     a task that one option of every choice makes learnable, and a driver of one-shot strategies
python2_pickle     pickles as CIFAR-10 was published in
runtime_contract   what every runtime must do
store_contract     what every store of trials must do
strategy_contract  what every multi-trial strategy must do
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnas.testing.fake_runtime import FakeRuntime

__all__ = ["FakeRuntime"]


def __getattr__(name: str) -> object:
    if name != "FakeRuntime":
        raise AttributeError(f"module 'hwnas.testing' has no attribute {name!r}")
    from hwnas.testing.fake_runtime import FakeRuntime  # late: workers that need trial_functions load no runtime

    return FakeRuntime
