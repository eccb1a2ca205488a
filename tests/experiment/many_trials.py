"""A small space with a known score, an executor that ends trials in any order, and experiments to be killed."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

from hwnas.cost import CostTable
from hwnas.experiment import Experiment
from hwnas.space import Choice, Space
from hwnas.strategy import RegularizedEvolution
from hwnas.trial import Ended
from hwnas.trial.attempt import attempt

SPACE = Space([Choice(f"c{number}", (0, 1, 2, 3)) for number in range(6)])
COST = CostTable.from_options(SPACE, {f"c{number}": {o: float(o) for o in (0, 1, 2, 3)} for number in range(6)})


def score(architecture) -> float:
    """A weighted sum: the best is 3 everywhere, with 63."""
    return float(sum((number + 1) * architecture[f"c{number}"] for number in range(6)))


def evolution(space=SPACE, budgets=(), *, seed=0):
    return RegularizedEvolution(space, budgets, population_size=8, sample_size=3, seed=seed)


class Shuffled:
    """Runs whichever of the submitted trials a seed says, when it is waited for."""

    def __init__(self, num_slots: int, seed: int = 0, lose: float = 0.0) -> None:
        self.num_slots = num_slots
        self.most_under_way = 0
        self._rng = random.Random(seed)
        self._lose = lose
        self._tasks = []

    def start(self, evaluator, on_report) -> None:
        self._evaluator, self._on_report = evaluator, on_report

    def submit(self, task) -> None:
        self._tasks.append(task)
        assert len(self._tasks) <= self.num_slots
        self.most_under_way = max(self.most_under_way, len(self._tasks))

    def wait(self, timeout_seconds=None):
        if not self._tasks:
            return []
        task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
        if self._rng.random() < self._lose:
            return [Ended(number=task.number, attempt=task.attempt, status="lost", error="The node was unplugged")]
        return [attempt(self._evaluator, task, lambda step, value: self._on_report(task.number, step, value))]

    def close(self) -> None:
        self._tasks.clear()


def logged(log: Path):
    """The score, written to a log with the process that computed it."""

    def evaluate(architecture) -> float:
        with log.open("a") as file:
            file.write(json.dumps([os.getpid(), architecture.to_json()]) + "\n")
        return score(architecture)

    return evaluate


def run_to_be_killed(directory: Path, log: Path, max_trials: int) -> None:
    Experiment(SPACE, logged(log), evolution, directory=directory, seed=3, max_attempts=100).run(max_trials)


def die_at_three(architecture) -> float:
    """Where the first choice is 3, the process dies."""
    if architecture["c0"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return score(architecture)


def run_to_die(directory: Path) -> None:
    Experiment(SPACE, die_at_three, "random", directory=directory, seed=1).run(12)
