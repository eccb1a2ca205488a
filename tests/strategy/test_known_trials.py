import numpy as np
import pytest

from hwnas.cost import Budget, CostTable
from hwnas.errors import StrategyError
from hwnas.space import Architecture, Choice, Space
from hwnas.strategy import (
    NSGA2,
    Certified,
    Chain,
    Deduplication,
    FailureHandler,
    KnownTrials,
    LocalSearch,
    MedianStopping,
    MultipleEvaluation,
    Outcome,
    PredictorGuided,
    Proposal,
    RegularizedEvolution,
)
from hwnas.testing.strategy_contract import contract_outcome, contract_space
from tests.strategy.planted import run
from tests.strategy.scripted import Scripted

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


@pytest.mark.parametrize("between", [(), (Deduplication(),), (MultipleEvaluation(2), FailureHandler(retry=1))])
def test_a_strategy_that_counts_what_it_asked_for(between) -> None:
    with pytest.raises(StrategyError, match=r"Certified can only be told of what it asked for\. Give known"):
        Chain(Certified(SPACE), KNOWN, *between)


MANY = Space([Choice("kind", tuple(range(1000))), *(Choice(f"part{n}", (0, 1)) for n in range(20))])


def known_of_one_kind(num: int) -> KnownTrials:
    """Of one kind of a thousand; the more parts, the better."""
    codes = MANY.sample_codes(num, np.random.default_rng(0))
    codes[:, 0] = 7
    scores = codes[:, 1:].sum(axis=1).tolist()
    pairs = zip(MANY.decode(codes), scores, strict=True)
    return KnownTrials(tuple((Proposal(architecture=a), Outcome(score=score)) for a, score in pairs))


@pytest.mark.parametrize(
    "strategy",
    [NSGA2(MANY, population_size=10), RegularizedEvolution(MANY, population_size=10, sample_size=5)],
)
def test_known_trials_are_the_first_parents(strategy) -> None:
    """Their children are of the same kind, of which almost nothing that is drawn at random is."""
    known = known_of_one_kind(10)
    proposed = [proposal.architecture for proposal in Chain(strategy, known).ask(10)]
    assert sum(one["kind"] == 7 for one in proposed) >= 8
    assert not set(proposed) & {proposal.architecture for proposal, _ in known.trials}


def test_known_trials_are_the_first_samples_of_a_regression() -> None:
    strategy = Chain(PredictorGuided(MANY, num_initial=50, exploration=0.0), known_of_one_kind(50))
    [proposal] = strategy.ask(1)
    assert sum(proposal.architecture[f"part{n}"] for n in range(20)) == 20


@pytest.mark.parametrize(
    "strategy",
    [NSGA2(SPACE, population_size=10), RegularizedEvolution(SPACE, population_size=10, sample_size=5)],
)
def test_what_is_known_is_not_proposed_by_strategies_that_look_for_new_children(strategy) -> None:
    known = list(SPACE.enumerate())[::2]
    trials = tuple((Proposal(architecture=one), contract_outcome(one)) for one in known)
    proposed = Chain(strategy, KnownTrials(trials)).ask(20)
    assert not {proposal.architecture for proposal in proposed} & set(known)


@pytest.mark.parametrize("strategy", [LocalSearch, PredictorGuided])
def test_what_is_known_is_not_proposed_by_strategies_that_end(strategy) -> None:
    known = {proposal.architecture for proposal, _ in KNOWN.trials}
    proposed = []

    def evaluate(proposal: Proposal) -> Outcome:
        proposed.append(proposal.architecture)
        return contract_outcome(proposal.architecture)

    run(Chain(strategy(SPACE), KNOWN), evaluate)
    assert len(proposed) == SPACE.size - len(known)
    assert not known & set(proposed)


@pytest.mark.parametrize("inner", [Deduplication(), MultipleEvaluation(2), FailureHandler(retry=1), MedianStopping()])
def test_other_middleware_next_to_the_strategy(inner) -> None:
    strategy = Scripted(1, 2)
    known = Outcome(score=5.0)
    chain = Chain(strategy, KnownTrials(((Proposal(architecture=Architecture({"n": 1})), known),)), inner)
    assert strategy.scores_told == [(1, 5.0)]
    run(chain, lambda proposal: Outcome(score=1.0))
    # Deduplication knows the first one, and tells what it had; the others evaluate it.
    assert strategy.scores_told[1:] == [(1, 5.0 if inner == Deduplication() else 1.0), (2, 1.0)]


@pytest.mark.parametrize("strategy", [NSGA2, RegularizedEvolution, LocalSearch, PredictorGuided])
def test_fewer_are_known_than_a_population_has_and_none_is_proposed_again(strategy) -> None:
    told = Chain(strategy(SPACE), KNOWN)
    known = {proposal.architecture for proposal, _ in KNOWN.trials}
    proposed = []
    run(told, lambda proposal: proposed.append(proposal.architecture) or contract_outcome(proposal.architecture), 40)
    assert len(proposed) == 40
    assert len({*proposed, *known}) == 40 + len(known)


def test_local_search_begins_beside_the_best_within_the_budgets() -> None:
    codes = MANY.sample_codes(5, np.random.default_rng(1))
    known = MANY.decode(codes)
    trials = tuple((Proposal(architecture=one), Outcome(score=float(n))) for n, one in enumerate(known))
    kinds = CostTable.from_options(MANY, {"kind": {kind: float(kind == known[4]["kind"]) for kind in range(1000)}})
    for budgets, best in (((), known[4]), ((Budget("kind", 0.0, "", kinds),), known[3])):
        for proposal in Chain(LocalSearch(MANY, budgets), KnownTrials(trials)).ask(10):
            assert sum(proposal.architecture[name] != option for name, option in best.items()) == 1


def test_what_failed_elsewhere_is_not_tried_again() -> None:
    strategy = Scripted(2)
    failed = KnownTrials(((Proposal(architecture=Architecture({"n": 1})), Outcome(score=0.0, failed=True)),))
    chain = Chain(strategy, failed, FailureHandler(retry=1))
    assert [proposal.architecture["n"] for proposal in chain.ask(3)] == [2]
    chain = Chain(Scripted(2), FailureHandler(retry=1), failed)
    assert [proposal.architecture["n"] for proposal in chain.ask(3)] == [2]
