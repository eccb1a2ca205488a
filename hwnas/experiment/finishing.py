"""From what a strategy derives to a trained network, verified in its final form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from safetensors.torch import save
from torch import nn

from hwnas.cost import Budget
from hwnas.data import Splits
from hwnas.errors import InfeasibleError
from hwnas.experiment.deployment import MEASURED_ON_FILE, Deployment
from hwnas.experiment.phases import Phases, training_steps
from hwnas.experiment.settle import Attempt, Measured, settle
from hwnas.export import write_whole
from hwnas.space import Architecture
from hwnas.store import TrialStore
from hwnas.strategy import Derived
from hwnas.train import Recipe, evaluate_accuracy, fine_tune

__all__ = ["Finished", "Finishing", "measured_once", "save_weights", "tested_once"]

_MAX_VERIFICATIONS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A trained network that keeps its budgets.

    Attributes:
        attempt: what was derived, predicted and measured before it was trained.
        final: what was measured of the trained network's file, by profiler.
        network: the trained network.
        test_accuracy: the task's mean score on the test split.
        test_standard_error: of that mean.
        onnx_difference: the largest absolute difference between the file's outputs and the network's.
    """

    attempt: Attempt
    final: Mapping[str, Measured]
    network: nn.Module
    test_accuracy: float
    test_standard_error: float
    onnx_difference: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finishing:
    """How derived architectures are finished; the same for the chosen network and for its trained rivals.

    Attributes:
        initial: gives the frozen network with the supernet's weights and its own batch-norm statistics.
        budgets: what must hold as measured.
        margins: by profiler, the share of the limit that prediction leaves free.
        recipe: of the fine-tuning; its `distillation` weighs the loss against `teacher`.
        store: remembers measurements, under the study's name.
    """

    initial: Callable[[Architecture], nn.Module]
    deployment: Deployment
    data: Splits
    budgets: Sequence[Budget]
    margins: Mapping[str, float]
    recipe: Recipe
    teacher: Callable[[], nn.Module]
    store: TrialStore
    phases: Phases
    seed: int

    def finish(self, derive: Callable[[Sequence[Budget]], Derived], *, study: str, directory: Path) -> Finished:
        """Settle on an architecture, fine-tune it, export it to `directory/network.onnx`, verify and test it.

        Where the final verification breaks a budget that the candidate had kept, the candidate counts as over budget
        and the strategy derives again.

        Raises:
            InfeasibleError: no network keeps the budgets as measured.
        """
        for _ in range(_MAX_VERIFICATIONS):
            with self.phases("settle", study=study) as advance:
                measured = self._candidate(study, directory, advance)
                attempt = settle(derive, measured, self.budgets, margins=self.margins)
            architecture = attempt.derived.architecture
            network = self._fine_tuned(architecture, study, directory)
            path = self.deployment.export(network, directory / "network.onnx")
            save_weights(network, directory / "network.safetensors")
            difference = self.deployment.difference(network, path)
            final = self._verified(architecture, path, study)
            if all(final[budget.profiler].upper <= budget.limit for budget in self.budgets):
                break
            self.store.set_fact(_fact("candidate", study, architecture), _to_json(final))
        else:
            raise InfeasibleError(
                f"Of {_MAX_VERIFICATIONS} networks that kept the budgets when they were chosen, none kept them in the "
                "final verification. The device is too noisy for so tight a budget: relax it, or measure on an idle "
                "device.",
                least={name: measured.value for name, measured in final.items()},
            )
        with self.phases("test", study=study):
            accuracy, error = tested_once(self.store, _fact("test", study, architecture), network, self.data)
        return Finished(
            attempt=attempt,
            final=final,
            network=network,
            test_accuracy=accuracy,
            test_standard_error=error,
            onnx_difference=difference,
        )

    def _candidate(
        self, study: str, directory: Path, advance: Callable[..., None]
    ) -> Callable[[Architecture], Mapping[str, Measured]]:
        """Measures an untrained candidate; remembers what it gave, also across a kill."""
        num_measured = 0

        def measure(architecture: Architecture) -> Mapping[str, Measured]:
            nonlocal num_measured
            num_measured += 1
            advance(num_measured, None, "candidates measured")
            return measured_once(
                self.store,
                _fact("candidate", study, architecture),
                lambda: self._measured_untrained(architecture, directory / "candidate.onnx"),
            )

        return measure

    def _measured_untrained(self, architecture: Architecture, path: Path) -> Mapping[str, Measured]:
        if any(budget.profiler in MEASURED_ON_FILE for budget in self.budgets):
            self.deployment.export(self.initial(architecture), path)
        measured = self.deployment.measure(architecture, self.budgets, path)
        path.unlink(missing_ok=True)
        return measured

    def _fine_tuned(self, architecture: Architecture, study: str, directory: Path) -> nn.Module:
        network = self.initial(architecture)
        with self.phases("fine-tune", study=study) as advance:
            fine_tune(
                network,
                self.data,
                self.recipe,
                seed=self.seed,
                teacher=self.teacher() if self.recipe.distillation else None,
                directory=directory / "fine-tune" / architecture.uid[:16],
                progress=training_steps(advance),
            )
        return network.eval()

    def _verified(self, architecture: Architecture, path: Path, study: str) -> Mapping[str, Measured]:
        def measure() -> Mapping[str, Measured]:
            with self.phases("verify", study=study):
                return self.deployment.measure(architecture, self.budgets, path, fresh_process=True)

        return measured_once(self.store, _fact("final", study, architecture), measure)


def measured_once(
    store: TrialStore, fact: str, measure: Callable[[], Mapping[str, Measured]]
) -> Mapping[str, Measured]:
    """What `measure` gives, by profiler; kept as a fact of the run, and never measured again."""
    known = store.fact(fact)
    if known is None:
        known = _to_json(measure())
        store.set_fact(fact, known)
    return {name: Measured(value=value, upper=upper) for name, (value, upper) in known.items()}


def tested_once(store: TrialStore, fact: str, network: nn.Module, data: Splits) -> tuple[float, float]:
    """The mean score on the test part, and its standard error; a fact of the run.

    The test part is touched here alone, once for each network that is handed on.
    """
    known = store.fact(fact)
    if known is None:
        evaluation = evaluate_accuracy(network, data.test, data.task)
        known = [evaluation.accuracy, evaluation.standard_error]
        store.set_fact(fact, known)
    return known[0], known[1]


def save_weights(network: nn.Module, path: Path) -> None:
    """The state dict as a safetensors file that is whole or not there; tied tensors are written out each.

    Raises:
        ExportError: it cannot be written.
    """
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(state))


def _fact(kind: str, study: str, architecture: Architecture) -> str:
    return f"{kind}|{study}|{architecture.uid}"


def _to_json(measured: Mapping[str, Measured]) -> dict[str, list[float]]:
    return {name: [m.value, m.upper] for name, m in measured.items()}
