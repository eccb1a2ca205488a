"""A small conditional space with a planted utility, and an evaluator that knows it."""

from __future__ import annotations

import numpy as np

from hwnas.cost import Budget, CostTable, Term
from hwnas.space import Architecture, Choice, Requirement, Space
from hwnas.strategy import Outcome, Proposal
from hwnas.trial import Evaluated, TrialContext


def planted_space(num_stages: int = 3) -> Space:
    """Stages of depth 1 to 3; blocks of three options, active below the depth."""
    choices = []
    for stage in range(num_stages):
        depth = Choice(f"s{stage}.depth", (1, 2, 3))
        choices.append(depth)
        for block in range(3):
            deeper = tuple(d for d in depth.options if d > block)
            condition = [[Requirement(depth.name, deeper)]] if block else []
            choices.append(Choice(f"s{stage}.b{block}", ("small", "middle", "large"), condition=condition))
    return Space(choices)


def random_table(space: Space, seed: int, *, positive: bool) -> CostTable:
    """A unary table with random values; inactive choices cost nothing."""
    rng = np.random.default_rng(seed)
    terms = []
    for choice in space.choices:
        values = np.zeros(choice.num_options + 1)
        drawn = np.sort(rng.uniform(1.0, 10.0, choice.num_options))
        values[:-1] = drawn if positive else drawn + rng.normal(0.0, 2.0, choice.num_options)
        if "depth" not in choice.name:
            terms.append(Term((choice.name,), values))
    return CostTable(space, 0.0, terms)


class PlantedEvaluator:
    """Scores with a planted utility; a batch adds noise; images are right with a probability that rises with it."""

    def __init__(self, utility: CostTable, *, noise: float = 0.5, num_images: int = 4000) -> None:
        self.utility = utility
        self.noise = noise
        self.num_images = num_images
        self.proposals: list[Proposal] = []

    def __call__(self, proposal: Proposal) -> Outcome:
        self.proposals.append(proposal)
        value = self.utility.value(proposal.architecture)
        if proposal.fidelity == "batch":
            score = value + np.random.default_rng(proposal.batch_index).normal(0.0, self.noise)
            return Outcome(score=score, loss=-score)
        chance = 1.0 / (1.0 + np.exp(-0.05 * value))
        difficulty = np.random.default_rng(0).uniform(size=self.num_images)
        correct = difficulty < chance
        return Outcome(score=float(correct.mean()), loss=-value, scores=correct.astype(np.float32))

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        outcome = self(Proposal(architecture=architecture, fidelity=context.fidelity, batch_index=context.batch_index))
        return Evaluated(metrics={"score": outcome.score, "loss": outcome.loss}, scores=outcome.scores)


def run(strategy, evaluate, max_trials: int | None = None) -> int:
    """Ask and tell until the strategy has finished; returns the number of trials."""
    num_trials = 0
    while (max_trials is None or num_trials < max_trials) and (proposals := strategy.ask(1)):
        for proposal in proposals:
            strategy.tell(proposal, evaluate(proposal))
            num_trials += 1
    return num_trials


def budget_at(space: Space, cost: CostTable, share: float) -> Budget:
    """A budget at a share of the way from the cheapest to the dearest architecture."""
    low, high = cost.minimum().value, cost.maximum().value
    return Budget("latency", low + share * (high - low), "ms", cost)


def best_feasible(space: Space, utility: CostTable, budgets: list[Budget]) -> tuple[Architecture, float]:
    """The optimum by brute force."""
    feasible = [a for a in space.enumerate() if all(b.holds(a) for b in budgets)]
    best = max(feasible, key=utility.value)
    return best, utility.value(best)
