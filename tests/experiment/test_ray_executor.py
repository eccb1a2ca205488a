"""The cases are in `ray_executor_cases.py`, run in a process of their own and in their order.

A process that has ended one connection to Ray and begun another loses new actors now and then (Ray 2.60: they are
destroyed a millisecond after they are made), so that cases which connect anew must come last, which no distribution of
tests to processes grants.
"""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("marked", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_the_cases_pass(marked):
    pytest.importorskip("ray")
    cases = Path(__file__).with_name("ray_executor_cases.py")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", marked]
    command = [sys.executable, "-m", "pytest", str(cases), *options]
    done = subprocess.run(command, cwd=cases.parents[2], capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stdout + done.stderr
