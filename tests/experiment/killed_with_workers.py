"""Programs with workers, to be killed."""

from __future__ import annotations

from pathlib import Path

from hwnas.experiment import Experiment, ProcessPool, RayExecutor
from hwnas.trial import FunctionEvaluator
from tests.experiment.many_trials import SPACE, evolution
from tests.experiment.trials_in_workers import HERE, task_of


def two_workers_wait(folder: Path) -> None:
    """Each with a child."""
    pool = ProcessPool(2)
    pool.start(FunctionEvaluator(f"{HERE}:misbehave"), lambda number, step, value: False)
    for number in range(2):
        pool.submit(task_of(number, do="start a child", path=str(folder / str(number))))
    pool.wait(None)


def run_in_workers(directory: Path, max_trials: int, ray_address: str | None) -> None:
    """In two processes, or two at a time on a cluster of Ray."""
    executor = ProcessPool(2) if ray_address is None else RayExecutor(2, address=ray_address)
    evaluator = FunctionEvaluator(f"{HERE}:score")
    experiment = Experiment(
        SPACE, evaluator, evolution, directory=directory, executor=executor, seed=3, max_attempts=100
    )
    experiment.run(max_trials)
