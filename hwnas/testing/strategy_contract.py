"""What every multi-trial strategy must do, as tests: subclass in a test file and give one fixture.

class TestMyStrategy(StrategyContract):
    @pytest.fixture
    def make_strategy(self):
        return lambda space, budgets, seed: MyStrategy(space, budgets, seed=seed)
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hwnas.cost import Budget, CostTable
from hwnas.errors import HwnasError, InfeasibleError
from hwnas.space import Architecture, Choice, Requirement, Space
from hwnas.strategy import Outcome, Proposal, Strategy

__all__ = ["MakeStrategy", "StrategyContract", "contract_cost", "contract_outcome", "contract_space", "tiny_space"]

MakeStrategy = Callable[[Space, Sequence[Budget], int], Strategy]
"""From a space, budgets and a seed to a new strategy; sizes of populations and the like small, so that 60 trials show
what it does after its beginning."""

_NUM_TRIALS = 60


def contract_space() -> Space:
    """Two stages of depth 1 to 3 with blocks of three options, active below the depth: 39**2 = 1521 architectures."""
    choices = []
    for stage in range(2):
        depth = Choice(f"stage{stage}.depth", (1, 2, 3))
        choices.append(depth)
        for block in range(3):
            deeper = [[Requirement(depth.name, tuple(range(block + 1, 4)))]] if block else []
            choices.append(Choice(f"stage{stage}.block{block}", ("small", "middle", "large"), condition=deeper))
    return Space(choices)


def tiny_space() -> Space:
    """A choice that is active under one of another's two options: 4 architectures."""
    first = Choice("first", ("plain", "wide"))
    return Space([first, Choice("second", (1, 2, 3), condition=[[Requirement("first", ("wide",))]])])


def contract_cost(space: Space) -> CostTable:
    """The n-th option of every active choice costs n: exact in floating point."""
    return CostTable.from_options(
        space, {c.name: {option: float(1 + code) for code, option in enumerate(c.options)} for c in space.choices}
    )


def contract_outcome(architecture: Architecture) -> Outcome:
    """A score that every choice has a part in, other than by its cost, and an image's score for each of 8 images."""
    value = sum(((len(name) + 7 * len(str(option))) % 5) / 5 for name, option in architecture.items())
    scores = (np.arange(8) < value).astype(np.float32)
    return Outcome(score=value, loss=-value, scores=scores)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Event:
    """Something that was asked and what came of it, or a proposal's outcome that was told."""

    num: int = 0
    asked: tuple[Proposal, ...] = ()
    told: tuple[Proposal, Outcome] | None = None


class StrategyContract:
    """Tests of the guarantees in the docstring of `Strategy`; needs the fixture `make_strategy`.

    Proposals of the fidelity `batch`, by which a strategy explores, may break budgets and come again.

    Attributes:
        repeats: whether it may propose an architecture again and so never ends by itself; its docstring says so.
    """

    repeats = False

    @pytest.mark.parametrize("concurrency", [1, 4])
    @pytest.mark.parametrize("order", [0, 1])
    def test_replay_restores_it(self, make_strategy: MakeStrategy, concurrency: int, order: int) -> None:
        """A new object that is asked and told the same proposes the same, whatever happened beside it."""
        space = contract_space()
        budgets = [_budget(space, 0.7)]
        events = _run(make_strategy(space, budgets, 5), concurrency=concurrency, order=order)
        np.random.seed(order)  # of no account
        again = make_strategy(space, budgets, 5)
        for event in events:
            if event.told is not None:
                again.tell(*event.told)
                _derived(again, budgets)  # changes nothing
            else:
                assert tuple(again.ask(event.num)) == event.asked
        assert len([event for event in events if event.told]) > 20

    def test_never_more_than_asked_for(self, make_strategy: MakeStrategy) -> None:
        """`ask(n)` gives n proposals at most."""
        strategy = make_strategy(contract_space(), (), 0)
        for num in (1, 3, 7):
            proposals = strategy.ask(num)
            assert len(proposals) <= num
            for proposal in proposals:
                strategy.tell(proposal, contract_outcome(proposal.architecture))

    @pytest.mark.parametrize("shares", [(), (0.3,), (0.0,), (0.6, 0.4)])
    def test_proposals_are_valid_and_keep_the_budgets(
        self, make_strategy: MakeStrategy, shares: tuple[float, ...]
    ) -> None:
        """Of a space with conditions; several budgets, and one that a single architecture keeps."""
        space = contract_space()
        budgets = [_budget(space, share, of_stage=number - 1) for number, share in enumerate(shares)]
        events = _run(make_strategy(space, budgets, 1))
        proposals = [proposal for event in events for proposal in event.asked]
        assert proposals
        for proposal in proposals:
            valid = space.validate(dict(proposal.architecture))
            assert valid == proposal.architecture
            assert valid.uid == proposal.architecture.uid
            if proposal.fidelity != "batch":
                assert all(budget.holds(proposal.architecture) for budget in budgets)

    def test_impossible_budgets(self, make_strategy: MakeStrategy) -> None:
        """Refused when the strategy is made or first asked, and when it derives, with the least that is achievable."""
        space = contract_space()
        least = contract_cost(space).minimum().value
        impossible = Budget("cost", least - 1, "", contract_cost(space))
        with pytest.raises(InfeasibleError, match="cost") as at_once:
            make_strategy(space, [impossible], 0).ask(1)
        strategy = make_strategy(space, (), 0)
        _run(strategy)
        with pytest.raises(InfeasibleError, match="cost") as later:
            strategy.derive([impossible])
        for raised in (at_once, later):
            assert raised.value.least == {"cost": least}

    def test_derives_the_best_that_keeps_tighter_budgets(self, make_strategy: MakeStrategy) -> None:
        """Any budgets, tighter ones as well; where nothing is certified, the best that it was told of."""
        space = contract_space()
        wide = _budget(space, 0.8)
        strategy = make_strategy(space, [wide], 2)
        told = _told(_run(strategy))
        for share in (0.8, 0.5, 0.0):
            tight = _budget(space, share)
            derived = strategy.derive([wide, tight])
            assert tight.holds(derived.architecture)
            assert strategy.derive([wide, tight]) == derived
            kept = [outcome.score for architecture, outcome in told if tight.holds(architecture)]
            if derived.certificate is None and kept:
                assert contract_outcome(derived.architecture).score == max(kept)

    def test_failed_outcomes(self, make_strategy: MakeStrategy) -> None:
        """A third of the trials fail: the search goes on, and none of those is handed on."""
        space = contract_space()
        strategy = make_strategy(space, (), 3)
        events = _run(strategy, fails=lambda number: number % 3 == 0)
        told = _told(events)
        assert len(told) > 20
        derived = strategy.derive(())
        if derived.certificate is None:
            assert derived.architecture in [architecture for architecture, outcome in told if not outcome.failed]

    def test_all_trials_fail(self, make_strategy: MakeStrategy) -> None:
        """It proposes on, or ends; deriving says that there is nothing, or gives what keeps the budgets."""
        space = contract_space()
        budgets = [_budget(space, 0.5)]
        strategy = make_strategy(space, budgets, 4)
        assert _told(_run(strategy, fails=lambda number: True))
        architecture = _derived(strategy, budgets)
        assert architecture is None or budgets[0].holds(architecture)

    def test_several_objectives_and_limits(self, make_strategy: MakeStrategy) -> None:
        """Outcomes with several metrics, violated limits and ties; those within their limits come first."""
        space = contract_space()
        cost = contract_cost(space)

        def outcome_of(architecture: Architecture) -> Outcome:
            outcome = contract_outcome(architecture)
            value = cost.value(architecture)
            violation = max(0.0, value / cost.maximum().value - 0.6)
            return dataclasses.replace(outcome, objectives=(outcome.score, -value), violation=violation, tie=-value)

        strategy = make_strategy(space, (), 6)
        told = _told(_run(strategy, outcome_of=outcome_of))
        derived = strategy.derive(())
        if derived.certificate is None:
            assert outcome_of(derived.architecture).rank == max(outcome.rank for _, outcome in told)

    @pytest.mark.parametrize("concurrency", [1, 3])
    @pytest.mark.parametrize("share", [None, 0.5, 0.0])
    def test_an_exhausted_space(self, make_strategy: MakeStrategy, concurrency: int, share: float | None) -> None:
        """No architecture comes twice and then the search ends; one that repeats goes on, within the budgets."""
        space = tiny_space()
        budgets = [] if share is None else [_budget(space, share)]
        feasible = {a for a in space.enumerate() if all(budget.holds(a) for budget in budgets)}
        strategy = make_strategy(space, budgets, 7)
        events = _run(strategy, concurrency=concurrency)
        proposed = Counter(
            (proposal.architecture, proposal.fidelity, proposal.repeat)
            for event in events
            for proposal in event.asked
            if proposal.fidelity != "batch"
        )
        assert {architecture for architecture, _, _ in proposed} <= feasible
        if self.repeats:
            assert strategy.ask(1)
        else:
            assert max(proposed.values()) == 1
            assert strategy.ask(1) == []
        derived = strategy.derive(budgets)
        if derived.certificate is None:
            best = max(contract_outcome(architecture).score for architecture in feasible)
            assert contract_outcome(derived.architecture).score == best

    def test_a_space_of_one_architecture(self, make_strategy: MakeStrategy) -> None:
        """There is nothing to search, and it is found."""
        space = Space([Choice("only", ("one",))])
        strategy = make_strategy(space, (), 9)
        events = _run(strategy)
        only = next(space.enumerate())
        assert {proposal.architecture for event in events for proposal in event.asked} == {only}
        assert _derived(strategy, ()) == only

    def test_an_exhausted_space_in_which_all_fails(self, make_strategy: MakeStrategy) -> None:
        """Failed architectures are not proposed for ever."""
        strategy = make_strategy(tiny_space(), (), 7)
        _run(strategy, fails=lambda number: True)
        assert bool(strategy.ask(1)) == self.repeats


def _budget(space: Space, share: float, *, of_stage: int = -1) -> Budget:
    """At a share of the way from the cheapest to the dearest architecture; of one stage's choices or (-1) of all."""
    cost = contract_cost(space)
    if of_stage >= 0:
        terms = [term for term in cost.terms if term.choices[0].startswith(f"stage{of_stage}.")]
        cost = CostTable(space, cost.constant, terms)
    low, high = cost.minimum().value, cost.maximum().value
    return Budget("cost" if of_stage < 0 else f"cost{of_stage}", low + share * (high - low), "", cost)


def _run(
    strategy: Strategy,
    *,
    concurrency: int = 1,
    order: int = 0,
    fails: Callable[[int], bool] = lambda number: False,
    outcome_of: Callable[[Architecture], Outcome] = contract_outcome,
) -> list[_Event]:
    """A search with so many trials at a time, which end in a random order; ends with everything told."""
    rng = np.random.default_rng(order)
    events: list[_Event] = []
    running: list[Proposal] = []
    num_started = num_told = 0
    while True:
        free = min(concurrency - len(running), _NUM_TRIALS - num_started)
        if free:
            asked = strategy.ask(free)
            events.append(_Event(num=free, asked=tuple(asked)))
            running += asked
            num_started += len(asked)
        if not running:
            return events
        proposal = running.pop(int(rng.integers(len(running))))
        outcome = outcome_of(proposal.architecture)
        if fails(num_told):
            outcome = Outcome(score=float("nan"), failed=True)
        strategy.tell(proposal, outcome)
        events.append(_Event(told=(proposal, outcome)))
        num_told += 1


def _told(events: Sequence[_Event]) -> list[tuple[Architecture, Outcome]]:
    return [(event.told[0].architecture, event.told[1]) for event in events if event.told is not None]


def _derived(strategy: Strategy, budgets: Sequence[Budget]) -> Architecture | None:
    """What it derives; None where it says, with an error of hwnas, that too little was told."""
    try:
        return strategy.derive(budgets).architecture
    except HwnasError:
        return None
