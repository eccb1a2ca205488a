"""The cases are in `ray_executor_cases.py`, run in a process of their own and in their order.

A process that has ended one connection to Ray and begun another loses new actors now and then (Ray 2.60: they are
destroyed a millisecond after they are made), so that cases which connect anew must come last, which no distribution of
tests to processes grants.
"""

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_cases_pass():
    pytest.importorskip("ray")
    cases = Path(__file__).with_name("ray_executor_cases.py")
    command = [sys.executable, "-m", "pytest", str(cases), "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(command, cwd=cases.parents[2], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
