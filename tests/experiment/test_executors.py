import pytest

from hwnas.errors import ConfigError
from hwnas.experiment import EXECUTORS, InlineExecutor, ProcessPool, RayExecutor
from hwnas.experiment.executors import make_executor


def test_every_name_makes_its_executor(tmp_path):
    made = [make_executor(name, 1, log_folder=tmp_path) for name in EXECUTORS]
    assert list(map(type, made)) == [InlineExecutor, ProcessPool, RayExecutor]
    assert make_executor("ray", 3, address="auto").num_slots == make_executor("processes", 3).num_slots == 3
    assert make_executor("processes", None).num_slots == 1


def test_an_executor_is_taken_as_it_is():
    executor = ProcessPool(2)
    assert make_executor(executor, None) is make_executor(executor, 2) is executor


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cloud", 1), "Unknown executor 'cloud'; known are inline, processes, ray"),
        (("inline", 2), 'In line one trial runs at a time; got concurrency=2. Set executor="processes"'),
        (("processes", 0), "`concurrency` must be a whole number of at least 1; got 0"),
        ((ProcessPool(2), 3), "at most the executor's number of slots, 2; got 3"),
    ],
)
def test_what_cannot_be_made(arguments, text):
    with pytest.raises(ConfigError, match=text):
        make_executor(*arguments)


def test_an_address_is_of_a_cluster():
    with pytest.raises(ConfigError, match="for executor=\"ray\"; got 'auto' for 'inline'"):
        make_executor("inline", 1, address="auto")
