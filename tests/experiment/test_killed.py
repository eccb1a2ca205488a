"""SIGKILL at random moments of a search, and the same call again: nothing finished is done twice, the same result."""

import json
import multiprocessing
import random
import shutil
import time

import pytest

from tests.experiment.examples import tiny_search

PROCESSES = multiprocessing.get_context("forkserver")  # it imports torch once, for all runs
PROCESSES.set_forkserver_preload(["hwnas.experiment", "hwnas.testing.fake_runtime"])


def lines(log):
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("]")]


def start(directory, log, options):
    process = PROCESSES.Process(target=tiny_search, args=(directory, ("latency<=60%",), log), kwargs=options)
    process.start()
    return process


def result(directory):
    content = json.loads((directory / "result.json").read_text())
    del content["seconds"]
    return content


def trials(log):
    """How often each trial was counted as done, over all runs (a replayed one counts again, at once)."""
    return [done for phase, done, _ in lines(log) if phase == "search" and done]


def check(tmp_path, *, num_kills, **options):
    whole, whole_log = tmp_path / "whole", tmp_path / "whole.log"
    process = start(whole, whole_log, options)
    process.join(300)
    assert process.exitcode == 0
    total = len(lines(whole_log))
    rng = random.Random(num_kills)
    directory, log = tmp_path / "killed", tmp_path / "killed.log"
    moments = sorted(rng.randint(1, total - 2) for _ in range(num_kills))
    for moment in moments:
        process = start(directory, log, options)
        seen = len(lines(log))
        while len(lines(log)) - seen < moment and process.is_alive():
            time.sleep(0.005)
        time.sleep(rng.random() * 0.1)
        process.kill()
        process.join()
    process = start(directory, log, options)
    process.join(300)
    assert process.exitcode == 0
    assert result(directory) == result(whole)
    assert max(trials(log)) == max(trials(whole_log))
    shutil.rmtree(directory)


def test_three_kills(tmp_path):
    check(tmp_path, num_kills=3)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    check(tmp_path, num_kills=20)


OTHERS = {
    "evolution": {"max_trials": 20, "population_size": 6, "sample_size": 3},
    "random": {"max_trials": 12},
    "spos": {"population_size": 6, "num_top": 3, "num_crossover": 2, "num_mutation": 2, "num_generations": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", OTHERS)
def test_the_others_that_ask(tmp_path, strategy):
    """Those that take steps are in `test_one_shot`."""
    check(tmp_path, num_kills=3, strategy=strategy, strategy_options=OTHERS[strategy])
