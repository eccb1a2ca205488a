"""SIGKILL at random moments, and the same command again: the same weights bit for bit, no finished epoch twice."""

import json
import multiprocessing
import random
import time

import pytest
import torch

from hwnas.train import latest_checkpoint
from tests.train.examples import KILLED_RECIPE, run_to_be_killed

STEPS_PER_EPOCH = 144 // KILLED_RECIPE.batch_size
PROCESSES = multiprocessing.get_context("forkserver")  # it imports torch once, for all runs
PROCESSES.set_forkserver_preload(["hwnas.train", "hwnas.nn"])


def lines(log):
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def start(directory, log):
    process = PROCESSES.Process(target=run_to_be_killed, args=(directory, log))
    process.start()
    return process


def finish(directory, log):
    process = start(directory, log)
    process.join(300)
    assert process.exitcode == 0
    return latest_checkpoint(directory)


def check(tmp_path, *, num_kills):
    expected = finish(tmp_path / "whole", tmp_path / "whole.log")
    rng = random.Random(num_kills)
    directory, log = tmp_path / "killed", tmp_path / "killed.log"
    total = expected.num_steps
    for kill in range(num_kills):
        seen = len(lines(log))
        process = start(directory, log)
        wait_for = seen + rng.randint(1, max(1, total // (num_kills + 2)))
        while len(lines(log)) < wait_for and process.is_alive():
            time.sleep(0.002)
        time.sleep(rng.random() * 0.03)
        process.kill()
        process.join()
        assert lines(log)[-1].keys() == {"step"}, f"run {kill} finished before it was killed"
    found = finish(directory, log)
    assert found.step == expected.step == total
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[name], expected.tensors[name]) for name in expected.tensors)

    steps = [line["step"] for line in lines(log) if "step" in line]
    for epoch_end in range(STEPS_PER_EPOCH, total + 1, STEPS_PER_EPOCH):
        # a process killed between writing the checkpoint and logging its step leaves no line for it
        first = next(i for i, step in enumerate(steps) if step >= epoch_end)
        assert all(step > epoch_end for step in steps[first + 1 :])


def test_three_kills(tmp_path):
    check(tmp_path, num_kills=3)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    check(tmp_path, num_kills=20)
