"""SIGKILL at random moments of a thousand trials: every one is recorded once, as in the run that was never killed."""

import multiprocessing
import random
import time
from collections import Counter

import pytest

from hwnas.experiment import read_experiment
from hwnas.store import TrialStore
from tests.experiment.many_trials import run_to_be_killed, run_to_die

PROCESSES = multiprocessing.get_context("forkserver")  # it imports torch once, for all runs
PROCESSES.set_forkserver_preload(["tests.experiment.many_trials"])
NUM_TRIALS = 1000


def start(function, *arguments):
    process = PROCESSES.Process(target=function, args=arguments)
    process.start()
    return process


def num_evaluated(log):
    return log.read_bytes().count(b"\n") if log.exists() else 0


def check(tmp_path, *, num_kills):
    whole, log = tmp_path / "whole", tmp_path / "log"
    run_to_be_killed(whole, tmp_path / "whole.log", NUM_TRIALS)
    killed = tmp_path / "killed"
    rng = random.Random(num_kills)
    moments = sorted(rng.sample(range(1, NUM_TRIALS - 50), num_kills))
    kills = 0
    for moment in moments:
        process = start(run_to_be_killed, killed, log, NUM_TRIALS)
        while num_evaluated(log) < moment and process.is_alive():
            time.sleep(0.005)
        time.sleep(rng.random() * 0.01)
        kills += process.is_alive()
        process.kill()
        process.join()
    process = start(run_to_be_killed, killed, log, NUM_TRIALS)
    process.join(300)
    assert process.exitcode == 0
    assert kills >= num_kills - 1  # the last moments may come too late

    found, expected = read_experiment(killed).trials, read_experiment(whole).trials
    assert len(found) == NUM_TRIALS
    attempts = Counter(trial.attempts for trial in found)
    assert sum(number - 1 for number in attempts.elements()) <= kills  # only what was running is done again
    assert [dict(vars(t), attempts=1, seconds=0) for t in found] == [dict(vars(t), seconds=0) for t in expected]
    assert num_evaluated(log) <= NUM_TRIALS + kills
    with TrialStore(killed / "run.sqlite") as store:
        kinds = Counter(event.kind for event in store.events("trials"))
    assert kinds["asked"] == kinds["ended"] == NUM_TRIALS
    assert kinds["began"] <= num_kills + 1


def test_three_kills(tmp_path):
    check(tmp_path, num_kills=3)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    check(tmp_path, num_kills=20)


def test_a_trial_whose_process_dies_every_time_has_failed(tmp_path):
    num_deaths = 0
    for _ in range(60):
        process = start(run_to_die, tmp_path)
        process.join(300)
        if process.exitcode == 0:
            break
        num_deaths += 1
    trials = read_experiment(tmp_path).trials
    assert len(trials) == 12
    deadly = [trial for trial in trials if trial.architecture["c0"] == 3]
    assert deadly  # of this seed
    assert num_deaths == 3 * len(deadly)
    assert {(trial.status, trial.error, trial.attempts) for trial in deadly} == {
        ("failed", "The process died in each of 3 attempts at this trial.", 3)
    }
    assert all(trial.status == "complete" for trial in trials if trial not in deadly)
