"""The contract fails strategies that break it, each for its own reason; `tests/strategy` has those that keep it."""

import pytest
import torch

from hwnas.strategy import DARTS, ProxylessNAS
from hwnas.testing.one_shot_contract import OneShotContract, small_space


class ForgetsAdam(DARTS):
    def state(self):
        return self.logits.state()

    def load_state(self, state):
        self.logits.load_state(state)


class GivesItsOwnTensors(DARTS):
    def state(self):
        return {f"logits.{name}": logits.detach() for name, logits in self.logits.values.items()}


class TakesAnyState(DARTS):
    def load_state(self, state):
        pass


class DrawsElsewhere(ProxylessNAS):
    def step(self, moment):
        with torch.no_grad():
            self.logits.values["2"][0] += torch.rand(()).double()
        return super().step(moment)


class LeavesStatistics(DARTS):
    def step(self, moment):
        moment.validation_loss(dict.fromkeys(self.logits.values, "skip") | {"depth": 1})
        return super().step(moment)


class AddsGradients(DARTS):
    def step(self, moment):
        loss = super().step(moment)
        for weight in moment.weights:
            weight.grad = weight.grad * 2
        return loss


class GivesZerosForNone(ProxylessNAS):
    def step(self, moment):
        loss = super().step(moment)
        for weight in moment.weights:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        return loss


class StepsTheWeights(DARTS):
    def step(self, moment):
        loss = super().step(moment)
        moment.optimizer.step()
        return loss


class KeepsTheGraph(DARTS):
    def step(self, moment):
        return super().step(moment).requires_grad_()


class OverBudget(DARTS):
    def derive(self, budgets):
        return super().derive(())


class LearnsNothing(DARTS):
    def step(self, moment):
        loss = moment.training_loss({**self._space.space.sample(moment.rng)})
        moment.backward(loss)
        return loss.detach()


@pytest.mark.parametrize(
    ("broken", "test", "arguments"),
    [
        (ForgetsAdam, "test_goes_on_from_its_state", ()),
        (GivesItsOwnTensors, "test_the_architecture_learns", ()),
        (LearnsNothing, "test_the_architecture_learns", ()),
        (DrawsElsewhere, "test_same_seed_same_search", ()),
        (LeavesStatistics, "test_weights_learn_from_training_images_alone", ()),
        (AddsGradients, "test_weights_learn_from_training_images_alone", ()),
        (GivesZerosForNone, "test_what_did_not_run_stays_as_it_is", ()),
        (StepsTheWeights, "test_steps_report_a_loss_and_leave_the_weights_to_the_driver", ()),
        (KeepsTheGraph, "test_steps_report_a_loss_and_leave_the_weights_to_the_driver", ()),
        (OverBudget, "test_derives_within_budgets", (0.0,)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_what_breaks_the_contract_fails(broken, test, arguments):
    options = {"num_warmup_epochs": 0.0}
    with pytest.raises(AssertionError):
        getattr(OneShotContract(), test)(
            lambda space, budgets, seed: broken(space, budgets, seed=seed, **options), *arguments
        )


@pytest.mark.parametrize(
    ("broken", "test"), [(TakesAnyState, "test_foreign_state"), (OverBudget, "test_impossible_budgets")]
)
def test_what_raises_nothing_fails(broken, test):
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        getattr(OneShotContract(), test)(lambda space, budgets, seed: broken(space, budgets, seed=seed))


def test_small_space_has_conditions_and_costs_that_differ():
    space = small_space().space
    assert [choice.name for choice in space.choices if choice.condition] == ["4.1.0", "4.2.0"]
    assert space.size == 3 * (3 + 9 + 27)
