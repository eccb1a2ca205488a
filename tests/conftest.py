"""What holds for every test."""

import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

# The same examples on every machine, however slow it is; `pytest --hypothesis-profile=default` looks for others.
settings.register_profile(
    "hwnas", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("hwnas")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """The same weights for a test whatever ran before it in its process: several share the tests as they can."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
