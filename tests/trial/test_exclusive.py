import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time

import pytest

from hwnas.errors import ConfigError
from hwnas.trial.exclusive import exclusive_here, not_nested


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_one_at_a_time_under_a_name_and_no_waiting_for_other_names():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with exclusive_here("phone/1: a:b" * 50):
            entered.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(30)
    with exclusive_here("other"):
        pass
    threading.Timer(0.2, leave.set).start()
    with exclusive_here("phone/1: a:b" * 50):
        assert leave.is_set()
    holder.join()


def _hold_for_ever(entered):
    with exclusive_here("device"):
        entered.set()
        time.sleep(1000)


def test_a_killed_holder_holds_nothing():
    context = multiprocessing.get_context("fork")
    entered = context.Event()
    holder = context.Process(target=_hold_for_ever, args=(entered,))
    holder.start()
    assert entered.wait(30)
    holder.kill()
    with exclusive_here("device"):
        pass
    holder.join()


def test_a_child_forked_within_does_not_hold_it_on():
    """As the processes of a data loader would."""
    with exclusive_here("device"):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        child.start()
    with exclusive_here("device"):
        pass
    child.kill()
    child.join()


def test_a_child_of_a_killed_holder_does_not_hold_it_on():
    context = multiprocessing.get_context("fork")
    entered, children = context.Event(), context.SimpleQueue()

    def hold():
        with exclusive_here("device"):
            child = context.Process(target=time.sleep, args=(1000,))
            child.start()
            children.put(child.pid)
            entered.set()
            time.sleep(1000)

    holder = context.Process(target=hold)
    holder.start()
    assert entered.wait(30)
    holder.kill()
    holder.join()
    child = children.get()
    try:
        with exclusive_here("device"):
            os.kill(child, 0)  # it is there
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_leaves_the_block_of_its_parent_leaves_it_to_that():
    context = multiprocessing.get_context("fork")
    entered = context.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive_here("device"))
        child = context.Process(target=stack.close)
        child.start()
        child.join()
        assert child.exitcode == 0
        other = context.Process(target=_hold_for_ever, args=(entered,))
        other.start()
        assert not entered.wait(0.5)
    assert entered.wait(30)
    other.kill()
    other.join()


def test_it_is_free_again_after_an_error():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), exclusive_here("device"):
            _ = 1 / 0


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_needed(name):
    text = f"needs the name of what is to be alone, such as a device; got {name!r}"
    with pytest.raises(ConfigError, match=text), exclusive_here(name):
        pass


def test_a_folder_of_another_kind_is_not_used(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"hwnas-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"must be a folder of your own; .* Set TMPDIR"), exclusive_here("device"):
        pass


def test_blocks_do_not_nest_but_follow_each_other():
    exclusive = not_nested(exclusive_here)
    for _ in range(2):
        with (
            exclusive("one"),
            pytest.raises(ConfigError, match=r"exclusive\('other'\) within exclusive\('one'\)"),
            exclusive("other"),
        ):
            pass
