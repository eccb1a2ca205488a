"""Predictor-guided search: a regression on the trials so far says which architecture to try next.

C. White, W. Neiswanger, Y. Savani: BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
Search. AAAI 2021, arXiv:1910.11858, algorithm 1: start with random architectures; then again and again fit a predictor
to all that is known, and evaluate what maximises an acquisition function of it. W. R. Thompson: On the likelihood that
one unknown probability exceeds another in view of the evidence of two samples. Biometrika 25 (1933).

What differs: the predictor is a ridge regression on the choices (`regression.py`) instead of an ensemble of neural
networks. A utility drawn from its posterior distribution is additive, so that the architecture that maximises it under
hard budgets is found exactly: `candidates = "solver"` is Thompson sampling with an exact maximum, where BANANAS looks
among mutations of the best. `candidates = "evolution"` does as BANANAS does: mutations of the best and newcomers, of
which the one with the highest upper confidence bound, estimate + exploration * standard error, is evaluated. Nobody
waits: each proposal has a draw of its own, so that several at a time differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget, CostTable, keeps_all
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.solve import maximise
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import require_feasible, sample_feasible
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.offspring import new_random
from hwnas.strategy.protocol import Derived, Outcome, Proposal
from hwnas.strategy.regression import UtilityEstimate, fit_utility

__all__ = ["PredictorGuided"]

_NUM_DRAWS = 4  # utilities whose maximum is looked up before known architectures are excluded, which takes longer
_NUM_PARENTS = 10
_NUM_CHILDREN = 50
_NUM_NEWCOMERS = 10


class PredictorGuided:
    """Proposes the best architecture under the budgets by a regression on the outcomes so far, or by a draw from it.

    It ends when every feasible architecture was proposed. One whose evaluation failed is not proposed again.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        num_initial: random architectures in the beginning, less the known ones, and until two outcomes are known.
        refit_every: outcomes after which the regression is fitted anew.
        exploration: factor on the standard errors of the regression; 0 always proposes what it holds for best.
        candidates: "solver" maximises a utility drawn from the regression's distribution, exactly; "evolution" takes
            the highest upper confidence bound among mutations of the best and newcomers.
        priors: additive costs, by name, given to the regression as features (MACs, parameters).
        seed: proposals are a function of it and of what was asked and told, in that order.

    Raises:
        ConfigError: a number out of range, or unknown candidates.
        InfeasibleError: no architecture keeps the budgets.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        num_initial: int = 20,
        refit_every: int = 5,
        exploration: float = 1.0,
        candidates: Literal["solver", "evolution"] = "solver",
        priors: Mapping[str, CostTable] | None = None,
        seed: int = 0,
    ) -> None:
        if candidates not in ("solver", "evolution"):
            raise ConfigError(f"`candidates` must be 'solver' or 'evolution'; got {candidates!r}.")
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._num_initial = whole_number("num_initial", num_initial, at_least=2)
        self._refit_every = whole_number("refit_every", refit_every, at_least=1)
        self._exploration = finite_number("exploration", exploration, at_least=0)
        self._candidates = candidates
        self._priors = tuple((priors or {}).values())
        self._seed = whole_number("seed", seed, at_least=0)
        require_feasible(space, budgets)
        self._num_asked = 0
        self._num_told = 0
        self._proposed: dict[Architecture, None] = {}
        self._fitted: tuple[int, UtilityEstimate] | None = None  # at how many outcomes, and what
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """Random architectures, then those that the regression leads to; asking never waits."""
        proposals: list[Proposal] = []
        while len(proposals) < num:
            rng = np.random.default_rng([self._seed, self._num_asked])
            architecture = self._next(rng)
            if architecture is None:
                break
            self._proposed[architecture] = None
            self._num_asked += 1
            proposals.append(Proposal(architecture=architecture))
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome, for the next regression."""
        self._proposed[proposal.architecture] = None  # of another experiment's history, too
        self._num_told += not outcome.failed
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def estimate(self) -> UtilityEstimate:
        """The regression that proposals come from.

        Raises:
            ConfigError: fewer than two outcomes were told.
        """
        if self._fitted is None or self._num_told - self._fitted[0] >= self._refit_every:
            told = self._history.feasible(())
            worst = min((outcome.score for _, outcome in told), default=0.0)
            # What is over a metric's limit is worth no more than the worst.
            scores = np.array([worst if outcome.violation > 0.0 else outcome.score for _, outcome in told])
            codes = self._space.encode([architecture for architecture, _ in told])
            self._fitted = (self._num_told, fit_utility(self._space, codes, scores, priors=self._priors))
        return self._fitted[1]

    def _next(self, rng: np.random.Generator) -> Architecture | None:
        """One that was not proposed; None where there is no other."""
        if len(self._proposed) < self._num_initial or len(self._history) < 2:
            return new_random(self._space, self._budgets, self._proposed, rng)
        return self._by_solver(rng) if self._candidates == "solver" else self._by_evolution(rng)

    def _by_solver(self, rng: np.random.Generator) -> Architecture | None:
        estimate = self.estimate()
        for _ in range(_NUM_DRAWS if self._exploration else 1):
            utility = estimate.draw(rng, spread=self._exploration)
            architecture = maximise(utility, self._budgets).architecture
            if architecture not in self._proposed:
                return architecture
        try:
            return maximise(utility, self._budgets, exclude=self._proposed).architecture
        except InfeasibleError:
            return None

    def _by_evolution(self, rng: np.random.Generator) -> Architecture | None:
        newcomer = new_random(self._space, self._budgets, self._proposed, rng)
        if newcomer is None:
            return None
        parents = [architecture for architecture, _ in self._history.feasible(self._budgets)[:_NUM_PARENTS]]
        drawn = sample_feasible(self._space, self._budgets, _NUM_NEWCOMERS, rng)
        for _ in range(_NUM_CHILDREN if parents else 0):
            drawn.append(self._space.mutate(parents[int(rng.integers(len(parents)))], rng))
        new = [newcomer]
        new += [a for a in drawn if a not in self._proposed and keeps_all(a, self._budgets)]
        codes = self._space.encode(new)
        estimate = self.estimate()
        bounds = estimate.table.values(codes) + self._exploration * estimate.standard_errors(codes)
        return new[int(np.argmax(bounds))]
