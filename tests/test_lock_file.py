import fcntl
import os
import signal
import subprocess
import sys

import pytest

from hwnas.lock_file import LockFile

PROGRAM = """
import fcntl, os, signal, sys, time
from pathlib import Path
from hwnas.lock_file import LockFile
file = LockFile(Path(sys.argv[1]), mode=0o600)
fcntl.flock(file.descriptor, fcntl.LOCK_EX)
reader, writer = os.pipe()
if child := os.fork():
    os.read(reader, 1)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
os.write(writer, b"x")
os.close(1), os.close(2)
time.sleep(1000)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.lock"


def locked(path):
    file = LockFile(path, mode=0o600)
    fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def in_a_fork(act):
    """The exit code of a forked child that acts: 0, or 1 where that raises."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_killed_process_holds_nothing_though_its_child_lives_on(path):
    killed = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    child = int(killed.stdout)
    try:
        locked(path).close()
        os.kill(child, 0)  # it is there
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_does_not_give_the_lock_of_its_parent_back(path):
    file = locked(path)
    assert in_a_fork(file.close) == 0
    assert in_a_fork(lambda: None) == 0
    with pytest.raises(BlockingIOError):
        locked(path)
    file.close()
    locked(path).close()


def test_a_child_has_locks_of_its_own(path):
    """Also where its files have the numbers of those that it has closed."""
    others = locked(path)

    def take_another():
        mine = locked(path.with_name("another.lock"))
        others.close()
        os.fstat(mine.descriptor)
        mine.close()

    assert in_a_fork(take_another) == 0
    others.close()


def test_closing_twice_does_nothing(path):
    file = locked(path)
    file.close()
    with path.open() as another:  # perhaps under the same number
        file.close()
        os.fstat(another.fileno())
