"""Policy gradients over the choices: REINFORCE.

R. J. Williams: Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning. Machine
Learning 8 (1992), https://doi.org/10.1007/BF00992696. B. Zoph, Q. V. Le: Neural Architecture Search with Reinforcement
Learning. ICLR 2017, arXiv:1611.01578, sections 3.2 and 3.3.

For a batch of m architectures a_k with rewards R_k, of a policy pi with logits theta (equation before section 3.3):

    gradient = 1/m sum_k grad log pi(a_k; theta) (R_k - b),   b an exponential moving average of the rewards before
    log pi(a; theta) = sum over the active choices c of log softmax(theta_c)[a_c]

What differs: Zoph and Le's policy is an LSTM (so is that of NNI, which trains it by PPO), here every choice has logits
of its own, and what was chosen before counts through masks alone: an inactive choice is passed over, and an option
without a completion within the budgets has probability 0 (`completion.py`). Where several budgets exclude each other
further on, the exact solver repairs the architecture, and what is evaluated is learnt from. Rewards are divided by
their moving standard deviation, so that the entropy's weight (an addition of later work) means the same in every unit.
Nobody waits: architectures are drawn in batches, and one step is taken whenever as many outcomes were told; with
several trials at a time some of these are of the policy one or two steps before.

N architectures, C choices, n options of one choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget
from hwnas.space import INACTIVE, Architecture, Space
from hwnas.strategy.completion import BudgetMasks
from hwnas.strategy.feasible import repair, require_feasible
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["PolicyBasedRL"]

_ADAM = (0.9, 0.999, 1e-8)

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
_Visit = Callable[[int, NDArray[np.bool_], Floats], NDArray[np.integer]]


class PolicyBasedRL:
    """A softmax for each choice, moved towards what was rewarded above average.

    It never ends by itself, and proposes architectures again as the policy becomes certain.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        learning_rate: of Adam on the logits.
        entropy_weight: of the policy's entropy beside the reward in standard deviations; more explores longer.
        baseline_decay: of the moving average and variance of rewards, in steps.
        batch_size: outcomes in a step.
        seed: proposals are a function of it and of what was asked and told, in that order.

    Raises:
        ConfigError: a number out of range.
        InfeasibleError: no architecture keeps the budgets.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        learning_rate: float = 0.2,
        entropy_weight: float = 0.01,
        baseline_decay: float = 0.9,
        batch_size: int = 5,
        seed: int = 0,
    ) -> None:
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._learning_rate = finite_number("learning_rate", learning_rate, above=0)
        self._entropy_weight = finite_number("entropy_weight", entropy_weight, at_least=0)
        self._baseline_decay = finite_number("baseline_decay", baseline_decay, at_least=0, below=1)
        self._batch_size = whole_number("batch_size", batch_size, at_least=1)
        self._seed = whole_number("seed", seed, at_least=0)
        require_feasible(space, budgets)
        self._masks = BudgetMasks(space, budgets)
        self._logits = [np.zeros(choice.num_options) for choice in space.choices]
        self._moments = [np.zeros((2, choice.num_options)) for choice in space.choices]
        self._num_steps = 0
        self._moving: tuple[float, float] | None = None  # mean and variance of the rewards
        self._worst = np.inf
        self._batch: list[tuple[Architecture, float]] = []
        self._drawn: list[Architecture] = []
        self._num_blocks = 0
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """Draws from the policy, which is that of the moment when their batch was begun; asking never waits."""
        while len(self._drawn) < num:
            rng = np.random.default_rng([self._seed, self._num_blocks])
            self._drawn += [repair(self._space, drawn, self._budgets) for drawn in self._draw(rng)]
            self._num_blocks += 1
        asked, self._drawn = self._drawn[:num], self._drawn[num:]
        return [Proposal(architecture=architecture) for architecture in asked]

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Learn from the outcome when there is a batch of them, unless it failed.

        One over a metric's limit is rewarded no better than the worst before it.
        """
        self._history.add(proposal, outcome)
        if outcome.failed:
            return
        self._worst = min(self._worst, outcome.score)
        self._batch.append((proposal.architecture, self._worst if outcome.violation > 0.0 else outcome.score))
        if len(self._batch) == self._batch_size:
            self._step(self._batch)
            self._batch = []

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def probabilities(self) -> dict[str, Floats]:
        """Of the options of every choice, by its name, before any mask; shape (n,)."""
        return {
            name: np.exp(_log_softmax(logits)) for name, logits in zip(self._space.names, self._logits, strict=True)
        }

    def _draw(self, rng: np.random.Generator) -> list[Architecture]:
        """A batch from the policy."""

        def draw(position: int, active_N: NDArray[np.bool_], logs_Nn: Floats) -> NDArray[np.integer]:
            cumulative_Nn = np.exp(logs_Nn).cumsum(axis=1)
            # Divided by the total, so that rounding cannot draw an option behind the last.
            passed_Nn = rng.random((self._batch_size, 1)) >= cumulative_Nn / cumulative_Nn[:, -1:]
            return np.asarray(passed_Nn.sum(axis=1))

        return self._space.decode(self._walk(self._batch_size, draw))

    def _step(self, batch: Sequence[tuple[Architecture, float]]) -> None:
        """One step of Adam up the gradient of the batch's mean reward and entropy."""
        codes_NC = self._space.encode([architecture for architecture, _ in batch])
        advantages_N = self._advantages(np.array([reward for _, reward in batch]))
        gradients = [np.zeros_like(logits) for logits in self._logits]

        def learn(position: int, active_N: NDArray[np.bool_], logs_Nn: Floats) -> NDArray[np.integer]:
            taken_N = codes_NC[:, position]
            probabilities_Nn = np.exp(logs_Nn)
            chosen_Nn = taken_N[:, None] == np.arange(logs_Nn.shape[1])
            finite_logs_Nn = np.where(probabilities_Nn > 0.0, logs_Nn, 0.0)
            entropies_N1 = -(probabilities_Nn * finite_logs_Nn).sum(axis=1, keepdims=True)
            gradient_Nn = advantages_N[:, None] * (chosen_Nn - probabilities_Nn)
            gradient_Nn -= self._entropy_weight * probabilities_Nn * (finite_logs_Nn + entropies_N1)
            gradients[position] += gradient_Nn[active_N].sum(axis=0) / len(batch)
            return taken_N

        self._walk(len(batch), learn)
        self._num_steps += 1
        first, second, epsilon = _ADAM
        for logits, moments, gradient in zip(self._logits, self._moments, gradients, strict=True):
            moments[0] += (1.0 - first) * (gradient - moments[0])
            moments[1] += (1.0 - second) * (gradient**2 - moments[1])
            mean = moments[0] / (1.0 - first**self._num_steps)
            variance = moments[1] / (1.0 - second**self._num_steps)
            logits += self._learning_rate * mean / (np.sqrt(variance) + epsilon)

    def _advantages(self, rewards_N: Floats) -> Floats:
        """Rewards above their moving average of before, in moving standard deviations."""
        mean, variance = self._moving or (float(rewards_N.mean()), float(rewards_N.var()))
        above_N = rewards_N - mean
        decay = self._baseline_decay
        self._moving = (
            decay * mean + (1.0 - decay) * float(rewards_N.mean()),
            decay * variance + (1.0 - decay) * float((above_N**2).mean()),
        )
        deviation = float(np.sqrt(self._moving[1]))
        return above_N / deviation if deviation > 0.0 else np.zeros_like(above_N)

    def _walk(self, num: int, visit: _Visit) -> Codes:
        """Through the choices of N architectures: `visit(position, active_N, log_probabilities_Nn)` says which options.

        The probabilities are those under the masks, given what was chosen before.
        """
        codes_NC = np.full((num, len(self._space.choices)), INACTIVE, dtype=np.int32)
        walk = self._masks.walk(num)
        for position, logits in enumerate(self._logits):
            active_N = self._space.active(position, codes_NC)
            if active_N.any():
                allowed_Nn = walk.allowed(len(logits))
                logs_Nn = _log_softmax(np.where(allowed_Nn, logits, -np.inf))
                codes_NC[:, position] = np.where(active_N, visit(position, active_N, logs_Nn), INACTIVE)
            walk.decide(codes_NC[:, position])
        return codes_NC


def _log_softmax(logits: Floats) -> Floats:
    """Along the last axis, of which at least one is finite."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
