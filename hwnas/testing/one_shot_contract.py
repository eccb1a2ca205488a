"""What every one-shot strategy must do, as tests: subclass in a test file and give one fixture.

class TestMyStrategy(OneShotContract):
    @pytest.fixture
    def make_strategy(self):
        return lambda space, budgets, seed: MyStrategy(space, budgets, seed=seed)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from hwnas.cost import Budget
from hwnas.errors import CheckpointError, InfeasibleError
from hwnas.nn import LayerChoice, ModelSpace, Repeat, Selection
from hwnas.profiler import FlopsProfiler
from hwnas.strategy import Moment, OneShot
from hwnas.testing.planted_search import moments
from hwnas.train import Recipe

__all__ = ["MakeStrategy", "OneShotContract", "small_space"]

MakeStrategy = Callable[[ModelSpace, Sequence[Budget], int], OneShot]
"""From a space, budgets and a seed to a new strategy whose architecture learns from the first step on."""

_NUM_STEPS = 8
_MOMENTUM = "/momentum"


def small_space() -> ModelSpace:
    """A layer and a chain of a chosen depth, in which choices depend on the depth; the costs of options differ."""
    torch.manual_seed(0)

    def layer() -> LayerChoice:
        wide = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 6))
        return LayerChoice({"narrow": nn.Linear(6, 6), "wide": wide, "skip": nn.Identity()})

    chain = Repeat(lambda _: nn.Sequential(layer(), nn.Tanh()), (1, 3), label="depth")
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), layer(), nn.ReLU(), chain, nn.Linear(6, 2))
    return ModelSpace(net, torch.zeros(1, 4))


class OneShotContract:
    """Tests of the guarantees in the docstring of `OneShot`; needs the fixture `make_strategy`."""

    def test_it_has_a_name_and_a_recipe(self, make_strategy: MakeStrategy) -> None:
        """As its paper trains; it keeps the protocol."""
        strategy = make_strategy(small_space(), (), 0)
        assert isinstance(strategy, OneShot)
        assert strategy.name == strategy.name.lower() != ""
        assert isinstance(strategy.recipe, Recipe)

    def test_same_seed_same_search(self, make_strategy: MakeStrategy) -> None:
        """Whatever the global generators of random numbers are at."""
        found = []
        for elsewhere in (1, 2):
            space = small_space()
            strategy = make_strategy(space, (), 3)
            torch.manual_seed(elsewhere)
            np.random.seed(elsewhere)
            losses = _search(strategy, space)
            found.append((losses, strategy.state(), strategy.derive(()).architecture))
        assert found[0][0] == found[1][0]
        _assert_equal(found[0][1], found[1][1])
        assert found[0][2] == found[1][2]

    def test_the_architecture_learns(self, make_strategy: MakeStrategy) -> None:
        """Steps change what `state` gives, and earlier states are copies."""
        space = small_space()
        strategy = make_strategy(space, (), 0)
        before = strategy.state()
        kept = {name: tensor.clone() for name, tensor in before.items()}
        _search(strategy, space)
        after = strategy.state()
        _assert_equal(before, kept)
        assert any(name not in kept or not torch.equal(tensor, kept[name]) for name, tensor in after.items())

    def test_goes_on_from_its_state(self, make_strategy: MakeStrategy) -> None:
        """A new strategy with the state of an interrupted one ends where an uninterrupted one does, to the last bit."""
        space = small_space()
        uninterrupted = make_strategy(space, (), 0)
        losses = _search(uninterrupted, space)

        space = small_space()
        optimizer = _optimizer(space)
        strategy, resumed = make_strategy(space, (), 0), []
        for moment in moments(space, optimizer, num_steps=_NUM_STEPS):
            if moment.step == _NUM_STEPS // 2:
                state = load(save(dict(strategy.state())))  # as checkpoints are
                strategy = make_strategy(space, (), 0)
                strategy.load_state(state)
                _assert_equal(strategy.state(), state)
            resumed.append(float(strategy.step(moment)))
            optimizer.step()
        assert resumed == losses
        _assert_equal(strategy.state(), uninterrupted.state())
        assert strategy.derive(()).architecture == uninterrupted.derive(()).architecture

    def test_foreign_state(self, make_strategy: MakeStrategy) -> None:
        """A state without its tensors is refused."""
        with pytest.raises(CheckpointError, match="The checkpoint does not fit the strategy"):
            make_strategy(small_space(), (), 0).load_state({"foreign": torch.zeros(3)})

    def test_derives_without_budgets(self, make_strategy: MakeStrategy) -> None:
        """At any time, the same when asked again, and nothing changes."""
        space = small_space()
        strategy = make_strategy(space, (), 0)
        for _ in range(2):
            state = strategy.state()
            derived = strategy.derive(())
            assert dict(space.space.validate(derived.architecture)) == dict(derived.architecture)
            assert strategy.derive(()).architecture == derived.architecture
            _assert_equal(strategy.state(), state)
            _search(strategy, space)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
    def test_derives_within_budgets(self, make_strategy: MakeStrategy, share: float) -> None:
        """Those it was made with, tighter ones, and the tightest that an architecture keeps."""
        space = small_space()
        profiler = FlopsProfiler(space)
        wide = profiler.at_most(profiler.min() + 0.8 * (profiler.max() - profiler.min()))
        strategy = make_strategy(space, [wide], 0)
        _search(strategy, space)
        tight = profiler.at_most(profiler.min() + share * (profiler.max() - profiler.min()))
        for budgets in ([wide], [tight], [wide, tight]):
            architecture = strategy.derive(budgets).architecture
            assert all(budget.holds(architecture) for budget in budgets)

    def test_impossible_budgets(self, make_strategy: MakeStrategy) -> None:
        """Refused when the strategy is made and when it derives, with the least that is achievable."""
        space = small_space()
        profiler = FlopsProfiler(space)
        impossible = profiler.at_most(profiler.min() - 1)
        with pytest.raises(InfeasibleError, match="macs") as at_once:
            make_strategy(space, [impossible], 0)
        with pytest.raises(InfeasibleError, match="macs") as later:
            make_strategy(space, (), 0).derive([impossible])
        for raised in (at_once, later):
            assert raised.value.least == {"macs": profiler.min()}

    def test_distribution(self, make_strategy: MakeStrategy) -> None:
        """Over the space, with sums of 1, before and after steps; asking changes nothing."""
        space = small_space()
        strategy = make_strategy(space, (), 0)
        for _ in range(2):
            state = strategy.state()
            distribution = strategy.distribution()
            assert distribution.space == space.space
            for values in distribution.values():
                assert (values >= 0).all()
                assert values.sum() == pytest.approx(1, abs=1e-9)
            assert strategy.distribution() == distribution
            _assert_equal(strategy.state(), state)
            _search(strategy, space)

    def test_steps_report_a_loss_and_leave_the_weights_to_the_driver(self, make_strategy: MakeStrategy) -> None:
        """A detached number; the weights and their momenta are as before, to the last bit."""
        space = small_space()
        optimizer = _optimizer(space)
        strategy = make_strategy(space, (), 0)
        for moment in moments(space, optimizer, num_steps=_NUM_STEPS):
            before = _learned(space, optimizer)
            loss = strategy.step(moment)
            assert loss.shape == ()
            assert not loss.requires_grad
            assert bool(loss.isfinite())
            _assert_equal(_learned(space, optimizer), before)
            optimizer.step()

    def test_weights_learn_from_training_images_alone(self, make_strategy: MakeStrategy) -> None:
        """Their gradients and running statistics are, to the last bit, those of the training losses of the step.

        A twin supernet sees the training images only, under the same selections.
        """
        space, twin = small_space(), small_space()
        optimizer, other = _optimizer(space), _optimizer(twin)
        strategy = make_strategy(space, (), 0)
        pairs = zip(
            moments(space, optimizer, num_steps=_NUM_STEPS), moments(twin, other, num_steps=_NUM_STEPS), strict=True
        )
        num_selections = 0
        for moment, twin_moment in pairs:
            recorded = _Recorded(moment)
            strategy.step(recorded.moment)
            for selection in recorded.selections:
                twin_moment.backward(twin_moment.training_loss(selection))
            _assert_equal(_gradients(space), _gradients(twin))
            _assert_equal(dict(space.named_buffers()), dict(twin.named_buffers()))
            num_selections += len(recorded.selections)
            optimizer.step()
            other.step()
        assert bool(num_selections) == strategy.trains_weights

    def test_what_did_not_run_stays_as_it_is(self, make_strategy: MakeStrategy) -> None:
        """Weights that no training image of a step has seen keep their values and momenta, to the last bit."""
        space = small_space()
        optimizer = _optimizer(space)
        strategy = make_strategy(space, (), 0)
        for moment in moments(space, optimizer, num_steps=_NUM_STEPS):
            recorded = _Recorded(moment)
            with _ran_in(space, recorded) as ran:
                strategy.step(recorded.moment)
            before = _learned(space, optimizer)
            optimizer.step()
            after = _learned(space, optimizer)
            _assert_equal(_without(ran, after), _without(ran, before))
            if strategy.trains_weights:
                assert not torch.equal(before["module.0.weight"], after["module.0.weight"])


class _Recorded:
    """A moment that notes what its training losses were of."""

    def __init__(self, moment: Moment) -> None:
        self.selections: list[Selection] = []
        self.is_training = False
        self._losses: list[tuple[Tensor, Selection]] = []  # the tensors are kept, so that none gets another's identity
        self._moment = moment
        self.moment = dataclasses.replace(moment, training_loss=self._training_loss, backward=self._backward)

    def _training_loss(self, selection: Selection) -> Tensor:
        self.is_training = True
        loss = self._moment.training_loss(selection)
        self.is_training = False
        self._losses.append((loss, selection))
        return loss

    def _backward(self, value: Tensor) -> None:
        selections = [selection for loss, selection in self._losses if loss is value]
        assert selections, "`moment.backward` must be called with what `moment.training_loss` gave."
        self.selections += selections
        self._moment.backward(value)


@contextmanager
def _ran_in(space: ModelSpace, recorded: _Recorded) -> Iterator[set[str]]:
    """The paths of the modules that run in training losses."""
    ran: set[str] = set()
    handles = []
    for path, module in space.named_modules():

        def note(*_: object, path: str = path) -> None:
            if recorded.is_training:
                ran.add(path)

        handles.append(module.register_forward_pre_hook(note))
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


def _without(ran: Collection[str], learned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights and momenta of modules that did not run."""
    return {
        name: tensor for name, tensor in learned.items() if name.removesuffix(_MOMENTUM).rpartition(".")[0] not in ran
    }


def _optimizer(space: ModelSpace) -> torch.optim.Optimizer:
    return torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def _search(strategy: OneShot, space: ModelSpace) -> list[float]:
    """The losses of a search."""
    optimizer = _optimizer(space)
    losses = []
    for moment in moments(space, optimizer, num_steps=_NUM_STEPS):
        losses.append(float(strategy.step(moment)))
        optimizer.step()
    return losses


def _learned(space: ModelSpace, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of the weights and of their momenta."""
    tensors = {}
    for name, parameter in space.named_parameters():
        tensors[name] = parameter.detach().clone()
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[name + _MOMENTUM] = momentum.clone()
    return tensors


def _gradients(space: ModelSpace) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in space.named_parameters() if weight.grad is not None}


def _assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """To the last bit."""
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        try:
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, equal_nan=True)
        except AssertionError as error:
            error.add_note(f"This is {name}.")
            raise
