import pytest

import hwnas.errors
from hwnas.errors import BadInputError, DeviceError, HwnasError, InfeasibleError

CLASSES = [getattr(hwnas.errors, name) for name in hwnas.errors.__all__]


def test_exit_codes():
    assert HwnasError.exit_code == 1
    assert BadInputError.exit_code == 2
    assert InfeasibleError.exit_code == 3
    assert DeviceError.exit_code == 4


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_of_one_root_and_in_the_map(error):
    assert issubclass(error, HwnasError)
    assert error.exit_code == 2 or not issubclass(error, BadInputError)
    assert f" {error.__name__} " in hwnas.errors.__doc__ or error is HwnasError


def test_all_is_sorted_and_complete():
    values = vars(hwnas.errors).items()
    defined = [name for name, value in values if isinstance(value, type) and issubclass(value, Exception)]
    assert hwnas.errors.__all__ == sorted(defined)


def test_infeasible_carries_the_least_achievable():
    least = {"latency": 3.2}
    error = InfeasibleError("too tight", least=least)
    least["latency"] = 0
    assert error.least == {"latency": 3.2}
    assert str(error) == "too tight"
    assert InfeasibleError("too tight").least == {}
