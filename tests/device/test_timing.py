import gc
import math

import pytest

from hwnas.device.timing import Timing, alternate, slice_ms, warm_up
from hwnas.testing import FakeRuntime


class Scripted:
    """A model whose runs take what a function of its run number says, on the fake's clock."""

    def __init__(self, runtime, latency_ms):
        self.runtime, self.latency_ms, self.num_runs = runtime, latency_ms, 0

    def run(self):
        self.runtime.spend(self.latency_ms(self.num_runs), memory_bound=False)
        self.num_runs += 1


@pytest.fixture
def runtime():
    return FakeRuntime(noise=0.0)


def constant(runtime, latency_ms):
    return Scripted(runtime, lambda _: latency_ms)


def test_warm_up_ends_when_two_medians_of_five_agree(runtime):
    steady = constant(runtime, 1.0)
    warm_up(steady, runtime)
    assert steady.num_runs == 10
    cooling = Scripted(runtime, lambda number: 1.0 + max(0, 20 - number))
    warm_up(cooling, runtime)
    assert cooling.num_runs == 30


def test_warm_up_ends_at_its_limit(runtime):
    ever_slower = Scripted(runtime, lambda number: 1.1**number)
    warm_up(ever_slower, runtime, limit_ms=100.0)
    assert ever_slower.num_runs == 30  # 25 runs are 98.3 ms: once more five


def test_a_slice_is_the_median_run_of_at_least_its_length(runtime):
    model = Scripted(runtime, lambda number: 100.0 if number == 0 else 2.0)
    assert slice_ms(model, runtime, 5.0) == pytest.approx(2.0)  # the first run pays for the caches, and is not timed
    assert model.num_runs == 1 + 3
    interrupted = Scripted(runtime, lambda number: 3.0 if number == 2 else 1.0)
    assert slice_ms(interrupted, runtime, 5.0) == pytest.approx(1.0)
    slow = constant(runtime, 40.0)
    assert slice_ms(slow, runtime, 5.0) == pytest.approx(40.0)
    assert slow.num_runs == 1 + 1


def test_steady_ratios_end_a_visit_early(runtime):
    paired = alternate(constant(runtime, 1.0), constant(runtime, 2.0), runtime, Timing())
    assert paired.samples_ms == pytest.approx([1.0] * 11)
    assert paired.references_ms == pytest.approx([2.0] * 11)
    assert paired.steady == (True,) * 11


def test_dispersion_goes_on_to_the_limit():
    noisy = FakeRuntime(noise=0.3)
    timing = Timing(limit_ms=600.0)
    start = noisy.clock_ns()
    paired = alternate(constant(noisy, 5.0), constant(noisy, 5.0), noisy, timing)
    assert len(paired.samples_ms) > timing.min_samples
    assert (noisy.clock_ns() - start) / 1e6 > 600.0


def test_a_slice_around_which_the_reference_moved_is_measured_again(runtime):
    reference = Scripted(runtime, lambda number: 10.0 if number < 4 else 12.0)  # two slices, then 20 % slower
    paired = alternate(constant(runtime, 1.0), reference, runtime, Timing())
    assert paired.steady == (True, False, *[True] * 10)
    assert paired.references_ms[1] == pytest.approx(math.sqrt(10.0 * 12.0))


def test_the_garbage_collector_rests_while_timing(runtime):
    seen = []
    model = Scripted(runtime, lambda _: seen.append(gc.isenabled()) or 1.0)
    assert gc.isenabled()
    alternate(constant(runtime, 1.0), model, runtime, Timing())
    assert not any(seen)
    assert gc.isenabled()
    gc.disable()
    try:
        alternate(constant(runtime, 1.0), model, runtime, Timing())
        assert not gc.isenabled()
    finally:
        gc.enable()
