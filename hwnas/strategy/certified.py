"""Certified search: estimate an additive utility from a supernet, then solve for the budget exactly.

No paper: this is hwnas's own algorithm and its default. HardCoRe-NAS (Nayman et al., ICML 2021,
arXiv:2102.11646) relaxes choices to probabilities, where depth times block makes the latency
bilinear, and rounds at the end, which breaks budgets. With one indicator for every option of every
choice, inactive included, latency and an additive utility are *linear*, and a MILP finds the best
network of the space with a proof.

    explore   score random architectures: with a supernet around the budget, each on a batch of its own, as the loss
              of the teacher minus theirs on the same batch ("batch"); where there is one way to evaluate, which may be
              a training, near the budget and within it, like everything else ("full")
    hold out  score random feasible architectures exactly ("full"); Kendall's tau of the estimate is
              taken against these, which it has not seen
    solve     regress the scores on the choices (`regression.py`); the k best under the budgets, exactly;
              score those, add them to the regression, solve again until the optimum was scored already
    train     train the finalists shortly ("trained"), the feasible network with the most of the first
              prior (MACs, usually) among them, for a briefly trained supernet ranks worse than MACs do
    derive    the certified optimum, unless an evaluated feasible architecture beats it by two
              paired standard errors; then that one, and the note says so
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget, CostTable
from hwnas.errors import ConfigError, InfeasibleError, StrategyError
from hwnas.solve import k_best, maximise
from hwnas.space import Architecture, Space
from hwnas.strategy.certified_estimate import EstimateQuality, ScoredUtility
from hwnas.strategy.feasible import relative_costs, sample_feasible
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.paired import bootstrap_probability_best, paired_difference
from hwnas.strategy.protocol import Derived, Fidelity, Outcome, Proposal
from hwnas.strategy.regression import UtilityEstimate

__all__ = ["Certified"]

Exploration = Literal["full", "batch"]

_NEAR_BUDGET = {"full": (0.6, 1.0), "batch": (0.6, 1.1)}  # cost over limit of the architectures that are explored
_NUM_DRAWS = 20_000
_DRAWS_OF_FEW = 4  # for each architecture still wanted, as some are drawn again; fewer there may be


class Certified:
    """The certified search as an ask/tell strategy; every proposal keeps the budgets, but for the fidelity "batch".

    An architecture whose evaluation failed is neither proposed again nor handed on. Where nearly all of the exploring
    ones failed, there is nothing to regress, and the search ends.

    Args:
        space: what may vary.
        budgets: hard limits.
        priors: additive costs, by name, given to the regression as features (MACs, parameters).
        explore: how architectures are explored. "full": evaluated like all others, and so within the budgets and none
            of them twice; for experiments. "batch": on one batch each, also a little over budget, which tells more of
            what is near it; for evaluators that can, and what `hwnas.search` does.
        num_samples: architectures explored.
        num_held_out: random feasible architectures scored in full, never in the regression that is judged.
        num_candidates: how many of the best are scored in full in each round.
        max_rounds: rounds of solving at most.
        num_finalists: architectures trained shortly at the end; 0 leaves the training out.
        time_limit_seconds: for each solve; None for no limit.
        seed: the whole run is a function of the arguments, the seed and what is told.

    Raises:
        ConfigError: a number out of range, or another way to explore.
        InfeasibleError: (when first asked) no architecture keeps the budgets.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        priors: Mapping[str, CostTable] | None = None,
        explore: Exploration = "full",
        num_samples: int = 240,
        num_held_out: int = 20,
        num_candidates: int = 6,
        max_rounds: int = 4,
        num_finalists: int = 0,
        time_limit_seconds: float | None = 60.0,
        seed: int = 0,
    ) -> None:
        if explore not in get_args(Exploration):
            raise ConfigError(f"`explore` must be 'full' or 'batch'; got {explore!r}.")
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._priors = dict(priors or {})
        self._explore = explore
        self._num_samples = whole_number("num_samples", num_samples, at_least=8)
        self._num_held_out = whole_number("num_held_out", num_held_out, at_least=4)
        self._num_candidates = whole_number("num_candidates", num_candidates, at_least=1)
        self._max_rounds = whole_number("max_rounds", max_rounds, at_least=1)
        self._num_finalists = whole_number("num_finalists", num_finalists, at_least=0)
        if time_limit_seconds is not None:
            time_limit_seconds = finite_number(
                "time_limit_seconds", time_limit_seconds, above=0, otherwise="or None for no limit"
            )
        self._time_limit_seconds = time_limit_seconds
        self._seed = whole_number("seed", seed, at_least=0)

        self._exploring: dict[Architecture, None] = {}  # those that are evaluated in full
        self._scored = ScoredUtility(space, self._priors, by_batch=explore == "batch", seed=self._seed)
        self._histories: dict[Fidelity, History] = {"full": self._scored.full, "trained": History(space)}
        self._queue: list[Proposal] = []
        self._num_waiting = 0
        self._failed: dict[Architecture, None] = {}
        self._phase = "explore"
        self._round = 0
        self._was_scored = False  # the optimum, when the last round began

    def ask(self, num: int = 1) -> list[Proposal]:
        """The next evaluations; none while earlier ones are still to be told, or at the end."""
        while not self._queue and not self._num_waiting and self._phase != "finished":
            self._queue = self._next_phase()
        proposals, self._queue = self._queue[:num], self._queue[num:]
        self._num_waiting += len(proposals)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Learn a score.

        Raises:
            StrategyError: nothing that was asked for is without its outcome.
        """
        if not self._num_waiting:
            raise StrategyError(
                "Certified can only be told of what it asked for. Give known trials to evolution, local_search, nsga2, "
                "tpe, optuna, policy_rl or predictor_guided, which learn from them."
            )
        self._num_waiting -= 1
        if outcome.failed:
            self._failed[proposal.architecture] = None
            return
        if proposal.fidelity == "batch" or proposal.architecture in self._exploring:
            self._scored.explored.append((proposal.architecture, outcome.score))
        if proposal.fidelity != "batch":
            self._histories[proposal.fidelity].add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The certified optimum under `budgets`, or an evaluated one that is better beyond doubt.

        Where too little was explored for an estimate, as in a space of one architecture, the best evaluated one.

        Raises:
            InfeasibleError: no architecture keeps the budgets.
            StrategyError: nothing was told yet.
        """
        if not self.has_estimate:
            return self._histories["full"].derive(budgets)
        solution = maximise(
            self.utility().table, budgets, time_limit_seconds=self._time_limit_seconds, exclude=self._failed
        )
        optimum = solution.architecture
        for fidelity in ("trained", "full"):
            history = self._histories[fidelity]
            kept = history.feasible(budgets)
            of_optimum = history.outcome(optimum)
            if of_optimum is None or not kept or kept[0][0] == optimum:
                continue
            best, of_best = kept[0]
            if of_best.scores is None or of_optimum.scores is None:
                continue
            difference, error = paired_difference(of_best.scores, of_optimum.scores)
            if difference > 2.0 * error:
                rank = 1 + [architecture for architecture, _ in kept].index(optimum)
                note = (
                    f"the certified optimum was rank {rank} of {len(kept)} feasible architectures evaluated "
                    f"({fidelity}); the first is handed on: its score is higher by {difference:.4g} "
                    f"(paired standard error {error:.2g})"
                )
                return Derived(architecture=best, certificate=solution.certificate, note=note)
        return Derived(architecture=optimum, certificate=solution.certificate)

    @property
    def has_estimate(self) -> bool:
        """Whether enough was explored for an estimate: budgets may leave one architecture, and evaluations fail."""
        return self._scored.has_estimate

    def utility(self) -> UtilityEstimate:
        """The utility regressed on all scores told so far.

        Raises:
            ConfigError: there is none (`has_estimate`).
        """
        return self._scored.estimate()

    def quality(self, derived: Derived) -> EstimateQuality | None:
        """How good the estimate behind `derived` is; None where too little was explored for one."""
        if not self.has_estimate:
            return None
        best = self._probability_best(derived.architecture)
        return self._scored.quality(derived.architecture, probability_best=best)

    def _next_phase(self) -> list[Proposal]:
        if self._phase == "explore":
            self._phase = "hold out"
            architectures = self._around_the_budget()
            if self._explore == "batch":
                return [Proposal(architecture=a, fidelity="batch", batch_index=n) for n, a in enumerate(architectures)]
            self._exploring = dict.fromkeys(architectures)
            return [Proposal(architecture=architecture) for architecture in self._exploring]
        if self._phase == "hold out":
            self._phase = "solve"
            rng = np.random.default_rng([self._seed, 1])
            drawn = sample_feasible(self._space, self._budgets, self._num_held_out + len(self._exploring), rng)
            new = [architecture for architecture in dict.fromkeys(drawn) if architecture not in self._exploring]
            self._scored.held_out = tuple(new[: self._num_held_out])
            return [Proposal(architecture=architecture) for architecture in self._scored.held_out]
        if self._phase == "solve" and self.has_estimate:
            best = self._best(self._num_candidates)
            is_scored = bool(best) and best[0] in self._histories["full"]
            new = [architecture for architecture in best if architecture not in self._histories["full"]]
            if is_scored and self._was_scored:  # by the estimate with all scores of the round before
                new = []
            self._was_scored = is_scored
            self._round += 1
            if not new or self._round == self._max_rounds:
                self._phase = "train" if self._num_finalists else "finished"
            return [Proposal(architecture=architecture) for architecture in new]
        finalists = self._finalists() if self._phase == "train" else []
        self._phase = "finished"
        return [Proposal(architecture=a, fidelity="trained") for a in finalists]

    def _around_the_budget(self) -> list[Architecture]:
        """Random architectures whose cost is near the budget; under a tight one, feasible ones as well."""
        rng = np.random.default_rng([self._seed, 0])
        codes = self._space.sample_codes(_NUM_DRAWS, rng)
        if self._budgets:
            relative = relative_costs(codes, self._budgets)
            least, most = _NEAR_BUDGET[self._explore]
            codes = codes[(relative >= least) & (relative <= most)]
        if self._explore == "full":
            codes = codes[np.sort(np.unique(codes, axis=0, return_index=True)[1])]
        architectures = self._space.decode(codes[: self._num_samples])
        missing = self._num_samples - len(architectures)
        if self._explore == "batch":
            return architectures + sample_feasible(self._space, self._budgets, missing, rng)
        more = sample_feasible(self._space, self._budgets, _DRAWS_OF_FEW * missing, rng)
        return list(dict.fromkeys(architectures + more))[: self._num_samples]

    def _best(self, num: int) -> list[Architecture]:
        """The best of the utility under the budgets; none where the evaluation of all that keep them has failed."""
        try:
            solutions = k_best(
                self.utility().table,
                self._budgets,
                num,
                time_limit_seconds=self._time_limit_seconds,
                exclude=self._failed,
            )
        except InfeasibleError:
            if not self._failed:
                raise
            return []
        return [solution.architecture for solution in solutions]

    def _finalists(self) -> list[Architecture]:
        """The optimum, the feasible network with the most of the first prior, then the best scored in full."""
        finalists = self._best(1)
        for prior in list(self._priors.values())[: len(finalists)]:
            solution = maximise(prior, self._budgets, time_limit_seconds=self._time_limit_seconds, exclude=self._failed)
            finalists.append(solution.architecture)
        finalists += [architecture for architecture, _ in self._histories["full"].feasible(self._budgets)]
        return list(dict.fromkeys(finalists))[: self._num_finalists]

    def _probability_best(self, architecture: Architecture) -> float | None:
        for fidelity in ("trained", "full"):
            history = self._histories[fidelity]
            kept = [(a, o.scores) for a, o in history.feasible(self._budgets) if o.scores is not None]
            names = [a for a, _ in kept]
            if architecture in names and len(kept) > 1:
                return bootstrap_probability_best([c for _, c in kept], names.index(architecture), seed=self._seed)
        return None
