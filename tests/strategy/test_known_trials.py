import pytest

from hwnas.errors import StrategyError
from hwnas.strategy import (
    NSGA2,
    Certified,
    Chain,
    KnownTrials,
    LocalSearch,
    Outcome,
    PredictorGuided,
    Proposal,
    RegularizedEvolution,
)
from hwnas.testing.strategy_contract import contract_outcome, contract_space
from tests.strategy.planted import run

SPACE = contract_space()
KNOWN = KnownTrials(
    tuple((Proposal(architecture=a), contract_outcome(a)) for n, a in enumerate(SPACE.enumerate()) if n % 30 == 0)
)
BEST = max(KNOWN.trials, key=lambda pair: pair[1].score)


@pytest.mark.parametrize("strategy", [NSGA2, PredictorGuided, RegularizedEvolution])
def test_what_is_known_is_handed_on_before_anything_is_evaluated(strategy) -> None:
    told = Chain(strategy(SPACE), KNOWN)
    assert contract_outcome(told.derive(()).architecture).score == BEST[1].score


def test_one_description_for_several_searches() -> None:
    """What a strategy was told is its own: the second begins as the first did, and goes on."""
    first, second = (Chain(RegularizedEvolution(SPACE, population_size=20, sample_size=5), KNOWN) for _ in range(2))
    proposals = []

    def evaluate(proposal: Proposal) -> Outcome:
        proposals.append(proposal)
        return contract_outcome(proposal.architecture)

    for strategy in (first, second):
        run(strategy, evaluate, 40)
    assert proposals[:40] == proposals[40:]


@pytest.mark.parametrize("strategy", [Certified, LocalSearch])
def test_strategies_that_count_what_they_asked_for(strategy) -> None:
    with pytest.raises(StrategyError, match=f"{strategy.__name__} can only be told of what it asked for. Give known"):
        Chain(strategy(SPACE), KNOWN)
