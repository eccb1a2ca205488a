"""From a finished search to its network, trained to its final form: anew, on all images but those of the test.

    the run's result ─► the network ─► train on train + search ─► export, verify against the budgets, test ─► result

The search part has done its work, choosing the architecture, and is learned from as well. What was finished is in the
retraining's own folder, and the same call goes on from there. An architecture from elsewhere, such as a published one,
is trained the same way; it has no budgets to be verified against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwnas.arguments import LARGEST, whole_number
from hwnas.cost import Budget, CostTable
from hwnas.data import JoinedPart, Splits, Task
from hwnas.device import Runtime, connect
from hwnas.errors import BudgetError, ConfigError, RunDirectoryError, SpaceError
from hwnas.experiment.deployment import Deployment, MeasuredDevice, reconnect
from hwnas.experiment.final_recipes import final_recipe
from hwnas.experiment.finishing import measured_once, save_weights, tested_once
from hwnas.experiment.found_network import FoundNetwork, found_networks, given_network
from hwnas.experiment.phases import Advance, Phases, ignore, phase_seconds, training_steps
from hwnas.experiment.result import BudgetResult, SearchResult, SplitResult, versions, write_json
from hwnas.experiment.run_directory import open_run
from hwnas.measurement import Fingerprint
from hwnas.nn import ModelSpace
from hwnas.nn.families import DartsNetwork, PFLDNetwork, WithAngleHead, WithAuxiliaryHead
from hwnas.profiler import FlopsProfiler
from hwnas.space import Architecture
from hwnas.store import TrialStore
from hwnas.train import (
    FinalRecipe,
    SupernetEvaluator,
    check_inputs,
    latest_checkpoint,
    load_supernet,
    train_finally,
)

__all__ = ["RetrainingResult", "retrain"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainingResult:
    """A found network in its final form.

    Attributes:
        directory: where `result.json`, `network.onnx` and `network.safetensors` lie.
        architecture: the network.
        strategy: what found it; empty for an architecture that was given.
        recipe: how it was trained, and where that is from.
        budgets: those of the search, `predicted` then, `measured` now.
        num_steps: of the training.
        task: what is asked of the network.
        score_name: what the mean score is called: "accuracy".
        test_accuracy: the mean score on the test part.
        test_standard_error: of that mean.
        onnx_difference: the largest absolute difference between the outputs of the file and of the torch network.
        fingerprint: where latencies were taken; None where no budget is on latency.
        splits: by name; "train" is the search's train and search parts together.
        seed: of the initial weights and the training.
        versions: of hwnas and what it stands on.
        seconds: wall clock of each phase.
    """

    directory: Path
    architecture: Architecture
    strategy: str
    recipe: FinalRecipe
    budgets: tuple[BudgetResult, ...]
    num_steps: int
    task: str
    score_name: str
    test_accuracy: float
    test_standard_error: float
    onnx_difference: float
    fingerprint: Fingerprint | None
    splits: Mapping[str, SplitResult]
    seed: int
    versions: Mapping[str, str]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`."""
        content = dataclasses.asdict(self)
        del content["directory"]
        return content | {"architecture": self.architecture.to_json(), "recipe": self.recipe.to_json()}


def retrain(
    make_space: Callable[[], ModelSpace],
    data: Splits,
    result: SearchResult | Architecture | str | Path,
    recipe: FinalRecipe | None = None,
    *,
    inherit: bool | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    device: Runtime | str | None = None,
    table: str | Path | None = None,
    seed: int | None = None,
    directory: str | Path | None = None,
    progress: Callable[[Advance], None] = ignore,
) -> RetrainingResult:
    """Train the network that a search has found on the parts train and search together, export, verify and test it.

    A network of the family `pfld` is trained with the head that estimates a face's angles, where the task has angles
    (`hwnas.data.landmarks(angles=True)`); a cell network with its auxiliary classifier, where the recipe weighs one.
    Killed and called again with the same arguments, it goes on where it was.

    Args:
        make_space: makes the space of the search, with new weights, or a larger member of it: the architecture must be
            one of it.
        data: what to train and test on; need not be those of the search.
        result: of the search, or its folder; or an architecture, which needs `recipe` and `directory`.
        recipe: how; that of the strategy's paper if not given (`final_recipe`).
        inherit: without a recipe: begin with the supernet's weights, or anew; as in the paper if not given.
        epochs: in the place of the recipe's.
        batch_size: in the place of the recipe's; learning rates stay in proportion.
        device: where latencies are verified; that of the search if not given.
        table: of the search; the one in the run's folder if not given.
        seed: of the initial weights and the training; the search's if not given, 0 for an architecture.
        directory: for the result; `retrain` in the search's folder if not given.
        progress: told of every advance.

    Returns:
        The result. A budget that the trained network breaks as measured has `kept` false.

    Raises:
        ConfigError: arguments that do not go together.
        RunDirectoryError: no finished search, or a folder of another retraining.
        SpaceError: a space other than the search's.
        FingerprintError: latencies of the search were taken on another device.
        Exception: whatever training, exporting and measuring raise.
    """
    if recipe is not None and inherit is not None:
        raise ConfigError(
            f"`inherit` goes with the strategy's own recipe; the one given says itself: inherits={recipe.inherits}. "
            "Leave `inherit` out."
        )
    found = _given(result, recipe, directory) if isinstance(result, Architecture) else _found(result)
    strategy = found.configuration["strategy"]
    seed = found.configuration["seed"] if seed is None else whole_number("seed", seed, at_least=0, at_most=LARGEST)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        space = _space(make_space, found)
        check_inputs(space, data)
        final = (recipe or final_recipe(strategy, space, inherit=inherit)).resized(epochs=epochs, batch_size=batch_size)
        network, teacher = _networks(space, data, found, final, seed)
        trained = _with_head(network, data.task, final)
    part = JoinedPart([data.train, data.search])
    measured_device = _device(found, device, table)
    folder = found.directory / "retrain" if directory is None else Path(directory)
    identity = {
        "retrains": found.architecture.uid,
        "space": space.space.uid,
        "recipe": final.to_json(),
        "budgets": [dataclasses.asdict(row) for row in found.budgets],
        "data": data.hashes,
        "task": data.task.name,
        "seed": seed,
    }
    with open_run(folder, identity) as store:
        phases = Phases(store, progress)
        with phases("train") as advance:
            training = train_finally(
                trained,
                part,
                data.task,
                final,
                seed=seed,
                teacher=teacher,
                directory=folder / "training",
                progress=training_steps(advance),
            )
        deployment = Deployment(space, measured_device)
        with phases("verify"):
            path = deployment.export(network.eval(), folder / "network.onnx")
            save_weights(network, folder / "network.safetensors")
            difference = deployment.difference(network, path)
            budgets = _verified(found, deployment, space, path, store)
        with phases("test"):
            accuracy, error = tested_once(store, "test", network, data)
        finished = RetrainingResult(
            directory=folder,
            architecture=found.architecture,
            strategy=strategy,
            recipe=final,
            budgets=budgets,
            num_steps=training.num_steps,
            task=data.task.name,
            score_name=data.task.score_name,
            test_accuracy=accuracy,
            test_standard_error=error,
            onnx_difference=difference,
            fingerprint=None if measured_device is None else measured_device.runtime.fingerprint,
            splits={
                name: SplitResult(num_examples=len(each), sha256=each.sha256)
                for name, each in (("train", part), ("test", data.test))
            },
            seed=seed,
            versions=versions(),
            seconds=phase_seconds(store),
        )
        write_json(folder / "result.json", finished.to_json())
    return finished


def _given(architecture: Architecture, recipe: FinalRecipe | None, directory: str | Path | None) -> FoundNetwork:
    """An architecture as if a search without budgets had found it."""
    if recipe is None or directory is None:
        raise ConfigError(
            "An architecture comes without a run that says how and where to train it: give `recipe`, such as "
            "FINAL_RECIPES['proxylessnas'], and `directory`."
        )
    if recipe.inherits:
        raise ConfigError(
            "An architecture comes without a supernet whose weights could be inherited: give a recipe with "
            "inherits=False, or the search's folder instead of the architecture."
        )
    return given_network(architecture, Path(directory))


def _found(result: SearchResult | str | Path) -> FoundNetwork:
    directory = result.directory if isinstance(result, SearchResult) else Path(result)
    networks = found_networks(directory)
    if len(networks) > 1:
        folders = ", ".join(str(network.directory) for network in networks)
        raise RunDirectoryError(f"The run in {directory} has several networks; name one: {folders}.")
    return networks[0]


def _space(make_space: Callable[[], ModelSpace], found: FoundNetwork) -> ModelSpace:
    space = make_space()
    here, there = space.space.uid, found.configuration.get("space")  # an architecture alone has none
    if there is not None and here != there:
        raise SpaceError(
            f"The space is not the one that was searched in {found.run}: {here[:12]} here, {there[:12]} there. Make it "
            "with the same options."
        )
    return space


def _networks(
    space: ModelSpace, data: Splits, found: FoundNetwork, final: FinalRecipe, seed: int
) -> tuple[nn.Module, nn.Module | None]:
    """The network as training begins; and, for one that inherits, the teacher that the recipe has: the heaviest one."""
    if not final.inherits:
        return space.freeze(found.architecture), None
    searched = latest_checkpoint(found.directory / "search")
    if searched is not None:  # of a one-shot search, with all weights
        searched.load_model(space)
    else:
        load_supernet(space, found.configuration["supernet"] or found.run / "supernet")
    evaluator = SupernetEvaluator(space, data, seed=seed)
    network = evaluator.calibrated(found.architecture)
    if not final.recipe.distillation:
        return network, None
    heaviest = FlopsProfiler(space).cost.maximum().architecture
    return network, evaluator.calibrated(heaviest)


def _with_head(network: nn.Module, task: Task, final: FinalRecipe) -> nn.Module:
    """The network with the auxiliary head that its paper trains it with, where it has one to learn from."""
    if final.auxiliary_weight and isinstance(network, DartsNetwork):
        return WithAuxiliaryHead(network)
    if task.num_auxiliary and isinstance(network, PFLDNetwork):
        return WithAngleHead(network)
    return network


def _device(found: FoundNetwork, device: Runtime | str | None, table: str | Path | None) -> MeasuredDevice | None:
    if found.fingerprint is None:
        return None
    if isinstance(device, str):
        runtime = connect(device, threads=found.fingerprint.threads, batch_size=found.fingerprint.batch_size)
    else:
        runtime = device or reconnect(found.fingerprint)
    found.fingerprint.require_same(runtime.fingerprint, what=f"The search in {found.run}")
    path = found.run / "table.sqlite" if table is None else Path(table)
    if not path.is_file():
        raise BudgetError(f"The table of the search's latencies, {path}, is not there. Put it back, or give `table`.")
    return MeasuredDevice(runtime=runtime, table_path=path)


def _verified(
    found: FoundNetwork, deployment: Deployment, space: ModelSpace, path: Path, store: TrialStore
) -> tuple[BudgetResult, ...]:
    """The search's budgets, measured of the trained network's file once."""
    budgets = [
        # What cannot be measured is as the search has predicted: a constant cost, since the network is the same.
        Budget(row.profiler, row.limit, row.unit, CostTable(space.space, row.predicted, unit=row.unit))
        for row in found.budgets
    ]
    measured = measured_once(
        store, "final", lambda: deployment.measure(found.architecture, budgets, path, fresh_process=True)
    )
    return tuple(
        dataclasses.replace(row, measured=measured[row.profiler].value, kept=measured[row.profiler].upper <= row.limit)
        for row in found.budgets
    )
