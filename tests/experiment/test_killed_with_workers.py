"""SIGKILL at random moments of a thousand trials in processes and on Ray: every one is recorded once, none is lost."""

import multiprocessing
import random
import time
from collections import Counter

import pytest

from hwnas.errors import StoreError
from hwnas.experiment import read_experiment
from hwnas.store import TrialStore
from tests.experiment.killed_with_workers import run_in_workers
from tests.experiment.many_trials import score

PROCESSES = multiprocessing.get_context("forkserver")  # it imports torch once, for all runs
PROCESSES.set_forkserver_preload(["tests.experiment.killed_with_workers"])
NUM_TRIALS = 1000


def num_asked(directory):
    """As another process sees it, while the experiment runs."""
    try:
        with TrialStore(directory / "run.sqlite", write=False) as store:
            return len(store.trials("trials"))
    except StoreError:  # not there yet
        return 0


def check(directory, *, num_kills, ray_address):
    rng = random.Random(num_kills)
    kills = 0
    for moment in sorted(rng.sample(range(1, NUM_TRIALS - 100), num_kills)):
        process = PROCESSES.Process(target=run_in_workers, args=(directory, NUM_TRIALS, ray_address))
        process.start()
        while num_asked(directory) < moment and process.is_alive():
            time.sleep(0.02)
        time.sleep(rng.random() * 0.02)
        kills += process.is_alive()
        process.kill()
        process.join()
    process = PROCESSES.Process(target=run_in_workers, args=(directory, NUM_TRIALS, ray_address))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    assert kills >= num_kills - 1

    trials = read_experiment(directory).trials
    assert [trial.number for trial in trials] == list(range(NUM_TRIALS))
    assert {trial.status for trial in trials} == {"complete"}
    assert all(trial.metrics == {"score": score(trial.architecture)} for trial in trials)
    assert sum(trial.attempts - 1 for trial in trials) <= 2 * kills  # only what was running is done again
    with TrialStore(directory / "run.sqlite") as store:
        kinds = Counter(event.kind for event in store.events("trials"))
    assert kinds["asked"] == kinds["ended"] == NUM_TRIALS


@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_in_processes(tmp_path, num_kills):
    check(tmp_path, num_kills=num_kills, ray_address=None)


@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_on_ray(tmp_path, num_kills, cluster):
    check(tmp_path, num_kills=num_kills, ray_address=cluster.address)
